import { expect } from 'chai';
import fc from 'fast-check';

import type { BlockDevice, Done } from '../../src/device/block-device.ts';
import { DurableRecord, prepareRecord } from '../../src/device/durable-record.ts';
import type { RecordLayout } from '../../src/device/durable-record.ts';
import { MemoryDevice } from '../../src/device/memory.ts';
import { HotMirrorError } from '../../src/errors.ts';
import { Recording, RecordingDevice } from '../../src/testing/recording-device.ts';
import { SeededRandom } from '../../src/testing/seeded-random.ts';
import { FaultyDevice } from './faulty-device.ts';
import { refusal } from './refusal.ts';

const blockBytes = 512;
const layout: RecordLayout = { offsetBytes: 512, slotBytes: 2048, magic: 'HMRECORD', version: 2 };
const sizeBytes = layout.offsetBytes + 2 * layout.slotBytes;
const capacity = layout.slotBytes - 32;

const seeds = fc.nat(0xffffffff);
/** Made of two numbers, because those shrink fast. */
const payloads = fc.tuple(fc.nat(capacity), seeds).map(([lengthBytes, seed]) => new SeededRandom(seed).bytes(lengthBytes));

function memory(contents?: Uint8Array): MemoryDevice {
  return new MemoryDevice({ sizeBytes, ...(contents ? { contents } : {}) });
}

function equal(a: Uint8Array | null | undefined, b: Uint8Array | null | undefined): boolean {
  return a && b ? Buffer.compare(a, b) === 0 : (a ?? null) === (b ?? null);
}

/** What a power cut during or after the work may leave, at each step of it and many times by chance. */
async function imagesOf(from: Uint8Array, random: SeededRandom, work: (device: BlockDevice) => Promise<void>): Promise<Uint8Array[]> {
  const images: Uint8Array[] = [];
  const recorder = await RecordingDevice.wrap(memory(from.slice()), 'state', new Recording());
  await work(new FaultyDevice(recorder, { before: () => void images.push(recorder.durableImage(), recorder.survivors(random)) }));
  for (let count = 0; count < 8; count += 1) images.push(recorder.survivors(random));
  return images;
}

/** A device that holds a record written this often. */
async function written(...contents: Uint8Array[]): Promise<MemoryDevice> {
  const device = memory();
  const record = await DurableRecord.load(device, layout);
  for (const payload of contents) await record.write(payload);
  return device;
}

/** One copy of the record cannot be read. */
class SpoiltCopy extends MemoryDevice {
  readonly #atBytes: number;

  constructor(contents: Uint8Array, atBytes: number) {
    super({ sizeBytes: contents.byteLength, contents });
    this.#atBytes = atBytes;
  }

