import { expect } from 'chai';

import type { AllocationPiece, BlockDevice, Done, WriteOptions } from '../../src/device/block-device.ts';
import { MemoryDevice } from '../../src/device/memory.ts';
import { HotMirrorError } from '../../src/errors.ts';
import { deviceConformance } from '../../src/testing/device-conformance.ts';

const sizeBytes = 64 * 512;

/** Runs the suite on a device and returns the titles of the tests that failed. */
async function findings(make: () => BlockDevice): Promise<string[]> {
  const tests: { title: string; body: () => Promise<void> }[] = [];
  const runner = {
    describe: (_title: string, body: () => void) => {
      body();
    },
    it: (title: string, body: () => Promise<void>) => void tests.push({ title, body }),
  };
  deviceConformance(runner, { name: 'broken', create: () => Promise.resolve({ device: make(), dispose: () => Promise.resolve() }) });
  const failed: string[] = [];
  for (const { title, body } of tests) await body().catch(() => failed.push(title));
  return failed;
}

class EndsTwice extends MemoryDevice {
  override flush(done: Done): void {
    super.flush(done);
    done(null);
  }
}

class EndsAfterClose extends MemoryDevice {
  override flush(done: Done): void {
    super.flush((error) => setImmediate(done, error));
  }
}

class ReordersWrites extends MemoryDevice {
  readonly #late: (() => void)[] = [];
  override write(offsetBytes: number, from: Uint8Array, options: WriteOptions, done: Done): void {
    this.#late.unshift(() => {
      super.write(offsetBytes, from, options, done);
    });
    queueMicrotask(() => this.#late.shift()?.());
  }
}

class KeepsTheBuffer extends MemoryDevice {
  readonly #kept: Uint8Array[] = [];
  override write(offsetBytes: number, from: Uint8Array, options: WriteOptions, done: Done): void {
    if (offsetBytes === 0) this.#kept[0] = from;
    super.write(offsetBytes, from, options, done);
  }
  override read(offsetBytes: number, into: Uint8Array, done: Done): void {
    super.read(offsetBytes, into, (error) => {
      if (!error && offsetBytes === 0) into.set((this.#kept[0] ?? into).subarray(0, into.byteLength));
      done(error);
    });
  }
}

class WritesBeyond extends MemoryDevice {
  override read(offsetBytes: number, into: Uint8Array, done: Done): void {
    super.read(offsetBytes, into, (error) => {
      const after = into.byteOffset + into.byteLength;
      if (!error && after < into.buffer.byteLength) new Uint8Array(into.buffer)[after] = 1;
      done(error);
    });
  }
}

class ClampsRanges extends MemoryDevice {
  override writeZeroes(offsetBytes: number, lengthBytes: number, options: WriteOptions, done: Done): void {
    super.writeZeroes(offsetBytes, Math.min(lengthBytes, this.sizeBytes - offsetBytes), options, done);
  }
}

class RoundsDown extends MemoryDevice {
  override write(offsetBytes: number, from: Uint8Array, options: WriteOptions, done: Done): void {
    super.write(offsetBytes - (offsetBytes % 512), from, options, done);
  }
}

class ServesAfterClose extends MemoryDevice {
  override flush(done: Done): void {
    done(null);
  }
}

class OneTooMany extends MemoryDevice {
  override writeZeroes(offsetBytes: number, lengthBytes: number, options: WriteOptions, done: Done): void {
    super.writeZeroes(offsetBytes, lengthBytes, options, (error) => {
      if (!error && lengthBytes > 0) this.contents[offsetBytes + lengthBytes] = 0;
      done(error);
    });
  }
}

class LiesAboutTrim extends MemoryDevice {
  override trim(_offsetBytes: number, _lengthBytes: number, done: Done): void {
    done(new HotMirrorError('HM_NOT_SUPPORTED', 'no'));
  }
}

class TakesDataForHoles extends MemoryDevice {
  allocation(_offsetBytes: number, lengthBytes: number): readonly AllocationPiece[] {
    return [{ lengthBytes, hole: true }];
  }
}

class TellsTooMuch extends MemoryDevice {
  allocation(offsetBytes: number): readonly AllocationPiece[] {
    return [{ lengthBytes: this.sizeBytes - offsetBytes + 512, hole: false }];
  }
}

class TellsInPieces extends MemoryDevice {
  allocation(_offsetBytes: number, lengthBytes: number): readonly AllocationPiece[] {
    return Array.from({ length: lengthBytes / 512 }, () => ({ lengthBytes: 512, hole: false }));
  }
}

describe('deviceConformance', () => {
  it('finds nothing in a sound device', async () => {
    expect(await findings(() => new MemoryDevice({ sizeBytes }))).to.deep.equal([]);
  });

  for (const [Broken, title] of [
    [EndsTwice, 'flushes when there is nothing to flush, and many times at once'],
    [EndsAfterClose, 'ends what is under way before close resolves, and refuses everything after the call'],
    [ReordersWrites, 'agrees with a model of many overlapping requests issued at once'],
    [ReordersWrites, 'completes what changes it in the call where it says that it is synchronous'],
    [KeepsTheBuffer, 'lets go of a buffer when the request has ended'],
    [WritesBeyond, 'fills exactly the buffer it was given, and changes no buffer that it writes from'],
    [ClampsRanges, 'refuses ranges outside the device and touches nothing'],
    [RoundsDown, 'refuses what is not whole blocks and touches nothing'],
    [ServesAfterClose, 'ends what is under way before close resolves, and refuses everything after the call'],
    [OneTooMany, 'writes zeroes exactly where asked'],
    [LiesAboutTrim, 'trims where it says that it can, and refuses where not'],
    [TakesDataForHoles, 'takes no data for a hole, whatever was written, cleared and trimmed'],
    [TellsTooMuch, 'takes no data for a hole, whatever was written, cleared and trimmed'],
    [TellsInPieces, 'takes no data for a hole, whatever was written, cleared and trimmed'],
  ] as const) {
    it(`finds a device that fails: ${Broken.name}: ${title}`, async () => {
      expect(await findings(() => new Broken({ sizeBytes }))).to.include(title);
    });
  }

  it('finds a device too small to prove anything', async () => {
    expect(await findings(() => new MemoryDevice({ sizeBytes: 512 }))).to.include('has whole blocks of a power of two');
  });
});
