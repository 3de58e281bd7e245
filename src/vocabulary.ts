import type { Epoch } from './epoch.ts';
import type { Rule } from './rules.ts';

/** Plain data that can be sent as JSON. */
export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json };

/** States of an element (semantics 1): what is known of its content. */
export type ElementState = 'uptodate' | 'consistent' | 'outdated' | 'inconsistent' | 'failed' | 'off' | 'absent';

/** Progress of a resync. */
export interface ResyncProgress {
  readonly doneBytes: number;
  readonly totalBytes: number;
  /** Mean rate of the last ten seconds. */
  readonly bytesPerSecond: number;
  /** Of the rest at that rate; null while nothing is known. */
  readonly remainingMs: number | null;
}

/** What the monitor thinks of the peer: never seen, alive, every link late, dead by rule `watch.all`, or gone with a goodbye. */
export type PeerState = 'unknown' | 'up' | 'suspect' | 'down' | 'left';

/** Whether the monitor passes verdicts now: not yet, yes, or not by wish. */
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

/** A split brain as both sides saw it: the generations that an operator's word is about (rule lineage.resolve). */
export interface SplitEvidence {
  /** The rule that copied nothing: `lineage.split` or `lineage.direction`. */
  readonly rule: Rule;
  /** The generation of each element, by its node. */
  readonly judged: Readonly<Record<string, string>>;
}

/** The connection whose loss was judged of a serving mirror; null: there was none. */
export interface ParkedOn {
  readonly connectionId: string | null;
  /** The peer said that it has ended this connection, which may not have been noticed here; what is left of it is ended too. Default false. */
  readonly endedByPeer?: boolean | undefined;
}

/** An operator's word that ends a split brain; it counts for the generations that were judged, and for no others. */
export interface ResolveOrder {
  /** The node whose element survives; the other gives way. */
  readonly survivor: string;
  /** As in {@link SplitEvidence}. */
  readonly judged: Readonly<Record<string, string>>;
  /** A file on the node that gives way: what will be overwritten there is saved first. Absent: it is lost. */
  readonly salvage?: string | undefined;
}

/** Tells a passive element that it is old (rule `outdate`); the ids must match what the element knows. */
export interface OutdateOrder {
  readonly epoch: Epoch;
  readonly currentId: string;
  /** The latest connection that the source knows of. */
  readonly connectionId: string | null;
  /** The latest one that the element knows of, as it said in its refusal of the order before: of one that ended while it began only one end may know. */
  readonly peerConnectionId?: string | undefined;
  readonly nonce: string;
}
