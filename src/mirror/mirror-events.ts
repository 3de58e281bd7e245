import type { EventBase } from '../events.ts';
import type { HotMirrorError } from '../errors.ts';
import { rules } from '../rules.ts';
import type { Rule } from '../rules.ts';
import type { MirrorState, ResyncProgress } from './state.ts';

/** An event of one mirror. */
export interface MirrorEvent extends EventBase {
  readonly mirror: string;
}

/** Everything a `MirrorLink` tells. */
export type MirrorEvents = {
  /** Something of `state()` changed. */
  'state:changed': (event: MirrorEvent & { readonly state: MirrorState }) => void;
  /** The data link is up and authenticated; the handshake begins. */
  'link:connected': (event: MirrorEvent) => void;
  /** The data link is gone. Class 1. */
  'link:lost': (event: MirrorEvent) => void;
  /** Something was turned away: a wrong key, garbage, a frame of a stale epoch. */
  'link:refused': (event: MirrorEvent) => void;
  /** What the handshake decided, by which rule (lineage.decide). */
  'lineage:decided': (event: MirrorEvent) => void;
  /** The element holds a generation of its own (lineage.mint). */
  'lineage:minted': (event: MirrorEvent) => void;
  /** A regeneration began. */
  'resync:started': (event: MirrorEvent & { readonly progress: ResyncProgress }) => void;
  /** Now and then while it runs. */
  'resync:progressed': (event: MirrorEvent & { readonly progress: ResyncProgress }) => void;
  /** Both elements are the same. */
  'resync:finished': (event: MirrorEvent) => void;
  /** A verify began. */
  'verify:started': (event: MirrorEvent) => void;
  /** Now and then while it runs. */
  'verify:progressed': (event: MirrorEvent & { readonly progress: ResyncProgress }) => void;
  /** Everything is compared; `evidence` is the report. Class 1, and rule takeover.verified, where something differs. */
  'verify:finished': (event: MirrorEvent) => void;
  /** A verify was given up before its end, or its repair; what was found stays a finding. */
  'verify:ended': (event: MirrorEvent) => void;
  /** An operator waived what was found. */
  'verify:waived': (event: MirrorEvent) => void;
  /** Requests wait for the peer or for rule alone. Class 3 while it lasts. */
  'writes:parked': (event: MirrorEvent) => void;
  /** Requests complete again. */
  'writes:resumed': (event: MirrorEvent) => void;
  /** The element failed and is detached. Class 1 on the target, 3 on the source. */
  'element:failed': (event: MirrorEvent) => void;
  /** An operator has taken the element out (element.off). Class 1. */
  'element:detached': (event: MirrorEvent) => void;
  /** An operator has brought it back. */
  'element:attached': (event: MirrorEvent) => void;
  /** A range could not be read here; the peer's bytes were used and written back (write.error). Class 1. At most one a second. */
  'block:repaired': (event: MirrorEvent) => void;
  /** Ranges of the source cannot be read: the resync goes on without them and tries again (write.error). Class 1. */
  'block:unreadable': (event: MirrorEvent) => void;
  /** The undo journal is of no use any more: the element cannot be rolled back while this resync runs (resync.undo). Class 1. */
  'undo:given-up': (event: MirrorEvent) => void;
  /** The element is what it was before an unfinished resync (resync.undo). Class 1. */
  'element:rolled-back': (event: MirrorEvent) => void;
  /** A higher epoch was seen: this node serves no more (lineage.epoch). */
  'epoch:refused': (event: MirrorEvent) => void;
  /** Requests complete by another protocol from here on (write.both). */
  'protocol:changed': (event: MirrorEvent) => void;
  /** The queue to the target is full: the source goes on without it, and the target has recorded so (write.congested). Told by both. Class 1. */
  'ahead:begun': (event: MirrorEvent) => void;
  /** The queue is empty, or the data link is lost; what the target missed is copied once they are connected again. Told by the source. */
  'ahead:ended': (event: MirrorEvent) => void;
  /** The peer stopped in order (node.leave). */
  'peer:left': (event: MirrorEvent) => void;
  /** An operator made it as large as both devices are (lineage.grow). */
  'mirror:grown': (event: MirrorEvent) => void;
  /** One of the two copies of the metadata was damaged; the other was used. Class 1. */
  'metadata:repaired': (event: MirrorEvent) => void;
};

/** Names of the events of a mirror. */
export type MirrorEventName = keyof MirrorEvents;

const names: Readonly<Record<MirrorEventName, true>> = {
  'state:changed': true,
  'link:connected': true,
  'link:lost': true,
  'link:refused': true,
  'lineage:decided': true,
  'lineage:minted': true,
  'resync:started': true,
  'resync:progressed': true,
  'resync:finished': true,
  'verify:started': true,
  'verify:progressed': true,
  'verify:finished': true,
  'verify:ended': true,
  'verify:waived': true,
  'writes:parked': true,
  'writes:resumed': true,
  'element:failed': true,
  'element:detached': true,
  'element:attached': true,
  'block:repaired': true,
  'block:unreadable': true,
  'undo:given-up': true,
  'element:rolled-back': true,
  'epoch:refused': true,
  'protocol:changed': true,
  'ahead:begun': true,
  'ahead:ended': true,
  'peer:left': true,
  'mirror:grown': true,
  'metadata:repaired': true,
};

/** All of them, for logs and proxies. */
export const mirrorEventNames: readonly MirrorEventName[] = Object.keys(names) as MirrorEventName[];

/** What an event tells of the error behind it: its code, and the rule that refused, which a peer of another version may name as this one does not know it. */
export function groundsOf(error: HotMirrorError | null): Pick<MirrorEvent, 'rule' | 'evidence'> {
  const rule = error?.rule;
  return { evidence: { code: error?.code ?? null }, ...(isRule(rule) ? { rule } : {}) };
}

function isRule(name: string | undefined): name is Rule {
  return name !== undefined && Object.hasOwn(rules, name);
}
