/** Memory of reads that is used again for the next one of the same length: fresh memory costs as much as the read itself. What it holds is of reads before. */
export class SpareBuffers {
  readonly #most: number;
  readonly #spare: Uint8Array[] = [];

  /** Keeps at most so many. */
  constructor(most: number) {
    this.#most = most;
  }

  /** One of this length. */
  take(lengthBytes: number): Uint8Array {
    const spare = this.#spare.pop();
    if (spare?.byteLength === lengthBytes) return spare;
    // Of another length than what is read now: none of them is of use.
    this.#spare.length = 0;
    return Buffer.allocUnsafeSlow(lengthBytes);
  }

  /** Nobody looks at these bytes any more. */
  release(bytes: Uint8Array): void {
    if (this.#spare.length < this.#most) this.#spare.push(bytes);
  }
}
