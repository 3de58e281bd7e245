import { maxPacketBytes } from './serial-packet.ts';

/** A start bit, 8 bits of the character, a stop bit. */
const bitsOfCharacter = 10;
const msPerSecond = 1_000;

/** What data waits for at most before it is confirmed without data of the other direction. */
export const acknowledgeDelayMs = 20;
/** A machine that is busy answers later than it could. */
const slackMs = 80;
/** Longest wait before something is sent again: so soon a line that is mended is in use again. */
const longestRepeatMs = 1_000;
const meanWeight = 1 / 8;
const deviationWeight = 1 / 4;
const deviations = 4;
const mostDoublings = 10;

/** How long so many bytes keep a line busy, in ms. */
export function lineMs(bytes: number, baudRate: number): number {
  return (bytes * bitsOfCharacter * msPerSecond) / baudRate;
}

/** When something that is not confirmed is sent again: by round trips that were measured, as TCP does it, and by what the line needs for two packets in any case. */
export class RepeatTimer {
  readonly #leastMs: number;
  #meanMs: number | null = null;
  #deviationMs = 0;
  #doublings = 0;

  constructor(baudRate: number) {
    this.#leastMs = 2 * lineMs(maxPacketBytes, baudRate) + acknowledgeDelayMs + slackMs;
  }

  /** The wait, in ms. */
  get waitMs(): number {
    const measuredMs = this.#meanMs === null ? 0 : this.#meanMs + deviations * this.#deviationMs;
    const plainMs = Math.max(this.#leastMs, measuredMs);
    return Math.max(plainMs, Math.min(longestRepeatMs, plainMs * 2 ** this.#doublings));
  }

  /** Something was confirmed; `tripMs` is how long that took, null where it cannot be known. */
  confirmed(tripMs: number | null): void {
    this.#doublings = 0;
    if (tripMs === null) return;
    if (this.#meanMs === null) {
      this.#meanMs = tripMs;
      this.#deviationMs = tripMs / 2;
      return;
    }
    this.#deviationMs += (Math.abs(tripMs - this.#meanMs) - this.#deviationMs) * deviationWeight;
    this.#meanMs += (tripMs - this.#meanMs) * meanWeight;
  }

  /** Nothing came for so long: the next wait is twice as long, within bounds. */
  expired(): void {
    this.#doublings = Math.min(this.#doublings + 1, mostDoublings);
  }
}
