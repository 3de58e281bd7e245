import type { TimelineEntry } from './entry.ts';

/** An entry, its place in the log and its time on the axis. */
export interface Moment {
  readonly entry: TimelineEntry;
  readonly index: number;
  readonly atMs: number;
}

/** What is known of a log before its moments are followed. */
export interface Survey {
  /** Nodes whose state the log itself tells (`node:state`); that of others follows from their events. */
  readonly told: ReadonlySet<string>;
  /** Mirrors whose state the log itself tells (`mirror:state`), as `node/mirror`. */
  readonly toldMirrors: ReadonlySet<string>;
  /** The mirrors of each node. */
  readonly mirrors: ReadonlyMap<string, readonly string[]>;
}
