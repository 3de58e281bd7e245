import type { Clock } from '../../clock/clock.ts';
import type { Random } from '../../clock/random.ts';
import { HotMirrorError } from '../../errors.ts';
import { bytesIn, bytesOut, checkCondition, good, longestTransferBytes, scsiIds } from './command.ts';
import type { ScsiCommand, ScsiResult } from './command.ts';
import { LogicalUnit } from './logical-unit.ts';
import type { DetachReason, ScsiAttachment, ScsiHost, ScsiPort } from './port.ts';
import { senses } from './sense.ts';

/** What a bus without a terminator does to commands, in millionths. */
export interface UnterminatedFaults {
  /** Commands that the bus loses, on the way or on the way back: nobody knows which. */
  readonly lostPerMillion: number;
  /** Commands whose data is changed unnoticed. */
  readonly garbledPerMillion: number;
}

/** What a bus is made of. */
export interface ScsiBusOptions {
  readonly clock: Clock;
  readonly random: Random;
  /** Id of the shared unit. Default 0. */
  readonly unitId?: number;
  /** Size of the shared unit in blocks of 512 bytes. Default 2048. */
  readonly unitBlocks?: number;
  /** How long a READ or WRITE is under way inside the unit, in ms. Default 0. */
  readonly mediumMs?: number;
  /** Arbitration, selection and status of each command, in ms. Default 0.1. */
  readonly commandMs?: number;
  /** What the bus carries in a millisecond. Default 20,000: Fast-20, narrow. */
  readonly bytesPerMs?: number;
  /** How long the bus waits for a target that is not there, in ms. Default 250. */
  readonly selectionTimeoutMs?: number;
  /** Default: 200,000 lost and 100,000 garbled. */
  readonly unterminated?: UnterminatedFaults;
}

/** Commands of one host that wait for the bus; one more ends with TASK SET FULL. */
const longestQueue = 64;
const million = 1_000_000;
const bits = 8;
const hostInquiry = 'hotmirror simulated host';

const defaults = {
  unitId: 0,
  unitBlocks: 2_048,
  mediumMs: 0,
  commandMs: 0.1,
  bytesPerMs: 20_000,
  selectionTimeoutMs: 250,
  unterminated: { lostPerMillion: 200_000, garbledPerMillion: 100_000 },
} as const;

interface Request {
  readonly target: number;
  readonly command: ScsiCommand;
  end(result: ScsiResult): void;
}

interface Place {
  readonly host: ScsiHost;
  readonly queue: Request[];
  notice: Uint8Array;
}

/**
 * A parallel SCSI bus between hosts, with one shared unit: one command at a time, and of those that wait the one of the highest priority
 * (ids 7 to 0, then 15 to 8). Hosts are processor devices to each other. Time and chance come from outside; no I/O.
 */
export class ScsiBus {
  readonly unitId: number;
  readonly #options: Required<ScsiBusOptions>;
  readonly #unit: LogicalUnit;
  readonly #places = new Map<number, Place>();
  #busy = false;
  #terminated = true;

  /** Throws `RangeError` for a setting that is none. */
  constructor(options: ScsiBusOptions) {
    this.#options = { ...defaults, ...options };
    const { clock, unitId, unitBlocks, mediumMs, bytesPerMs } = this.#options;
    assertId(unitId);
    if (!Number.isSafeInteger(unitBlocks) || unitBlocks < 1) throw new RangeError('unitBlocks must be a whole number above 0');
    if (!(bytesPerMs > 0)) throw new RangeError('bytesPerMs must be above 0');
    this.unitId = unitId;
    this.#unit = new LogicalUnit({ clock, blocks: unitBlocks, mediumMs });
  }

  /** Both ends of the bus are terminated, as they must be. */
  get terminated(): boolean {
    return this.#terminated;
  }

