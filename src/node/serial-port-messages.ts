import type { MessagePort } from 'node:worker_threads';

import { HotMirrorError } from '../errors.ts';
import type { SerializedError } from '../errors.ts';
import type { SerialAddress } from '../transport/serial.ts';

/** Asks the main thread to open a port. What concerns that port goes over a channel of its own, which lives as long as the port is open. */
export interface PortOrder {
  readonly address: SerialAddress;
  readonly channel: MessagePort;
}

/** What a thread says of the port that it has. */
export type PortRequest =
  | { readonly kind: 'write'; readonly bytes: Uint8Array }
  /** So many bytes of `data` were taken. */
  | { readonly kind: 'taken'; readonly bytes: number }
  | { readonly kind: 'close' };

/** What the main thread says of a port. */
export type PortNews =
  | { readonly kind: 'opened' }
  | { readonly kind: 'data'; readonly bytes: Uint8Array }
  /** The operating system has taken the oldest write that waits, or failed to. */
  | { readonly kind: 'written'; readonly error: SentError | null }
  | { readonly kind: 'error'; readonly error: SentError | null }
  /** The last word: it was closed, its device is gone, or it could not be opened. */
  | { readonly kind: 'closed'; readonly error: SentError | null };

/** An error on its way between threads. One of a port keeps its own words, by which it is judged. */
export type SentError = { readonly known: SerializedError } | { readonly message: string; readonly code?: string };

/** The plain form of what a port fails with; null for nothing. */
export function sentError(error: Error | null | undefined): SentError | null {
  if (!error) return null;
  if (error instanceof HotMirrorError) return { known: error.toJSON() };
  const { message, code } = error as NodeJS.ErrnoException;
  return typeof code === 'string' ? { message, code } : { message };
}

/** The error that was sent. */
export function receivedError(sent: SentError | null): Error | null {
  if (!sent) return null;
  if ('known' in sent) return HotMirrorError.fromJSON(sent.known);
  return Object.assign(new Error(sent.message), sent.code === undefined ? {} : { code: sent.code });
}
