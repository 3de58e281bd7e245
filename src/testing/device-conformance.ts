import { ok, strictEqual } from 'node:assert/strict';

import type { BlockDevice } from '../device/block-device.ts';
import { DeviceSubject } from './device-subject.ts';
import type { Asked } from './device-subject.ts';
import { SeededRandom } from './seeded-random.ts';
import type { TestRunner } from './test-runner.ts';

/** A device to be proven, fresh for each test. */
export interface DeviceFixture {
  /** Holds anything; at least 64 blocks and at most a few megabytes, because tests fill and read all of it. */
  readonly device: BlockDevice;
  /** Opens what the closed device held once more. Absent: nothing survives `close`. */
  reopen?(): Promise<BlockDevice>;
  /** Frees what the fixture took; the device is closed by then. */
  dispose(): Promise<void>;
}

/** How to make the devices of one implementation. */
export interface DeviceSetup {
  readonly name: string;
  /** Makes a fresh one; called once a test. */
  create(): Promise<DeviceFixture>;
}

type Check = (title: string, body: (subject: DeviceSubject, fixture: DeviceFixture) => Promise<void>) => void;

const smallestDeviceBlocks = 64;
const crowd = 512;
const allocationTurns = 40;
const maxAllocationBlocks = 64;
const maxAllocationPieces = 16;

/** Declares tests that prove the whole contract of `BlockDevice` for an implementation. */
export function deviceConformance(runner: TestRunner, setup: DeviceSetup): void {
  const check: Check = (title, body) => {
    runner.it(title, async () => {
      const fixture = await setup.create();
      try {
        const subject = new DeviceSubject(fixture.device);
        await body(subject, fixture);
        await fixture.device.close();
        subject.assertEachEndedOnce();
      } finally {
        await fixture.device.close();
        await fixture.dispose();
      }
    });
  };
  runner.describe(`BlockDevice contract: ${setup.name}`, () => {
    provesGeometry(check);
    provesReadsAndWrites(check);
    provesBuffers(check);
    provesOrder(check);
    provesRefusals(check);
    provesDurability(check);
    provesZeroesAndTrim(check);
    provesAllocation(check);
    provesCrowds(check);
    provesClose(check);
  });
}

function provesGeometry(check: Check): void {
  check('has whole blocks of a power of two', async ({ device }) => {
    ok(Number.isInteger(Math.log2(device.blockSizeBytes)), 'blockSizeBytes');
    strictEqual(device.sizeBytes % device.blockSizeBytes, 0, 'sizeBytes');
    ok(device.sizeBytes >= smallestDeviceBlocks * device.blockSizeBytes, 'the suite needs 64 blocks');
    for (const [name, value] of Object.entries(device.capabilities)) strictEqual(typeof value, 'boolean', name);
    await Promise.resolve();
  });
}

function provesReadsAndWrites(check: Check): void {
  check('reads back what was written, from the first block to the last', async (subject) => {
    const { blockBytes, sizeBytes } = subject;
    const all = await subject.filled();
    for (const at of [0, blockBytes, sizeBytes - blockBytes]) {
      const bytes = subject.fresh(blockBytes);
      await subject.succeeds(subject.write(at, bytes));
      all.set(bytes, at);
    }
    await subject.holds(all);
    await subject.holds(all.subarray(sizeBytes - 2 * blockBytes), sizeBytes - 2 * blockBytes);
  });

  check('completes what changes it in the call where it says that it is synchronous', async (subject) => {
    const { device, blockBytes } = subject;
    const asked = [...subject.each(0, blockBytes), ...subject.each(0, 0)];
    const changes = asked.filter(({ what }) => !what.startsWith('read'));
    if (device.capabilities.synchronous) for (const one of changes) ok(one.endedInCall, one.what);
    await Promise.all(asked.map(({ outcome }) => outcome));
  });

  check('succeeds with nothing to do, also at the very end', async (subject) => {
    const all = await subject.filled();
    for (const at of [0, subject.blockBytes, subject.sizeBytes]) {
      const [read, write, zeroes, trim] = subject.each(at, 0) as [Asked, Asked, Asked, Asked];
      await subject.succeeds(read, write, zeroes);
      if (subject.device.capabilities.trim) await subject.succeeds(trim);
    }
    await subject.holds(all);
  });
}

