import { joinInto, totalLength } from './frame-bytes.ts';

/** Up to here memory of one's own is as cheap. */
const smallestBytes = 64;
/** Kept for frames to come, at most. */
const mostSpareBytes = 4 * 1024 * 1024;

/** Memory of frames that were delivered, used again for those to come: fresh memory costs several times what copying a frame does. */
export class FramePool {
  /** By the binary logarithm of their size. */
  readonly #spare: ArrayBufferLike[][] = [];
  #spareBytes = 0;

  /** A copy of the parts, joined. */
  joined(parts: readonly Uint8Array[]): Uint8Array {
    const bytes = this.#take(totalLength(parts));
    joinInto(bytes, parts);
    return bytes;
  }

  /** Nobody looks at these bytes any more. */
  release(bytes: Uint8Array): void {
    if (bytes.length <= smallestBytes) return;
    const { buffer } = bytes;
    if (this.#spareBytes + buffer.byteLength > mostSpareBytes) return;
    this.#spareBytes += buffer.byteLength;
    this.#sized(sizeClass(buffer.byteLength)).push(buffer);
  }

  /** A `Buffer`, as sockets give: its `slice` is no copy. */
  #take(length: number): Buffer {
    if (length <= smallestBytes) return Buffer.alloc(length);
    const size = sizeClass(length);
    const buffer = this.#sized(size).pop();
    if (!buffer) return Buffer.from(new ArrayBuffer(2 ** size), 0, length);
    this.#spareBytes -= buffer.byteLength;
    return Buffer.from(buffer, 0, length);
  }

  #sized(size: number): ArrayBufferLike[] {
    return (this.#spare[size] ??= []);
  }
}

/** The binary logarithm of the smallest power of two that holds so many bytes. */
function sizeClass(length: number): number {
  const bitsOfWord = 32;
  return bitsOfWord - Math.clz32(length - 1);
}
