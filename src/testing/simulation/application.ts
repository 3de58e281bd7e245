import type { BlockDevice, Done, WriteOptions } from '../../device/block-device.ts';
import type { HotMirrorError } from '../../errors.ts';
import { maxBodyBytes } from '../../mirror/wire.ts';
import type { SeededRandom } from '../seeded-random.ts';
import type { VirtualClock } from '../virtual-clock.ts';
import { sectorBytes } from './invariants/sectors.ts';
import type { MirrorSize } from './node-disks.ts';
import type { WorkloadOptions } from './options.ts';
import type { SimulatedNetDisks } from './simulated-net-disk.ts';
import type { SimulatedProcess } from './simulated-process.ts';
import type { NodeName } from './steps.ts';
import { nodeNames } from './steps.ts';
import type { ApplicationRequest } from './watcher.ts';

const percent = 100;
/** What a program puts into a buffer that it has back. */
const usedAgain = 0xdb;
const headBytes = 4;
/** Of requests that overlap in part. */
const longestInBlocks = 2;
/** What a long write has beyond one message. */
const longestTailSectors = 16;
const longestLongBytes = maxBodyBytes + longestTailSectors * sectorBytes;

interface Range {
  readonly offsetBytes: number;
  readonly lengthBytes: number;
}

/** What one request is to be. */
export interface Request {
  readonly kind: 'read' | 'write' | 'flush';
  readonly mirror: string;
  readonly offsetBytes: number;
  /** What is written, or filled. */
  readonly bytes: Uint8Array;
  readonly fua: boolean;
  /** The write is asked for as one of zeroes, which `bytes` then are. */
  readonly zeroes?: boolean;
}

/** What the application tells of its requests. */
export interface ApplicationHooks {
  readonly issued: (request: ApplicationRequest) => void;
  readonly ended: (request: ApplicationRequest) => void;
  readonly running: (node: NodeName) => SimulatedProcess | undefined;
  /** By which the application reaches mirrors; null: it calls them. */
  readonly netDisks: SimulatedNetDisks | null;
}

/** The users of a pair: what they ask is noted, with its order in time. */
export class Application {
  /** Requests that succeeded. */
  acknowledged = 0;
  readonly #clock: VirtualClock;
  readonly #hooks: ApplicationHooks;
  #requests = 0;
  /** The order of everything that the application sees. */
  #at = 0;
  readonly #outstanding = new Map<SimulatedProcess, number>();

  constructor(clock: VirtualClock, hooks: ApplicationHooks) {
    this.#clock = clock;
    this.#hooks = hooks;
  }

  /** Requests of this process that have no answer yet. */
  outstanding(process: SimulatedProcess): number {
    return this.#outstanding.get(process) ?? 0;
  }

  /** Asks one node; `done` hears of the end unless its process dies. */
  ask(
    process: SimulatedProcess,
    { kind, mirror, offsetBytes, bytes, fua, zeroes = false }: Request,
    done: (error: HotMirrorError | null) => void,
  ): void {
    const link = process.mirrors.get(mirror)!;
    this.#requests += 1;
    this.#at += 1;
    const request: ApplicationRequest = {
      id: this.#requests,
      kind,
      mirror,
      node: process.node,
      offsetBytes,
      bytes,
      fua,
      issuedAt: this.#at,
      issuedMs: this.#clock.nowMs(),
      endedAt: null,
      endedMs: null,
      errorCode: null,
      epoch: null,
    };
    this.#count(process, 1);
    this.#hooks.issued(request);
    const ended = (error: HotMirrorError | null): void => {
      if (!process.alive) return;
      this.#count(process, -1);
      this.#at += 1;
      request.endedAt = this.#at;
      request.endedMs = this.#clock.nowMs();
      request.errorCode = error?.code ?? null;
      if (!error) {
        request.epoch = link.state().epoch;
        this.acknowledged += 1;
      }
      this.#hooks.ended(request);
      done(error);
    };
    const disk = this.#hooks.netDisks?.of(process, link) ?? link;
    if (kind === 'read') disk.read(offsetBytes, bytes, ended);
    else if (zeroes) disk.writeZeroes(offsetBytes, bytes.byteLength, { fua }, ended);
    else if (kind === 'write') write(disk, offsetBytes, bytes, { fua }, ended);
    else disk.flush(ended);
  }

  #count(process: SimulatedProcess, by: number): void {
    this.#outstanding.set(process, this.outstanding(process) + by);
  }
}

/** Writes from a buffer, as a program does that uses it for something else as soon as it has it back. */
function write(disk: Pick<BlockDevice, 'write'>, offsetBytes: number, bytes: Uint8Array, options: WriteOptions, ended: Done): void {
  const buffer = Buffer.from(bytes);
  disk.write(offsetBytes, buffer, options, (error) => {
    buffer.fill(usedAgain);
    ended(error);
  });
}

/** The workload with its defaults. */
export function completeWorkload(options: WorkloadOptions, powerCuts: boolean): Required<WorkloadOptions> {
  return {
    blocks: options.blocks ?? 8,
    blockBytes: options.blockBytes ?? 4_096,
    depth: options.depth ?? 4,
    pauseMs: options.pauseMs ?? 30,
    writesPercent: options.writesPercent ?? 50,
    readsPercent: options.readsPercent ?? 40,
    overlapsPercent: options.overlapsPercent ?? 0,
    longPercent: options.longPercent ?? 0,
    zeroesPercent: options.zeroesPercent ?? 0,
    fuaPercent: options.fuaPercent ?? (powerCuts ? percent : percent / 5),
  };
}

