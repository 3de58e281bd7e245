import type { Clock, Timer } from '../clock/clock.ts';
import type { HotMirrorError } from '../errors.ts';
import type { Compares } from './compares.ts';
import type { DirtyMap, ExtentRun } from './dirty-map.ts';
import { MovingRate, remainingMs } from './moving-rate.ts';
import type { Findings } from './findings.ts';
import type { ResyncControl } from './resync-control.ts';
import type { ResyncProgress } from './state.ts';
import type { StreamReads } from './stream-reads.ts';

/** Longest range of one comparison, in bytes. */
const maxReadBytes = 1_048_576;
const progressEveryMs = 1_000;
/** Runs of extents that a report lists; of more it says how many bytes they are. */
const mostRuns = 64;

/** What a verify found. */
export interface VerifyReport {
  readonly comparedBytes: number;
  /** Of the extents that differ and were not known to. */
  readonly differingBytes: number;
  /** Of extents that this node's element could not read, and so were not compared. */
  readonly unreadableBytes: number;
  /** The first runs of extents that differ, 64 at most. */
  readonly extents: readonly ExtentRun[];
}

/** What a verify is made of. */
export interface VerifyOptions {
  readonly reads: StreamReads;
  readonly compares: Compares;
  readonly dirty: DirtyMap;
  readonly sizeBytes: number;
  readonly findings: Findings;
  readonly control: ResyncControl;
  readonly clock: Clock;
  /** Now and then while it runs. */
  readonly progressed: (progress: ResyncProgress) => void;
  /** Everything is compared, or the verify was given up with an error. */
  readonly ended: (report: VerifyReport, error: HotMirrorError | null) => void;
  /** What was asked before the end was answered after it, and differs. */
  readonly foundLate: () => void;
}

/**
 * Compares both elements extent by extent while writes go on (rule verify). The digest of an extent is taken at one place of the stream on both sides, so writes make no
 * findings. What is dirty already is known to differ and left out; what differs is marked dirty, and nothing is copied.
 */
export class Verify {
  readonly #options: VerifyOptions;
  #next = 0;
  /** Up to here extents are read one by one, for together they could not be. */
  #singleUntil = 0;
  #comparedExtents = 0;
  #differingExtents = 0;
  #unreadableExtents = 0;
  readonly #runs: { first: number; count: number }[] = [];
  #pumping = false;
  #ended = false;
  #wait: Timer | null = null;

  readonly #rate: MovingRate;
  #toldMs: number;

  constructor(options: VerifyOptions) {
    this.#options = options;
    this.#toldMs = options.clock.nowMs();
    this.#rate = new MovingRate(this.#toldMs);
  }

  /** Goes on as far as window and rate allow. */
  pump(): void {
    if (this.#pumping || this.#ended) return;
    this.#pumping = true;
    while (this.#step()) {
      // Each step has one range compared.
    }
    this.#pumping = false;
    if (this.#next >= this.#options.dirty.extents && this.#options.compares.outstanding === 0 && !this.#options.reads.busy) this.end(null);
  }

  /** It is over; what was found stays. */
  end(error: HotMirrorError | null): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#wait?.cancel();
    this.#options.ended(this.report(), error);
  }

  /** What it has found so far. */
  report(): VerifyReport {
    const { extentBytes } = this.#options.dirty;
    return {
      comparedBytes: this.#comparedExtents * extentBytes,
      differingBytes: this.#differingExtents * extentBytes,
      unreadableBytes: this.#unreadableExtents * extentBytes,
      extents: this.#runs.map((run) => ({ ...run })),
    };
  }

  #step(): boolean {
    const { reads, compares, control, dirty, sizeBytes, clock } = this.#options;
    if (this.#ended || reads.busy || control.paused !== null) return false;
    const run = this.#nextRun();
    if (!run) return false;
    const offsetBytes = run.first * dirty.extentBytes;
    const lengthBytes = Math.min(run.count * dirty.extentBytes, sizeBytes - offsetBytes);
    if (!compares.hasRoom(lengthBytes)) return false;
    const waitMs = control.rate.waitMs();
    if (waitMs > 0) {
      this.#wait?.cancel();
      this.#wait = clock.timer(waitMs, () => this.pump());
      return false;
    }
    control.rate.sent(lengthBytes);
    this.#next = run.first + run.count;
    return reads.read(offsetBytes, lengthBytes, (error, bytes) => {
      if (this.#ended) return;
      if (error) this.#unreadable(run);
      else compares.ask(offsetBytes, bytes, 'verify', (differs) => this.#compared(run, differs));
      reads.release(bytes);
    });
  }

  #tell(): void {
    const { clock, dirty, sizeBytes, progressed } = this.#options;
    const nowMs = clock.nowMs();
    const doneBytes = Math.min(sizeBytes, this.#next * dirty.extentBytes);
    this.#rate.sample(nowMs, doneBytes);
    if (nowMs - this.#toldMs < progressEveryMs) return;
    this.#toldMs = nowMs;
    const bytesPerSecond = this.#rate.bytesPerSecond(nowMs, doneBytes);
    const remaining = remainingMs(sizeBytes - doneBytes, bytesPerSecond);
    progressed({ doneBytes, totalBytes: sizeBytes, bytesPerSecond, remainingMs: remaining });
  }

  /** The next extents that are not known to differ. */
  #nextRun(): ExtentRun | null {
    const { dirty, control } = this.#options;
    while (this.#next < dirty.extents && dirty.has(this.#next)) this.#next += 1;
    if (this.#next >= dirty.extents) return null;
    const most = this.#next < this.#singleUntil ? 1 : control.rate.extents(dirty.extentBytes, Math.floor(maxReadBytes / dirty.extentBytes));
    let count = 1;
    while (count < most && this.#next + count < dirty.extents && !dirty.has(this.#next + count)) count += 1;
    return { first: this.#next, count };
  }

  #unreadable({ first, count }: ExtentRun): void {
    if (count === 1) {
      this.#unreadableExtents += 1;
      return;
    }
    this.#next = first;
    this.#singleUntil = first + count;
  }

  #compared({ first, count }: ExtentRun, differs: (extent: number) => boolean): void {
    const before = this.#differingExtents;
    this.#comparedExtents += count;
    if (!this.#ended) this.#tell();
    for (let at = 0; at < count; at += 1) {
      // What was marked since the comparison began is known by other means.
      if (!differs(at) || !this.#options.findings.add(first + at)) continue;
      this.#differingExtents += 1;
      const last = this.#runs.at(-1);
      if (last && last.first + last.count === first + at) last.count += 1;
      else if (this.#runs.length < mostRuns) this.#runs.push({ first: first + at, count: 1 });
    }
    // The target counts what differs before its answer tells: what still comes after the end of a verify counts here too.
    if (this.#ended && this.#differingExtents > before) this.#options.foundLate();
  }
}
