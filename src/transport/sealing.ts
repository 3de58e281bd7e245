import { createCipheriv, createDecipheriv } from 'node:crypto';

import { HotMirrorError } from '../errors.ts';
import type { FrameKind, Opener, Sealer } from './framing.ts';

/** Length of a key for sealing, in bytes. */
export const sealingKeyBytes = 32;

const algorithm = 'aes-256-gcm';
const tagBytes = 16;
const nonceBytes = 12;
const counterAt = 4;

/** Counts nonces: 4 bytes say the kind of frame, 8 bytes count. A key serves one direction of one connection, so no nonce comes twice. */
class Nonces {
  #count = 0n;

  next(kind: FrameKind): Buffer {
    const nonce = Buffer.alloc(nonceBytes);
    nonce.writeUInt32LE(kind === 'goodbye' ? 1 : 0, 0);
    nonce.writeBigUInt64LE(this.#count, counterAt);
    this.#count += 1n;
    return nonce;
  }
}

/** Encrypts and authenticates each payload by AES-256-GCM; the counter makes a repeated, lost or swapped frame a false one. */
export function sealer(key: Uint8Array): Sealer {
  const nonces = new Nonces();
  return {
    overheadBytes: tagBytes,
    seal(parts, kind) {
      const cipher = createCipheriv(algorithm, key, nonces.next(kind), { authTagLength: tagBytes });
      const sealed = parts.map((part) => cipher.update(part));
      cipher.final();
      return [...sealed, cipher.getAuthTag()];
    },
  };
}

/** Decrypts what a {@link sealer} with the same key sealed. `open` throws `HM_BAD_CHECKSUM` for anything else. */
export function opener(key: Uint8Array): Opener {
  const nonces = new Nonces();
  return {
    overheadBytes: tagBytes,
    open(payload, kind) {
      const nonce = nonces.next(kind);
      const split = payload.length - tagBytes;
      if (split < 0) throw new HotMirrorError('HM_BAD_CHECKSUM', 'a sealed frame arrived without its seal');
      const decipher = createDecipheriv(algorithm, key, nonce, { authTagLength: tagBytes });
      decipher.setAuthTag(payload.subarray(split));
      const bytes = decipher.update(payload.subarray(0, split));
      try {
        decipher.final();
      } catch (cause) {
        throw new HotMirrorError('HM_BAD_CHECKSUM', 'a sealed frame does not match its seal: it was changed, repeated or moved', { cause });
      }
      return bytes;
    },
  };
}
