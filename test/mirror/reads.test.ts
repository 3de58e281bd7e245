import { expect } from 'chai';

import type { BlockDevice } from '../../src/device/block-device.ts';
import { mirrorLimits } from '../../src/mirror/options.ts';
import { maxZeroesBytes } from '../../src/mirror/wire.ts';
import { Endings } from './support/endings.ts';
import { MirrorPair, pattern } from './support/mirror-pair.ts';

const block = 4096;
const mebibyte = 2 ** 20;

describe('Reads among writes', () => {
  it('a read finds what was written before it and nothing of what was written after it, though all came at once', async () => {
    const pair = await new MirrorPair({ delayMs: 1 }).start();
    const mirror = pair.mirror('alpha');
    const endings = new Endings();
    const into = [0, 1, 2].map(() => new Uint8Array(block));
    for (const [at, read] of into.entries()) {
      mirror.write(0, pattern(block, at + 1), {}, endings.next());
      mirror.read(0, read, endings.next());
    }
    await pair.clock.runFor(20);
    expect(endings.codes).to.deep.equal(['done', 'done', 'done', 'done', 'done', 'done']);
    for (const [at, read] of into.entries()) expect(Buffer.compare(read, pattern(block, at + 1))).to.equal(0);
    expect(pair.identical).to.equal(true);
  });

  it('a long read ends among writes that never cease to touch it', async () => {
    const pair = await new MirrorPair({ delayMs: 1, sizeBytes: 4 * mebibyte }).start();
    const mirror = pair.mirror('alpha');
    await pair.write('alpha', 0, pattern(block, 1));
    let writes = 0;
    const next = (): void => {
      writes += 1;
      mirror.write(((writes * 7919) % 256) * block, pattern(block, writes % 256), {}, next);
    };
    for (const depth of [0, 1, 2, 3]) pair.clock.timer(0.1 + depth / 2, next);
    await pair.clock.runFor(10);
    let tookMs: number | null = null;
    const fromMs = pair.clock.nowMs();
    mirror.read(0, new Uint8Array(mebibyte), () => (tookMs = pair.clock.nowMs() - fromMs));
    await pair.clock.runFor(100);
    expect(tookMs).to.be.within(0, 10);
    expect(writes).to.be.above(100);
  });

  it('reads of one block that wait for one write leave the others alone', async () => {
    const pair = await new MirrorPair({ delayMs: 1, sizeBytes: 4 * mebibyte }).start();
    const mirror = pair.mirror('alpha');
    const endings = new Endings();
    mirror.write(0, pattern(block, 1), {}, endings.next());
    for (let at = 0; at < 100; at += 1) mirror.read(0, new Uint8Array(block), endings.next());
    for (let at = 1; at <= 100; at += 1) mirror.write(at * block, pattern(block, at), {}, endings.next());
    await pair.clock.runFor(20);
    expect(endings.codes).to.deep.equal(Array.from({ length: 201 }, () => 'done'));
    expect(pair.identical).to.equal(true);
  });

  it('a takeover in the middle fails reads that wait and the writes behind them, once each', async () => {
    const pair = await new MirrorPair({ delayMs: 1 }).start();
    const mirror = pair.mirror('alpha');
    const endings = new Endings();
    mirror.write(0, pattern(block, 1), {}, endings.next());
    mirror.read(0, new Uint8Array(block), endings.next());
    mirror.write(0, pattern(block, 2), {}, endings.next());
    await pair.clock.settled(mirror.raiseEpoch({ number: 99, owner: 'beta' }), 10_000);
    await pair.clock.runFor(20);
    expect(endings.codes).to.deep.equal(['HM_STALE_EPOCH', 'HM_STALE_EPOCH', 'HM_STALE_EPOCH']);
  });
});

describe('Zeroes on their way', () => {
  it('take room in the window, so that no turn writes more of them than eight times what it holds', async () => {
    const calls: number[] = [];
    const counted = (device: BlockDevice): BlockDevice =>
      new Proxy(device, {
        get(of, name) {
          const value = Reflect.get(of, name) as unknown;
          if (name !== 'writeZeroes') return typeof value === 'function' ? (value.bind(of) as unknown) : value;
          return (...[offsetBytes, lengthBytes, options, done]: Parameters<BlockDevice['writeZeroes']>): void => {
            calls.push(lengthBytes);
            of.writeZeroes(offsetBytes, lengthBytes, options, done);
          };
        },
      });
    const pair = await new MirrorPair({ delayMs: 1, sizeBytes: 2 * maxZeroesBytes, wrap: counted }).start();
    const endings = new Endings();
    await pair.write('alpha', 0, pattern(block, 1));
    await pair.write('alpha', 0, pattern(block, 1));
    calls.length = 0;
    for (let at = 0; at < 40; at += 1) pair.mirror('alpha').writeZeroes(0, maxZeroesBytes, { noHole: true }, endings.next());
    const atOnceBytes = calls.reduce((sum, bytes) => sum + bytes, 0);
    expect(atOnceBytes).to.be.within(maxZeroesBytes, 8 * mirrorLimits({}).windowBytes);
    await pair.clock.runFor(100);
    expect(endings.codes).to.deep.equal(Array.from({ length: 40 }, () => 'done'));
    expect(calls.length).to.equal(80);
  });
});
