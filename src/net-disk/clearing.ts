import type { Clock } from '../clock/clock.ts';
import type { BlockDevice, Done } from '../device/block-device.ts';
import { commandFlags, commands } from './protocol.ts';
import type { NbdRequest } from './request-reader.ts';
import { TurnBudget } from './turn-budget.ts';

/** What a {@link Clearing} works with. */
export interface ClearingOptions {
  readonly device: BlockDevice;
  readonly clock: Pick<Clock, 'timer'>;
  /** More may begin. */
  readonly renewed: () => void;
}

/** Zeroes that are written take a device as long as any other bytes: they go in slices of that. */
const writtenSliceBytes = 2 * 2 ** 20;
/** A slice of a trim, or of zeroes that become a hole. */
const holeSliceBytes = 8 * 2 ** 20;
/** A hole takes no longer than so many bytes that are written, however long a slice it is. */
const holeWeightBytes = 128 * 2 ** 10;
/** Begun in one turn, all slices of a connection together: 5 ms or so where a device carries them out at once. */
const turnBytes = 2 * writtenSliceBytes;
/** Of it, what requests that go on may use: those that are new have their turn too. */
const goOnBytes = turnBytes / 2;

/**
 * Zeroes and trims of one connection: requests of a few bytes that may be work for a long time. They are carried out slice by slice, those of one request one after the other, and no more of them begin in
 * one turn of the event loop than `turnBytes`: a device that carries them out at once is not kept for longer, and whatever else the thread has to do comes in between.
 */
export class Clearing {
  readonly #device: BlockDevice;
  readonly #budget: TurnBudget;
  /** Requests of which the next slice waits for a later turn, the first for the longest. */
  readonly #waiting: (() => void)[] = [];
  #ended = false;

  constructor({ device, clock, renewed }: ClearingOptions) {
    this.#device = device;
    this.#budget = new TurnBudget(clock, () => {
      this.#goOn();
      renewed();
    });
  }

  /** Whether it may begin in this turn. Any request but a trim and zeroes may. */
  mayBegin(request: NbdRequest): boolean {
    return this.#budget.spent < turnBytes || !isClearing(request);
  }

  /** What is under way at once of such a request, in bytes that are written; 0 for any other. */
  weightBytes(request: NbdRequest): number {
    return isClearing(request) ? weightOf(request.lengthBytes, this.#isHole(request)) : 0;
  }

  /** Begins at once, so that what overlaps goes to the device in the order in which it came. Slices that follow one that failed are left out. */
  begin(request: NbdRequest, done: Done): void {
    const { command, flags, offsetBytes, lengthBytes } = request;
    const hole = this.#isHole(request);
    const noHole = (flags & commandFlags.noHole) !== 0;
    const clear = (at: number, bytes: number, cleared: Done): void => {
      this.#budget.spend(weightOf(bytes, hole));
      if (command === commands.trim) this.#device.trim(offsetBytes + at, bytes, cleared);
      else this.#device.writeZeroes(offsetBytes + at, bytes, { noHole }, cleared);
    };
    const sliceBytes = hole ? holeSliceBytes : writtenSliceBytes;
    this.#inSlices({ lengthBytes, sliceBytes, clear, done: (flags & commandFlags.fua) !== 0 ? this.#thenFlush(done) : done });
  }

  /** Nobody hears of it any more: no further slice begins. */
  end(): void {
    this.#ended = true;
    this.#waiting.length = 0;
  }

  #isHole({ command, flags }: NbdRequest): boolean {
    return command === commands.trim || (this.#device.capabilities.punchHole && (flags & commandFlags.noHole) === 0);
  }

  #thenFlush(done: Done): Done {
    return (error) => {
      if (error) done(error);
      else this.#device.flush(done);
    };
  }

  /** Slices that end before their call returns cost no stack. */
  #inSlices({ lengthBytes, sliceBytes, clear, done }: Slices): void {
    let at = 0;
    const next = (): void => {
      for (let atOnce = true; atOnce && !this.#ended;) {
        if (at > 0 && this.#budget.spent >= goOnBytes) {
          this.#waiting.push(next);
          return;
        }
        const bytes = Math.min(sliceBytes, lengthBytes - at);
        let returned = false;
        atOnce = false;
        clear(at, bytes, (error) => {
          at += bytes;
          if (error || at === lengthBytes) done(error);
          else if (returned) next();
          else atOnce = true;
        });
        returned = true;
      }
    };
    next();
  }

  #goOn(): void {
    while (this.#waiting.length > 0 && this.#budget.spent < goOnBytes) this.#waiting.shift()?.();
  }
}

function isClearing({ command }: NbdRequest): boolean {
  return command === commands.trim || command === commands.writeZeroes;
}

/** Of a slice, or of the first one of so many bytes. */
function weightOf(lengthBytes: number, hole: boolean): number {
  return Math.min(lengthBytes, hole ? holeWeightBytes : writtenSliceBytes);
}

interface Slices {
  readonly lengthBytes: number;
  readonly sliceBytes: number;
  readonly clear: (atBytes: number, lengthBytes: number, cleared: Done) => void;
  readonly done: Done;
}
