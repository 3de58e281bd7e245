import { deepStrictEqual, ok, strictEqual } from 'node:assert/strict';

import type { BlockDevice, Done, WriteOptions } from '../device/block-device.ts';
import type { ErrorCode, HotMirrorError } from '../errors.ts';
import { SeededRandom } from './seeded-random.ts';

/** One request that was made of a subject. */
export interface Asked {
  readonly what: string;
  /** How often `done` was called. */
  endings: number;
  /** `done` was called before the request returned. */
  readonly endedInCall: boolean;
  /** How it ended. */
  readonly outcome: Promise<HotMirrorError | null>;
}

/** A device under test: makes requests, keeps count of their completions, and knows what the device should hold. */
export class DeviceSubject {
  readonly device: BlockDevice;
  readonly blockBytes: number;
  readonly sizeBytes: number;
  readonly #asked: Asked[] = [];
  readonly #random = new SeededRandom(1);

  constructor(device: BlockDevice) {
    this.device = device;
    this.blockBytes = device.blockSizeBytes;
    this.sizeBytes = device.sizeBytes;
  }

  /** Bytes unlike any other that this subject gave. */
  fresh(lengthBytes: number): Uint8Array {
    return this.#random.bytes(lengthBytes);
  }

  read(offsetBytes: number, into: Uint8Array): Asked {
    return this.#ask('read', (done) => {
      this.device.read(offsetBytes, into, done);
    });
  }

  write(offsetBytes: number, from: Uint8Array, options: WriteOptions = {}): Asked {
    return this.#ask('write', (done) => {
      this.device.write(offsetBytes, from, options, done);
    });
  }

  flush(): Asked {
    return this.#ask('flush', (done) => {
      this.device.flush(done);
    });
  }

  trim(offsetBytes: number, lengthBytes: number): Asked {
    return this.#ask('trim', (done) => {
      this.device.trim(offsetBytes, lengthBytes, done);
    });
  }

  writeZeroes(offsetBytes: number, lengthBytes: number, options: WriteOptions = {}): Asked {
    return this.#ask('writeZeroes', (done) => {
      this.device.writeZeroes(offsetBytes, lengthBytes, options, done);
    });
  }

  /** Each kind of request once, on a block at this offset. */
  each(offsetBytes: number, lengthBytes: number): Asked[] {
    return [
      this.read(offsetBytes, new Uint8Array(lengthBytes)),
      this.write(offsetBytes, new Uint8Array(lengthBytes)),
      this.writeZeroes(offsetBytes, lengthBytes),
      this.trim(offsetBytes, lengthBytes),
    ];
  }

  async succeeds(...asked: readonly Asked[]): Promise<void> {
    for (const one of asked) strictEqual(await one.outcome, null, one.what);
  }

  /** Each ends with this error. A device that cannot trim may say that instead. */
  async fails(code: ErrorCode, ...asked: readonly Asked[]): Promise<void> {
    for (const one of asked) {
      const found = (await one.outcome)?.code;
      const cannotTrim = found === 'HM_NOT_SUPPORTED' && one.what === 'trim' && !this.device.capabilities.trim;
      if (!cannotTrim || code === 'HM_CLOSED') strictEqual(found, code, one.what);
    }
  }

  /** What the device holds there. */
  async contents(offsetBytes = 0, lengthBytes: number = this.sizeBytes): Promise<Uint8Array> {
    const into = new Uint8Array(lengthBytes);
    await this.succeeds(this.read(offsetBytes, into));
    return into;
  }

  async holds(expected: Uint8Array, offsetBytes = 0, message = 'contents'): Promise<void> {
    const found = await this.contents(offsetBytes, expected.byteLength);
    strictEqual(Buffer.compare(found, expected), 0, message);
  }

  /** What it tells of the holes in a range is in whole blocks, within the range and within the bound, and each of them reads as zeroes. */
  async tellsAllocation(offsetBytes: number, lengthBytes: number, mostPieces: number): Promise<void> {
    const pieces = this.device.allocation?.(offsetBytes, lengthBytes, mostPieces);
    if (!pieces) return;
    ok(pieces.length > 0 && pieces.length <= mostPieces, `${String(pieces.length)} pieces, of at most ${String(mostPieces)}`);
    let at = offsetBytes;
    for (const piece of pieces) {
      ok(piece.lengthBytes > 0 && piece.lengthBytes % this.blockBytes === 0, `${String(piece.lengthBytes)} bytes are not whole blocks`);
      ok(at + piece.lengthBytes <= offsetBytes + lengthBytes, 'a piece that reaches beyond the range');
      if (piece.hole) await this.holds(new Uint8Array(piece.lengthBytes), at, 'a hole');
      at += piece.lengthBytes;
    }
  }

  /** Fills the device with fresh bytes and returns them. */
  async filled(): Promise<Uint8Array> {
    const bytes = this.fresh(this.sizeBytes);
    await this.succeeds(this.write(0, bytes));
    return bytes;
  }

  /** Every request so far has ended, once. */
  assertEachEndedOnce(): void {
    const wrong = this.#asked.filter(({ endings }) => endings !== 1).map(({ what, endings }) => `${what} ended ${String(endings)} times`);
    deepStrictEqual(wrong, []);
  }

  #ask(what: string, start: (done: Done) => void): Asked {
    let end: (error: HotMirrorError | null) => void = () => undefined;
    const outcome = new Promise<HotMirrorError | null>((resolve) => (end = resolve));
    const asked = { what, endings: 0, endedInCall: false, outcome };
    this.#asked.push(asked);
    start((error) => {
      asked.endings += 1;
      end(error);
    });
    asked.endedInCall = asked.endings > 0;
    return asked;
  }
}