  override read(offsetBytes: number, into: Uint8Array, done: Done): void {
    if (offsetBytes === this.#atBytes) done(new HotMirrorError('HM_IO_READ', 'a bad sector'));
    else super.read(offsetBytes, into, done);
  }
}

describe('DurableRecord (semantics 3: two copies written alternately)', () => {
  it('was never written where all is zero', async () => {
    const record = await DurableRecord.load(memory(), layout);
    expect(record).to.include({ payload: null, sequence: 0, payloadVersion: null, damagedCopies: 0, capacityBytes: capacity });
  });

  it('holds the last of any payloads written, from empty to full', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.tuple(payloads, fc.boolean()), { minLength: 1, maxLength: 6 }), async (writes) => {
        const device = memory();
        const record = await DurableRecord.load(device, layout);
        for (const [payload, both] of writes) await (both ? record.writeBoth(payload) : record.write(payload));
        const again = await DurableRecord.load(device, layout);
        expect(equal(again.payload, writes.at(-1)?.[0])).to.equal(true);
        expect(again).to.include({ sequence: writes.length, payloadVersion: 2, damagedCopies: 0 });
      }),
    );
  });

  it('leaves the old payload or the new one, whatever part of a write survives a power cut', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(payloads, { minLength: 1, maxLength: 4 }),
        payloads,
        fc.boolean(),
        seeds,
        async (before, next, both, seed) => {
          const { contents } = await written(...before);
          const images = await imagesOf(contents, new SeededRandom(seed), async (device) => {
            const record = await DurableRecord.load(device, layout);
            await (both ? record.writeBoth(next) : record.write(next));
          });
          for (const image of images) {
            const { payload, sequence } = await DurableRecord.load(memory(image), layout);
            const isOld = sequence === before.length && equal(payload, before.at(-1));
            const isNew = sequence === before.length + 1 && equal(payload, next);
            expect(isOld || isNew).to.equal(true);
          }
        },
      ),
    );
  });

  it('leaves the new payload once a write has resolved', async () => {
    await fc.assert(
      fc.asyncProperty(payloads, payloads, fc.boolean(), seeds, async (before, next, both, seed) => {
        const recorder = await RecordingDevice.wrap(await written(before), 'state', new Recording());
        const record = await DurableRecord.load(recorder, layout);
        await (both ? record.writeBoth(next) : record.write(next));
        for (const image of [recorder.durableImage(), recorder.survivors(new SeededRandom(seed))]) {
          expect(equal((await DurableRecord.load(memory(image), layout)).payload, next)).to.equal(true);
        }
      }),
    );
  });

  it('was never written, or holds the first payload, after a power cut in the first write of all', async () => {
    await fc.assert(
      fc.asyncProperty(payloads, seeds, async (first, seed) => {
        const random = new SeededRandom(seed);
        const images = await imagesOf(new Uint8Array(sizeBytes), random, async (device) =>
          (await DurableRecord.load(device, layout)).write(first),
        );
        for (const image of images) {
          const { payload } = await DurableRecord.load(memory(image), layout);
          expect(payload === null || equal(payload, first)).to.equal(true);
        }
      }),
    );
  });

  it('goes on after a first write that was cut short', async () => {
    await fc.assert(
      fc.asyncProperty(payloads, payloads, seeds, async (first, next, seed) => {
        const random = new SeededRandom(seed);
        const images = await imagesOf(new Uint8Array(sizeBytes), random, async (device) =>
          (await DurableRecord.load(device, layout)).write(first),
        );
        for (const image of images) {
          const record = await DurableRecord.load(memory(image), layout);
          const again = await imagesOf(image, random, async (device) => (await DurableRecord.load(device, layout)).write(next));
          for (const second of again) {
            const { payload } = await DurableRecord.load(memory(second), layout);
            expect(equal(payload, next) || equal(payload, record.payload)).to.equal(true);
          }
        }
      }),
      { numRuns: 25 },
    );
  });

  it('survives a first write that is torn anywhere where it was prepared', async () => {
    await fc.assert(
      fc.asyncProperty(payloads, payloads, seeds, async (first, next, seed) => {
        const random = new SeededRandom(seed);
        const prepared = memory();
        await prepareRecord(prepared, layout);
        const before = prepared.contents.slice();
        const after = memory(before.slice());
        await (await DurableRecord.load(after, layout)).write(first);
        for (let slot = 0; slot < 2; slot += 1) {
          // The first copy to be written is the one that `load` names; either may be it here.
          const torn = (slot === 0 ? before : after.contents).slice();
          const from = layout.offsetBytes + (1 - slot) * layout.slotBytes;
          for (let at = from; at < from + layout.slotBytes; at += 1) torn[at] = random.fraction() < 0.5 ? before[at]! : after.contents[at]!;
          const record = await DurableRecord.load(memory(torn), layout);
          expect(record.payload === null || equal(record.payload, first)).to.equal(true);
          const again = memory(torn);
          await (await DurableRecord.load(again, layout)).write(next);
          expect(equal((await DurableRecord.load(again, layout)).payload, next)).to.equal(true);
        }
      }),
    );
  });

  it('is as it was when it is prepared again', async () => {
    const device = await written(new Uint8Array(10).fill(1));
    const before = device.contents.slice();
    await prepareRecord(device, layout);
    expect(equal(device.contents, before)).to.equal(true);
    const fresh = memory();
    await prepareRecord(fresh, layout);
    expect(await DurableRecord.load(fresh, layout)).to.include({ payload: null, sequence: 0, payloadVersion: null, damagedCopies: 0 });
  });

  it('was never written, or holds a payload, after a power cut in a first write that was tried again', async () => {
    await fc.assert(
      fc.asyncProperty(payloads, payloads, fc.integer({ min: 2, max: 5 }), seeds, async (first, second, failing, seed) => {
        const random = new SeededRandom(seed);
        const images: Uint8Array[] = [];
        const recorder = await RecordingDevice.wrap(memory(), 'state', new Recording());
        const device = new FaultyDevice(recorder, {
          before: () => void images.push(recorder.survivors(random)),
          failFlush: (count) => firstTry && count === failing,
        });
        let firstTry = true;
        const record = await DurableRecord.load(device, layout);
        await record.write(first).catch((error: unknown) => {
          expect(error).to.include({ code: 'HM_IO_FLUSH' });
        });
        firstTry = false;
        await record.write(second);
        for (const image of images) {
          const { payload } = await DurableRecord.load(memory(image), layout);
          expect(payload === null || equal(payload, first) || equal(payload, second)).to.equal(true);
        }
        expect(equal((await DurableRecord.load(memory(recorder.durableImage()), layout)).payload, second)).to.equal(true);
      }),
    );
  });

  it('never goes back behind what a load has shown, though the flush of that write had failed', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(payloads, { minLength: 4, maxLength: 4 }), fc.boolean(), seeds, async ([a, b, c, d], both, seed) => {
        const random = new SeededRandom(seed);
        const images: Uint8Array[] = [];
        let failing = false;
        const disk = new FaultyDevice(await written(a!, b!), { failFlush: () => failing });
        const recorder = await RecordingDevice.wrap(disk, 'state', new Recording());
        const doomed = await DurableRecord.load(recorder, layout);
        failing = true;
        await doomed.write(c!).catch(() => undefined);
        failing = false;

        const device = new FaultyDevice(recorder, { before: () => void images.push(recorder.durableImage(), recorder.survivors(random)) });
        const again = await DurableRecord.load(device, layout);
        const shown = again.payload;
        images.length = 0;
        await (both ? again.writeBoth(d!) : again.write(d!));
        for (const image of images) {
          const { payload } = await DurableRecord.load(memory(image), layout);
          expect(equal(payload, shown) || equal(payload, d)).to.equal(true);
        }
      }),
    );
  });

  it('survives the loss of either copy after writeBoth, and after the first write', async () => {
    const one = new Uint8Array(900).fill(1);
    const two = new Uint8Array(900).fill(2);
    for (const [contents, expected] of [
      [(await written(one)).contents, one],
      [await afterBoth(one, two), two],
    ] as const) {
      for (const slot of [0, 1]) {
        const image = contents.slice();
        image.fill(0xee, layout.offsetBytes + slot * layout.slotBytes, layout.offsetBytes + (slot + 1) * layout.slotBytes);
        const record = await DurableRecord.load(memory(image), layout);
        expect(equal(record.payload, expected)).to.equal(true);
        expect(record.damagedCopies).to.equal(1);
      }
    }
  });

  it('survives any damage to one copy and says so; damage to both is HM_METADATA_CORRUPT', async () => {
    const damage = fc.tuple(fc.nat(31 + 100), fc.integer({ min: 1, max: 255 }));
    await fc.assert(
      fc.asyncProperty(damage, damage, fc.boolean(), async (first, second, secondSlot) => {
        const one = new Uint8Array(100).fill(1);
        const two = new Uint8Array(100).fill(2);
        const { contents } = await written(one, two);
        const hit = (slot: number, [at, flip]: [number, number]): void => {
          const reserved = at >= 28 && at < 32 ? 0 : at; // four bytes of the header mean nothing
          const place = layout.offsetBytes + slot * layout.slotBytes + reserved;
          contents[place] = (contents[place] ?? 0) ^ flip;
        };
        hit(secondSlot ? 1 : 0, first);
        const record = await DurableRecord.load(memory(contents.slice()), layout);
        expect(equal(record.payload, one) || equal(record.payload, two)).to.equal(true);
        expect(record.damagedCopies).to.equal(1);
        hit(secondSlot ? 0 : 1, second);
        expect(await refusal(DurableRecord.load(memory(contents), layout))).to.equal('HM_METADATA_CORRUPT');
      }),
    );
  });

  it('says that it may be older where a copy cannot be read at all, and not where a copy is torn', async () => {
    const { contents } = await written(new Uint8Array(10).fill(1), new Uint8Array(10).fill(2));
    for (const slot of [0, 1]) {
      const atBytes = layout.offsetBytes + slot * layout.slotBytes;
      const spoilt = new SpoiltCopy(contents.slice(), atBytes);
      expect(await DurableRecord.load(spoilt, layout)).to.include({ damagedCopies: 1, mayBeOlder: true });
      const torn = contents.slice();
      torn.fill(0xee, atBytes, atBytes + layout.slotBytes);
      expect(await DurableRecord.load(memory(torn), layout)).to.include({ damagedCopies: 1, mayBeOlder: false });
    }
  });

  it('repairs the damaged copy with the next write', async () => {
    const device = await written(new Uint8Array(10).fill(1), new Uint8Array(10).fill(2));
    device.contents.fill(0xee, layout.offsetBytes + layout.slotBytes);
    await (await DurableRecord.load(device, layout)).write(new Uint8Array(10).fill(3));
    const record = await DurableRecord.load(device, layout);
    expect(record.damagedCopies).to.equal(0);
    expect(record.payload?.[0]).to.equal(3);
  });

  it('takes a copy that reads as zeroes for a lost one, and never a lost record for a blank one', async () => {
    const wipe = (contents: Uint8Array, slot: number): void => {
      contents.fill(0, layout.offsetBytes + slot * layout.slotBytes, layout.offsetBytes + (slot + 1) * layout.slotBytes);
    };
    const garble = (contents: Uint8Array, slot: number): void => {
      contents.fill(0xee, layout.offsetBytes + slot * layout.slotBytes, layout.offsetBytes + slot * layout.slotBytes + 64);
    };
    for (const slot of [0, 1]) {
      const { contents } = await written(new Uint8Array(10).fill(1), new Uint8Array(10).fill(2), new Uint8Array(10).fill(3));
      wipe(contents, slot);
      expect((await DurableRecord.load(memory(contents), layout)).damagedCopies).to.equal(1);
      garble(contents, 1 - slot);
      expect(await refusal(DurableRecord.load(memory(contents), layout))).to.equal('HM_METADATA_CORRUPT');
    }
  });

  it('takes an unreadable copy for a lost one', async () => {
    const payload = new Uint8Array(10).fill(1);
    const inner = await written(payload);
    const device = new FaultyDevice(inner, { failRead: (offsetBytes) => offsetBytes === layout.offsetBytes });
    const record = await DurableRecord.load(device, layout);
    expect(record.damagedCopies).to.equal(1);
    expect(equal(record.payload, payload)).to.equal(true);
    const dead = new FaultyDevice(inner, { failRead: () => true });
    expect(await refusal(DurableRecord.load(dead, layout))).to.equal('HM_METADATA_CORRUPT');
  });

  it('refuses what a newer version wrote, even beside an older copy, and reads older ones', async () => {
    const device = await written(new Uint8Array(10).fill(1));
    const older = { ...layout, version: 1 };
    const error = await DurableRecord.load(device, older).catch((cause: unknown) => cause);
    expect(error).to.include({ code: 'HM_METADATA_VERSION' });
    expect(String(error)).to.contain('version 2').and.contain('knows 1');
    const newer = await DurableRecord.load(device, { ...layout, version: 3 });
    expect(newer.payloadVersion).to.equal(2);
    await newer.write(new Uint8Array(10).fill(2));
    expect(newer.payloadVersion).to.equal(3);
    expect(await refusal(DurableRecord.load(device, layout))).to.equal('HM_METADATA_VERSION');
  });

  it('refuses a record of another kind', async () => {
    const device = await written(new Uint8Array(10));
    expect(await refusal(DurableRecord.load(device, { ...layout, magic: 'HMOTHERS' }))).to.equal('HM_METADATA_CORRUPT');
  });

  it('makes durable what a killed process left in a cache before it gives it to anyone', async () => {
    const recorder = await RecordingDevice.wrap(await written(new Uint8Array(10).fill(1)), 'state', new Recording());
    const killed = new FaultyDevice(recorder, { failFlush: (count) => count > 1 });
    const writer = await DurableRecord.load(killed, layout);
    expect(await refusal(writer.write(new Uint8Array(10).fill(2)))).to.equal('HM_IO_FLUSH');
    const seen = (await DurableRecord.load(recorder, layout)).payload;
    expect(equal((await DurableRecord.load(memory(recorder.durableImage()), layout)).payload, seen)).to.equal(true);
  });

  it('uses the same copy again after a failure and never touches the last good one', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(payloads, fc.boolean(), fc.nat(3)), { minLength: 1, maxLength: 12 }),
        seeds,
        async (writes, seed) => {
          const random = new SeededRandom(seed);
          const recorder = await RecordingDevice.wrap(memory(), 'state', new Recording());
          const device = new FaultyDevice(recorder, {
            failWrite: () => random.below(4) === 0,
            failFlush: () => random.below(6) === 0,
            tear: random,
          });
          let record = await loadPatiently(device);
          let lastGood: Uint8Array | null = null;
          let inDoubt: (Uint8Array | null)[] = [];
          for (const [payload, both, fate] of writes) {
            const error = await (both ? record.writeBoth(payload) : record.write(payload)).then(
              () => null,
              (cause: unknown) => cause,
            );
            if (error) inDoubt.push(payload);
            else [lastGood, inDoubt] = [payload, []];
            const allowed = [lastGood, ...inDoubt];
            const survivor = await DurableRecord.load(memory(recorder.survivors(random)), layout);
            expect(allowed.some((one) => equal(one, survivor.payload))).to.equal(true);
            if (fate > 0) continue;
            record = await loadPatiently(device);
            [lastGood, inDoubt] = [record.payload, []];
          }
        },
      ),
    );
  });

  it('carries out writes in the order called, and copies each payload at once', async () => {
    const device = memory();
    const record = await DurableRecord.load(device, layout);
    const payload = new Uint8Array(4);
    const writes = Array.from({ length: 20 }, (_, count) => {
      payload.fill(count);
      return count % 3 === 0 ? record.writeBoth(payload) : record.write(payload);
    });
    await Promise.all(writes);
    expect(record.sequence).to.equal(20);
    expect((await DurableRecord.load(device, layout)).payload?.[0]).to.equal(19);
  });

  it('bounds how many writes wait: HM_BUSY, and those that wait are carried out', async () => {
    const record = await DurableRecord.load(memory(), layout);
    const writes = await Promise.allSettled(Array.from({ length: 70 }, (_, count) => record.write(new Uint8Array(1).fill(count))));
    const refused = writes.filter((write) => write.status === 'rejected').map(({ reason }) => (reason as { code: string }).code);
    expect(refused).to.deep.equal(Array(6).fill('HM_BUSY'));
    expect(record.payload?.[0]).to.equal(63);
    await record.write(new Uint8Array(1));
  });

  it('throws RangeError for payloads that do not fit and layouts that cannot be', async () => {
    const record = await DurableRecord.load(memory(), layout);
    await record.write(new Uint8Array(capacity));
    expect(await record.write(new Uint8Array(capacity + 1)).catch((error: unknown) => error)).to.be.instanceOf(RangeError);
    const wrong: Partial<RecordLayout>[] = [
      { offsetBytes: 100 },
      { offsetBytes: -blockBytes },
      { offsetBytes: 2 * blockBytes },
      { slotBytes: 100 },
      { slotBytes: 0 },
      { slotBytes: NaN },
      { magic: 'SHORT' },
      { magic: 'äöüäöüäö' },
      { version: 0 },
      { version: 1.5 },
    ];
    for (const change of wrong) {
      const error = await DurableRecord.load(memory(), { ...layout, ...change }).catch((cause: unknown) => cause);
      expect(error, JSON.stringify(change)).to.be.instanceOf(RangeError);
    }
  });
});

async function afterBoth(one: Uint8Array, two: Uint8Array): Promise<Uint8Array> {
  const device = await written(one);
  await (await DurableRecord.load(device, layout)).writeBoth(two);
  return device.contents;
}

/** Loads from a device whose writes and flushes fail now and then. */
async function loadPatiently(device: BlockDevice): Promise<DurableRecord> {
  for (;;) {
    try {
      return await DurableRecord.load(device, layout);
    } catch (error) {
      if (!['HM_IO_WRITE', 'HM_IO_FLUSH'].includes((error as { readonly code: string }).code)) throw error;
    }
  }
}
