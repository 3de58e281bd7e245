import { expect } from 'chai';
import fc from 'fast-check';

import type { BlockDevice, Done } from '../../src/device/block-device.ts';
import { MemoryDevice } from '../../src/device/memory.ts';
import { devicePromises } from '../../src/device/promises.ts';
import { HotMirrorError } from '../../src/errors.ts';
import { deviceConformance } from '../../src/testing/device-conformance.ts';
import { Recording, RecordingDevice } from '../../src/testing/recording-device.ts';
import { SeededRandom } from '../../src/testing/seeded-random.ts';
import { VirtualClock } from '../../src/testing/virtual-clock.ts';

const blockBytes = 512;
const blocks = 8;
const sizeBytes = blocks * blockBytes;

deviceConformance(
  { describe, it },
  {
    name: 'RecordingDevice',
    async create() {
      const device = await RecordingDevice.wrap(new MemoryDevice({ sizeBytes: 256 * 1024 }), 'disk', new Recording());
      return { device, dispose: () => Promise.resolve() };
    },
  },
);

/** A memory device whose writes and flushes end when the test says. */
class HeldDevice extends MemoryDevice {
  readonly held: { readonly kind: string; end(error?: HotMirrorError): void }[] = [];

  override write(offsetBytes: number, from: Uint8Array, options: object, done: Done): void {
    super.write(offsetBytes, from, options, () => undefined);
    this.#hold('write', done);
  }

  override flush(done: Done): void {
    this.#hold('flush', done);
  }

  #hold(kind: string, done: Done): void {
    this.held.push({
      kind,
      end: (error) => {
        done(error ?? null);
      },
    });
  }
}

const block = (value: number, count = 1): Uint8Array => new Uint8Array(count * blockBytes).fill(value);
/** The first byte of each block. */
const values = (image: Uint8Array): number[] => Array.from({ length: blocks }, (_, at) => image[at * blockBytes] ?? -1);
const ignore: Done = () => undefined;

describe('Recording', () => {
  it('holds what happened at several devices and elsewhere in one order', async () => {
    const recording = new Recording();
    const left = await RecordingDevice.wrap(new MemoryDevice({ sizeBytes }), 'left', recording);
    const right = await RecordingDevice.wrap(new MemoryDevice({ sizeBytes }), 'right', recording);
    left.write(0, block(1), {}, ignore);
    right.write(512, block(1), { fua: true }, () => recording.mark('acknowledged', { request: 7 }));
    left.flush(ignore);
    const told = recording.entries.map((entry) => (entry.kind === 'mark' ? entry.label : `${entry.device} ${entry.kind}`));
    expect(told).to.deep.equal([
      'left write-issued',
      'left write-done',
      'right write-issued',
      'right write-done',
      'right durable',
      'acknowledged',
      'left flush-issued',
      'left flush-done',
      'left durable',
    ]);
    expect(recording.entries.map(({ at }) => at)).to.deep.equal(recording.entries.map((_, at) => at));
    expect(recording.entries[8]).to.include({ request: 0, offsetBytes: 0, lengthBytes: 512, fua: false });
    expect(recording.entries[5]).to.deep.include({ kind: 'mark', details: { request: 7 } });
  });

  it('tells how requests ended', async () => {
    const recording = new Recording();
    const device = await RecordingDevice.wrap(new MemoryDevice({ sizeBytes }), 'disk', recording);
    device.write(sizeBytes, block(1), {}, ignore);
    device.read(1, block(1), ignore);
    await device.close();
    device.flush(ignore);
    const errors = recording.entries.map((entry) => ('error' in entry ? `${entry.kind} ${String(entry.error)}` : ''));
    expect(errors).to.deep.equal([
      'write-issued null',
      'write-done HM_OUT_OF_RANGE',
      'read-issued null',
      'read-done HM_UNALIGNED',
      'close-issued null',
      'close-done null',
      'flush-issued null',
      'flush-done HM_CLOSED',
    ]);
  });
});