function provesBuffers(check: Check): void {
  check('fills exactly the buffer it was given, and changes no buffer that it writes from', async (subject) => {
    const { blockBytes } = subject;
    const all = await subject.filled();
    const around = new Uint8Array(3 * blockBytes).fill(0xa5);
    await subject.succeeds(subject.read(blockBytes, around.subarray(blockBytes, 2 * blockBytes)));
    const expected = new Uint8Array(3 * blockBytes).fill(0xa5);
    expected.set(all.subarray(blockBytes, 2 * blockBytes), blockBytes);
    strictEqual(Buffer.compare(around, expected), 0);

    const from = subject.fresh(blockBytes);
    const before = from.slice();
    await subject.succeeds(subject.write(0, from));
    strictEqual(Buffer.compare(from, before), 0);
  });

  check('lets go of a buffer when the request has ended', async (subject) => {
    const { blockBytes } = subject;
    const from = subject.fresh(blockBytes);
    const written = from.slice();
    await subject.succeeds(subject.write(0, from));
    from.fill(0xff);
    await subject.holds(written);
    const into = new Uint8Array(blockBytes);
    await subject.succeeds(subject.read(0, into));
    into.fill(0xff);
    await subject.succeeds(subject.write(0, subject.fresh(blockBytes)), subject.flush());
    strictEqual(Buffer.compare(into, new Uint8Array(blockBytes).fill(0xff)), 0, 'written after done');
  });
}

function provesOrder(check: Check): void {
  check('lets overlapping requests take effect in the order issued, reads included', async (subject) => {
    const { blockBytes } = subject;
    const all = await subject.filled();
    const first = subject.fresh(2 * blockBytes);
    const second = subject.fresh(2 * blockBytes);
    const before = new Uint8Array(blockBytes);
    const between = new Uint8Array(blockBytes);
    const asked = [
      subject.read(blockBytes, before),
      subject.write(0, first),
      subject.read(blockBytes, between),
      subject.write(blockBytes, second),
    ];
    await subject.succeeds(...asked);
    strictEqual(Buffer.compare(before, all.subarray(blockBytes, 2 * blockBytes)), 0, 'read before');
    strictEqual(Buffer.compare(between, first.subarray(blockBytes)), 0, 'read between');
    await subject.holds(Buffer.concat([first.subarray(0, blockBytes), second]));
  });

  check('agrees with a model of many overlapping requests issued at once', async (subject) => {
    const random = new SeededRandom(2);
    const { blockBytes } = subject;
    const model = await subject.filled();
    const reads: { into: Uint8Array; expected: Uint8Array }[] = [];
    const asked: Asked[] = [];
    for (let count = 0; count < crowd; count += 1) {
      const at = random.below(8) * blockBytes;
      const lengthBytes = (1 + random.below(4)) * blockBytes;
      const kind = random.below(4);
      if (kind === 0) {
        const into = new Uint8Array(lengthBytes);
        reads.push({ into, expected: model.slice(at, at + lengthBytes) });
        asked.push(subject.read(at, into));
      } else if (kind === 1) {
        model.fill(0, at, at + lengthBytes);
        asked.push(subject.writeZeroes(at, lengthBytes, { fua: random.below(2) === 0 }));
      } else {
        const bytes = subject.fresh(lengthBytes);
        model.set(bytes, at);
        asked.push(subject.write(at, bytes, { fua: random.below(8) === 0 }));
      }
      if (random.below(16) === 0) asked.push(subject.flush());
    }
    await subject.succeeds(...asked);
    for (const { into, expected } of reads) strictEqual(Buffer.compare(into, expected), 0);
    await subject.holds(model);
  });
}

