import { magic } from '../../../src/net-disk/protocol.ts';

const decoder = new TextDecoder();

/** One answer to an option. */
export interface OptionReply {
  readonly option: number;
  readonly kind: number;
  readonly data: Uint8Array;
}

/** One reply to a request: the only chunk of a structured one, or a simple one, whose data is as long as the test says. */
export interface Reply {
  readonly cookie: bigint;
  /** -1: a simple reply. */
  readonly kind: number;
  readonly error: number;
  readonly data: Uint8Array;
  readonly text: string;
}

/** Reads what a server has sent, front to back. */
export class ServerBytes {
  #bytes: Uint8Array = new Uint8Array(0);

  add(bytes: Uint8Array): void {
    this.#bytes = new Uint8Array(Buffer.concat([this.#bytes, bytes]));
  }

  get left(): number {
    return this.#bytes.byteLength;
  }

  take(lengthBytes: number): DataView {
    if (this.#bytes.byteLength < lengthBytes)
      throw new Error(`only ${String(this.#bytes.byteLength)} of ${String(lengthBytes)} bytes are there`);
    const taken = this.#bytes.slice(0, lengthBytes);
    this.#bytes = this.#bytes.subarray(lengthBytes);
    return new DataView(taken.buffer);
  }

  option(): OptionReply {
    const header = this.take(20);
    if (header.getBigUint64(0) !== magic.optionReply) throw new Error('no answer to an option');
    const data = new Uint8Array(this.take(header.getUint32(16)).buffer);
    return { option: header.getUint32(8), kind: header.getUint32(12), data };
  }

  /** Every answer that is there. */
  options(): OptionReply[] {
    const replies: OptionReply[] = [];
    while (this.left > 0) replies.push(this.option());
    return replies;
  }

  reply(dataBytes = 0): Reply {
    const start = this.take(4).getUint32(0);
    return start === magic.simpleReply ? this.#simple(dataBytes) : this.#structured(start);
  }

  #simple(dataBytes: number): Reply {
    const header = this.take(12);
    const error = header.getUint32(0);
    const data = new Uint8Array(this.take(error === 0 ? dataBytes : 0).buffer);
    return { cookie: header.getBigUint64(4), kind: -1, error, data, text: '' };
  }

  #structured(start: number): Reply {
    if (start !== magic.structuredReply) throw new Error(`no reply begins with 0x${start.toString(16)}`);
    const header = this.take(16);
    if (header.getUint16(0) !== 1) throw new Error('not the only chunk of its reply');
    const kind = header.getUint16(2);
    const payload = this.take(header.getUint32(12));
    const isError = kind >= 0x8000;
    const rest = new Uint8Array(payload.buffer, isError ? 6 : kind === 1 ? 8 : 0);
    return {
      ...{ cookie: header.getBigUint64(4), kind, error: isError ? payload.getUint32(0) : 0 },
      ...{ data: isError ? new Uint8Array(0) : rest, text: isError ? decoder.decode(rest) : '' },
    };
  }
}
