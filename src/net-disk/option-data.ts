import { sizes } from './protocol.ts';

const decoder = new TextDecoder('utf-8', { fatal: true });

/** The data of an option does not hold what it should. */
export class MalformedOption extends Error {}

/** Reads the data of an option, field by field. Each method throws {@link MalformedOption} where there is no such field. */
export class OptionData {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  uint16(): number {
    return this.#view.getUint16(this.#take(2));
  }

  uint32(): number {
    return this.#view.getUint32(this.#take(4));
  }

  /** A string that its length comes before. */
  text(): string {
    return this.#text(this.uint32());
  }

  /** All that is left, as a string. */
  rest(): string {
    return this.#text(this.#bytes.byteLength - this.#at);
  }

  /** Nothing may be left. */
  end(): void {
    if (this.#at !== this.#bytes.byteLength) throw new MalformedOption('it holds more than it should');
  }

  #text(lengthBytes: number): string {
    if (lengthBytes > sizes.text) throw new MalformedOption(`a text is longer than ${String(sizes.text)} bytes`);
    const at = this.#take(lengthBytes);
    let text: string;
    try {
      text = decoder.decode(this.#bytes.subarray(at, at + lengthBytes));
    } catch {
      throw new MalformedOption('a text is not UTF-8');
    }
    if (text.includes('\0')) throw new MalformedOption('a text holds a NUL');
    return text;
  }

  #take(lengthBytes: number): number {
    const at = this.#at;
    if (at + lengthBytes > this.#bytes.byteLength) throw new MalformedOption('it ends early');
    this.#at += lengthBytes;
    return at;
  }
}
