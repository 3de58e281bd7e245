import { crc32 } from 'node:zlib';

import type { Clock } from '../clock/clock.ts';
import type { Random } from '../clock/random.ts';
import { linkConditions, million } from './link-conditions.ts';
import type { LinkConditions } from './link-conditions.ts';

/** What Linux repeats before it gives up (`tcp_retries2`). */
const mostRepeats = 15;
const bitsOfByte = 8;
const checksumBits = 32;

/** One way of a link: what happens to what one of its nodes sends. Chance is asked only for conditions that are set. */
export class LinkWay {
  isCut = false;
  readonly #clock: Clock;
  readonly #random: Random;
  #conditions: Required<LinkConditions>;
  /** Until then the link is clogged. */
  #clearMs = Number.NEGATIVE_INFINITY;

  constructor(clock: Clock, random: Random, conditions?: LinkConditions) {
    this.#clock = clock;
    this.#random = random;
    this.#conditions = linkConditions(conditions);
  }

  /** What is sent from now on meets these; a link that was clogged is clear. Throws `RangeError` for a condition that is none. */
  set(conditions: LinkConditions): void {
    this.#conditions = linkConditions(conditions);
    this.#clearMs = Number.NEGATIVE_INFINITY;
  }

  /** When that arrives which is sent now. */
  arrivalMs(): number {
    const { delayMs, jitterMs, clogPerMillion, clogMs, retransmitMs } = this.#conditions;
    let dueMs = this.#clock.nowMs() + delayMs;
    if (jitterMs > 0) dueMs += this.#random.fraction() * jitterMs;
    if (this.#happens(clogPerMillion)) {
      dueMs += clogMs;
      this.#clearMs = Math.max(this.#clearMs, dueMs);
    }
    return Math.max(this.#clearMs, dueMs + this.#repeats() * retransmitMs);
  }

  /** Whether the request of a dial that begins now comes twice. */
  duplicates(): boolean {
    return this.#happens(this.#conditions.duplicatePerMillion);
  }

  /** The checksum that goes with a frame, null where no bits are turned. By chance turns a bit, of the frame or of the checksum. */
  checksum(bytes: Uint8Array): number | null {
    const { corruptPerMillion } = this.#conditions;
    if (corruptPerMillion === 0) return null;
    const checksum = crc32(bytes);
    if (!this.#happens(corruptPerMillion)) return checksum;
    const bit = Math.floor(this.#random.fraction() * (bytes.length * bitsOfByte + checksumBits));
    const at = Math.floor(bit / bitsOfByte);
    const byte = bytes[at];
    if (byte === undefined) return (checksum ^ (1 << (bit - bytes.length * bitsOfByte))) >>> 0;
    bytes[at] = byte ^ (1 << (bit % bitsOfByte));
    return checksum;
  }

  #repeats(): number {
    let repeats = 0;
    while (repeats < mostRepeats && this.#happens(this.#conditions.lostPerMillion)) repeats += 1;
    return repeats;
  }

  #happens(perMillion: number): boolean {
    return perMillion > 0 && this.#random.fraction() * million < perMillion;
  }
}
