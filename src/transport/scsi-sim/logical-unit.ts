import type { Clock, Timer } from '../../clock/clock.ts';
import { checkCondition, good, longestTransferBytes, scsiBlockBytes, scsiIds } from './command.ts';
import type { ScsiCommand, ScsiResult } from './command.ts';
import { conflicts, noReservations, persistentReserveOut, release, reservationReport, reserve } from './reservations.ts';
import type { Reservations, Ruling } from './reservations.ts';
import { fixedSense, senses } from './sense.ts';
import type { Sense } from './sense.ts';

/** Commands that wait for the medium at once; one more ends with TASK SET FULL. */
const longestTaskSet = 64;

const inquiryText = 'hotmirror simulated disk';

/** What a shared unit is made of. */
export interface LogicalUnitOptions {
  readonly clock: Clock;
  readonly blocks: number;
  /** How long a READ or WRITE is under way inside the unit, in ms; until then it can be aborted. */
  readonly mediumMs: number;
}

interface Task {
  readonly initiator: number;
  readonly timer: Timer;
  end(result: ScsiResult): void;
}

/** The disk that all hosts of the bus reach. What it holds, and its reservations, last as long as this object. */
export class LogicalUnit {
  readonly blocks: number;
  readonly #clock: Clock;
  readonly #mediumMs: number;
  readonly #medium: Uint8Array;
  readonly #tasks = new Set<Task>();
  /** By initiator, what it is to hear of, oldest first. */
  readonly #attentions = new Map<number, Sense[]>();
  #reservations: Reservations = noReservations;

  constructor({ clock, blocks, mediumMs }: LogicalUnitOptions) {
    this.blocks = blocks;
    this.#clock = clock;
    this.#mediumMs = mediumMs;
    this.#medium = new Uint8Array(blocks * scsiBlockBytes);
    this.#tellAll(senses.powerOn);
  }

  /** A bus reset: commands under way are gone, RESERVE is undone, persistent reservations stay. */
  reset(): void {
    for (const task of this.#tasks) {
      task.timer.cancel();
      task.end({ status: 'transport-error' });
    }
    this.#tasks.clear();
    this.#reservations = { ...this.#reservations, reservedBy: null };
    this.#tellAll(senses.busReset);
  }

  /** Runs a command. A conflict comes before an attention, and the attention stays pending (SAM: precedence of status). */
  execute(initiator: number, command: ScsiCommand): Promise<ScsiResult> | ScsiResult {
    if (command.op === 'inquiry') return good(Buffer.from(inquiryText));
    if (command.op === 'request-sense') return good(fixedSense(this.#nextAttention(initiator) ?? senses.none));
    if (conflicts(this.#reservations, initiator, command)) return { status: 'reservation-conflict' };
    const ruling = this.#rule(initiator, command);
    if (ruling?.result.status === 'reservation-conflict') return ruling.result;
    const attention = this.#nextAttention(initiator);
    if (attention) return checkCondition(attention);
    if (ruling) return this.#apply(ruling);
    return this.#run(initiator, command);
  }

  #rule(initiator: number, command: ScsiCommand): Ruling | null {
    if (command.op === 'persistent-reserve-out') return persistentReserveOut(this.#reservations, initiator, command);
    if (command.op === 'reserve') return reserve(this.#reservations, initiator);
    return command.op === 'release' ? release(this.#reservations, initiator) : null;
  }

  #apply({ result, next, attentions, aborted }: Ruling): ScsiResult {
    this.#reservations = next;
    for (const { initiator, sense } of attentions) this.#tell(initiator, sense);
    for (const task of this.#tasks) {
      if (!aborted.includes(task.initiator)) continue;
      task.timer.cancel();
      this.#tasks.delete(task);
      task.end({ status: 'task-aborted' });
    }
    return result;
  }

  #run(initiator: number, command: ScsiCommand): Promise<ScsiResult> | ScsiResult {
    switch (command.op) {
      case 'test-unit-ready':
        return good();
      case 'persistent-reserve-in':
        return good(undefined, reservationReport(this.#reservations));
      case 'read': {
        const problem = this.#rangeProblem(command.block, command.count * scsiBlockBytes);
        return problem ?? this.#task(initiator, () => good(this.#medium.slice(...rangeOf(command.block, command.count * scsiBlockBytes))));
      }
      case 'write': {
        const problem = this.#rangeProblem(command.block, command.data.length);
        const data = Uint8Array.from(command.data);
        const write = (): ScsiResult => {
          this.#medium.set(data, command.block * scsiBlockBytes);
          return good();
        };
        return problem ?? this.#task(initiator, write);
      }
      default:
        return checkCondition(senses.invalidOperation);
    }
  }

  #rangeProblem(block: number, lengthBytes: number): ScsiResult | null {
    if (!Number.isSafeInteger(block) || block < 0 || !Number.isSafeInteger(lengthBytes) || lengthBytes < 0)
      return checkCondition(senses.invalidField);
    if (lengthBytes % scsiBlockBytes !== 0 || lengthBytes > longestTransferBytes) return checkCondition(senses.invalidField);
    return block + lengthBytes / scsiBlockBytes > this.blocks ? checkCondition(senses.outOfRange) : null;
  }

  /** Takes effect once the medium is reached, unless it is aborted before. */
  #task(initiator: number, effect: () => ScsiResult): Promise<ScsiResult> | ScsiResult {
    if (this.#mediumMs === 0) return effect();
    if (this.#tasks.size >= longestTaskSet) return { status: 'task-set-full' };
    return new Promise((end) => {
      const timer = this.#clock.timer(this.#mediumMs, () => {
        this.#tasks.delete(task);
        end(effect());
      });
      const task: Task = { initiator, timer, end };
      this.#tasks.add(task);
    });
  }

  /** A reset says all that an older attention could. */
  #tellAll(sense: Sense): void {
    for (let id = 0; id < scsiIds; id += 1) this.#attentions.set(id, [sense]);
  }

  /** The same thing is told once. */
  #tell(initiator: number, sense: Sense): void {
    const pending = this.#attentions.get(initiator) ?? [];
    if (!pending.includes(sense)) this.#attentions.set(initiator, [...pending, sense]);
  }

  #nextAttention(initiator: number): Sense | null {
    return this.#attentions.get(initiator)?.shift() ?? null;
  }
}

function rangeOf(block: number, lengthBytes: number): readonly [number, number] {
  return [block * scsiBlockBytes, block * scsiBlockBytes + lengthBytes];
}
