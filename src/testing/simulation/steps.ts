import type { PlatformStep } from '../../platform/platform-actions.ts';
import type { LinkConditions } from '../../transport/link-conditions.ts';
import type { ScriptedOutcome } from '../platform-recorder.ts';
import type { DiskFault, DiskName } from './disk-faults.ts';

/** The two nodes of a simulated pair: alpha is the home primary, beta the home standby. */
export type NodeName = 'alpha' | 'beta';

/** Both nodes, the home primary first. */
export const nodeNames: readonly NodeName[] = ['alpha', 'beta'];

/** The other node. */
export function otherNode(node: NodeName): NodeName {
  return node === 'alpha' ? 'beta' : 'alpha';
}

/** What an operator may ask of a node. */
export type OperatorOrder =
  | 'fallback'
  | 'force-fallback'
  | 'recover'
  | 'switchover'
  | 'adopt'
  | 'manual'
  | 'auto'
  | 'resume'
  /** This node's elements that are targets of unfinished resyncs go back to what they were. */
  | 'roll-back'
  /** This node's elements are taken out, or brought back. */
  | 'element-off'
  | 'element-on'
  /** What differs is copied from this node's elements to the other's, or everything. */
  | 'regenerate'
  | 'regenerate-full'
  /** Both elements are compared, and repaired. */
  | 'verify'
  | 'verify-repair'
  | 'waive-findings'
  /** This node's mirrors become as large as both devices are. */
  | 'grow'
  /** This node's mirrors complete by sync from now on, or by the protocol of their options again. */
  | 'set-sync'
  | 'set-configured'
  /** Resyncs from this node stand still, go on, or go slowly. */
  | 'pause-resync'
  | 'resume-resync'
  | 'slow-resync';

/**
 * One thing that happens to a simulated pair. Plain data, so that a schedule of them can be kept, shrunk and run again. A step that does not fit the
 * moment (a crash of a node that is down) does nothing. A `link` is `data` (every data link), `data:NAME` (that mirror's), the name of a monitor link, or `all`.
 */
export type SimulationStep =
  /** Time passes; the application works. */
  | { readonly do: 'run'; readonly forMs: number }
  /**
   * The process dies (`process`: what it wrote stays in the page cache), or the machine does (`power`: what its disks had cached is lost in part).
   * With `afterEffects` n it dies at the n-th thing from now that it does to the outside: a disk request, a frame, a question to the arbiter, a platform step.
   */
  | { readonly do: 'crash'; readonly node: NodeName; readonly how: 'process' | 'power'; readonly afterEffects?: number }
  /** The node begins to start, if it is down. */
  | { readonly do: 'boot'; readonly node: NodeName }
  /** The node begins to stop in order (rule node.leave); it is down once that is done. */
  | { readonly do: 'stop'; readonly node: NodeName }
  /**
   * The process stands still, as after SIGSTOP, while the world goes on; for good where `forMs` is absent. With `suspend` its machine does, as one that was
   * suspended: its monotonic clock stands still too, and its wall clock goes on.
   */
  | { readonly do: 'pause'; readonly node: NodeName; readonly forMs?: number; readonly suspend?: boolean }
  | { readonly do: 'resume'; readonly node: NodeName }
  /**
   * The link loses its way; with `from`, only what that node sends. Where `whenAlone: 'continue'` has neither arbiter nor fence, `all` ends in a split brain
   * (rule `takeover.unfenced`), from which a pair does not recover by itself.
   */
  | { readonly do: 'cut'; readonly link: string; readonly from?: NodeName }
  | { readonly do: 'heal'; readonly link: string }
  /** Every connection over the link ends; new ones may be made. */
  | { readonly do: 'break'; readonly link: string }
  /** The link is like this from now on, both ways or in what `from` sends. */
  | { readonly do: 'conditions'; readonly link: string; readonly conditions: LinkConditions; readonly from?: NodeName }
  /**
   * A disk of the node misbehaves. `mirror` says whose (default the first); the pair record has none. A disk that loses data or refuses it is a failure that
   * a pair survives only alone: such a fault does nothing where the other node lacks the data or has a faulty disk, and ends once this node holds the only
   * good copy.
   */
  | { readonly do: 'disk'; readonly node: NodeName; readonly disk: DiskName; readonly mirror?: string; readonly fault: DiskFault }
  /** The disk works again: full disks have room, slow ones are fast; a block that cannot be read stays so until it is written. */
  | { readonly do: 'mend'; readonly node: NodeName; readonly disk: DiskName; readonly mirror?: string }
  /**
   * An operator gives the node new disks, as after `init --force --blank`, and starts it: whatever ran there dies. Nothing happens where the node holds the only
   * good copy of anything, or the other one does not own the service.
   */
  | { readonly do: 'replace'; readonly node: NodeName }
  /** The node's wall clock jumps, or its monotonic clock runs at another rate from now on (parts per million). */
  | { readonly do: 'clock'; readonly node: NodeName; readonly jumpWallMs?: number; readonly driftPpm?: number }
  /**
   * The arbiter is reachable, for both nodes or for one. Of a hundred questions, and of a hundred answers to those that arrived, `lossPercent` are lost from
   * now on, none where it is absent: whoever asks does not know which of the two it was.
   */
  | { readonly do: 'arbiter'; readonly reachable: boolean; readonly node?: NodeName; readonly lossPercent?: number }
  /** An operator asks; a refusal is an answer like any other. */
  | { readonly do: 'operator'; readonly node: NodeName; readonly order: OperatorOrder }
  /**
   * What the next run of a platform step on this node comes to. A `fence` that takes effect powers the other machine off; one that succeeds without effect
   * is a lie that no pair survives.
   */
  | { readonly do: 'platform'; readonly node: NodeName; readonly step: PlatformStep; readonly outcome: ScriptedOutcome };
