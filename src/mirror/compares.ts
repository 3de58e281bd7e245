import type { DataConnection } from './data-connection.ts';
import { digestExtents } from './digests.ts';
import type { DigestName } from './digests.ts';
import { encodeCompare, malformed, maxComparingBytes } from './wire.ts';
import type { Message } from './wire.ts';

/** Whether the extent of this place in the range differs. */
export type Compared = (differs: (extent: number) => boolean) => void;

interface Compare {
  readonly lengthBytes: number;
  readonly extents: number;
  readonly compared: Compared;
}

/** What a comparison is for. */
export type ComparePurpose = 'resync' | 'verify';

/**
 * What the source has the target compare, over one connection (rules resync.progress, verify). A comparison travels in the stream of writes: the source's range was
 * read at this place of it, and the target reads its own when it has come there, before anything later. When the connection ends no answer comes any more.
 */
export class Compares {
  readonly #data: DataConnection;
  readonly #extentBytes: number;
  readonly #wanted: DigestName;
  readonly #asked = new Map<number, Compare>();
  #number = 0;
  #bytes = 0;
  #whenAnswered: (() => void) | null = null;

  constructor(data: DataConnection, extentBytes: number, wanted: DigestName) {
    this.#data = data;
    this.#extentBytes = extentBytes;
    this.#wanted = wanted;
  }

  /** Whether the target can compare at all. */
  get supported(): boolean {
    return this.#data.features.has('compare');
  }

  /** Comparisons that have no answer yet. */
  get outstanding(): number {
    return this.#asked.size;
  }

  /** Whether so much may be compared now. */
  hasRoom(lengthBytes: number): boolean {
    return this.#data.writable && this.#bytes + lengthBytes <= maxComparingBytes;
  }

  /** Has a range of whole extents compared that holds these bytes now. */
  ask(offsetBytes: number, bytes: Uint8Array, purpose: ComparePurpose, compared: Compared): void {
    const lengthBytes = bytes.byteLength;
    const digest = this.#wanted !== 'sha256' && this.#data.features.has(this.#wanted) ? this.#wanted : 'sha256';
    this.#number += 1;
    this.#bytes += lengthBytes;
    this.#asked.set(this.#number, { lengthBytes, extents: Math.ceil(lengthBytes / this.#extentBytes), compared });
    const digests = digestExtents(digest, bytes, this.#extentBytes);
    this.#data.send('compare', this.#number, offsetBytes, encodeCompare({ lengthBytes, digest, verify: purpose === 'verify', digests }));
  }

  /** Calls back once when every comparison has its answer; never, where the connection ends first. No other is asked from now on. */
  allAnswered(then: () => void): void {
    if (this.#asked.size === 0) then();
    else this.#whenAnswered = then;
  }

  /** Takes an answer. Throws `HM_PROTOCOL` on one that was not asked for. */
  answered({ a: number, body }: Message): void {
    const asked = this.#asked.get(number);
    if (!asked) throw malformed(`a comparison was answered that was not asked for: ${String(number)}`);
    if (body.byteLength !== asked.extents || body.some((differs) => differs > 1))
      throw malformed('a comparison was answered in another form');
    this.#asked.delete(number);
    this.#bytes -= asked.lengthBytes;
    asked.compared((extent) => body[extent] === 1);
    if (this.#asked.size === 0) this.#whenAnswered?.();
  }
}