function provesRefusals(check: Check): void {
  check('refuses ranges outside the device and touches nothing', async (subject) => {
    const { blockBytes, sizeBytes } = subject;
    const all = await subject.filled();
    for (const at of [-blockBytes, sizeBytes, sizeBytes + blockBytes, NaN, Infinity, -Infinity, 2 ** 53, Number.MAX_VALUE]) {
      await subject.fails('HM_OUT_OF_RANGE', ...subject.each(at, blockBytes));
    }
    await subject.fails('HM_OUT_OF_RANGE', ...subject.each(sizeBytes - blockBytes, 2 * blockBytes));
    await subject.fails('HM_OUT_OF_RANGE', ...subject.each(sizeBytes + blockBytes, 0));
    for (const lengthBytes of [-blockBytes, NaN, Infinity, 2 ** 53, Number.MAX_VALUE]) {
      await subject.fails('HM_OUT_OF_RANGE', subject.writeZeroes(blockBytes, lengthBytes), subject.trim(blockBytes, lengthBytes));
    }
    await subject.holds(all);
  });

  check('refuses what is not whole blocks and touches nothing', async (subject) => {
    const { blockBytes } = subject;
    if (blockBytes === 1) return;
    const all = await subject.filled();
    await subject.fails('HM_UNALIGNED', ...subject.each(1, blockBytes), ...subject.each(blockBytes / 2, blockBytes));
    await subject.fails('HM_UNALIGNED', ...subject.each(0, blockBytes - 1), ...subject.each(blockBytes, blockBytes + 1));
    await subject.fails('HM_UNALIGNED', ...subject.each(0.5, blockBytes), subject.writeZeroes(0, 0.5), subject.trim(0, 0.5));
    await subject.holds(all);
  });
}

function provesDurability(check: Check): void {
  check('flushes when there is nothing to flush, and many times at once', async (subject) => {
    await subject.succeeds(subject.flush());
    await subject.succeeds(...Array.from({ length: 32 }, () => subject.flush()));
  });

  check('ends a flush issued while writes are under way, and writes issued while a flush is', async (subject) => {
    const { blockBytes } = subject;
    const bytes = subject.fresh(3 * blockBytes);
    const asked = [0, 1, 2].flatMap((block) => {
      const at = block * blockBytes;
      return [subject.flush(), subject.write(at, bytes.subarray(at, at + blockBytes)), subject.flush()];
    });
    await subject.succeeds(...asked);
    await subject.holds(bytes);
  });

  check('writes with force unit access', async (subject) => {
    const bytes = subject.fresh(2 * subject.blockBytes);
    await subject.succeeds(subject.write(0, bytes, { fua: true }), subject.writeZeroes(0, subject.blockBytes, { fua: true }));
    bytes.fill(0, 0, subject.blockBytes);
    await subject.holds(bytes);
  });

  check('keeps flushed bytes over close', async (subject, fixture) => {
    if (!fixture.reopen) return;
    const all = await subject.filled();
    await subject.succeeds(subject.flush());
    await subject.device.close();
    const again = await fixture.reopen();
    await new DeviceSubject(again).holds(all);
    await again.close();
  });
}

function provesZeroesAndTrim(check: Check): void {
  check('writes zeroes exactly where asked', async (subject) => {
    const { blockBytes, sizeBytes } = subject;
    const all = await subject.filled();
    await subject.succeeds(subject.writeZeroes(blockBytes, 2 * blockBytes));
    all.fill(0, blockBytes, 3 * blockBytes);
    await subject.holds(all);
    await subject.succeeds(subject.writeZeroes(0, sizeBytes));
    await subject.holds(new Uint8Array(sizeBytes));
  });

  check('trims where it says that it can, and refuses where not', async (subject) => {
    const { blockBytes, device } = subject;
    const all = await subject.filled();
    const trimmed = subject.trim(blockBytes, blockBytes);
    if (device.capabilities.trim) {
      await subject.succeeds(trimmed);
      const bytes = subject.fresh(blockBytes);
      await subject.succeeds(subject.write(blockBytes, bytes));
      all.set(bytes, blockBytes);
    } else {
      await subject.fails('HM_NOT_SUPPORTED', trimmed);
    }
    await subject.holds(all);
  });
}

