import { tlsError } from './tls-errors.ts';
import { StreamReader } from './stream-reader.ts';
import type { StreamLoss } from './stream-reader.ts';

/** Reads what a TLS socket has decrypted. */
export class TlsReader extends StreamReader {
  /** What is written is encrypted and counts as pending until later. */
  override readonly takesAtOnce: boolean = false;

  /** One more record follows the last frame. Closed before that is read, TCP would reset, and the other end take its orderly end for a loss. */
  override finish(): void {
    this.into(() => undefined);
    this.stream.end();
    this.resume();
  }

  override lossOf(cause: Error): StreamLoss {
    return tlsError(cause, 'HM_CONNECTION_LOST');
  }
}
