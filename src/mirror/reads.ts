import type { AllocationPiece } from '../device/block-device.ts';
import { allData } from '../device/requests.ts';
import { HotMirrorError } from '../errors.ts';
import { ReadRepair } from './read-repair.ts';
import type { ReadRepairOptions } from './read-repair.ts';
import type { AnsweredRequest } from './replies.ts';
import { overlapsAny, untouchedRun } from './request.ts';
import type { Request } from './request.ts';

/** One read of the application. */
export interface Read extends AnsweredRequest {
  readonly offsetBytes: number;
  readonly into: Uint8Array;
}

/** What reads need to know of the serving side. */
export interface ReadsOptions extends Omit<ReadRepairOptions, 'restart' | 'reply' | 'mayRead'> {
  /** Nothing that this element holds is hidden from readers. */
  readonly ready: () => boolean;
  /** Requests that are not complete. */
  readonly incomplete: () => readonly Iterable<Request>[];
  /** An answer would go out now (rule serve.lease). */
  readonly owns: () => boolean;
  /** The read is over; the answer goes out when there is evidence of ownership (rule serve.lease). */
  readonly reply: (read: Read, error: HotMirrorError | null) => void;
}

/**
 * The reads of the serving side, from this node's element, or from the peer's where this one cannot be read (rule write.error). A reader must not see what may yet be lost with this node: neither an unfinished write,
 * nor, without the peer, what this element may hold alone under the generation of both. Such reads wait.
 */
export class Reads {
  readonly #options: ReadsOptions;
  #waiting: Read[] = [];
  #underWay = 0;
  readonly #repair: ReadRepair;

  constructor(options: ReadsOptions) {
    this.#options = options;
    this.#repair = new ReadRepair({
      ...options,
      mayRead: (offsetBytes, lengthBytes) => this.#mayRead(offsetBytes, lengthBytes),
      restart: (read) => void this.read(read),
    });
  }

  /** Reads inside, waiting or under way. What a failed device still has may never end, and is nothing to wait for. */
  get inside(): number {
    return this.#waiting.length + (this.#options.diskless() ? 0 : this.#underWay) + this.#repair.inside;
  }

  /** Whether any read waits. */
  get waiting(): boolean {
    return this.#waiting.length > 0;
  }

  /** Starts a read, or lets it wait and returns false. */
  read(read: Read): boolean {
    if (!this.#mayRead(read.offsetBytes, read.into.byteLength)) {
      this.#waiting.push(read);
      return false;
    }
    const { diskless } = this.#options;
    if (diskless()) {
      this.#repair.unreadable(
        read,
        new HotMirrorError('HM_IO_READ', 'the element of this node has failed, and the peer cannot read the block'),
      );
      return true;
    }
    this.#underWay += 1;
    this.#options.device.read(read.offsetBytes, read.into, (error) => {
      this.#underWay -= 1;
      // What a failed element still gives out may be old.
      if (diskless()) this.read(read);
      else if (error?.code === 'HM_IO_READ') this.#repair.unreadable(read, error);
      else this.#options.reply(read, error);
    });
    return true;
  }

  /** What of a range is a hole, as a read that is answered now would find it; where one would wait, or come from the peer, all is data. */
  allocation(offsetBytes: number, lengthBytes: number, mostPieces: number): readonly AllocationPiece[] {
    const { device, diskless, ready, incomplete, owns } = this.#options;
    const run = untouchedRun(incomplete(), offsetBytes, lengthBytes);
    if (run.touched || diskless() || !ready() || !owns()) return allData(run.lengthBytes);
    return device.allocation?.(offsetBytes, run.lengthBytes, mostPieces) ?? allData(run.lengthBytes);
  }

  /** A write to the range goes to the elements now. */
  issued(offsetBytes: number, lengthBytes: number): void {
    this.#repair.issued(offsetBytes, lengthBytes);
  }

  /** The connection to the peer has ended. */
  lost(): void {
    this.#repair.lost();
  }

  /** There may be room for more to be asked of the peer. */
  room(): void {
    this.#repair.room();
  }

  /** The peer has come, has become `uptodate`, or this node goes on without it. */
  peerChanged(): void {
    this.#repair.retry();
    this.retry();
  }

  /** Something changed that may let waiting reads go on. */
  retry(): void {
    if (this.#waiting.length === 0) return;
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const read of waiting) this.read(read);
  }

  /** Gives up the reads that wait, here or for the peer, which the caller fails; those under way end by themselves. */
  stop(): readonly Read[] {
    return [...this.#waiting.splice(0), ...this.#repair.stop()];
  }

  #mayRead(offsetBytes: number, lengthBytes: number): boolean {
    return this.#options.ready() && !overlapsAny(this.#options.incomplete(), offsetBytes, lengthBytes);
  }
}
