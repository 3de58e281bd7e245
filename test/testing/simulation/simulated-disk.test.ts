import { expect } from 'chai';

import { systemClock } from '../../../src/clock/system-clock.ts';
import type { BlockDevice, Done, WriteOptions } from '../../../src/device/block-device.ts';
import { deviceConformance } from '../../../src/testing/device-conformance.ts';
import { SeededRandom } from '../../../src/testing/seeded-random.ts';
import { SimulatedDisk } from '../../../src/testing/simulation/simulated-disk.ts';
import type { SimulatedDiskOptions } from '../../../src/testing/simulation/simulated-disk.ts';
import { VirtualClock } from '../../../src/testing/virtual-clock.ts';

const blockBytes = 512;
const blocks = 8;

function makeDisk(options: Partial<SimulatedDiskOptions> = {}): SimulatedDisk {
  return new SimulatedDisk({
    sizeBytes: blocks * blockBytes,
    blockSizeBytes: blockBytes,
    tornUnitBytes: blockBytes,
    random: new SeededRandom(1),
    latencyMs: 0,
    changed: () => undefined,
    ...options,
  });
}

const latencies: readonly (readonly [string, Partial<SimulatedDiskOptions>])[] = [
  ['without latency', {}],
  ['synchronous', { synchronous: true }],
  ['with latency', { latencyMs: 2 }],
  ['with holes', { punchHole: true }],
  ['with holes and latency', { punchHole: true, latencyMs: 2 }],
];
for (const [name, options] of latencies) {
  deviceConformance(
    { describe, it },
    {
      name: `SimulatedDisk ${name}`,
      async create() {
        const disk = makeDisk({ sizeBytes: 256 * 1024, ...options });
        const reopen = (): Promise<BlockDevice> => Promise.resolve(disk.open(systemClock));
        return { device: disk.open(systemClock), reopen, dispose: () => Promise.resolve() };
      },
    },
  );
}

const block = (value: number, count = 1): Uint8Array => new Uint8Array(count * blockBytes).fill(value);
/** The first byte of each block. */
const values = (image: Uint8Array): string => Array.from({ length: blocks }, (_, at) => String(image[at * blockBytes])).join('');
const ignore: Done = () => undefined;

/** Puts the code of each completion into a list: 'ok' for success. */
class Outcomes {
  readonly list: string[] = [];

  note(what = ''): Done {
    return (error) => void this.list.push(`${what}${error?.code ?? 'ok'}`);
  }
}

function write(device: BlockDevice, atBlock: number, bytes: Uint8Array, options: WriteOptions = {}, done: Done = ignore): void {
  device.write(atBlock * blockBytes, bytes, options, done);
}

/** Every image that power cuts with many seeds leave of a history. */
function left(history: (disk: SimulatedDisk) => void, options: Partial<SimulatedDiskOptions> = {}): string[] {
  const images = new Set<string>();
  for (let seed = 0; seed < 300; seed += 1) {
    const disk = makeDisk({ random: new SeededRandom(seed), ...options });
    history(disk);
    disk.cutPower();
    images.add(values(disk.contents));
    expect(values(disk.durableImage())).to.equal(values(disk.contents));
  }
  return [...images].sort();
}

const anyOfThree = ['000', '001', '010', '011', '100', '101', '110', '111'].map((head) => `${head}00000`);

