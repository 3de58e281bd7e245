import type { PeerState, WatchState } from '../vocabulary.ts';

export type { Json, PeerAnswer, PeerState, SilenceEvidence, Verdict, WatchState } from '../vocabulary.ts';

/** State of one link: `late` after one and a half intervals of silence, `down` beyond the deadline or never heard. */
export type LinkState = 'up' | 'late' | 'down';

/** Something that keeps the monitor from verdicts. */
export interface WatchPause {
  readonly because: string;
  /** When it ends by itself; null: when it is taken back. */
  readonly remainingMs: number | null;
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
    /** Why it is not up, as far as is known. */
    readonly lastError?: string;
  }[];
  /** Absent: nothing keeps it from verdicts. */
  readonly pauses?: readonly WatchPause[];
}
