import { expect } from 'chai';

import type { BlockDevice, Done } from '../../src/device/block-device.ts';
import { MemoryDevice } from '../../src/device/memory.ts';
import { HotMirrorError } from '../../src/errors.ts';
import { commandFlags, commands, errors } from '../../src/net-disk/protocol.ts';
import { LoneSession } from './support/lone-session.ts';
import { bytesOf, request } from './support/nbd-bytes.ts';

const mebibyte = 2 ** 20;
const gibibyte = 2 ** 30;
const { write, flush, writeZeroes, trim } = commands;
/** The most that begins in one turn: the budget, and the slice that uses it up. */
const mostAtOnceBytes = 6 * mebibyte;

/** A disk that has nothing of what it is given, carries out zeroes at once or when the test lets it, and knows what it was asked. */
class ClearedDevice {
  readonly sizeBytes = 4 * gibibyte;
  readonly blockSizeBytes = 512;
  readonly capabilities: BlockDevice['capabilities'];
  /** What was asked and at which MiB, in order. */
  asked: string[] = [];
  clearedBytes = 0;
  /** `null`: zeroes and trims end at once. */
  held: Done[] | null = null;
  failsAtBytes = Infinity;

  constructor({ punchHole = false } = {}) {
    this.capabilities = { synchronous: true, trim: true, punchHole, exclusive: true };
  }

  read(_offsetBytes: number, _into: Uint8Array, done: Done): void {
    done(null);
  }

  write(offsetBytes: number, _from: Uint8Array, _options: object, done: Done): void {
    this.asked.push(`write ${String(offsetBytes / mebibyte)}`);
    done(null);
  }

  flush(done: Done): void {
    this.asked.push('flush');
    done(null);
  }

  trim(offsetBytes: number, lengthBytes: number, done: Done): void {
    this.#clear('trim', offsetBytes, lengthBytes, done);
  }

  writeZeroes(offsetBytes: number, lengthBytes: number, _options: object, done: Done): void {
    this.#clear('zeroes', offsetBytes, lengthBytes, done);
  }

  close(): Promise<void> {
    return Promise.resolve();
  }

  #clear(what: string, offsetBytes: number, lengthBytes: number, done: Done): void {
    this.asked.push(`${what} ${String(offsetBytes / mebibyte)}`);
    this.clearedBytes += lengthBytes;
    if (this.held) this.held.push(done);
    else done(offsetBytes >= this.failsAtBytes ? new HotMirrorError('HM_IO_WRITE', 'worn out') : null);
  }
}

/** Zeroes that are written, whatever the device could do in their place. */
const zeroes = (cookie: bigint, offsetBytes: number, lengthBytes: number, flags = 0): Uint8Array =>
  request(writeZeroes, { cookie, offsetBytes, lengthBytes, flags: commandFlags.noHole | flags });

/** Lets turns go by until nothing more was cleared in one; returns how many bytes were in each. */
async function turnsOf(lone: LoneSession, device: ClearedDevice, eachTurn: () => void = () => undefined): Promise<number[]> {
  const turns = [device.clearedBytes];
  for (let before = 0; device.clearedBytes > before;) {
    before = device.clearedBytes;
    await lone.clock.runFor(1);
    eachTurn();
    if (device.clearedBytes > before) turns.push(device.clearedBytes - before);
  }
  return turns;
}