describe('SimulatedDisk: what a power cut leaves', () => {
  it('an unflushed write survives wholly, in any of its sectors, or not at all, completed or under way', () => {
    const history = (disk: SimulatedDisk): void => {
      write(disk.open(new VirtualClock()), 0, block(1, 3));
    };
    expect(left(history)).to.deep.equal(anyOfThree);
    expect(left(history, { latencyMs: 5 })).to.deep.equal(anyOfThree);
  });

  it('tears in bytes where told so, and in sectors counted from the beginning of the disk', () => {
    const torn = makeDisk({ tornUnitBytes: 1, random: new SeededRandom(3) });
    let mixed = 0;
    for (let round = 0; round < 50; round += 1) {
      const device = torn.open(new VirtualClock());
      write(device, 0, block(0), { fua: true });
      write(device, 0, block(1));
      torn.cutPower();
      const ones = torn.contents.subarray(0, blockBytes).filter((byte) => byte === 1).length;
      if (ones > 0 && ones < blockBytes) mixed += 1;
    }
    expect(mixed).to.be.within(5, 30);
    const history = (disk: SimulatedDisk): void => {
      write(disk.open(new VirtualClock()), 1, block(1, 3));
    };
    // Sectors of 1,024 bytes: blocks 0 and 1, 2 and 3.
    expect(left(history, { tornUnitBytes: 1_024 })).to.deep.equal(['00000000', '00110000', '01000000', '01110000']);
  });

  it('write.flush: a flush covers exactly what completed before it was issued', () => {
    const disk = makeDisk();
    const device = disk.open(new VirtualClock());
    write(device, 0, block(1));
    expect(values(disk.durableImage())).to.equal('00000000');
    device.flush(ignore);
    write(device, 1, block(2));
    expect(values(disk.durableImage())).to.equal('10000000');
    expect(values(disk.contents)).to.equal('12000000');
  });

  it('a write that completes while a flush is under way is not covered by it', async () => {
    let uncovered = 0;
    for (let seed = 0; seed < 40; seed += 1) {
      const clock = new VirtualClock();
      const disk = makeDisk({ latencyMs: 10, random: new SeededRandom(seed) });
      const device = disk.open(clock);
      const order: string[] = [];
      write(device, 0, block(1), {}, () => order.push('write'));
      device.flush(() => order.push('flush'));
      await clock.runFor(10);
      expect(values(disk.durableImage())).to.equal('00000000');
      if (order[0] === 'write') uncovered += 1;
      device.flush(ignore);
      await clock.runFor(10);
      expect(values(disk.durableImage())).to.equal('10000000');
    }
    expect(uncovered).to.be.within(5, 35);
  });

  it('force unit access covers its own write only, whatever lies below it', () => {
    const images = left((disk) => {
      const device = disk.open(new VirtualClock());
      write(device, 0, block(1, 3));
      write(device, 1, block(2), { fua: true });
    });
    expect(images).to.deep.equal(['02000000', '02100000', '12000000', '12100000']);
  });

  it('what survives of one write says nothing about another; later ones lie on top', () => {
    const images = left((disk) => {
      const device = disk.open(new VirtualClock());
      write(device, 0, block(1));
      write(device, 1, block(2));
      write(device, 0, block(3));
    });
    expect(images.map((image) => image.slice(0, 2))).to.deep.equal(['00', '02', '10', '12', '30', '32']);
  });

  it('writes back the older changes of a process that never flushes, but none in doubt', () => {
    const disk = makeDisk();
    const device = disk.open(new VirtualClock());
    disk.inject({ kind: 'flush-error', count: 1 });
    write(device, 0, block(1));
    device.flush(ignore);
    write(device, 1, block(1));
    for (let count = 0; count < 1_023; count += 1) write(device, 2, block(count < 1_022 ? 2 : 3));
    expect(values(disk.durableImage())).to.equal('00000000');
    write(device, 3, block(4));
    expect(values(disk.durableImage())).to.equal('01200000');
    expect(values(disk.contents)).to.equal('11340000');
  });

  it('tells of every change, and raises its version for what becomes durable too', () => {
    const told: string[] = [];
    const disk = makeDisk({ changed: (at, length) => told.push(`${String(at)}+${String(length)}`) });
    const device = disk.open(new VirtualClock());
    const versions = [disk.version];
    const { contents } = disk;
    write(device, 1, block(1, 2));
    versions.push(disk.version);
    device.flush(ignore);
    versions.push(disk.version);
    device.flush(ignore);
    device.read(0, block(0), ignore);
    expect(disk.version).to.equal(versions[2]);
    write(device, 4, block(2));
    versions.push(disk.version);
    disk.cutPower();
    versions.push(disk.version);
    disk.replace();
    versions.push(disk.version);
    expect(versions).to.deep.equal([...new Set(versions)].sort((a, b) => a - b));
    expect(told).to.deep.equal(['512+1024', '2048+512', '2048+512', '0+4096']);
    expect(disk.contents).to.equal(contents);
  });
});

