import { HotMirrorError } from '../errors.ts';

const newline = 0x0a;

/** Cuts a stream of bytes into lines of bounded length. */
export class LineSplitter {
  readonly #maxLineBytes: number;
  #parts: Buffer[] = [];
  #partBytes = 0;

  constructor(maxLineBytes: number) {
    this.#maxLineBytes = maxLineBytes;
  }

  /** Gives the lines that `chunk` completes, without their ends. Throws `HM_FRAME_TOO_LONG` where one is too long. */
  push(chunk: Buffer): string[] {
    const lines: string[] = [];
    let from = 0;
    for (let end = chunk.indexOf(newline); end !== -1; end = chunk.indexOf(newline, from)) {
      this.#keep(chunk.subarray(from, end));
      lines.push(Buffer.concat(this.#parts).toString('utf8'));
      this.#parts = [];
      this.#partBytes = 0;
      from = end + 1;
    }
    if (from < chunk.length) this.#keep(chunk.subarray(from));
    return lines;
  }

  #keep(part: Buffer): void {
    this.#partBytes += part.length;
    if (this.#partBytes > this.#maxLineBytes) {
      throw new HotMirrorError('HM_FRAME_TOO_LONG', `a line is longer than ${String(this.#maxLineBytes)} bytes`);
    }
    this.#parts.push(part);
  }
}
