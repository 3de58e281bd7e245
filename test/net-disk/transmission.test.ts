import { expect } from 'chai';

import type { BlockDevice, Done } from '../../src/device/block-device.ts';
import { MemoryDevice } from '../../src/device/memory.ts';
import { HotMirrorError } from '../../src/errors.ts';
import { commandFlags, commands, errors } from '../../src/net-disk/protocol.ts';
import { SeededRandom } from '../../src/testing/seeded-random.ts';
import { LoneSession } from './support/lone-session.ts';
import { bytesOf, request } from './support/nbd-bytes.ts';

const mebibyte = 2 ** 20;
const block = 4096;
const { read, write, flush, cache, writeZeroes, blockStatus, disconnect } = commands;
const filled = (value: number, lengthBytes = block): Uint8Array => new Uint8Array(lengthBytes).fill(value);

/** A disk whose requests end when the test lets them, in any order. */
class HeldDevice extends MemoryDevice {
  readonly held: (() => void)[] = [];
  readonly asked: string[] = [];

  override read(offsetBytes: number, into: Uint8Array, done: Done): void {
    this.asked.push('read');
    this.held.push(() => super.read(offsetBytes, into, done));
  }

  override write(...[offsetBytes, from, options, done]: Parameters<BlockDevice['write']>): void {
    this.asked.push('write');
    this.held.push(() => super.write(offsetBytes, from, options, done));
  }
}

