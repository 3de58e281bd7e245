import { magic, options } from '../../../src/net-disk/protocol.ts';

const encoder = new TextEncoder();

/** Fields one after the other, big-endian: `[16, 5]` is a number of 16 bits; a string or bytes go as they are. */
export function bytesOf(...fields: readonly (readonly [16 | 32 | 64, number | bigint] | string | Uint8Array)[]): Uint8Array {
  const parts = fields.map((field) => {
    if (typeof field === 'string') return encoder.encode(field);
    if (field instanceof Uint8Array) return field;
    const [bits, value] = field;
    const bytes = new Uint8Array(bits / 8);
    const view = new DataView(bytes.buffer);
    if (bits === 16) view.setUint16(0, Number(value));
    else if (bits === 32) view.setUint32(0, Number(value));
    else view.setBigUint64(0, BigInt(value));
    return bytes;
  });
  return new Uint8Array(Buffer.concat(parts));
}

/** A string behind its length. */
export function named(text: string): Uint8Array {
  const encoded = encoder.encode(text);
  return bytesOf([32, encoded.byteLength], encoded);
}

/** What a client sends first: that it speaks fixed newstyle, and wants no reserved zeroes. */
export const clientFlags: Uint8Array = bytesOf([32, 3]);

/** One option of a client. */
export function option(number: number, data: Uint8Array = new Uint8Array(0)): Uint8Array {
  return bytesOf([64, magic.option], [32, number], [32, data.byteLength], data);
}

/** Chooses an export, and asks for these kinds of information. */
export function go(name: string, infos: readonly number[] = []): Uint8Array {
  return option(options.go, bytesOf(named(name), [16, infos.length], ...infos.map((info) => [16, info] as const)));
}

/** What a request has beside its command. */
interface RequestFields {
  readonly cookie: bigint;
  readonly flags?: number;
  readonly offsetBytes?: number | bigint;
  readonly lengthBytes?: number;
  readonly payload?: Uint8Array;
}

/** One request of a client. */
export function request(command: number, { cookie, flags = 0, offsetBytes = 0, lengthBytes, payload }: RequestFields): Uint8Array {
  const length = lengthBytes ?? payload?.byteLength ?? 0;
  return bytesOf(
    [32, magic.request],
    [16, flags],
    [16, command],
    [64, cookie],
    [64, offsetBytes],
    [32, length],
    payload ?? new Uint8Array(0),
  );
}
