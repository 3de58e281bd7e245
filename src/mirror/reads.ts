import type { BlockDevice, Done } from '../device/block-device.ts';
import type { HotMirrorError } from '../errors.ts';

/** One read of the application. */
export interface Read {
  readonly offsetBytes: number;
  readonly into: Uint8Array;
  readonly done: Done;
}

/** What reads need to know of the serving side. */
export interface ReadsOptions {
  readonly device: BlockDevice;
  /** Whether what the range holds may be seen now. */
  readonly mayRead: (offsetBytes: number, lengthBytes: number) => boolean;
  /** The read is over; the answer goes out when there is evidence of ownership (rule serve.lease). */
  readonly reply: (done: Done, error: HotMirrorError | null) => void;
}

/**
 * The reads of the serving side, all from this node's element. A reader must not see what may yet be lost with this node: neither an unfinished write,
 * nor, without the peer, what this element may hold alone under the generation of both. Such reads wait.
 */
export class Reads {
  readonly #options: ReadsOptions;
  #waiting: Read[] = [];
  #underWay = 0;

  constructor(options: ReadsOptions) {
    this.#options = options;
  }

  /** Reads inside, waiting or under way. */
  get inside(): number {
    return this.#waiting.length + this.#underWay;
  }

  /** Whether any read waits. */
  get waiting(): boolean {
    return this.#waiting.length > 0;
  }

  /** Starts a read, or lets it wait and returns false. */
  read(read: Read): boolean {
    if (!this.#options.mayRead(read.offsetBytes, read.into.byteLength)) {
      this.#waiting.push(read);
      return false;
    }
    this.#underWay += 1;
    this.#options.device.read(read.offsetBytes, read.into, (error) => {
      this.#underWay -= 1;
      this.#options.reply(read.done, error);
    });
    return true;
  }

  /** Something changed that may let waiting reads go on. */
  retry(): void {
    if (this.#waiting.length === 0) return;
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const read of waiting) this.read(read);
  }

  /** Waiting reads fail with this error; those under way end by themselves. */
  stop(error: HotMirrorError): void {
    for (const { done } of this.#waiting.splice(0)) done(error);
  }
}