describe('SimulatedDisk: the death of a process', () => {
  it('leaves what was written in the cache, where a power cut still finds it and a flush of the next process covers it', () => {
    const history = (disk: SimulatedDisk): void => {
      write(disk.open(new VirtualClock()), 0, block(1));
      disk.detach();
      expect(values(disk.contents)).to.equal('10000000');
    };
    expect(left(history)).to.deep.equal(['00000000', '10000000']);
    const flushed = left((disk) => {
      history(disk);
      disk.open(new VirtualClock()).flush(ignore);
    });
    expect(flushed).to.deep.equal(['10000000']);
  });

  it('lets each write under way happen or not, block by block, also with force unit access, and then it is in the cache', () => {
    for (const fua of [false, true]) {
      const images = new Set<string>();
      for (let seed = 0; seed < 200; seed += 1) {
        const disk = makeDisk({ latencyMs: 5, random: new SeededRandom(seed) });
        write(disk.open(new VirtualClock()), 0, block(1, 3), { fua });
        disk.detach();
        images.add(values(disk.contents));
        expect(values(disk.durableImage())).to.equal('00000000');
      }
      expect([...images].sort()).to.deep.equal(anyOfThree);
    }
  });

  it('cuts the process off: nothing goes in or comes out', async () => {
    const clock = new VirtualClock();
    const disk = makeDisk({ latencyMs: 5 });
    const device = disk.open(clock);
    const outcomes = new Outcomes();
    write(device, 0, block(1), {}, outcomes.note());
    device.flush(outcomes.note());
    void device.close().then(() => outcomes.list.push('closed'));
    disk.detach();
    const before = values(disk.contents);
    write(device, 1, block(1), {}, outcomes.note());
    write(device, blocks, block(1), {}, outcomes.note());
    device.writeZeroes(1, 1, {}, outcomes.note());
    void device.close().then(() => outcomes.list.push('closed'));
    await clock.runFor(100);
    expect(outcomes.list).to.deep.equal([]);
    expect(values(disk.contents)).to.equal(before);
    expect(clock.pendingTimers).to.equal(0);
  });

  it('may happen in a completion', async () => {
    const clock = new VirtualClock();
    const disk = makeDisk();
    const outcomes = new Outcomes();
    const device = disk.open(clock);
    disk.inject({ kind: 'stall', forMs: 5 });
    write(device, 0, block(1), {}, () => {
      outcomes.list.push('first');
      disk.cutPower();
    });
    write(device, 0, block(2), {}, outcomes.note());
    device.read(0, block(0), outcomes.note());
    disk.mend();
    await clock.runFor(0);
    expect(outcomes.list).to.deep.equal(['first']);
  });

  it('is how one process follows another; two at once are refused, and so is a new disk', async () => {
    const clock = new VirtualClock();
    const disk = makeDisk({ latencyMs: 5 });
    const device = disk.open(clock);
    const inUse = { code: 'HM_DEVICE_IN_USE' };
    expect(() => disk.open(clock))
      .to.throw()
      .that.includes(inUse);
    expect(() => {
      disk.replace();
    })
      .to.throw()
      .that.includes(inUse);
    write(device, 0, block(1));
    const closed = device.close();
    expect(() => disk.open(clock))
      .to.throw()
      .that.includes(inUse);
    await clock.settled(closed, 10);
    disk.open(clock);
    disk.detach();
    disk.open(clock);
    disk.cutPower();
    disk.inject({ kind: 'unreadable', offsetBytes: 0, lengthBytes: 1 });
    disk.inject({ kind: 'full' });
    disk.replace();
    expect(values(disk.contents)).to.equal('00000000');
    expect(disk.ailments).to.deep.equal([]);
  });
});

