/**
 * One thing that happened at one node, or to the world around both. The event log of a real node has the same form, so both can be drawn.
 */
export interface TimelineEntry {
  readonly schema: 1;
  /** Counts up by one, from 1. */
  readonly seq: number;
  /** Wall time of the one who noted it, ISO 8601. */
  readonly time: string;
  /** Node name; `world` for what happens to links, arbiter or both nodes. */
  readonly node: string;
  /** `noun:verb`. */
  readonly event: string;
  /** Semantics 10: 0 nothing, 1 redundancy lost, 2 service moved, 3 service lost. */
  readonly class: 0 | 1 | 2 | 3;
  readonly mirror?: string;
  readonly rule?: string;
  readonly evidence?: Readonly<Record<string, unknown>>;
  readonly text: string;
}
