import type { Clock, Timer } from '../clock/clock.ts';
import type { HotMirrorError } from '../errors.ts';
import { ComparePolicy } from './compare-policy.ts';
import type { Counters } from './counters.ts';
import type { DirtyMap, ExtentRun } from './dirty-map.ts';
import { MovingRate, remainingMs } from './moving-rate.ts';
import type { ResyncControl } from './resync-control.ts';
import type { SourceSession } from './source.ts';
import type { ResyncProgress } from './state.ts';
import type { StreamReads } from './stream-reads.ts';
import { UnreadableExtents } from './unreadable-extents.ts';
import { isZero } from './zero-bytes.ts';

/** Longest resync write, in bytes. */
const maxReadBytes = 1_048_576;
/** A flush of the target after this much, so that confirmed extents are not copied again after a crash. */
const flushEveryBytes = 67_108_864;
/** And after this long, so that progress shows, and stays, at any rate. */
const flushEveryMs = 1_000;
const progressEveryMs = 1_000;

/** What a resync is made of. */
export interface ResyncOptions {
  readonly reads: StreamReads;
  readonly dirty: DirtyMap;
  readonly sizeBytes: number;
  readonly session: SourceSession;
  readonly counters: Counters;
  readonly control: ResyncControl;
  readonly clock: Clock;
  /** A batch is confirmed durable and its bits are cleared. */
  readonly progressed: () => void;
  /** Nothing is dirty any more. */
  readonly finished: () => void;
  /** Extents of the source's own element that cannot be read, and were not told of before. */
  readonly unreadable: (extent: number, error: HotMirrorError) => void;
}

/**
 * Copies dirty extents from source to target while writes go on (rules resync.newer, resync.progress). Its writes travel in the same ordered stream as
 * the application's, and a bit is cleared only when its copy is durable on the target and nothing marked it again meanwhile.
 *
 * An extent that cannot be read stays dirty, so that nothing but what the source holds is ever copied; the others are copied, and it is tried again now and then, for
 * a write may have made it readable (rule write.error).
 */
export class Resync {
  readonly #options: ResyncOptions;
  readonly #totalExtents: number;
  readonly #rate: MovingRate;
  /** Extents on their way, with the number of the copy that may clear them. */
  readonly #copies = new Map<number, number>();
  #copyNumber = 0;
  #cursor = 0;
  #unflushed: { readonly extent: number; readonly copy: number }[] = [];
  #flushedMs: number;
  #pumping = false;
  #stopped = false;
  #toldMs: number;
  readonly #unreadable: UnreadableExtents;
  readonly #policy: ComparePolicy;
  /** Extents that were found to differ, and are sent next; at most as many as are compared at a time. */
  readonly #differing = new Set<number>();
  /** Until the rate allows the next piece. */
  #wait: Timer | null = null;

  constructor(options: ResyncOptions) {
    this.#options = options;
    this.#toldMs = options.clock.nowMs();
    this.#flushedMs = this.#toldMs;
    this.#totalExtents = options.dirty.count;
    this.#rate = new MovingRate(this.#toldMs);
    this.#policy = new ComparePolicy(options.dirty.count);
    this.#unreadable = new UnreadableExtents(options.clock, options.unreadable, () => this.pump());
  }