describe('SimulatedDisk: time', () => {
  it('completes in the call without latency, and within it otherwise, out of order', async () => {
    const outcomes = new Outcomes();
    write(makeDisk().open(new VirtualClock()), 0, block(1), {}, outcomes.note());
    expect(outcomes.list).to.deep.equal(['ok']);

    const orders = new Set<string>();
    for (let seed = 0; seed < 20; seed += 1) {
      const clock = new VirtualClock();
      const device = makeDisk({ latencyMs: 8, random: new SeededRandom(seed) }).open(clock);
      const order = new Outcomes();
      write(device, 0, block(1), {}, order.note('a '));
      write(device, 1, block(1), {}, order.note('b '));
      expect(order.list).to.deep.equal([]);
      await clock.runFor(8);
      orders.add(order.list.join(', '));
    }
    expect([...orders].sort()).to.deep.equal(['a ok, b ok', 'b ok, a ok']);
  });

  it('a stall holds up everything, then lets everything through in its order', async () => {
    const clock = new VirtualClock();
    const disk = makeDisk();
    const device = disk.open(clock);
    const outcomes = new Outcomes();
    expect(device.capabilities.synchronous).to.equal(false);
    disk.inject({ kind: 'stall', forMs: 1_000 });
    disk.inject({ kind: 'stall', forMs: 100 }); // ends before the other does
    write(device, 0, block(1), {}, outcomes.note('write '));
    const into = block(9);
    device.read(0, into, outcomes.note('read '));
    device.flush(outcomes.note('flush '));
    await clock.runFor(999);
    expect(outcomes.list).to.deep.equal([]);
    expect(disk.ailments).to.deep.equal(['stalled']);
    expect(values(disk.contents)).to.equal('00000000');
    await clock.runFor(1);
    expect(outcomes.list).to.deep.equal(['write ok', 'read ok', 'flush ok']);
    expect(into[0]).to.equal(1);
    // The flush was issued before the write had completed.
    expect(values(disk.durableImage())).to.equal('00000000');
    write(device, 0, block(1), {}, outcomes.note('again '));
    expect(outcomes.list.at(-1)).to.equal('again ok');
  });

  it('a stall waits for a process and outlives it; mending ends it as soon as the process runs', async () => {
    const clock = new VirtualClock();
    const disk = makeDisk();
    disk.inject({ kind: 'stall', forMs: 1_000 });
    disk.open(clock);
    await clock.runFor(600);
    disk.detach();
    await clock.runFor(10_000);
    const outcomes = new Outcomes();
    const device = disk.open(clock);
    write(device, 0, block(1), {}, outcomes.note());
    await clock.runFor(399);
    expect(outcomes.list).to.deep.equal([]);
    await clock.runFor(1);
    expect(outcomes.list).to.deep.equal(['ok']);
    disk.inject({ kind: 'stall', forMs: 1_000 });
    write(device, 0, block(1), {}, outcomes.note());
    disk.mend();
    expect(outcomes.list).to.deep.equal(['ok']);
    await clock.runFor(0);
    expect(outcomes.list).to.deep.equal(['ok', 'ok']);
    expect(clock.pendingTimers).to.equal(0);
  });

  it('a slow disk takes up to that much longer, until it is mended', async () => {
    const clock = new VirtualClock();
    const disk = makeDisk();
    const device = disk.open(clock);
    disk.inject({ kind: 'slow', addMs: 500 });
    expect(disk.ailments).to.deep.equal(['slower by up to 500 ms']);
    const times: number[] = [];
    for (let at = 0; at < blocks; at += 1) write(device, at, block(1), {}, () => times.push(clock.nowMs()));
    expect(times).to.deep.equal([]);
    await clock.runFor(500);
    expect(times).to.have.lengthOf(blocks);
    expect(Math.max(...times)).to.be.above(250);
    disk.mend();
    write(device, 0, block(1), {}, () => times.push(0));
    expect(times.at(-1)).to.equal(0);
  });

  it('a synchronous disk keeps to what it says', () => {
    const disk = makeDisk({ synchronous: true });
    const device = disk.open(new VirtualClock());
    disk.inject({ kind: 'stall', forMs: 1_000 });
    disk.inject({ kind: 'slow', addMs: 1_000 });
    const outcomes = new Outcomes();
    write(device, 0, block(1), {}, outcomes.note());
    expect(outcomes.list).to.deep.equal(['ok']);
    expect(device.capabilities.synchronous).to.equal(true);
    expect(disk.ailments).to.deep.equal([]);
    expect(() => makeDisk({ synchronous: true, latencyMs: 1 })).to.throw(RangeError);
  });
});

