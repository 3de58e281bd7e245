import type { AllocationPiece } from '../device/block-device.ts';
import { allData } from '../device/requests.ts';
import { HotMirrorError } from '../errors.ts';
import { ReadRepair } from './read-repair.ts';
import type { ReadRepairOptions } from './read-repair.ts';
import type { AnsweredRequest } from './replies.ts';
import { overlaps, requestsBefore, untouchedRun } from './request.ts';
import type { Request, WaitingRead } from './request.ts';

/** One read of the application. */
export interface Read extends AnsweredRequest {
  /** Its place among all requests and reads, in the order in which they came. */
  readonly arrival: number;
  readonly offsetBytes: number;
  readonly into: Uint8Array;
}

/** What reads need to know of the serving side. */
export interface ReadsOptions extends Omit<ReadRepairOptions, 'restart' | 'reply' | 'mayRead'> {
  /** Nothing that this element holds is hidden from readers. */
  readonly ready: () => boolean;
  /** Requests that went to the elements and are not complete. */
  readonly issued: Iterable<Request>;
  /** Requests that are yet to go to the elements, in the order in which they came. */
  readonly queued: readonly Request[];
  /** An answer would go out now (rule serve.lease). */
  readonly owns: () => boolean;
  /** The read is over; the answer goes out when there is evidence of ownership (rule serve.lease). */
  readonly reply: (read: Read, error: HotMirrorError | null) => void;
}

/**
 * The reads of the serving side, from this node's element, or from the peer's where this one cannot be read (rule write.error). A reader must not see what may yet be lost with this node: neither an unfinished write,
 * nor, without the peer, what this element may hold alone under the generation of both. Such reads wait, and hold back what came after them ({@link Reads.holdsBack}): so each has a fixed number of requests to wait for.
 */
export class Reads {
  readonly #options: ReadsOptions;
  readonly #waiting = new Set<WaitingRead>();
  #underWay = 0;
  readonly #repair: ReadRepair;

  constructor(options: ReadsOptions) {
    this.#options = options;
    this.#repair = new ReadRepair({
      ...options,
      mayRead: ({ arrival }, offsetBytes, lengthBytes) =>
        options.ready() && requestsBefore(options, arrival, offsetBytes, lengthBytes).length === 0,
      restart: (read) => void this.read(read),
    });
  }

  /** Reads inside, waiting or under way. What a failed device still has may never end, and is nothing to wait for. */
  get inside(): number {
    return this.#waiting.size + (this.#options.diskless() ? 0 : this.#underWay) + this.#repair.inside;
  }

  /** Requests by which what could not be read is written back. */
  get rewrites(): number {
    return this.#repair.rewrites;
  }

  /** Whether any read waits. */
  get waiting(): boolean {
    return this.#waiting.size > 0;
  }

  /** Starts a read, or lets it wait and returns false. */
  read(read: Read): boolean {
    if (this.#mustWait(read)) return false;
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
    const { device, diskless, ready, issued, queued, owns } = this.#options;
    const run = untouchedRun([issued, queued], offsetBytes, lengthBytes);
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

  /** A request is complete: reads that waited for it alone go on. Returns whether one did, for which another request may have waited. */
  completed(request: Request): boolean {
    const held = request.holdsUp ?? [];
    request.holdsUp = null;
    let went = false;
    for (const waiting of held) {
      waiting.requests -= 1;
      if (waiting.requests === 0 && this.#waiting.delete(waiting)) went = this.read(waiting.read) || went;
    }
    return went;
  }

  /** Whether a request must not go to the elements before a read that came earlier. */
  holdsBack({ arrival, offsetBytes, lengthBytes }: Request): boolean {
    for (const { read } of this.#waiting) if (read.arrival < arrival && overlaps(read, offsetBytes, lengthBytes)) return true;
    return false;
  }

  /** Something changed that may let waiting reads go on. */
  retry(): void {
    const waiting = [...this.#waiting];
    this.#waiting.clear();
    for (const { read } of waiting) this.read(read);
  }

  /** Gives up the reads that wait, here or for the peer, which the caller fails; those under way end by themselves. */
  stop(): readonly Read[] {
    const waiting = [...this.#waiting].map(({ read }) => read);
    this.#waiting.clear();
    return [...waiting, ...this.#repair.stop()];
  }

  /** Lets a read wait for the requests before it; false where there is nothing to wait for. */
  #mustWait(read: Read): boolean {
    const before = requestsBefore(this.#options, read.arrival, read.offsetBytes, read.lengthBytes);
    if (before.length === 0 && this.#options.ready()) return false;
    const waiting: WaitingRead = { read, requests: before.length };
    for (const request of before) (request.holdsUp ??= []).push(waiting);
    this.#waiting.add(waiting);
    return true;
  }
}
