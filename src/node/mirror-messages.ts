import type { Epoch } from '../epoch.ts';
import type { SerializedError } from '../errors.ts';
import type { MirrorView, OutdateOrder, ParkedOn, ResolveOrder } from '../failover/ports.ts';
import type { MirrorCounters } from '../mirror/counters.ts';
import type { MirrorProtocol } from '../mirror/options.ts';
import type { VerifyOutcome } from '../mirror/regenerate.ts';
import type { ResyncRateLimits } from '../mirror/resync-rate.ts';
import type { Growth } from '../mirror/grow.ts';
import type { Rule } from '../rules.ts';
import type { KeyRenewal } from './link-keyring.ts';

/** What a mirror in another thread can be asked, by method: what goes there and what comes back. */
export interface MirrorCalls {
  readonly open: { readonly params: { readonly epoch: Epoch }; readonly result: null };
  readonly promote: {
    readonly params: { readonly epoch: Epoch; readonly alone: boolean; readonly force?: boolean; readonly rollBack?: boolean };
    readonly result: null;
  };
  readonly demote: { readonly params: null; readonly result: { readonly handedOver: boolean } };
  readonly seal: { readonly params: ParkedOn | null; readonly result: MirrorView };
  readonly unseal: { readonly params: null; readonly result: null };
  readonly goAlone: {
    readonly params: { readonly epoch: Epoch; readonly rule: Rule; readonly connectionId: string | null };
    readonly result: null;
  };
  readonly outdate: { readonly params: OutdateOrder; readonly result: null };
  readonly resolve: { readonly params: ResolveOrder; readonly result: null };
  readonly rollBack: { readonly params: null; readonly result: null };
  readonly doubt: { readonly params: string; readonly result: null };
  readonly raiseEpoch: { readonly params: Epoch; readonly result: null };
  readonly renewLease: { readonly params: { readonly probeSentMs: number }; readonly result: null };
  readonly regenerate: { readonly params: { readonly full: boolean }; readonly result: boolean };
  readonly verify: { readonly params: { readonly repair: boolean }; readonly result: VerifyOutcome };
  /** Gives up a `regenerate` or `verify` that waits for its reply, by the id of its call; void where it has ended. */
  readonly giveUp: { readonly params: number; readonly result: null };
  readonly waiveFindings: { readonly params: string; readonly result: null };
  /** A reason pauses, null resumes. */
  readonly pauseResync: { readonly params: string | null; readonly result: null };
  readonly configureResync: { readonly params: Partial<ResyncRateLimits>; readonly result: null };
  readonly setElement: { readonly params: 'off' | 'on'; readonly result: null };
  readonly setProtocol: { readonly params: MirrorProtocol; readonly result: null };
  /** The next connection of the data link uses these. */
  readonly renewKeys: { readonly params: KeyRenewal; readonly result: null };
  readonly leave: { readonly params: null; readonly result: null };
  readonly close: { readonly params: null; readonly result: null };
  readonly read: { readonly params: { readonly offsetBytes: number; readonly lengthBytes: number }; readonly result: Uint8Array };
  readonly write: {
    readonly params: { readonly offsetBytes: number; readonly bytes: Uint8Array; readonly fua: boolean };
    readonly result: null;
  };
  readonly flush: { readonly params: null; readonly result: null };
  readonly grow: { readonly params: null; readonly result: Growth };
  readonly counters: { readonly params: null; readonly result: MirrorCounters };
}

/** The name of a call. */
export type MirrorMethod = keyof MirrorCalls;

/** A call on its way to the mirror's thread. */
export interface MirrorCall<Method extends MirrorMethod = MirrorMethod> {
  readonly id: number;
  readonly method: Method;
  readonly params: MirrorCalls[Method]['params'];
}

/** An event of the mirror: its name and plain payload. */
export interface MirrorThreadEvent {
  readonly name: string;
  readonly payload: unknown;
}

/** The event by which a thread tells what became of the NBD server behind its element, an `ElementServer`; the log has what a `ServerNews` makes of it. */
export const serverChanged = 'server:changed';

/**
 * What comes from the mirror's thread. A reply carries the state after the call, so that whoever waited for it sees its effect.
 * `view` is null until the mirror is open.
 */
export type MirrorMessage =
  | { readonly kind: 'reply'; readonly id: number; readonly ok: true; readonly result: unknown; readonly view: MirrorView | null }
  | { readonly kind: 'reply'; readonly id: number; readonly ok: false; readonly error: SerializedError; readonly view: MirrorView | null }
  | { readonly kind: 'view'; readonly view: MirrorView }
  | { readonly kind: 'event'; readonly event: MirrorThreadEvent }
  /** The peer gave an authenticated sign of life on the data link; the clock has one origin for all threads. */
  | { readonly kind: 'heard'; readonly atMs: number };

/** The side of a thread that the main thread holds. `Worker` fits after {@link workerThread}. */
export interface MirrorThread {
  post(call: MirrorCall, transfer: readonly ArrayBuffer[]): void;
  onMessage(listener: (message: MirrorMessage) => void): void;
  /** Called once when the thread has ended, however it ended. */
  onEnd(listener: (because: string) => void): void;
  /** Ends the thread at once. */
  terminate(): Promise<void>;
}

/** The side of a thread that the mirror's thread holds; `parentPort` and any `MessagePort` fit. */
export interface MirrorThreadPort {
  postMessage(message: MirrorMessage, transfer?: readonly ArrayBuffer[]): void;
  on(event: 'message', listener: (call: MirrorCall) => void): unknown;
}