describe('SimulatedDisk: faults', () => {
  it('blocks cannot be read until they are written', () => {
    const disk = makeDisk();
    const device = disk.open(new VirtualClock());
    disk.inject({ kind: 'unreadable', offsetBytes: 600, lengthBytes: 600 });
    expect(disk.ailments).to.deep.equal(['blocks that cannot be read: 2']);
    const outcomes = new Outcomes();
    const read = (atBlock: number, count = 1): void => {
      device.read(atBlock * blockBytes, block(0, count), outcomes.note());
    };
    read(0);
    read(0, 2);
    read(2);
    read(3);
    expect(outcomes.list.splice(0)).to.deep.equal(['ok', 'HM_IO_READ', 'HM_IO_READ', 'ok']);
    disk.mend();
    read(1);
    write(device, 1, block(1));
    read(1);
    read(1, 2);
    device.writeZeroes(0, 8 * blockBytes, { fua: true }, ignore);
    read(0, 8);
    expect(outcomes.list).to.deep.equal(['HM_IO_READ', 'ok', 'HM_IO_READ', 'ok']);
    expect(disk.ailments).to.deep.equal([]);
  });

  it('a block is as bad as before where the write that made it readable is lost', () => {
    const ailments = new Set<string>();
    for (let seed = 0; seed < 100; seed += 1) {
      const disk = makeDisk({ random: new SeededRandom(seed) });
      const device = disk.open(new VirtualClock());
      write(device, 0, block(1));
      disk.inject({ kind: 'unreadable', offsetBytes: 0, lengthBytes: 512 });
      write(device, 0, block(2));
      disk.cutPower();
      ailments.add(`${values(disk.contents).slice(0, 1)} ${disk.ailments.join()}`);
    }
    const bad = 'blocks that cannot be read: 1';
    expect([...ailments].sort()).to.deep.equal([`0 ${bad}`, `1 ${bad}`, '2 ']);
    for (const fua of [false, true]) {
      const disk = makeDisk();
      const device = disk.open(new VirtualClock());
      disk.inject({ kind: 'unreadable', offsetBytes: 0, lengthBytes: 512 });
      write(device, 0, block(2), { fua });
      if (!fua) device.flush(ignore);
      disk.cutPower();
      expect(disk.ailments).to.deep.equal([]);
    }
  });

  it('a write under way that a power cut leaves makes its block readable', () => {
    const ailments = new Set<string>();
    for (let seed = 0; seed < 50; seed += 1) {
      const disk = makeDisk({ random: new SeededRandom(seed), latencyMs: 1 });
      disk.inject({ kind: 'unreadable', offsetBytes: 0, lengthBytes: 512 });
      write(disk.open(new VirtualClock()), 0, block(2));
      disk.cutPower();
      ailments.add(`${values(disk.contents).slice(0, 1)} ${disk.ailments.join()}`);
    }
    expect([...ailments].sort()).to.deep.equal(['0 blocks that cannot be read: 1', '2 ']);
  });

  it('so many writes fail, each with any part of its blocks written, in doubt for good', () => {
    const images = new Set<string>();
    for (let seed = 0; seed < 200; seed += 1) {
      const disk = makeDisk({ random: new SeededRandom(seed) });
      const device = disk.open(new VirtualClock());
      const outcomes = new Outcomes();
      disk.inject({ kind: 'write-error', count: 1 });
      disk.inject({ kind: 'write-error', count: 1 });
      write(device, 8, block(1), {}, outcomes.note()); // refused: the disk is not asked
      write(device, 0, block(1, 3), { fua: true }, outcomes.note());
      images.add(values(disk.contents));
      device.flush(outcomes.note());
      expect(values(disk.durableImage())).to.equal('00000000');
      expect(disk.ailments).to.deep.equal(['writes that will fail: 1']);
      device.writeZeroes(4 * blockBytes, blockBytes, {}, outcomes.note());
      write(device, 3, block(1), {}, outcomes.note());
      device.flush(ignore);
      expect(values(disk.durableImage())).to.equal('00010000');
      expect(outcomes.list).to.deep.equal(['HM_OUT_OF_RANGE', 'HM_IO_WRITE', 'ok', 'HM_IO_WRITE', 'ok']);
    }
    expect([...images].sort()).to.deep.equal(anyOfThree);
  });

  it('so many flushes fail, and what they were to cover is in doubt until it is overwritten', () => {
    const history = (disk: SimulatedDisk): void => {
      const device = disk.open(new VirtualClock());
      const outcomes = new Outcomes();
      disk.inject({ kind: 'flush-error', count: 1 });
      expect(disk.ailments).to.deep.equal(['flushes that will fail: 1']);
      write(device, 0, block(1, 3));
      device.flush(outcomes.note());
      write(device, 1, block(2));
      device.flush(outcomes.note());
      expect(outcomes.list).to.deep.equal(['HM_IO_FLUSH', 'ok']);
      expect(values(disk.contents)).to.equal('12100000');
      expect(values(disk.durableImage())).to.equal('02000000');
    };
    expect(left(history)).to.deep.equal(['02000000', '02100000', '12000000', '12100000']);
  });

  it('a full disk takes no write at all until it is mended', () => {
    const disk = makeDisk({ latencyMs: 0 });
    const device = disk.open(new VirtualClock());
    const outcomes = new Outcomes();
    disk.inject({ kind: 'full' });
    disk.inject({ kind: 'write-error', count: 5 });
    disk.inject({ kind: 'flush-error', count: 5 });
    write(device, 0, block(1), {}, outcomes.note());
    device.writeZeroes(0, blockBytes, {}, outcomes.note());
    write(device, 0, new Uint8Array(0), {}, outcomes.note());
    device.read(0, block(0), outcomes.note());
    expect(disk.ailments).to.include('full');
    expect(values(disk.contents)).to.equal('00000000');
    disk.mend();
    write(device, 0, block(1), {}, outcomes.note());
    device.flush(outcomes.note());
    expect(outcomes.list).to.deep.equal(['HM_NO_SPACE', 'HM_NO_SPACE', 'ok', 'ok', 'ok', 'ok']);
  });

  it('the death of a process leaves nothing on a full disk', () => {
    for (let seed = 0; seed < 20; seed += 1) {
      const disk = makeDisk({ latencyMs: 5, random: new SeededRandom(seed) });
      disk.inject({ kind: 'full' });
      write(disk.open(new VirtualClock()), 0, block(1));
      disk.detach();
      expect(values(disk.contents)).to.equal('00000000');
    }
  });
});
