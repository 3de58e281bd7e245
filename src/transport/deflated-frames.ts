import { deflateRawSync, inflateRawSync } from 'node:zlib';

import { HotMirrorError } from '../errors.ts';
import { joined } from './frame-bytes.ts';
import type { FrameForm } from './stream-connection.ts';

/** What of former frames the next one is compared with: both ends know them. */
const historyBytes = 8_192;
const deflateOptions = { level: 6, windowBits: 13, memLevel: 7 } as const;
const plain = Uint8Array.of(0);
const deflated = Uint8Array.of(1);

/** What the first frames are compared with: messages of a monitor link, the most frequent last. Both ends need the same. */
const beginning = Buffer.from(
  '{"kind":"reply","to":"","number":1,"outcome":{"ok":{"error":{"code":"HM_","message":"{"kind":"goodbye","run":"{"kind":"farewell","run":"{"kind":"request","to":"","number":1,"body":{' +
    '"element":"inconsistent""outdated""consistent""failed""absent""connection":"connecting""standalone""serving":"no"}],"service":"stopped","service":"starting"' +
    '{"kind":"answer","sequence":1,"nonce":"","report":{"schema":1,"node":"alpha","record":{"epoch":{"number":1,"id":""},"homes":{"primary":"alpha","standby":"beta"},' +
    '"released":null,"intent":null,"conflict":null},"control":"auto","booting":false,"serving":true,"service":"running","leaving":false,"mirrors":[{"name":"m0",' +
    '"element":"uptodate","epoch":{"number":1,"id":""},"connection":"connected","serving":"yes"}]}}{"kind":"token","run":"","sequence":1,"nonce":""}',
);

/**
 * Frames travel deflated: one that is like a former one, as tokens are, in a few bytes. Each frame is deflated for itself, with the frames before it as dictionary; that both ends know them, in
 * order, the connection sees to, and it tells frames of strangers from the peer's before they get here.
 */
export class DeflatedFrames implements FrameForm {
  readonly overheadBytes: number = plain.length;
  readonly #maxFrameBytes: number;
  readonly #sent = new History();
  readonly #received = new History();

  constructor(maxFrameBytes: number) {
    this.#maxFrameBytes = maxFrameBytes;
  }

  pack(parts: readonly Uint8Array[]): readonly Uint8Array[] {
    const frame = joined(parts);
    const short = deflateRawSync(frame, { ...deflateOptions, dictionary: this.#sent.bytes });
    this.#sent.add(frame);
    return short.length < frame.length ? [deflated, short] : [plain, frame];
  }

  unpack(packed: Uint8Array): Uint8Array {
    const frame = this.#inflated(packed[0], packed.subarray(this.overheadBytes));
    this.#received.add(frame);
    return frame;
  }

  #inflated(form: number | undefined, bytes: Uint8Array): Uint8Array {
    if (form === plain[0]) return bytes;
    if (form !== deflated[0]) throw new HotMirrorError('HM_PROTOCOL', 'a frame of an unknown form came');
    const { windowBits } = deflateOptions;
    try {
      return inflateRawSync(bytes, { windowBits, dictionary: this.#received.bytes, maxOutputLength: this.#maxFrameBytes });
    } catch (error) {
      throw HotMirrorError.from(error, 'HM_PROTOCOL', 'a frame cannot be inflated');
    }
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
