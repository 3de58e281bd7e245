import type { Epoch } from '../epoch.ts';

/** What an arbiter answered to a wish for an epoch. */
export type GrantAnswer =
  { readonly granted: true; readonly epoch: Epoch } | { readonly granted: false; readonly because: string; readonly current: Epoch };

/** What an arbiter can do. */
export interface ArbiterCapabilities {
  /** Grants without a person. */
  readonly automatic: boolean;
}

/**
 * A third party that grants an epoch to one node: etcd, a SCSI reservation, an operator (rule `arbiter.cas`).
 *
 * Contract:
 * - `grant` is compare-and-set: it succeeds only if the current epoch is `from`, and then the current epoch is `to`.
 *   Repeating a grant that was already given is a success (idempotent by `to`).
 * - What was granted stays granted through a crash of either node and, for a real arbiter, of the arbiter itself.
 * - An answer that is not known to be either (a time-out) rejects; the caller asks `current` before it does anything else.
 * - Nothing takes effect late: once a call was aborted through its signal, or has rejected, what it asked for has taken effect or never will; the same holds for
 *   what a process that died had asked for, once its node has started again. A hand-back that arrived after all could take back an epoch that the node has
 *   committed since, and the other node could be given the same number. Where requests may linger on the way, they need to carry what the arbiter can refuse
 *   them by, such as a session or a revision.
 */
export interface Arbiter {
  readonly capabilities: ArbiterCapabilities;
  /** The epoch granted last. Rejects with `HM_CONNECT_FAILED` when the arbiter cannot be asked. */
  current(signal: AbortSignal): Promise<Epoch>;
  /** Asks for the epoch `to`, which must be one above `from`. */
  grant(from: Epoch, to: Epoch, signal: AbortSignal): Promise<GrantAnswer>;
  /** Takes a grant back after an aborted takeover: compare-and-set from `granted` to the epoch before it. */
  handBack(granted: Epoch, earlier: Epoch, signal: AbortSignal): Promise<GrantAnswer>;
  /** Lets go of what it holds; what was granted stays granted. */
  close(): Promise<void>;
}