  /** Ids of the hosts on the bus. */
  get hosts(): readonly number[] {
    return [...this.#places.keys()];
  }

  /** A place on this bus, for a transport. Throws `RangeError` for an id that is none. */
  port(id: number): ScsiPort {
    assertId(id);
    return {
      id,
      description: `scsi-sim bus, id ${String(id)}`,
      attach: (host) => new Promise((resolve) => resolve(this.attach(id, host))),
    };
  }

  /** Puts a host on the bus. Throws `HM_ADDRESS_IN_USE` where the id is taken. */
  attach(id: number, host: ScsiHost): ScsiAttachment {
    assertId(id);
    if (id === this.unitId || this.#places.has(id)) {
      throw new HotMirrorError('HM_ADDRESS_IN_USE', `id ${String(id)} of the SCSI bus is taken`);
    }
    const place: Place = { host, queue: [], notice: new Uint8Array(0) };
    this.#places.set(id, place);
    return {
      id,
      execute: (target, command) => this.#execute(id, place, target, command),
      setNotice: (notice) => {
        if (notice.length > longestTransferBytes) throw new RangeError(`a notice must hold at most ${String(longestTransferBytes)} bytes`);
        place.notice = Uint8Array.from(notice);
      },
      detach: () => this.#detach(id, place, 'left'),
    };
  }

  /** A bus reset, as a host adapter does at its start: the unit forgets what RESERVE reserved, and tells everybody. */
  reset(): void {
    this.#unit.reset();
  }

  /** A bus error: every host on the bus goes down with it, as the original's manual warns. */
  breakDown(): void {
    this.#unit.reset();
    for (const [id, place] of [...this.#places]) this.#detach(id, place, 'bus-error');
  }

  /** Unplugs a host's machine. It was one end of the bus: from now on that end lacks a terminator. */
  remove(id: number): void {
    const place = this.#places.get(id);
    if (place) this.#detach(id, place, 'removed');
    this.#terminated = false;
  }

  /** Plugs in a terminator, or the machine again. */
  terminate(): void {
    this.#terminated = true;
  }

  #detach(id: number, place: Place, reason: DetachReason): void {
    if (this.#places.get(id) !== place) return;
    this.#places.delete(id);
    for (const request of place.queue.splice(0)) request.end({ status: 'detached' });
    place.host.detached(reason);
  }

  #execute(id: number, place: Place, target: number, command: ScsiCommand): Promise<ScsiResult> {
    if (this.#places.get(id) !== place) return Promise.resolve({ status: 'detached' });
    if (place.queue.length >= longestQueue) return Promise.resolve({ status: 'task-set-full' });
    return new Promise((end) => {
      place.queue.push({ target, command, end });
      this.#arbitrate();
    });
  }

  /** Whoever wants the bus by the time it is free takes part. */
  #arbitrate(): void {
    if (this.#busy) return;
    this.#busy = true;
    const { clock, commandMs } = this.#options;
    clock.timer(commandMs, () => {
      const winner = [...this.#places].filter(([, { queue }]) => queue.length > 0).sort(([one], [other]) => rank(one) - rank(other))[0];
      const request = winner?.[1].queue.shift();
      if (winner && request) this.#transfer(winner[0], request);
      else this.#busy = false;
    });
  }

  #transfer(initiator: number, request: Request): void {
    const { clock, selectionTimeoutMs, bytesPerMs } = this.#options;
    const absent = request.target === initiator || (request.target !== this.unitId && !this.#places.has(request.target));
    const transferMs = absent ? selectionTimeoutMs : bytesOut(request.command) / bytesPerMs;
    clock.timer(transferMs, () => {
      this.#free();
      void this.#perform(initiator, request).then((result) => request.end(result));
    });
  }

  #free(): void {
    this.#busy = false;
    if ([...this.#places.values()].some(({ queue }) => queue.length > 0)) this.#arbitrate();
  }

  async #perform(initiator: number, { target, command }: Request): Promise<ScsiResult> {
    const fault = this.#fault();
    if (fault === 'lost before') return { status: 'transport-error' };
    const sent = fault === 'garbled' && 'data' in command ? { ...command, data: this.#garbled(command.data) } : command;
    const result = target === this.unitId ? await this.#unit.execute(initiator, sent) : this.#atHost(initiator, target, sent);
    if (fault === 'lost after') return { status: 'transport-error' };
    return fault === 'garbled' && result.status === 'good' && bytesIn(result) > 0
      ? { ...result, data: this.#garbled(result.data) }
      : result;
  }

  #fault(): 'lost before' | 'lost after' | 'garbled' | null {
    if (this.#terminated) return null;
    const { random, unterminated } = this.#options;
    const { lostPerMillion, garbledPerMillion } = unterminated;
    const drawn = random.fraction() * million;
    if (drawn < lostPerMillion) return drawn < lostPerMillion / 2 ? 'lost before' : 'lost after';
    return drawn < lostPerMillion + garbledPerMillion ? 'garbled' : null;
  }

  /** One bit is wrong, and the parity of the bus did not notice. */
  #garbled(data: Uint8Array): Uint8Array {
    const bytes = Uint8Array.from(data);
    const bit = Math.floor(this.#options.random.fraction() * bytes.length * bits);
    const at = Math.floor(bit / bits);
    if (at < bytes.length) bytes[at] = (bytes[at] ?? 0) ^ (1 << (bit % bits));
    return bytes;
  }

  /** Another host as a processor device. */
  #atHost(initiator: number, target: number, command: ScsiCommand): ScsiResult {
    const place = target === initiator ? undefined : this.#places.get(target);
    if (!place) return { status: 'selection-timeout' };
    switch (command.op) {
      case 'send':
        if (command.data.length > longestTransferBytes) return checkCondition(senses.invalidField);
        return place.host.received(initiator, command.data) ? good() : { status: 'busy' };
      case 'receive':
        return good(Uint8Array.from(place.notice));
      case 'inquiry':
        return good(Buffer.from(hostInquiry));
      case 'test-unit-ready':
        return good();
      default:
        return checkCondition(senses.invalidOperation);
    }
  }
}

function assertId(id: number): void {
  if (!Number.isSafeInteger(id) || id < 0 || id >= scsiIds) throw new RangeError(`an id of the bus is 0 to ${String(scsiIds - 1)}`);
}

/** Narrow ids come before wide ones, and within each half the higher id wins. */
function rank(id: number): number {
  const narrow = scsiIds / 2;
  return id < narrow ? narrow - 1 - id : narrow + scsiIds - 1 - id;
}