describe('The use of a net disk (NBD, transmission)', () => {
  for (const structured of [false, true])
    it(`carries out every command, with ${structured ? 'structured' : 'simple'} replies`, () => {
      const device = new MemoryDevice({ sizeBytes: mebibyte });
      const lone = LoneSession.using(device, { structured });
      lone.feed(request(write, { cookie: 1n, offsetBytes: block, payload: filled(7) }));
      lone.feed(request(write, { cookie: 2n, offsetBytes: 0, payload: filled(8), flags: commandFlags.fua }));
      lone.feed(request(flush, { cookie: 3n }));
      lone.feed(request(writeZeroes, { cookie: 4n, offsetBytes: 0, lengthBytes: 512, flags: commandFlags.noHole | commandFlags.fua }));
      lone.feed(request(cache, { cookie: 5n, offsetBytes: 0, lengthBytes: block }));
      expect([1, 2, 3, 4, 5].map(() => lone.received.reply()).map(({ cookie, error }) => [cookie, error])).to.deep.equal(
        [1n, 2n, 3n, 4n, 5n].map((cookie) => [cookie, 0]),
      );
      lone.feed(request(read, { cookie: 6n, offsetBytes: 0, lengthBytes: 2 * block }));
      const { cookie, error, data } = lone.received.reply(2 * block);
      expect([cookie, error]).to.deep.equal([6n, 0]);
      expect(Buffer.from(data).equals(Buffer.concat([filled(0, 512), filled(8, block - 512), filled(7)]))).to.equal(true);
      expect(lone.received.left).to.equal(0);
    });

  it('gives the same replies however its bytes are cut', () => {
    const random = new SeededRandom(1);
    const payload = random.bytes(200_000 - (200_000 % 512));
    const requests = bytesOf(
      request(write, { cookie: 1n, offsetBytes: 512, payload }),
      request(read, { cookie: 2n, offsetBytes: 0, lengthBytes: 300_032 }),
      request(99, { cookie: 3n }),
      request(write, { cookie: 4n, offsetBytes: 2 * mebibyte, payload: filled(1) }),
      request(read, { cookie: 5n, offsetBytes: 512, lengthBytes: 512 }),
      request(flush, { cookie: 6n }),
    );
    // Their order is nobody's business.
    const repliesTo = (atOnceBytes: number): string[] => {
      const lone = LoneSession.using(new MemoryDevice({ sizeBytes: mebibyte }), { chunkBytes: 256 * 1024 });
      expect(lone.feed(requests, atOnceBytes)).to.equal(requests.byteLength);
      const replies: string[] = [];
      while (lone.received.left > 0) {
        const { cookie, kind, error, data, text } = lone.received.reply();
        replies.push(`${String(cookie)} ${String(kind)} ${String(error)} ${text} ${Buffer.from(data).toString('base64')}`);
      }
      return replies.sort();
    };
    const whole = repliesTo(Infinity);
    for (const atOnceBytes of [1, 27, 28, 29, 1000, 65_536, 131_072, 199_999])
      expect(repliesTo(atOnceBytes).join() === whole.join(), `${String(atOnceBytes)} at once`).to.equal(true);
  });

  it('refuses as the protocol asks, skips the bytes of a refused write, and goes on', () => {
    const cases = [
      [request(write, { cookie: 1n, offsetBytes: mebibyte, payload: filled(1) }), errors.ENOSPC],
      [request(writeZeroes, { cookie: 1n, offsetBytes: mebibyte - 512, lengthBytes: 1024 }), errors.ENOSPC],
      [request(read, { cookie: 1n, offsetBytes: mebibyte, lengthBytes: 512 }), errors.EINVAL],
      [request(read, { cookie: 1n, offsetBytes: 2n ** 64n - 512n, lengthBytes: 512 }), errors.EINVAL],
      [request(read, { cookie: 1n, offsetBytes: 1, lengthBytes: 512 }), errors.EINVAL],
      [request(read, { cookie: 1n, offsetBytes: 0, lengthBytes: 0 }), errors.EINVAL],
      [request(read, { cookie: 1n, offsetBytes: 0, lengthBytes: 0xffff_fe00 }), errors.EINVAL],
      [request(write, { cookie: 1n, offsetBytes: 0, payload: filled(1, 100) }), errors.EINVAL],
      [request(read, { cookie: 1n, offsetBytes: 0, lengthBytes: 512, flags: 1 << 9 }), errors.EINVAL],
      [request(flush, { cookie: 1n, flags: commandFlags.noHole }), errors.EINVAL],
      [request(blockStatus, { cookie: 1n, offsetBytes: 0, lengthBytes: 512 }), errors.EINVAL],
      [request(77, { cookie: 1n }), errors.EINVAL],
      [request(writeZeroes, { cookie: 1n, offsetBytes: 0, lengthBytes: 512, flags: commandFlags.fastZero }), errors.ENOTSUP],
    ] as const;
    for (const structured of [true, false]) {
      const lone = LoneSession.using(new MemoryDevice({ sizeBytes: mebibyte }), { structured });
      for (const [bytes, error] of cases) {
        lone.feed(bytes);
        expect(lone.received.reply()).to.include({ cookie: 1n, error });
      }
      lone.feed(request(read, { cookie: 2n, offsetBytes: 0, lengthBytes: 512 }));
      expect(lone.received.reply(512).data.every((byte) => byte === 0)).to.equal(true);
    }
  });

  it('tells what is allocated piece by piece, as the device does: one of them where one is asked for, and never more than it may', () => {
    const asked: number[] = [];
    const device: BlockDevice = new MemoryDevice({ sizeBytes: mebibyte });
    device.allocation = (offsetBytes, lengthBytes, mostPieces) => {
      asked.push(mostPieces);
      const pieces = Array.from({ length: lengthBytes / block }, (_, at) => ({
        lengthBytes: block,
        hole: (offsetBytes / block + at) % 2 === 1,
      }));
      return pieces.slice(0, mostPieces);
    };
    const lone = LoneSession.using(device, { allocation: true });
    const status = (offsetBytes: number, lengthBytes: number, flags = 0): number[] => {
      lone.feed(request(blockStatus, { cookie: 1n, offsetBytes, lengthBytes, flags }));
      const { kind, data } = lone.received.reply();
      expect(kind).to.equal(5);
      const view = new DataView(data.buffer);
      return Array.from({ length: data.byteLength / 4 }, (_, at) => view.getUint32(at * 4));
    };
    expect(status(0, 3 * block)).to.deep.equal([1, block, 0, block, 3, block, 0]);
    expect(status(block, 3 * block, commandFlags.reqOne)).to.deep.equal([1, block, 3]);
    const all = status(0, mebibyte);
    expect(asked[1]).to.equal(1);
    expect(all).to.have.length(1 + 2 * Math.min(asked[2] ?? 0, mebibyte / block));
    expect(asked[2]).to.be.at.most(1024);
    lone.feed(request(blockStatus, { cookie: 2n, offsetBytes: mebibyte, lengthBytes: 512 }));
    expect(lone.received.reply()).to.include({ cookie: 2n, error: errors.EINVAL });
  });

  it('lets everything else in the thread have its turn while a client asks many times at once what is allocated', async () => {
    const requests = 100;
    let asked = 0;
    const device: BlockDevice = new MemoryDevice({ sizeBytes: mebibyte });
    device.allocation = (_offsetBytes, _lengthBytes, mostPieces) => {
      asked += 1;
      return Array.from({ length: mostPieces }, (_, at) => ({ lengthBytes: 512, hole: at % 2 === 1 }));
    };
    const lone = LoneSession.using(device, { allocation: true });
    const one = request(blockStatus, { cookie: 1n, offsetBytes: 0, lengthBytes: mebibyte });
    const all = bytesOf(...Array.from({ length: requests }, () => one), request(read, { cookie: 2n, offsetBytes: 0, lengthBytes: 512 }));
    let fed = lone.feed(all);
    let before = 0;
    while (before < requests) {
      expect(asked - before).to.be.within(1, 10);
      before = asked;
      await lone.clock.runFor(1);
      fed += lone.feed(all.subarray(fed));
    }
    for (let at = 0; at < requests; at += 1) expect(lone.received.reply()).to.include({ cookie: 1n, kind: 5 });
    expect(lone.received.reply(512)).to.include({ cookie: 2n, error: 0 });
    expect(fed).to.equal(all.byteLength);
  });

  it('takes all for data of a device that tells of no holes', () => {
    const lone = LoneSession.using(new MemoryDevice({ sizeBytes: mebibyte }), { allocation: true });
    lone.feed(request(blockStatus, { cookie: 1n, offsetBytes: 512, lengthBytes: 2 * block }));
    expect([...lone.received.reply().data]).to.deep.equal([...bytesOf([32, 1], [32, 2 * block], [32, 0])]);
  });

  it('changes nothing of a read-only export', () => {
    const device = new MemoryDevice({ sizeBytes: mebibyte });
    const lone = LoneSession.using(device, { readOnly: true });
    lone.feed(request(write, { cookie: 1n, payload: filled(1) }));
    lone.feed(request(writeZeroes, { cookie: 2n, lengthBytes: 512 }));
    expect([lone.received.reply().error, lone.received.reply().error]).to.deep.equal([errors.EPERM, errors.EPERM]);
    expect(device.contents.every((byte) => byte === 0)).to.equal(true);
  });

  it('skips a refused write of four gigabytes without memory for it, and answers it then', () => {
    const lone = LoneSession.using(new MemoryDevice({ sizeBytes: mebibyte }));
    lone.feed(request(write, { cookie: 1n, lengthBytes: 0xffff_fe00 }));
    const piece = new Uint8Array(64 * mebibyte);
    let leftBytes = 0xffff_fe00;
    while (leftBytes > 0) {
      expect(lone.received.left).to.equal(0);
      leftBytes -= lone.feed(piece.subarray(0, Math.min(piece.byteLength, leftBytes)));
    }
    expect(lone.received.reply()).to.include({ cookie: 1n, error: errors.EINVAL });
    lone.feed(request(flush, { cookie: 2n }));
    expect(lone.received.reply()).to.include({ cookie: 2n, error: 0 });
  });

  it('says how a device failed', () => {
    const cases = {
      HM_IO_WRITE: errors.EIO,
      HM_NO_SPACE: errors.ENOSPC,
      HM_NOT_SERVING: errors.ESHUTDOWN,
      HM_STALE_EPOCH: errors.ESHUTDOWN,
    } as const;
    for (const [code, expected] of Object.entries(cases)) {
      const device = new (class extends MemoryDevice {
        override write(...[, , , done]: Parameters<BlockDevice['write']>): void {
          done(new HotMirrorError(code as keyof typeof cases, 'the disk says no'));
        }
      })({ sizeBytes: mebibyte });
      const lone = LoneSession.using(device);
      lone.feed(request(write, { cookie: 1n, payload: filled(1) }));
      expect(lone.received.reply()).to.include({ cookie: 1n, error: expected, text: 'the disk says no' });
    }
  });

  it('answers each request when the device has, in any order, and keeps what is written until then', async () => {
    const device = new HeldDevice({ sizeBytes: mebibyte });
    const lone = LoneSession.using(device);
    for (let at = 0; at < 4; at += 1) lone.feed(request(write, { cookie: BigInt(at), offsetBytes: at * block, payload: filled(at + 1) }));
    lone.feed(request(read, { cookie: 9n, offsetBytes: 0, lengthBytes: block }));
    lone.feed(request(flush, { cookie: 10n }));
    expect(lone.received.reply()).to.include({ cookie: 10n });
    for (const index of [2, 0, 3, 1, 4]) device.held[index]!();
    await lone.clock.runFor(0);
    const replies = [0, 1, 2, 3, 4].map(() => lone.received.reply());
    expect(replies.map(({ cookie }) => cookie).sort()).to.deep.equal([0n, 1n, 2n, 3n, 9n]);
    expect(replies.find(({ cookie }) => cookie === 9n)?.data[0]).to.equal(1);
    expect([0, 1, 2, 3].map((at) => device.contents[at * block])).to.deep.equal([1, 2, 3, 4]);
  });

  it('takes no more than its window, and goes on as it empties', async () => {
    const device = new HeldDevice({ sizeBytes: mebibyte });
    const lone = LoneSession.using(device, { limits: { requestBytes: 65_536, windowBytes: 131_072 } });
    const wish = request(write, { cookie: 1n, payload: filled(1, 65_536) });
    const taken = lone.feed(bytesOf(wish, wish, wish, wish), 10_000);
    expect([lone.stopped, device.asked.length]).to.deep.equal([true, 2]);
    device.held[0]!();
    await lone.clock.runFor(0);
    expect(lone.stopped).to.equal(false);
    lone.feed(bytesOf(wish, wish, wish, wish).subarray(taken));
    expect(device.asked.length).to.equal(3);
  });

  it('takes no more requests than it may, and none for a client that reads no replies', async () => {
    const held = new HeldDevice({ sizeBytes: mebibyte });
    const few = LoneSession.using(held, { limits: { requests: 3 } });
    for (let count = 0; count < 5; count += 1) few.feed(request(read, { cookie: 1n, lengthBytes: 512 }));
    expect(held.asked.length).to.equal(3);
    const deaf = LoneSession.using(new MemoryDevice({ sizeBytes: mebibyte }), { limits: { requestBytes: 65_536, windowBytes: 131_072 } });
    deaf.slow = true;
    let asked = 0;
    while (!deaf.stopped && asked < 100) {
      deaf.feed(request(read, { cookie: BigInt(asked), lengthBytes: 65_536 }));
      asked += 1;
    }
    expect(asked).to.be.below(5);
    deaf.slow = false;
    deaf.drain();
    await deaf.clock.runFor(0);
    expect([deaf.stopped, deaf.received.reply(65_536).cookie]).to.deep.equal([false, 0n]);
  });

  it('keeps no more replies than its window, of a burst of reads and of refusals that nobody reads', () => {
    const limits = { requestBytes: 65_536, windowBytes: 131_072 };
    const device = new MemoryDevice({ sizeBytes: mebibyte });
    let reads = 0;
    device.read = (...[offsetBytes, into, done]: Parameters<BlockDevice['read']>) => {
      reads += 1;
      MemoryDevice.prototype.read.call(device, offsetBytes, into, done);
    };
    const burst = LoneSession.using(device, { limits });
    burst.slow = true;
    burst.feed(bytesOf(...Array.from({ length: 40 }, (_, at) => request(read, { cookie: BigInt(at), lengthBytes: 65_536 }))));
    expect([burst.stopped, reads]).to.deep.equal([true, 1]);
    const refused = LoneSession.using(device, { limits });
    refused.slow = true;
    const writes = bytesOf(...Array.from({ length: 1000 }, () => request(write, { cookie: 1n, lengthBytes: 0 })));
    let turns = 0;
    while (!refused.stopped && turns < 100) {
      refused.feed(writes);
      turns += 1;
    }
    expect(turns).to.be.below(10);
  });

  it('has room for what comes next also where it was stopped with a full chunk, and loses nothing of it', async () => {
    const device = new HeldDevice({ sizeBytes: mebibyte });
    const lone = LoneSession.using(device, { limits: { requests: 1 }, chunkBytes: 256 * 1024 });
    const writes = bytesOf(
      ...Array.from({ length: 200 }, (_, at) => request(write, { cookie: BigInt(at), offsetBytes: at * block, payload: filled(at + 1) })),
    );
    for (let at = 0; at < writes.byteLength || device.held.length > 0;) {
      at += lone.feed(writes.subarray(at));
      expect(lone.session.buffer().byteLength).to.be.above(0);
      device.held.splice(0, 1)[0]?.();
      await lone.clock.runFor(0);
    }
    for (let at = 0; at < 200; at += 1) expect(device.contents[at * block + 1], `write ${String(at)}`).to.equal(at + 1);
  });

  it('ends by DISC once all is answered, and answers nothing behind it', async () => {
    const device = new HeldDevice({ sizeBytes: mebibyte });
    const lone = LoneSession.using(device);
    lone.feed(
      bytesOf(request(write, { cookie: 1n, payload: filled(1) }), request(disconnect, { cookie: 2n }), request(flush, { cookie: 3n })),
    );
    expect(lone.wireEnded).to.equal(null);
    device.held[0]!();
    await lone.clock.runFor(0);
    expect([lone.wireEnded, lone.ended, lone.received.reply().cookie, lone.received.left]).to.deep.equal(['end', null, 1n, 0]);
  });

  it('leaves where requests are none, and never issues a part of a write whose client dies', () => {
    const device = new HeldDevice({ sizeBytes: mebibyte });
    const garbled = LoneSession.using(device);
    garbled.feed(new Uint8Array(28));
    expect(garbled.wireEnded).to.equal('destroy');
    for (const lengthBytes of [block, 200_704]) {
      const dying = LoneSession.using(device);
      dying.feed(request(write, { cookie: 1n, payload: filled(1, lengthBytes) }).subarray(0, -1));
      dying.session.lost();
    }
    expect(device.asked).to.deep.equal([]);
  });

  it('refuses with ESHUTDOWN once it is to end, answers what is under way, and ends', async () => {
    const device = new HeldDevice({ sizeBytes: mebibyte });
    const lone = LoneSession.using(device);
    lone.feed(request(write, { cookie: 1n, payload: filled(1) }));
    lone.session.shutDown();
    for (const cookie of [2n, 3n]) {
      lone.feed(request(write, { cookie, payload: filled(2) }));
      expect(lone.received.reply()).to.include({ cookie, error: errors.ESHUTDOWN });
    }
    expect(lone.wireEnded).to.equal(null);
    device.held[0]!();
    await lone.clock.runFor(0);
    expect([lone.received.reply().error, lone.wireEnded]).to.deep.equal([0, 'end']);
  });

  it('ends a connection on which nothing is asked, where that is wanted', async () => {
    const lone = LoneSession.using(new MemoryDevice({ sizeBytes: mebibyte }), { limits: { idleDeadlineMs: 10_000 } });
    for (let turn = 0; turn < 5; turn += 1) {
      await lone.clock.runFor(6_000);
      lone.feed(request(flush, { cookie: 1n }));
    }
    expect(lone.wireEnded).to.equal(null);
    await lone.clock.runFor(16_000);
    expect(lone.wireEnded).to.equal('destroy');
  });

  it('holds what a memory model holds, whatever is asked in whatever pieces, with a device that answers in any order', async () => {
    for (let seed = 1; seed <= 30; seed += 1) await modelRun(seed);
  });
});