function provesAllocation(check: Check): void {
  check('takes no data for a hole, whatever was written, cleared and trimmed', async (subject) => {
    const { device, blockBytes, sizeBytes } = subject;
    const random = new SeededRandom(3);
    const blocks = sizeBytes / blockBytes;
    await subject.succeeds(subject.writeZeroes(0, sizeBytes));
    for (let turn = 0; turn < allocationTurns; turn += 1) {
      const first = random.below(blocks);
      const [at, lengthBytes] = [first * blockBytes, (1 + random.below(Math.min(blocks - first, maxAllocationBlocks))) * blockBytes];
      const kind = random.below(3);
      if (kind === 0) await subject.succeeds(subject.write(at, subject.fresh(lengthBytes)));
      else if (kind === 1 && device.capabilities.trim) await subject.succeeds(subject.trim(at, lengthBytes));
      else await subject.succeeds(subject.writeZeroes(at, lengthBytes));
      await subject.tellsAllocation(at, sizeBytes - at, 1 + random.below(maxAllocationPieces));
      await subject.tellsAllocation(0, sizeBytes, maxAllocationPieces);
    }
    for (const [at, lengthBytes] of [
      [0, 0],
      [sizeBytes, blockBytes],
      [0, sizeBytes + blockBytes],
      [-blockBytes, blockBytes],
    ] as const)
      for (const { hole } of device.allocation?.(at, lengthBytes, 1) ?? []) strictEqual(hole, false, 'a range that is refused');
  });
}

function provesCrowds(check: Check): void {
  check('carries out many requests under way at once', async (subject) => {
    const { blockBytes, sizeBytes } = subject;
    const all = subject.fresh(sizeBytes);
    const blocks = Array.from({ length: sizeBytes / blockBytes }, (_, block) => block * blockBytes);
    await subject.succeeds(...blocks.slice(0, crowd).map((at) => subject.write(at, all.subarray(at, at + blockBytes))));
    await subject.holds(all.subarray(0, Math.min(crowd * blockBytes, sizeBytes)));
  });

  check('takes new requests from inside a completion', async (subject) => {
    const { device, blockBytes } = subject;
    const bytes = subject.fresh(blockBytes);
    await new Promise<void>((resolve, reject) => {
      const step = (left: number): void => {
        device.write(left * blockBytes, bytes, { fua: left % 8 === 0 }, (error) => {
          if (error) reject(error);
          else if (left === 0) resolve();
          else step(left - 1);
        });
      };
      step(smallestDeviceBlocks - 1);
    });
    await subject.holds(bytes, (smallestDeviceBlocks - 1) * blockBytes);
  });
}

function provesClose(check: Check): void {
  check('ends what is under way before close resolves, and refuses everything after the call', async (subject) => {
    const { blockBytes, device } = subject;
    const before = [
      subject.write(0, subject.fresh(blockBytes)),
      subject.write(0, subject.fresh(blockBytes), { fua: true }),
      subject.flush(),
    ];
    const closed = device.close();
    const after = [...subject.each(0, blockBytes), ...subject.each(0, 0), subject.flush()];
    await closed;
    subject.assertEachEndedOnce();
    await subject.succeeds(...before);
    await subject.fails('HM_CLOSED', ...after);
    await subject.fails('HM_CLOSED', ...subject.each(0, blockBytes), subject.flush());
  });

  check('closes twice, one after the other and at once', async ({ device }) => {
    await Promise.all([device.close(), device.close()]);
    await device.close();
  });

  check('closes from inside a completion', async (subject) => {
    const { device, blockBytes } = subject;
    await new Promise<void>((resolve, reject) => {
      device.write(0, subject.fresh(blockBytes), { fua: true }, () => {
        device.close().then(resolve, reject);
      });
    });
    await subject.fails('HM_CLOSED', subject.flush());
  });
}