  /** Goes on as far as window and rate allow. */
  pump(): void {
    if (this.#pumping || this.#stopped) return;
    this.#pumping = true;
    while (this.#step()) {
      // Each step sends one piece.
    }
    this.#pumping = false;
  }

  stop(): void {
    this.#stopped = true;
    this.#unreadable.stop();
    this.#wait?.cancel();
  }

  /** Whether what is marked from now on is still copied. */
  get running(): boolean {
    return !this.#stopped;
  }

  /** An extent was marked again: the copy on its way does not clear it. */
  touched(extent: number): void {
    this.#copies.delete(extent);
  }

  get progress(): ResyncProgress {
    const { dirty, clock } = this.#options;
    const doneBytes = this.#doneBytes;
    const bytesPerSecond = this.#rate.bytesPerSecond(clock.nowMs(), doneBytes);
    return {
      doneBytes,
      totalBytes: this.#totalExtents * dirty.extentBytes,
      bytesPerSecond,
      remainingMs: remainingMs(dirty.count * dirty.extentBytes, bytesPerSecond),
    };
  }

  get #doneBytes(): number {
    const { dirty } = this.#options;
    return Math.max(0, this.#totalExtents - dirty.count) * dirty.extentBytes;
  }

  /** One read and its send, or a flush; false when there is nothing to do now. */
  #step(): boolean {
    const { reads, control, dirty, session, clock } = this.#options;
    if (this.#stopped || reads.busy) return false;
    const unflushedBytes = this.#unflushed.length * dirty.extentBytes;
    const flushDue = unflushedBytes >= flushEveryBytes || clock.nowMs() - this.#flushedMs >= flushEveryMs;
    if (unflushedBytes > 0 && flushDue) this.#flush();
    const run = control.paused === null ? this.#nextRun() : null;
    if (!run) {
      // What is being compared joins the same flush.
      if (this.#unflushed.length > 0 && session.compares.outstanding === 0) this.#flush();
      return false;
    }
    const lengthBytes = this.#lengthBytes(run);
    const compare = session.compares.supported && this.#policy.pays && !this.#differing.has(run.first);
    if (!session.hasResyncRoom(lengthBytes) || (compare && !session.compares.hasRoom(lengthBytes)) || this.#mustWait()) return false;
    const hole = this.#holeOf(run);
    const next = hole ?? run;
    if (!this.#differing.has(run.first)) this.#cursor = next.first + next.count;
    return hole ? this.#copyHole(hole) : this.#copy(run, compare);
  }

  /** The extents at the beginning of a run that are a hole of this element; null: there is none, or it is to be read all the same. */
  #holeOf(run: ExtentRun): ExtentRun | null {
    const { reads, session, dirty } = this.#options;
    if (!session.sendsHoles) return null;
    const lengthBytes = this.#lengthBytes(run);
    const holeBytes = reads.holeBytes(run.first * dirty.extentBytes, lengthBytes);
    // The last extent of the mirror may be a short one.
    const count = holeBytes === lengthBytes ? run.count : Math.floor(holeBytes / dirty.extentBytes);
    return count > 0 ? { first: run.first, count } : null;
  }

  #copyHole(run: ExtentRun): boolean {
    const lengthBytes = this.#lengthBytes(run);
    this.#options.control.rate.sent(lengthBytes);
    this.#unreadable.read(run);
    this.#sendHole(run);
    return true;
  }

  #mustWait(): boolean {
    const waitMs = this.#options.control.rate.waitMs();
    if (waitMs <= 0) return false;
    this.#wait?.cancel();
    this.#wait = this.#options.clock.timer(waitMs, () => this.pump());
    return true;
  }

  /** Returns whether the read was over at once. */
  #copy(run: ExtentRun, compare: boolean): boolean {
    const { reads, dirty, control } = this.#options;
    const lengthBytes = this.#lengthBytes(run);
    control.rate.sent(lengthBytes);
    return reads.read(run.first * dirty.extentBytes, lengthBytes, (error, bytes) => {
      if (this.#stopped) return;
      if (error) {
        this.#unreadable.add(run, error);
        return;
      }
      this.#unreadable.read(run);
      this.#send(run, bytes, compare);
    });
  }

  /** Extents of zeroes travel as holes; of the others the bytes do, or their digests first. */
  #send({ first, count }: ExtentRun, bytes: Uint8Array, compare: boolean): void {
    const { dirty, reads } = this.#options;
    const { extentBytes } = dirty;
    let users = 1;
    const left = (): void => {
      users -= 1;
      if (users === 0) reads.release(bytes);
    };
    for (let at = 0; at < count;) {
      const hole = this.#isHole(bytes, at);
      let end = at + 1;
      while (end < count && this.#isHole(bytes, end) === hole) end += 1;
      const piece = bytes.subarray(at * extentBytes, end * extentBytes);
      const run = { first: first + at, count: end - at };
      at = end;
      if (hole) {
        this.#sendHole(run);
        continue;
      }
      users += 1;
      this.#sendPiece(run, piece, compare ? 'compare' : 'bytes', left);
    }
    left();
  }

  #isHole(bytes: Uint8Array, at: number): boolean {
    const { dirty, session } = this.#options;
    return session.sendsHoles && isZero(bytes.subarray(at * dirty.extentBytes, (at + 1) * dirty.extentBytes));
  }

  #sendHole(run: ExtentRun): void {
    const { dirty, session, counters } = this.#options;
    const copies = this.#track(run);
    counters.resync.sentExtents += run.count;
    session.hole(run.first * dirty.extentBytes, this.#lengthBytes(run));
    this.#sent(run, copies);
  }

