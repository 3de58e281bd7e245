import type { Clock } from '../clock/clock.ts';
import type { BlockDevice } from '../device/block-device.ts';
import type { HotMirrorError } from '../errors.ts';
import type { Counters } from './counters.ts';
import type { DirtyMap, ExtentRun } from './dirty-map.ts';
import type { SourceSession } from './source.ts';
import type { ResyncProgress } from './state.ts';
import { UnreadableExtents } from './unreadable-extents.ts';

/** Longest resync write, in bytes. */
const maxReadBytes = 1_048_576;
/** A flush of the target after this much, so that confirmed extents are not copied again after a crash. */
const flushEveryBytes = 67_108_864;
const progressEveryMs = 1_000;
const msPerSecond = 1_000;

/** What a resync is made of. */
export interface ResyncOptions {
  readonly device: BlockDevice;
  readonly dirty: DirtyMap;
  readonly sizeBytes: number;
  readonly session: SourceSession;
  readonly counters: Counters;
  readonly clock: Clock;
  /** A batch is confirmed durable and its bits are cleared. */
  readonly progressed: () => void;
  /** A read lock was released: a waiting write may go on. */
  readonly unlocked: () => void;
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
  readonly #startedMs: number;
  readonly #totalExtents: number;
  /** Extents on their way, with the number of the copy that may clear them. */
  readonly #copies = new Map<number, number>();
  #copyNumber = 0;
  #cursor = 0;
  #unflushed: { readonly extent: number; readonly copy: number }[] = [];
  #reading: { readonly offsetBytes: number; readonly lengthBytes: number } | null = null;
  #pumping = false;
  #stopped = false;
  #toldMs: number;
  readonly #unreadable: UnreadableExtents;

  constructor(options: ResyncOptions) {
    this.#options = options;
    this.#startedMs = options.clock.nowMs();
    this.#toldMs = this.#startedMs;
    this.#totalExtents = options.dirty.count;
    this.#unreadable = new UnreadableExtents(options.clock, options.unreadable, () => this.pump());
  }

  /** Goes on as far as the window allows. */
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
  }

  /** Whether what is marked from now on is still copied. */
  get running(): boolean {
    return !this.#stopped;
  }

  /** Whether a write to the range must wait, because an older copy of it is being read. */
  locks(offsetBytes: number, lengthBytes: number): boolean {
    const reading = this.#reading;
    return reading !== null && offsetBytes < reading.offsetBytes + reading.lengthBytes && reading.offsetBytes < offsetBytes + lengthBytes;
  }

  /** The extents of a range were marked again. */
  touchedRange(offsetBytes: number, lengthBytes: number): void {
    const { extentBytes } = this.#options.dirty;
    for (let extent = Math.floor(offsetBytes / extentBytes); extent * extentBytes < offsetBytes + lengthBytes; extent += 1)
      this.touched(extent);
  }

  /** An extent was marked again: the copy on its way does not clear it. */
  touched(extent: number): void {
    this.#copies.delete(extent);
  }

  get progress(): ResyncProgress {
    const { dirty, clock } = this.#options;
    const doneBytes = Math.max(0, this.#totalExtents - dirty.count) * dirty.extentBytes;
    const seconds = (clock.nowMs() - this.#startedMs) / msPerSecond;
    const bytesPerSecond = seconds > 0 ? Math.round(doneBytes / seconds) : 0;
    const remainingBytes = dirty.count * dirty.extentBytes;
    return {
      doneBytes,
      totalBytes: this.#totalExtents * dirty.extentBytes,
      bytesPerSecond,
      remainingMs: bytesPerSecond > 0 ? Math.round((remainingBytes / bytesPerSecond) * msPerSecond) : null,
    };
  }

  /** One read and its send, or a flush; false when there is nothing to do now. */
  #step(): boolean {
    const { dirty, session } = this.#options;
    if (this.#stopped || this.#reading) return false;
    if (this.#unflushed.length * dirty.extentBytes >= flushEveryBytes) this.#flush();
    const run = this.#nextRun();
    if (!run) {
      if (this.#unflushed.length > 0) this.#flush();
      return false;
    }
    const offsetBytes = run.first * dirty.extentBytes;
    const lengthBytes = Math.min(run.count * dirty.extentBytes, this.#options.sizeBytes - offsetBytes);
    if (!session.hasResyncRoom(lengthBytes)) return false;
    this.#cursor = run.first + run.count;
    return this.#copy(run, offsetBytes, lengthBytes);
  }

  /** Returns whether the read was over at once. */
  #copy(run: ExtentRun, offsetBytes: number, lengthBytes: number): boolean {
    const bytes = new Uint8Array(lengthBytes);
    this.#reading = { offsetBytes, lengthBytes };
    let inCall = true;
    let atOnce = false;
    this.#options.device.read(offsetBytes, bytes, (error) => {
      this.#reading = null;
      atOnce = inCall;
      if (this.#stopped) return;
      if (error) this.#unreadable.add(run, error);
      else this.#send(run, offsetBytes, bytes);
      if (inCall) return;
      this.#options.unlocked();
      this.pump();
    });
    inCall = false;
    return atOnce;
  }

  #send(run: ExtentRun, offsetBytes: number, bytes: Uint8Array): void {
    this.#unreadable.read(run);
    this.#options.session.resync(offsetBytes, bytes, () => undefined);
    this.#options.counters.resync.sentExtents += run.count;
    for (let extent = run.first; extent < run.first + run.count; extent += 1) {
      this.#copyNumber += 1;
      this.#copies.set(extent, this.#copyNumber);
      this.#unflushed.push({ extent, copy: this.#copyNumber });
    }
  }

  #nextRun(): ExtentRun | null {
    const { dirty } = this.#options;
    let first = this.#nextUncopied(this.#cursor);
    if (first < 0) first = this.#nextUncopied(0);
    if (first < 0) return null;
    const most = Math.max(1, Math.floor(maxReadBytes / dirty.extentBytes));
    let count = 1;
    const joins = (extent: number): boolean => dirty.has(extent) && !this.#copies.has(extent) && !this.#unreadable.suspects(extent);
    while (count < most && !this.#unreadable.suspects(first) && joins(first + count)) count += 1;
    return { first, count };
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
    session.flush(() => {
      if (this.#stopped) return;
      for (const { extent, copy } of batch) {
        if (this.#copies.get(extent) !== copy) continue;
        this.#copies.delete(extent);
        dirty.clear(extent);
      }
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
