import type { Rule } from '../rules.ts';

/** Plain data that can be sent as JSON. */
export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json };

/** State of one link: `late` after one and a half intervals of silence, `down` beyond the deadline or never heard. */
export type LinkState = 'up' | 'late' | 'down';

/** What the monitor thinks of the peer: never seen, alive, every link late, dead by rule `watch.all`, or gone with a goodbye. */
export type PeerState = 'unknown' | 'up' | 'suspect' | 'down' | 'left';

/** Whether the monitor passes verdicts now. */
export type WatchState = 'grace' | 'normal' | 'paused';

/** A state of the peer with its grounds. */
export interface Verdict {
  readonly state: PeerState;
  readonly rule: Rule;
  /** What the rule saw, in words. */
  readonly because: string;
  /** What the rule saw, as plain data. */
  readonly evidence: Readonly<Record<string, unknown>>;
}

/** Whether every link stayed silent for a full deadline of fresh probes (rule `alone`). Times are of this node's monotonic clock. */
export interface SilenceEvidence {
  readonly silent: boolean;
  /** From when the silence is counted: the latest of what was asked, the last late wake-up, and the start. */
  readonly countedFromMs: number;
  readonly lastHeardMs: number | null;
  readonly deadlineMs: number;
  /** When it could become true if nothing is heard. */
  readonly earliestMs: number;
}

/** One answer of the peer to a token. */
export interface PeerAnswer {
  /** When the answered token was sent, by this node's clock: the evidence of rule `serve.lease`. */
  readonly probeSentMs: number;
  readonly heardMs: number;
  readonly link: string;
  /** What the peer's `report` returned when it answered; null where it could not be had or was too long. */
  readonly report: Json;
}

/** The monitor's part of `hotmirror status --json`. */
export interface MonitorStatus {
  readonly state: WatchState;
  readonly peer: PeerState;
  readonly links: readonly {
    readonly name: string;
    readonly state: LinkState;
    /** How long ago the last sign of life came; null for never. */
    readonly lastSeenMs: number | null;
    /** Smoothed round trip; null before the first answer. */
    readonly rttMs: number | null;
  }[];
}
