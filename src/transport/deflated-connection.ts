import { deflateRawSync, inflateRawSync } from 'node:zlib';

import { HotMirrorError } from '../errors.ts';
import { checkFrameLength, joined, totalLength } from './frame-bytes.ts';
import type { Connection, Receiver } from './transport.ts';

/** What of former frames the next one is compared with: both ends know them. */
const historyBytes = 8_192;
const deflateOptions = { level: 9, windowBits: 13, memLevel: 7 } as const;
const plain = Uint8Array.of(0);
const deflated = Uint8Array.of(1);
/** Bytes of a frame that say how it travels. */
export const deflatedOverheadBytes = 1;

/** What the first frames are compared with: messages of a monitor link, the most frequent last. Both ends need the same. */
const beginning = Buffer.from(
  '{"kind":"reply","to":"","number":1,"outcome":{"ok":{"error":{"code":"HM_","message":"{"kind":"goodbye","run":"{"kind":"farewell","run":"{"kind":"request","to":"","number":1,"body":{' +
    '"element":"inconsistent""outdated""consistent""failed""absent""connection":"connecting""standalone""serving":"no"}],"service":"stopped","service":"starting"' +
    '{"kind":"answer","sequence":1,"nonce":"","report":{"schema":1,"node":"alpha","record":{"epoch":{"number":1,"id":""},"homes":{"primary":"alpha","standby":"beta"},' +
    '"released":null,"intent":null,"conflict":null},"control":"auto","booting":false,"serving":true,"service":"running","leaving":false,"mirrors":[{"name":"m0",' +
    '"element":"uptodate","epoch":{"number":1,"id":""},"connection":"connected","serving":"yes"}]}}{"kind":"token","run":"","sequence":1,"nonce":""}',
);

/**
 * A connection whose frames travel deflated: one that is like a former one, as tokens are, in a few bytes. Each frame is deflated for itself, with the frames before it as dictionary; that both
 * ends know them, in order, the connection below sees to, and it tells frames of strangers from the peer's before they get here.
 */
export class DeflatedConnection implements Connection {
  readonly id: string;
  readonly dialled: boolean;
  readonly peer: string | null;
  readonly description: string;
  readonly maxFrameBytes: number;
  readonly #inner: Connection;
  readonly #sent = new History();
  readonly #received = new History();

  /** The connection below must take frames of `deflatedOverheadBytes` more. */
  constructor(inner: Connection, maxFrameBytes: number) {
    this.id = inner.id;
    this.dialled = inner.dialled;
    this.peer = inner.peer;
    this.description = inner.description;
    this.maxFrameBytes = maxFrameBytes;
    this.#inner = inner;
  }

  get pendingBytes(): number {
    return this.#inner.pendingBytes;
  }

  receive(receiver: Receiver): void {
    this.#inner.receive({
      frame: (bytes) => {
        const frame = this.#inflated(bytes);
        if (frame) receiver.frame(frame);
      },
      batchEnd: () => receiver.batchEnd?.(),
      drain: () => receiver.drain?.(),
      closed: (error) => {
        receiver.closed(error);
      },
    });
  }

  send(parts: readonly Uint8Array[]): boolean {
    checkFrameLength(totalLength(parts), this.maxFrameBytes);
    const frame = joined(parts);
    const short = deflateRawSync(frame, { ...deflateOptions, dictionary: this.#sent.bytes });
    this.#sent.add(frame);
    return this.#inner.send(short.length < frame.length ? [deflated, short] : [plain, frame]);
  }

  pause(): void {
    this.#inner.pause();
  }

  resume(): void {
    this.#inner.resume();
  }

  close(): Promise<void> {
    return this.#inner.close();
  }

  destroy(error?: HotMirrorError): void {
    this.#inner.destroy(error);
  }

  #inflated(bytes: Uint8Array): Uint8Array | null {
    try {
      const frame = this.#plain(bytes[0], bytes.subarray(deflatedOverheadBytes));
      this.#received.add(frame);
      return frame;
    } catch (error) {
      this.#inner.destroy(HotMirrorError.from(error, 'HM_PROTOCOL', `${this.description}: a frame cannot be inflated`));
      return null;
    }
  }

  #plain(form: number | undefined, bytes: Uint8Array): Uint8Array {
    if (form === plain[0]) return bytes;
    if (form !== deflated[0]) throw new HotMirrorError('HM_PROTOCOL', `${this.description}: a frame of an unknown form`);
    const { windowBits } = deflateOptions;
    return inflateRawSync(bytes, { windowBits, dictionary: this.#received.bytes, maxOutputLength: this.maxFrameBytes });
  }
}

/** The end of all frames of one direction, joined. */
class History {
  bytes: Buffer = beginning;

  add(frame: Uint8Array): void {
    const kept = this.bytes.subarray(Math.max(0, this.bytes.length + frame.length - historyBytes));
    this.bytes = Buffer.concat([kept, frame.subarray(-historyBytes)]);
  }
}
