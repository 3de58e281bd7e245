import type { FailoverSnapshot } from '../../failover/status.ts';
import type { ElementMetadata } from '../../mirror/metadata.ts';
import type { MirrorState } from '../../mirror/state.ts';
import type { Epoch } from '../../epoch.ts';
import type { DiskName } from './disk-faults.ts';
import type { SimulationEntry } from './entry.ts';
import type { NodeName } from './steps.ts';

/** The promises that a simulation watches, by name. */
export type InvariantName =
  | 'no-lost-write'
  | 'one-owner'
  | 'difference-known'
  | 'target-possible'
  | 'resync-ends'
  | 'rule-cited'
  | 'convergence'
  | 'reads-linear'
  | 'verify-true'
  | 'roll-back-true'
  | 'one-disk-fails';

/** What configuration and policy promise, as far as it decides which invariants bind. */
export interface Promises {
  /**
   * Never two owners whose writes are both acknowledged: true for `freeze` and `arbiter`, and for `continue` with a fence, or while not all links are cut at
   * once. With a fence either node powers the other off before it serves without a word of it.
   */
  readonly oneOwner: boolean;
  /** A process crash loses nothing; true also means that the application may lose power and relies on FUA and flush alone. */
  readonly powerCuts: boolean;
}

/** A request of the application, from its issue to its end. */
export interface ApplicationRequest {
  /** From 1, in the order of issue. */
  readonly id: number;
  readonly kind: 'read' | 'write' | 'flush';
  readonly mirror: string;
  readonly node: NodeName;
  readonly offsetBytes: number;
  /** What is written; what a read brought once it has ended. Empty for a flush. Not to be kept without a copy by reads only. */
  readonly bytes: Uint8Array;
  readonly fua: boolean;
  /** Place of the issue in the order of everything that happens to the application; comparable with `endedAt` of any request. */
  readonly issuedAt: number;
  readonly issuedMs: number;
  /** Null while it is under way, and for good where its process died. */
  endedAt: number | null;
  endedMs: number | null;
  /** The code of the error that it ended with; null for success. */
  errorCode: string | null;
  /** The epoch in which its node answered it; null before. */
  epoch: Epoch | null;
}

/** Bytes of a disk changed, as its reader sees them. */
export interface DiskChange {
  readonly node: NodeName;
  readonly disk: DiskName;
  /** Null for the pair record. */
  readonly mirror: string | null;
  readonly offsetBytes: number;
  readonly lengthBytes: number;
}

/** A disk as watchers see it. */
export interface DiskView {
  /** What its reader would find now; not to be changed. */
  readonly contents: Uint8Array;
  /** Raised by every change of `contents` and of what is durable. */
  readonly version: number;
  /** What a power cut now would surely leave; a copy. */
  durableImage(): Uint8Array;
}

/** One mirror on one node. */
export interface MirrorSide {
  readonly element: DiskView;
  readonly metadata: DiskView;
  /** Null while the process is down or has not opened it yet. */
  readonly state: MirrorState | null;
  /** What the running process knows to be durable; null while it is down. */
  readonly known: ElementMetadata | null;
}

/** One node as watchers see it. */
export interface NodeView {
  readonly name: NodeName;
  readonly running: boolean;
  readonly paused: boolean;
  /** Null while it is down or loads its record. */
  readonly failover: FailoverSnapshot | null;
  readonly mirrors: ReadonlyMap<string, MirrorSide>;
}

/** The pair as watchers see it. */
export interface PairView {
  readonly nowMs: number;
  readonly nodes: Readonly<Record<NodeName, NodeView>>;
  /** Whether frames pass both ways over the data link of this mirror. */
  dataLinkOpen(mirror: string): boolean;
}

/**
 * Watches one promise. It is told what happens as it happens and asked after every event whether the promise still holds. Nothing that it is given may be changed.
 */
export interface Watcher {
  readonly invariant: InvariantName;
  issued?(request: ApplicationRequest): void;
  /** Also called with an error. Not called where the process died: the request stays open for good. */
  ended?(request: ApplicationRequest): void;
  changed?(change: DiskChange): void;
  entry?(entry: SimulationEntry): void;
  /** The process of a node died; by `power` its disks lost what they had cached, in part. Called before the disks change. */
  died?(node: NodeName, how: 'process' | 'power', view: PairView): void;
  /** Asked after every event of the world. What is broken, in words, or null. Must be cheap while nothing has changed. */
  check?(view: PairView): string | null;
  /** Asked once, when faults have stopped and the pair has converged and is idle. */
  conclude?(view: PairView): string | null;
}

/** Makes a watcher for one simulation. */
export type WatcherFactory = (context: {
  readonly promises: Promises;
  readonly mirrors: readonly string[];
  /** Of the mirrors with protocol `async` the window: so much of what no flush covers a takeover may lose. Absent: there are none. */
  readonly asyncWindows?: ReadonlyMap<string, number>;
  /** Of the mirrors with protocol `memsync` the window: so much may be lost with the target's process and then the source. Absent: there are none. */
  readonly memsyncWindows?: ReadonlyMap<string, number>;
  /** The mirrors whose source may pull ahead (rule write.congested). Absent: there are none. */
  readonly pullAhead?: ReadonlySet<string>;
  /** Whether resync targets keep undo journals. */
  readonly undoJournals?: boolean;
  readonly deadlineMs: number;
}) => Watcher;