describe('RecordingDevice: what a power cut leaves', () => {
  let held: HeldDevice;
  let device: RecordingDevice;
  beforeEach(async () => {
    held = new HeldDevice({ sizeBytes });
    device = await RecordingDevice.wrap(held, 'disk', new Recording());
  });
  const durable = (): number[] => values(device.durableImage());
  /** Every image, by its first bytes, that many power cuts left. */
  const possible = (): Set<string> => {
    const random = new SeededRandom(1);
    return new Set(Array.from({ length: 400 }, () => values(device.survivors(random)).join('')));
  };

  it('begins with what the device held', async () => {
    const contents = block(5, blocks);
    const again = await RecordingDevice.wrap(new MemoryDevice({ sizeBytes, contents }), 'disk', new Recording());
    expect(values(again.durableImage())).to.deep.equal(Array(blocks).fill(5));
  });

  it('write.flush: a flush covers exactly what completed before it was issued', () => {
    device.write(0, block(1), {}, ignore);
    device.write(512, block(2), {}, ignore);
    held.held[0]?.end();
    device.flush(ignore);
    held.held[1]?.end(); // completes after the flush was issued
    device.write(1024, block(3), {}, ignore); // issued after it
    held.held[3]?.end();
    expect(durable()).to.deep.equal([0, 0, 0, 0, 0, 0, 0, 0]);
    held.held[2]?.end();
    expect(durable()).to.deep.equal([1, 0, 0, 0, 0, 0, 0, 0]);
    device.flush(ignore);
    held.held[4]?.end();
    expect(durable()).to.deep.equal([1, 2, 3, 0, 0, 0, 0, 0]);
  });

  it('force unit access covers its own write only', () => {
    device.write(0, block(1), {}, ignore);
    device.write(512, block(2), { fua: true }, ignore);
    held.held[0]?.end();
    expect(durable()).to.deep.equal([0, 0, 0, 0, 0, 0, 0, 0]);
    held.held[1]?.end();
    expect(durable()).to.deep.equal([0, 2, 0, 0, 0, 0, 0, 0]);
  });

  it('an unflushed write survives wholly, in any subset of its blocks, or not at all, completed or not', () => {
    device.write(0, block(1, 3), {}, ignore);
    const eight = ['000', '001', '010', '011', '100', '101', '110', '111'].map((head) => `${head}00000`);
    expect([...possible()].sort()).to.deep.equal(eight);
    held.held[0]?.end();
    expect([...possible()].sort()).to.deep.equal(eight);
  });

  it('what survives of one write says nothing about another; later ones lie on top', () => {
    device.write(0, block(1), {}, ignore);
    device.write(512, block(2), {}, ignore);
    device.write(0, block(3), {}, ignore);
    const heads = new Set([...possible()].map((image) => image.slice(0, 2)));
    expect([...heads].sort()).to.deep.equal(['00', '02', '10', '12', '30', '32']);
  });

  it('a durable write is never undone by an earlier one that was not', () => {
    device.write(0, block(1), {}, ignore);
    device.write(0, block(2), { fua: true }, ignore);
    held.held[1]?.end();
    expect([...possible()]).to.deep.equal(['20000000']);
  });

  it('a failed write is in doubt, and no flush ends that', () => {
    device.write(0, block(1), {}, ignore);
    held.held[0]?.end(new HotMirrorError('HM_IO_WRITE', 'bad sector'));
    device.flush(ignore);
    held.held[1]?.end();
    expect(durable()).to.deep.equal([0, 0, 0, 0, 0, 0, 0, 0]);
    expect([...possible()].sort()).to.deep.equal(['00000000', '10000000']);
  });

  it('a failed flush leaves everything before it in doubt, whatever later flushes say', () => {
    device.write(0, block(1), {}, ignore);
    held.held[0]?.end();
    device.flush(ignore);
    held.held[1]?.end(new HotMirrorError('HM_IO_FLUSH', 'EIO'));
    device.write(512, block(2), {}, ignore);
    held.held[2]?.end();
    device.flush(ignore);
    held.held[3]?.end();
    expect(durable()).to.deep.equal([0, 2, 0, 0, 0, 0, 0, 0]);
    expect([...possible()].sort()).to.deep.equal(['02000000', '12000000']);
  });

  it('a refused write was never there', () => {
    device.write(0, block(1), {}, ignore);
    held.held[0]?.end(new HotMirrorError('HM_BUSY', 'too many'));
    expect([...possible()]).to.deep.equal(['00000000']);
  });

  it('zeroes are written like bytes; a trimmed range holds old bytes or zeroes', async () => {
    const disk = await RecordingDevice.wrap(new MemoryDevice({ sizeBytes, contents: block(5, blocks) }), 'disk', new Recording());
    const io = devicePromises(disk);
    await io.writeZeroes(0, 512);
    await io.trim(512, 512);
    expect(values(disk.durableImage())).to.deep.equal([5, 5, 5, 5, 5, 5, 5, 5]);
    await io.flush();
    expect(values(disk.durableImage())).to.deep.equal([0, 5, 5, 5, 5, 5, 5, 5]);
    const random = new SeededRandom(1);
    const images = new Set(Array.from({ length: 50 }, () => values(disk.survivors(random)).join('')));
    expect([...images].sort()).to.deep.equal(['00555555', '05555555']);
  });

  it('leaves exactly what the device holds once all is flushed, after any requests in any timing', async () => {
    const request = fc.record({
      kind: fc.constantFrom('write', 'zeroes', 'flush'),
      at: fc.nat(blocks - 2),
      count: fc.integer({ min: 1, max: 2 }),
      wait: fc.nat(3),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(request, { maxLength: 20 }), async (requests) => {
        const clock = new VirtualClock();
        const memory = new MemoryDevice({ sizeBytes, completion: { clock, delayMs: 2 } });
        const disk: BlockDevice & RecordingDevice = await clock.settled(RecordingDevice.wrap(memory, 'disk', new Recording()), 10);
        for (const [turn, { kind, at, count, wait }] of requests.entries()) {
          if (kind === 'flush') disk.flush(ignore);
          else if (kind === 'write') disk.write(at * blockBytes, block(turn + 1, count), {}, ignore);
          else disk.writeZeroes(at * blockBytes, count * blockBytes, {}, ignore);
          await clock.runFor(wait);
        }
        await clock.runFor(2);
        await clock.settled(devicePromises(disk).flush(), 10);
        expect(Buffer.compare(disk.durableImage(), memory.contents)).to.equal(0);
        expect(Buffer.compare(disk.survivors(new SeededRandom(1)), memory.contents)).to.equal(0);
      }),
      { numRuns: 30 },
    );
  });
});
