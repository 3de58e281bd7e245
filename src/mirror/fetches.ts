import type { DataConnection } from './data-connection.ts';
import { encodeLength, malformed, maxFetchingBytes } from './wire.ts';
import type { Message } from './wire.ts';

/** What the range held at the fetch's place in the stream, valid during the call; null where the target cannot read it. */
export type Fetched = (bytes: Uint8Array | null) => void;

interface Fetch {
  readonly lengthBytes: number;
  readonly fetched: Fetched;
}

/**
 * What the source asks of the target's element over one connection (rule write.error). A fetch travels in the stream of writes: its answer holds everything
 * before it and nothing after it. When the connection ends no answer comes any more.
 */
export class Fetches {
  readonly #data: DataConnection;
  readonly #asked = new Map<number, Fetch>();
  #uptodate = false;
  #number = 0;
  #bytes = 0;

  constructor(data: DataConnection) {
    this.#data = data;
  }

  /** Whether the target can answer at all. */
  get supported(): boolean {
    return this.#data.features.has('fetch');
  }

  /** Fetches that have no answer yet. */
  get outstanding(): number {
    return this.#asked.size;
  }

  /** The target's element is `uptodate`. */
  get uptodate(): boolean {
    return this.#uptodate;
  }

  /** From now on the target's element is `uptodate`. */
  begin(): void {
    this.#uptodate = true;
  }

  /** Whether so much may be asked for now. */
  hasRoom(lengthBytes: number): boolean {
    return this.#data.writable && this.#bytes + lengthBytes <= maxFetchingBytes;
  }

  /** Asks for a range of at most one message. */
  ask(offsetBytes: number, lengthBytes: number, fetched: Fetched): void {
    this.#number += 1;
    this.#bytes += lengthBytes;
    this.#asked.set(this.#number, { lengthBytes, fetched });
    this.#data.send('fetch', this.#number, offsetBytes, encodeLength(lengthBytes));
  }

  /** Takes an answer. Throws `HM_PROTOCOL` on one that was not asked for. */
  answered({ a: number, body }: Message): void {
    const asked = this.#asked.get(number);
    if (!asked) throw malformed(`a fetch was answered that was not asked for: ${String(number)}`);
    if (body.byteLength !== 0 && body.byteLength !== asked.lengthBytes) throw malformed('a fetch was answered in another length');
    this.#asked.delete(number);
    this.#bytes -= asked.lengthBytes;
    asked.fetched(body.byteLength === 0 ? null : body);
  }
}