  /** `left` is called when nobody needs the bytes any more; not where the connection ends before. */
  #sendPiece(run: ExtentRun, piece: Uint8Array, as: 'compare' | 'bytes', left: () => void): void {
    const { dirty, session, counters } = this.#options;
    const offsetBytes = run.first * dirty.extentBytes;
    const copies = this.#track(run);
    if (as === 'compare') {
      this.#policy.asked();
      session.compares.ask(offsetBytes, piece, 'resync', (differs) => this.#compared(run, copies, differs));
      left();
      return;
    }
    counters.resync.sentExtents += run.count;
    session.resync(offsetBytes, piece, left);
    this.#policy.sent(run.count);
    this.#sent(run, copies);
  }

  /** Clean once the target has flushed. */
  #sent({ first, count }: ExtentRun, copies: number): void {
    for (let at = 0; at < count; at += 1) this.#unflushed.push({ extent: first + at, copy: copies + at });
  }

  /** These are on their way; gives the number of the first copy. */
  #track({ first, count }: ExtentRun): number {
    const copies = this.#copyNumber + 1;
    for (let extent = first; extent < first + count; extent += 1) {
      this.#copyNumber += 1;
      this.#copies.set(extent, this.#copyNumber);
      this.#differing.delete(extent);
    }
    return copies;
  }

  /** The same on both sides is as good as copied, once the target has it durably; what differs is copied next. */
  #compared({ first, count }: ExtentRun, copies: number, differs: (extent: number) => boolean): void {
    let differing = 0;
    for (let at = 0; at < count; at += 1) {
      const extent = first + at;
      if (differs(at)) differing += 1;
      if (this.#copies.get(extent) !== copies + at) continue;
      if (differs(at)) {
        this.#copies.delete(extent);
        this.#differing.add(extent);
      } else {
        this.#unflushed.push({ extent, copy: copies + at });
      }
    }
    this.#policy.compared(count, differing);
  }

  #lengthBytes({ first, count }: ExtentRun): number {
    const { dirty, sizeBytes } = this.#options;
    return Math.min(count * dirty.extentBytes, sizeBytes - first * dirty.extentBytes);
  }

  #nextRun(): ExtentRun | null {
    const { dirty, control } = this.#options;
    let first = this.#nextDiffering();
    const known = first >= 0;
    if (!known) first = this.#nextUncopied(this.#cursor);
    if (first < 0) first = this.#nextUncopied(0);
    if (first < 0) return null;
    const most = control.rate.extents(dirty.extentBytes, Math.floor(maxReadBytes / dirty.extentBytes));
    let count = 1;
    const joins = (extent: number): boolean =>
      dirty.has(extent) && !this.#copies.has(extent) && !this.#unreadable.suspects(extent) && this.#differing.has(extent) === known;
    while (count < most && !this.#unreadable.suspects(first) && joins(first + count)) count += 1;
    return { first, count };
  }

  /** An extent that was found to differ and is still to be sent, or -1. */
  #nextDiffering(): number {
    for (const extent of this.#differing) {
      if (this.#options.dirty.has(extent) && !this.#copies.has(extent) && !this.#unreadable.waits(extent)) return extent;
      this.#differing.delete(extent);
    }
    return -1;
  }

  #nextUncopied(from: number): number {
    const { dirty } = this.#options;
    if (dirty.count <= this.#copies.size) return -1;
    let extent = dirty.next(from);
    while (extent >= 0 && (this.#copies.has(extent) || this.#unreadable.waits(extent))) extent = dirty.next(extent + 1);
    return extent;
  }

  #flush(): void {
    const batch = this.#unflushed;
    this.#unflushed = [];
    const { dirty, session, clock, progressed, finished } = this.#options;
    this.#flushedMs = clock.nowMs();
    session.flush(() => {
      if (this.#stopped) return;
      for (const { extent, copy } of batch) {
        if (this.#copies.get(extent) !== copy) continue;
        this.#copies.delete(extent);
        dirty.clear(extent);
      }
      this.#rate.sample(clock.nowMs(), this.#doneBytes);
      if (clock.nowMs() - this.#toldMs >= progressEveryMs) {
        this.#toldMs = clock.nowMs();
        progressed();
      }
      if (dirty.count === 0) {
        this.stop();
        finished();
      } else {
        this.pump();
      }
    });
  }
}
