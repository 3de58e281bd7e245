import { copyOf } from '../bytes.ts';
import { HotMirrorError } from '../errors.ts';
import type { ClientConnection } from './client-connection.ts';
import { commands, errors } from './protocol.ts';

/** A change that was completed. */
interface CompletedWrite {
  readonly kind: string;
  readonly offsetBytes: number;
  readonly lengthBytes: number;
  /** What was written; null: zeroes, or nothing of worth. */
  readonly bytes: Uint8Array | null;
}

/**
 * What a server has completed and no flush covers yet, in order: a server that was started anew may have lost it. FUA writes are among it, for what was written before in the same place must not be
 * the last that is written again.
 */
export class UnflushedWrites {
  #writes: CompletedWrite[] = [];
  #bytes = 0;
  /** How many were ever completed. */
  #completed = 0;

  /** How much memory it takes. */
  get bytes(): number {
    return this.#bytes;
  }

  /** What a flush that is asked for now covers. */
  mark(): number {
    return this.#completed;
  }

  completed({ kind, offsetBytes, lengthBytes, bytes }: CompletedWrite): void {
    this.#writes.push({ kind, offsetBytes, lengthBytes, bytes: bytes && copyOf(bytes) });
    this.#bytes += bytes?.byteLength ?? 0;
    this.#completed += 1;
  }

  /** A flush that was asked for at this mark is done. */
  flushed(mark: number): void {
    const oldest = this.#completed - this.#writes.length;
    const covered = this.#writes.splice(0, Math.max(0, mark - oldest));
    for (const { bytes } of covered) this.#bytes -= bytes?.byteLength ?? 0;
  }

  /** Writes all of it again, in order; it stays until a flush covers it. Rejects with `HM_IO_WRITE` where the server does not take it, `HM_CONNECTION_LOST` where it goes. */
  async writeAgain(connection: ClientConnection): Promise<void> {
    const { requestBytes } = connection.exported;
    for (const { kind, offsetBytes, lengthBytes, bytes } of this.#writes) {
      if (kind === 'trim') continue;
      for (let at = 0; at < lengthBytes; at += requestBytes) {
        const length = Math.min(requestBytes, lengthBytes - at);
        await writeOne(connection, offsetBytes + at, length, bytes?.subarray(at, at + length) ?? null);
      }
    }
  }
}

function writeOne(connection: ClientConnection, offsetBytes: number, lengthBytes: number, payload: Uint8Array | null): Promise<void> {
  return new Promise<void>((resolve, reject) => {
    connection.onLost(reject);
    connection.request({
      command: payload ? commands.write : commands.writeZeroes,
      ...{ flags: 0, offsetBytes, lengthBytes, payload, into: null },
      answered: (error) => {
        if (error === errors.none) resolve();
        else reject(new HotMirrorError('HM_IO_WRITE', `what the server may have lost cannot be written again: error ${String(error)}`));
      },
    });
  });
}