/** An application that never rests: it asks wherever a mirror is served. */
export class Workload {
  /** False: it rests. */
  on = true;
  readonly #application: Application;
  readonly #clock: VirtualClock;
  readonly #random: SeededRandom;
  readonly #mirrors: readonly MirrorSize[];
  readonly #options: Required<WorkloadOptions>;
  readonly #hooks: ApplicationHooks;
  #writes = 0;

  constructor(
    application: Application,
    clock: VirtualClock,
    random: SeededRandom,
    mirrors: readonly MirrorSize[],
    options: Required<WorkloadOptions>,
    hooks: ApplicationHooks,
  ) {
    this.#application = application;
    this.#clock = clock;
    this.#random = random;
    this.#mirrors = mirrors;
    this.#options = options;
    this.#hooks = hooks;
  }

  /** Begins to work. */
  start(): void {
    this.#clock.timer(1 + this.#random.below(this.#options.pauseMs), () => this.#work(), 'workload');
  }

  #work(): void {
    if (this.on) for (const node of nodeNames) for (const mirror of this.#mirrors) this.#ask(node, mirror);
    this.start();
  }

  #ask(node: NodeName, mirror: MirrorSize): void {
    const process = this.#hooks.running(node);
    if (!process?.ready || process.clock.paused || this.#application.outstanding(process) >= this.#options.depth) return;
    const { serving, sizeBytes } = process.mirrors.get(mirror.name)!.state();
    if (serving === 'no') return;
    // A mirror may have grown.
    const now = { ...mirror, sizeBytes };
    const block = this.#block(now);
    if (!this.#chance(this.#options.overlapsPercent)) {
      this.#request(process, now, this.#kind(), block);
      return;
    }
    const first = this.#reaching(block, now);
    this.#request(process, now, 'write', first);
    // It may have died of that.
    if (process.alive) this.#request(process, now, this.#kind(), this.#reaching(first, now));
  }

  #block({ sizeBytes }: MirrorSize): Range {
    const { blocks, blockBytes } = this.#options;
    const strideBytes = Math.max(blockBytes, Math.floor(sizeBytes / blocks / blockBytes) * blockBytes);
    const offsetBytes = this.#random.below(Math.min(blocks, Math.floor(sizeBytes / blockBytes))) * strideBytes;
    return { offsetBytes, lengthBytes: blockBytes };
  }

  /** Any range of up to two blocks that has a sector in common with this one. */
  #reaching(range: Range, { sizeBytes }: MirrorSize): Range {
    const longestBytes = Math.min(longestInBlocks * this.#options.blockBytes, sizeBytes);
    const lengthBytes = sectorBytes * (1 + this.#random.below(longestBytes / sectorBytes));
    const earliestBytes = Math.max(0, range.offsetBytes - lengthBytes + sectorBytes);
    const latestBytes = Math.min(range.offsetBytes + range.lengthBytes - sectorBytes, sizeBytes - lengthBytes);
    const places = (latestBytes - earliestBytes) / sectorBytes + 1;
    return { offsetBytes: earliestBytes + sectorBytes * this.#random.below(places), lengthBytes };
  }

  #kind(): Request['kind'] {
    const { writesPercent, readsPercent } = this.#options;
    const dice = this.#random.below(percent);
    if (dice < writesPercent) return 'write';
    return dice < writesPercent + readsPercent ? 'read' : 'flush';
  }

  #request(process: SimulatedProcess, mirror: MirrorSize, kind: Request['kind'], range: Range): void {
    const request = kind === 'write' ? this.#write(mirror, range) : kind === 'read' ? read(mirror, range) : flush(mirror);
    this.#application.ask(process, request, () => undefined);
  }

  #write(mirror: MirrorSize, range: Range): Request {
    const { fuaPercent, longPercent, zeroesPercent } = this.#options;
    const fua = this.#random.below(percent) < fuaPercent;
    const long = mirror.sizeBytes > longestLongBytes && this.#chance(longPercent);
    const { offsetBytes, lengthBytes } = long ? this.#long(mirror) : range;
    const zeroes = this.#chance(zeroesPercent);
    const bytes = zeroes ? new Uint8Array(lengthBytes) : this.#content(lengthBytes);
    return { kind: 'write', mirror: mirror.name, offsetBytes, bytes, fua, zeroes };
  }

  /** A range that takes two messages of the data link. */
  #long({ sizeBytes }: MirrorSize): Range {
    const lengthBytes = maxBodyBytes + sectorBytes * (1 + this.#random.below(longestTailSectors));
    return { offsetBytes: sectorBytes * this.#random.below((sizeBytes - lengthBytes) / sectorBytes + 1), lengthBytes };
  }

  /** Draws nothing where it cannot be, so that what else is drawn stays the same. */
  #chance(ofHundred: number): boolean {
    return ofHundred > 0 && this.#random.below(percent) < ofHundred;
  }

  /** Bytes that no other write has, in every sector. */
  #content(lengthBytes: number): Uint8Array {
    this.#writes += 1;
    const bytes = new Uint8Array(lengthBytes);
    const view = new DataView(bytes.buffer);
    for (let at = 0; at + headBytes <= lengthBytes; at += sectorBytes) view.setUint32(at, this.#writes, true);
    return bytes;
  }
}

function read({ name }: MirrorSize, { offsetBytes, lengthBytes }: Range): Request {
  return { kind: 'read', mirror: name, offsetBytes, bytes: new Uint8Array(lengthBytes), fua: false };
}

function flush({ name }: MirrorSize): Request {
  return { kind: 'flush', mirror: name, offsetBytes: 0, bytes: new Uint8Array(0), fua: false };
}