describe('Zeroes and trims of a net disk (NBD)', () => {
  it('trims a long range slice by slice, each once the one before has ended, and flushes behind the last (FUA)', async () => {
    const asked: number[] = [];
    const device: BlockDevice = new MemoryDevice({ sizeBytes: 64 * mebibyte });
    const ends: Done[] = [];
    device.trim = (offsetBytes, lengthBytes, done) => {
      asked.push(offsetBytes / mebibyte, lengthBytes / mebibyte);
      ends.push(done);
    };
    device.flush = (done) => {
      asked.push(-1);
      done(null);
    };
    const lone = LoneSession.using(device);
    lone.feed(request(trim, { cookie: 1n, offsetBytes: mebibyte, lengthBytes: 20 * mebibyte, flags: commandFlags.fua }));
    expect(asked).to.deep.equal([1, 8]);
    ends[0]?.(null);
    ends[1]?.(null);
    expect(asked).to.deep.equal([1, 8, 9, 8, 17, 4]);
    ends[2]?.(null);
    expect(asked.at(-1)).to.equal(-1);
    await lone.clock.runFor(0);
    expect(lone.received.reply()).to.include({ cookie: 1n, error: 0 });
    lone.feed(request(trim, { cookie: 2n, offsetBytes: 0, lengthBytes: 20 * mebibyte }));
    ends[3]?.(new HotMirrorError('HM_IO_WRITE', 'worn out'));
    await lone.clock.runFor(0);
    expect(lone.received.reply()).to.include({ cookie: 2n, error: errors.EIO });
    expect(ends).to.have.length(4);
  });

  it('writes a bounded number of bytes of zeroes in a turn, however many requests come at once', async () => {
    const device = new ClearedDevice();
    const lone = LoneSession.using(device);
    const requests = 512;
    const all = bytesOf(...Array.from({ length: requests }, (_, at) => zeroes(BigInt(at), 0, 8 * mebibyte)));
    let fed = lone.feed(all);
    const turns = await turnsOf(lone, device, () => (fed += lone.feed(all.subarray(fed))));
    expect(Math.max(...turns)).to.be.at.most(mostAtOnceBytes);
    expect([fed, device.clearedBytes]).to.deep.equal([all.byteLength, requests * 8 * mebibyte]);
    const cookies = new Set(Array.from({ length: requests }, () => lone.received.reply()).map(({ cookie }) => cookie));
    expect(cookies.size).to.equal(requests);
  });

  it('writes one long run of zeroes turn by turn on a device that ends each slice at once, then flushes (FUA)', async () => {
    const device = new ClearedDevice();
    const lone = LoneSession.using(device);
    lone.feed(zeroes(1n, mebibyte, gibibyte + mebibyte, commandFlags.fua));
    expect(lone.received.left).to.equal(0);
    const turns = await turnsOf(lone, device);
    expect(Math.max(...turns)).to.be.at.most(mostAtOnceBytes);
    expect(device.clearedBytes).to.equal(gibibyte + mebibyte);
    expect(device.asked.filter((one) => one === 'flush')).to.have.length(1);
    expect(device.asked.at(-1)).to.equal('flush');
    expect(lone.received.reply()).to.include({ cookie: 1n, error: 0 });
  });

  it('begins no slice behind one that failed, also in a later turn, and flushes nothing then', async () => {
    const device = new ClearedDevice();
    device.failsAtBytes = 10 * mebibyte;
    const lone = LoneSession.using(device);
    lone.feed(zeroes(1n, 0, gibibyte, commandFlags.fua));
    await turnsOf(lone, device);
    expect(lone.received.reply()).to.include({ cookie: 1n, error: errors.EIO });
    expect([device.clearedBytes, device.asked.at(-1)]).to.deep.equal([12 * mebibyte, 'zeroes 10']);
  });

  it('takes a slice of a trim, and of zeroes that become a hole, for less than one that is written, and bounds them all the same', async () => {
    for (const command of [trim, writeZeroes]) {
      const device = new ClearedDevice({ punchHole: true });
      const lone = LoneSession.using(device);
      lone.feed(request(command, { cookie: 1n, offsetBytes: 0, lengthBytes: 2 * gibibyte }));
      const turns = await turnsOf(lone, device);
      expect(Math.max(...turns)).to.be.within(mostAtOnceBytes + 1, gibibyte / 4);
      expect(lone.received.reply()).to.include({ cookie: 1n, error: 0 });
    }
  });

  it('answers what is asked while a long run of zeroes is written, and writes two of them at the same time', async () => {
    const device = new ClearedDevice();
    const lone = LoneSession.using(device);
    lone.feed(bytesOf(zeroes(1n, 0, gibibyte), zeroes(2n, gibibyte, gibibyte)));
    await lone.clock.runFor(10);
    lone.feed(bytesOf(zeroes(3n, 3 * gibibyte, mebibyte), request(flush, { cookie: 4n })));
    await lone.clock.runFor(1);
    expect([lone.received.reply().cookie, lone.received.reply().cookie]).to.deep.equal([3n, 4n]);
    const begun = device.asked.filter((one) => one.startsWith('zeroes')).map((one) => Number(one.split(' ')[1]));
    const [first = 0, second = 0] = [0, 1].map((gibibytes) => begun.filter((at) => Math.floor(at / 1_024) === gibibytes).length);
    expect(first).to.be.above(5);
    expect(first - second).to.be.within(0, 1);
  });

  it('gives the device what overlaps in the order in which it came, where zeroes wait for their turn too', async () => {
    const device = new ClearedDevice();
    const lone = LoneSession.using(device);
    const overlapping = Array.from({ length: 8 }, (_, at) => [
      zeroes(1n, at * mebibyte, 2 * mebibyte),
      request(write, { cookie: 2n, offsetBytes: at * mebibyte, payload: new Uint8Array(512) }),
    ]);
    lone.feed(bytesOf(...overlapping.flat()));
    await turnsOf(lone, device);
    expect(device.asked).to.deep.equal(Array.from({ length: 8 }, (_, at) => [`zeroes ${String(at)}`, `write ${String(at)}`]).flat());
  });

  it('has no more zeroes under way at once than the window of the connection, and goes on as they end', async () => {
    const device = new ClearedDevice();
    const held: Done[] = (device.held = []);
    const lone = LoneSession.using(device);
    const requests = 1_024;
    const all = bytesOf(...Array.from({ length: requests }, (_, at) => zeroes(BigInt(at), 0, 2 * mebibyte)));
    let fed = lone.feed(all);
    await turnsOf(lone, device, () => (fed += lone.feed(all.subarray(fed))));
    expect([held.length, lone.stopped]).to.deep.equal([32, true]);
    for (let answered = 0; answered < requests; answered += 1) {
      held.shift()?.(null);
      await lone.clock.runFor(1);
      fed += lone.feed(all.subarray(fed));
      expect(lone.received.reply().error).to.equal(0);
    }
  });

  it('carries out zeroes that are longer than its window', async () => {
    const device = new ClearedDevice();
    const lone = LoneSession.using(device, { limits: { requestBytes: 65_536, windowBytes: 131_072 } });
    lone.feed(bytesOf(zeroes(1n, 0, 64 * mebibyte), zeroes(2n, 0, 64 * mebibyte), zeroes(3n, 0, 64 * mebibyte)));
    await turnsOf(lone, device);
    expect(device.clearedBytes).to.equal(3 * 64 * mebibyte);
  });

  it('writes what is left of them before it ends in order, and begins no slice once the client is gone', async () => {
    const leaving = new ClearedDevice();
    const left = LoneSession.using(leaving);
    left.feed(zeroes(1n, 0, 64 * mebibyte));
    left.session.shutDown();
    expect(left.wireEnded).to.equal(null);
    await turnsOf(left, leaving);
    expect([leaving.clearedBytes, left.received.reply().error, left.wireEnded]).to.deep.equal([64 * mebibyte, 0, 'end']);
    for (const held of [null, [] as Done[]]) {
      const device = new ClearedDevice();
      device.held = held;
      const lone = LoneSession.using(device);
      lone.feed(zeroes(1n, 0, gibibyte));
      const begunBytes = device.clearedBytes;
      lone.session.lost();
      held?.shift()?.(null);
      await lone.clock.runFor(100);
      expect(device.clearedBytes).to.equal(begunBytes);
    }
  });
});