/** Disjoint requests at random, held and let go at random; at the end every byte must be what the model says. */
async function modelRun(seed: number): Promise<void> {
  const random = new SeededRandom(seed);
  const below = (bound: number): number => random.below(bound);
  const device = new HeldDevice({ sizeBytes: 4 * mebibyte });
  const lone = LoneSession.using(device, {
    structured: below(2) === 0,
    chunkBytes: 256 * 1024,
    limits: { requestBytes: 65_536 * 4, windowBytes: mebibyte },
  });
  const model = new Uint8Array(device.sizeBytes);
  let pieces = new Uint8Array(0);
  for (let at = 0; at < model.byteLength;) {
    const lengthBytes = Math.min(512 * (1 + below(below(3) === 0 ? 500 : 16)), model.byteLength - at);
    const payload = random.bytes(lengthBytes);
    model.set(payload, at);
    pieces = new Uint8Array(Buffer.concat([pieces, request(write, { cookie: BigInt(at), offsetBytes: at, payload })]));
    at += lengthBytes;
  }
  for (let at = 0; at < pieces.byteLength;) {
    const end = at + 1 + below(100_000);
    at += lone.feed(pieces.subarray(at, end));
    if (lone.stopped || below(3) === 0) {
      const [one] = device.held.splice(below(device.held.length), 1);
      one?.();
      await lone.clock.runFor(0);
    }
  }
  // The last may have come and wait for room.
  while (device.held.length > 0) {
    for (const one of device.held.splice(0)) one();
    await lone.clock.runFor(0);
  }
  expect(Buffer.compare(device.contents, model), `seed ${String(seed)}`).to.equal(0);
  while (lone.received.left > 0) expect(lone.received.reply().error).to.equal(0);
}
