import { HotMirrorError } from '../errors.ts';

/** Runs one attempt to dial with a signal of its own, whose reason is `HM_ABORTED` once the caller's is aborted: so every transport rejects alike. */
export async function dialAttempt<T>(
  description: string,
  signal: AbortSignal | undefined,
  connect: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const attempt = new AbortController();
  const abort = (): void => {
    attempt.abort(new HotMirrorError('HM_ABORTED', `dialling ${description} was given up`, { cause: signal?.reason }));
  };
  signal?.addEventListener('abort', abort, { once: true });
  if (signal?.aborted) abort();
  try {
    attempt.signal.throwIfAborted();
    return await connect(attempt.signal);
  } finally {
    signal?.removeEventListener('abort', abort);
  }
}
