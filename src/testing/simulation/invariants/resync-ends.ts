import type { SimulationEntry } from '../entry.ts';
import { nodeNames } from '../steps.ts';
import type { SimulationStep } from '../steps.ts';
import type { PairView, Watcher, WatcherFactory } from '../watcher.ts';

const boundDeadlines = 60;
/** Each of these many bytes may take a deadline more. */
const bytesPerDeadline = 1_048_576;
/** It is looked at so often in a deadline. */
const looksPerDeadline = 4;

/** What may slow a resync or stop it for a while: it starts its time anew. */
const breaks: ReadonlySet<string> = new Set([
  'fault:begun',
  'link:state',
  'link:lost',
  'link:refused',
  'link:connected',
  'element:failed',
  'resync:started',
  'node:state',
]);

class ResyncEnds implements Watcher {
  readonly invariant = 'resync-ends';
  readonly #mirrors: readonly string[];
  readonly #deadlineMs: number;
  /** By mirror: since when its resync runs without a break. */
  readonly #since = new Map<string, number>();
  #nextLookMs = 0;
  #stalledUntilMs = 0;
  /** Disks of which each request takes longer than anybody promised. */
  readonly #slow = new Set<string>();

  constructor({ mirrors, deadlineMs }: Parameters<WatcherFactory>[0]) {
    this.#mirrors = mirrors;
    this.#deadlineMs = deadlineMs;
  }

  entry(entry: SimulationEntry): void {
    if (breaks.has(entry.event)) this.#since.clear();
    if (entry.event === 'fault:begun') this.#fault(entry.evidence?.['step'] as SimulationStep | undefined, entry.atMs);
  }

  check(view: PairView): string | null {
    if (view.nowMs < this.#nextLookMs) return null;
    this.#nextLookMs = view.nowMs + this.#deadlineMs / looksPerDeadline;
    if (this.#slow.size > 0 || view.nowMs < this.#stalledUntilMs) {
      this.#since.clear();
      return null;
    }
    for (const mirror of this.#mirrors) {
      const sizeBytes = resyncingBytes(mirror, view);
      const since = this.#since.get(mirror) ?? view.nowMs;
      if (sizeBytes === null) {
        this.#since.delete(mirror);
        continue;
      }
      this.#since.set(mirror, since);
      const tookMs = view.nowMs - since;
      const boundMs = resyncBoundMs(sizeBytes, this.#deadlineMs);
      if (tookMs > boundMs)
        return `the resync of ${mirror} has run for ${tookMs.toFixed(0)} ms without a break; ${boundMs.toFixed(0)} ms are its bound`;
    }
    return null;
  }

  #fault(step: SimulationStep | undefined, atMs: number): void {
    if (step?.do !== 'disk' && step?.do !== 'mend') return;
    const disk = [step.node, step.disk, step.mirror ?? ''].join(':');
    if (step.do === 'mend') this.#slow.delete(disk);
    else if (step.fault.kind === 'slow') this.#slow.add(disk);
    else if (step.fault.kind === 'stall') this.#stalledUntilMs = Math.max(this.#stalledUntilMs, atMs + step.fault.forMs);
  }
}

/** How long a resync that nothing interrupts may take: 60 deadlines, and one more for each MiB of the mirror. */
export function resyncBoundMs(sizeBytes: number, deadlineMs: number): number {
  return deadlineMs * (boundDeadlines + sizeBytes / bytesPerDeadline);
}

/** The size of a mirror whose resync runs and could make progress; null for any other. */
function resyncingBytes(mirror: string, view: PairView): number | null {
  if (!view.dataLinkOpen(mirror)) return null;
  let sizeBytes: number | null = null;
  for (const name of nodeNames) {
    const { running, paused, mirrors } = view.nodes[name];
    const state = mirrors.get(mirror)?.state;
    if (!running || paused || !state) return null;
    if (state.resyncPaused !== null) return null;
    if (state.resync) sizeBytes = state.sizeBytes;
  }
  return sizeBytes;
}

/** A resync whose nodes run, whose link is open and which nobody paused ends within a bound: {@link resyncBoundMs}. */
export const resyncEnds: WatcherFactory = (context) => new ResyncEnds(context);
