import type { Clock } from './clock.ts';
import { HotMirrorError } from '../errors.ts';
import type { ErrorCode } from '../errors.ts';
import type { Rule } from '../rules.ts';

/** How long some work may take, and what its lateness is called. */
export interface Limit {
  readonly deadlineMs: number;
  readonly code: ErrorCode;
  /** The rule that asks for it, where one does. */
  readonly rule?: Rule;
  /** What did not end in time, for the message. */
  readonly what: string;
  /** Gives up early, with the signal's reason. */
  readonly signal?: AbortSignal;
}

/**
 * Runs `work` and rejects when it takes too long or the outer signal aborts; its own signal is aborted then. Work that ignores its signal is abandoned:
 * whether it takes effect later is unknown to the caller.
 */
export function within<T>(clock: Clock, limit: Limit, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const inner = new AbortController();
  return new Promise<T>((resolve, reject) => {
    const end = (): void => {
      timer.cancel();
      limit.signal?.removeEventListener('abort', onAbort);
    };
    const fail = (error: Error): void => {
      end();
      inner.abort(error);
      reject(error);
    };
    const onAbort = (): void => fail(limit.signal?.reason as Error);
    const { deadlineMs, code, rule, what } = limit;
    const timer = clock.timer(deadlineMs, () =>
      fail(new HotMirrorError(code, `${what} did not end within ${String(deadlineMs)} ms`, rule ? { rule } : {})),
    );
    if (limit.signal?.aborted) {
      onAbort();
      return;
    }
    limit.signal?.addEventListener('abort', onAbort, { once: true });
    started(work, inner.signal).then((value) => {
      end();
      resolve(value);
    }, fail);
  });
}

/**
 * Runs `work` with a signal that is aborted as soon as one of these is, and listens to them no longer than that. What `AbortSignal.any` gives is kept alive by Node for as long as
 * anybody listens to it, also where nothing else can reach it any more.
 */
export async function untilAny<T>(signals: readonly AbortSignal[], work: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const inner = new AbortController();
  const abort = (): void => inner.abort(signals.find(({ aborted }) => aborted)?.reason);
  for (const signal of signals) signal.addEventListener('abort', abort, { once: true });
  if (signals.some(({ aborted }) => aborted)) abort();
  try {
    return await work(inner.signal);
  } finally {
    for (const signal of signals) signal.removeEventListener('abort', abort);
  }
}

/** Gives up the wait for what `begin` started, and nothing else, when the signal aborts: rejects with `HM_ABORTED`. */
export async function unlessAborted<T>(signal: AbortSignal | undefined, begin: () => Promise<T>): Promise<T> {
  const aborted = (): HotMirrorError => new HotMirrorError('HM_ABORTED', 'the wait was given up', { cause: signal?.reason });
  if (!signal) return begin();
  if (signal.aborted) throw aborted();
  const outcome = begin();
  return new Promise<T>((resolve, reject) => {
    const onAbort = (): void => reject(aborted());
    signal.addEventListener('abort', onAbort, { once: true });
    outcome.then(resolve, reject).finally(() => signal.removeEventListener('abort', onAbort));
  });
}

/** A `work` that throws before it gives a promise rejects all the same. */
async function started<T>(work: (signal: AbortSignal) => Promise<T>, signal: AbortSignal): Promise<T> {
  return work(signal);
}
