import { HotMirrorError } from '../errors.ts';
import type { Rule } from '../rules.ts';
import type { MirrorCore } from './mirror-core.ts';
import type { SourceEnd } from './source-end.ts';
import type { VerifyReport } from './verify.ts';

/** See `MirrorLink.regenerate`. */
export interface RegenerateOrder {
  /** Copies everything, not only what is known to differ. */
  readonly full?: boolean;
  /** Gives up the wait; what was begun goes on. */
  readonly signal?: AbortSignal;
}

/** See `MirrorLink.verify`. */
export interface VerifyOrder {
  /** Copies what differs from this node's element to the peer's. */
  readonly repair?: boolean;
  /** Ends the verify, or the wait for the repair. */
  readonly signal?: AbortSignal;
}

/** What a verify came to. */
export interface VerifyOutcome extends VerifyReport {
  /** What differed was copied, and both elements are the same. */
  readonly repaired: boolean;
}

/** Who copies to whom, a handshake says. */
const byHandshake = { rule: 'lineage.decide' } as const;
const byVerify = { rule: 'verify' } as const;

/** Calls back after each change of the mirror; returns how to stop that. */
type OnChange = (listener: () => void) => () => void;

/** See `MirrorLink.regenerate`. Resolves whether there was anything to copy. */
export async function regenerate(core: MirrorCore, onChange: OnChange, { full = false, signal }: RegenerateOrder): Promise<boolean> {
  const { store, serving } = core;
  sourceOf(core, byHandshake);
  // Between two services a copy would take the element from the node that is about to serve.
  if (serving.state === 'no') throw new HotMirrorError('HM_NOT_SERVING', 'neither node serves this mirror now');
  if (full) {
    store.dirty.markAll();
    core.changed();
    try {
      // A crash must not forget the wish.
      await store.persistDirty();
    } catch (error) {
      // What is marked counts as different, and is copied although the wish is not durable.
      copyMarked(core);
      throw error;
    }
  }
  const { settled } = sourceOf(core, byHandshake);
  if (store.dirty.count === 0 && settled) return false;
  copyMarked(core);
  await whenSame(core, onChange, signal);
  return true;
}

/** A handshake makes the target durably inconsistent before anything is copied to it (rule resync.begin). */
function copyMarked({ store, replication }: MirrorCore): void {
  if (store.dirty.count > 0 && replication.source?.resync?.running !== true) replication.reconnect();
}

/** See `MirrorLink.verify`. */
export async function verify(core: MirrorCore, onChange: OnChange, { repair = false, signal }: VerifyOrder): Promise<VerifyOutcome> {
  const source = sourceOf(core, byVerify);
  if (!source.settled) throw new HotMirrorError('HM_REFUSED', 'a resync runs; what is not copied yet cannot be verified', byVerify);
  core.tell('verify:started', 0, `both elements are compared by ${core.control.digest}`, {});
  try {
    const report = await source.verify(signal);
    const different = report.differingBytes > 0;
    core.tell('verify:finished', different ? 1 : 0, `${String(report.differingBytes)} bytes differ`, {
      ...(different ? { rule: 'takeover.verified' } : {}),
      evidence: { ...report },
    });
    if (!repair || core.findings.bytes === 0) return { ...report, repaired: false };
    await regenerate(core, onChange, { ...(signal ? { signal } : {}) });
    return { ...report, repaired: true };
  } catch (error) {
    const { code, message } = HotMirrorError.from(error, 'HM_INTERNAL', 'the verify ended');
    core.tell('verify:ended', 0, `the verify did not come to its end: ${message}`, {
      evidence: { code, findingBytes: core.findings.bytes },
    });
    throw error;
  }
}

/** See `MirrorLink.waiveFindings`. */
export function waiveFindings(core: MirrorCore, because: string): void {
  const { bytes } = core.findings;
  const source = sourceOf(core, byVerify);
  // What the target has found and not told yet would be waived unseen.
  if (source.comparing) throw new HotMirrorError('HM_BUSY', 'the elements are being compared: what differs is not known yet');
  if (bytes === 0) return;
  core.findings.clear();
  source.session.waive();
  core.tell('verify:waived', 0, `${String(bytes)} bytes that differ are waived: ${because}`, {
    rule: 'takeover.verified',
    evidence: { bytes },
  });
  core.changed();
}

/** `grounds`: by which rule an order needs the peer. */
function sourceOf({ replication }: MirrorCore, grounds: { readonly rule: Rule }): SourceEnd {
  // Also once service through the peer has ended: the connection stays, and what the failed element holds is nothing to copy or to compare with.
  if (replication.element === 'failed') throw elementFailed();
  const { source, role } = replication;
  if (source) return source;
  if (role === 'target') throw new HotMirrorError('HM_NOT_SERVING', 'the other node holds the source of this mirror');
  throw new HotMirrorError('HM_REFUSED', 'the data link is not connected', grounds);
}

/** There is nothing to copy from or to compare with. */
function elementFailed(): HotMirrorError {
  return new HotMirrorError('HM_REFUSED', 'the element of this node has failed: move the service, and replace the disk', {
    rule: 'write.error',
  });
}

/** Resolves when the target holds everything, on whichever connection; rejects when this node is not its source any more. */
function whenSame({ replication, store, serving }: MirrorCore, onChange: OnChange, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    const settle = (end: () => void): void => {
      stop();
      signal?.removeEventListener('abort', aborted);
      end();
    };
    const look = (): void => {
      const { source, role } = replication;
      // While it serves, the data link is stopped only for as long as it is held (rule alone).
      if (role === 'target' || (replication.stopped && serving.state === 'no'))
        settle(() => reject(new HotMirrorError('HM_NOT_SERVING', 'this node is no longer the source')));
      else if (replication.element === 'failed') settle(() => reject(elementFailed()));
      else if (source?.settled && store.dirty.count === 0) settle(resolve);
    };
    const aborted = (): void => settle(() => reject(new HotMirrorError('HM_ABORTED', 'the wait was given up; the resync goes on')));
    const stop = onChange(look);
    signal?.addEventListener('abort', aborted, { once: true });
    if (signal?.aborted) aborted();
    else look();
  });
}
