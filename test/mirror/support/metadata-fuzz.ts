import type { BlockDevice } from '../../../src/device/block-device.ts';
import { MemoryDevice } from '../../../src/device/memory.ts';
import { capacityBytes, encodeSlot } from '../../../src/device/record-slot.ts';
import { HotMirrorError } from '../../../src/errors.ts';
import type { ErrorCode } from '../../../src/errors.ts';
import { DurablePairRecordStore, pairRecordBytes } from '../../../src/failover/pair-record-store.ts';
import { newPairRecord } from '../../../src/failover/pair-record.ts';
import { regionBytes } from '../../../src/mirror/activity-log.ts';
import { elementMetadataBytes } from '../../../src/mirror/create-element.ts';
import { ElementStore } from '../../../src/mirror/element-store.ts';
import { MirrorLink } from '../../../src/mirror/mirror-link.ts';
import { SeededRandom } from '../../../src/testing/seeded-random.ts';
import { VirtualClock } from '../../../src/testing/virtual-clock.ts';
import { MemoryNetwork } from '../../../src/transport/memory.ts';

const sizeBytes = regionBytes + 65_536;
const blockBytes = 512;
const headBytes = 16_384;
const pageBytes = 4_096;
const recordBytes = 8_192;
const settleMs = 10_000;
/** More reads than this have no bound that anybody knows of. */
const mostReads = 1_000;
const refusals: readonly ErrorCode[] = ['HM_METADATA_MISSING', 'HM_METADATA_CORRUPT', 'HM_METADATA_VERSION', 'HM_ELEMENT_TOO_SMALL'];

/** What fuzzed bytes came to: a typed refusal, or `opened`. */
export type MetadataOutcome = ErrorCode | 'opened';

const oddValues: readonly unknown[] = [
  ...[
    null,
    true,
    -1,
    0,
    1,
    0.5,
    3,
    512,
    65_536,
    2 ** 20,
    2 ** 40,
    2 ** 52,
    Number.MAX_SAFE_INTEGER,
    1e300,
    '',
    'x',
    'consistent',
    'failed',
  ],
  ...[
    '0123456789abcdef',
    [],
    {},
    [0],
    [1],
    [2 ** 40],
    [Number.MAX_SAFE_INTEGER],
    ['0123456789abcdef'],
    { number: 2 ** 40, owner: 'alpha' },
  ],
];

/** Bytes of a damaged disk, or of one that somebody wrote on purpose: any at all, or with valid checksums around what makes no sense. */
function damage(image: Uint8Array, slotBytes: number, magic: string, random: SeededRandom): void {
  const at = random.below(image.length);
  switch (random.below(8)) {
    case 0:
      image.set(random.bytes(Math.min(image.length - at, 1 + random.below(2_000))), at);
      return;
    case 1:
      image.fill(random.below(2) === 0 ? 0 : 0xff, at, at + 1 + random.below(20_000));
      return;
    case 2:
      image.copyWithin(random.below(image.length), at, at + 1 + random.below(slotBytes));
      return;
    case 3:
      image.fill(random.below(256));
      return;
    case 4:
      for (let left = 1 + random.below(4); left > 0; left -= 1) flip(image, random);
      return;
    default:
      forge(image, slotBytes, magic, random);
  }
}

function flip(image: Uint8Array, random: SeededRandom): void {
  const at = random.below(1_024) + (random.below(2) === 0 ? 0 : headBytes);
  image[at % image.length] = (image[at % image.length] ?? 0) ^ (1 << random.below(8));
}

/** A copy with a valid checksum: of changed JSON, or of any bytes, with any number and version. */
function forge(image: Uint8Array, slotBytes: number, magic: string, random: SeededRandom): void {
  const payload = random.below(4) === 0 ? random.bytes(random.below(capacityBytes(slotBytes))) : changedJson(image, random);
  const sequence = [0, 1, 2, 100, Number.MAX_SAFE_INTEGER][random.below(5)] ?? 1;
  const version = random.below(8) === 0 ? 1 + random.below(9) : 1;
  const bytes = encodeSlot({ magic, version }, sequence, payload.subarray(0, capacityBytes(slotBytes)), blockBytes);
  const both = random.below(2) === 0;
  const slot = random.below(2);
  for (const index of both ? [0, 1] : [slot]) image.set(bytes, index * slotBytes);
}

function changedJson(image: Uint8Array, random: SeededRandom): Uint8Array {
  const header = new DataView(image.buffer, image.byteOffset, image.byteLength);
  const text = Buffer.from(image.subarray(32, 32 + Math.min(header.getUint32(12, true), headBytes))).toString('utf8');
  try {
    const value = JSON.parse(text) as Record<string, unknown>;
    const keys = Object.keys(value);
    for (let left = 1 + random.below(3); left > 0; left -= 1)
      value[keys[random.below(keys.length)] ?? ''] = oddValues[random.below(oddValues.length)];
    return Buffer.from(JSON.stringify(value));
  } catch {
    return Buffer.from(text);
  }
}

/** A page of the dirty map with a valid checksum and any length. */
function forgePage(image: Uint8Array, random: SeededRandom): void {
  const payload = random.bytes(random.below(2) === 0 ? random.below(40) : random.below(capacityBytes(pageBytes) + 1));
  image.set(
    encodeSlot({ magic: 'HMDIRTY0', version: 1 }, 1 + random.below(3), payload, blockBytes),
    2 * headBytes + random.below(2) * pageBytes,
  );
}

/** An element's metadata in some state, damaged; opened by a real mirror, which must refuse it with a typed error or be harmless. Throws what is wrong. */
export async function fuzzMetadata(seed: number): Promise<MetadataOutcome> {
  const random = new SeededRandom(seed);
  const clock = new VirtualClock({ settles: 'promises' });
  await Promise.resolve();
  const metadata = new MemoryDevice({ sizeBytes: elementMetadataBytes(sizeBytes) });
  await MirrorLink.create({
    kind: random.below(4) === 0 ? 'blank' : 'data',
    sizeBytes,
    metadata,
    random,
    epoch: { number: 1, owner: 'alpha' },
  });
  if (random.below(2) === 0) {
    const store = await ElementStore.load(metadata);
    await store.update(() => ({ activeRegions: [random.below(2)], inUse: random.below(2) === 0, servedEpoch: 1 }));
    store.dirty.mark(random.below(store.dirty.extents));
    await store.persistDirty();
  }
  for (let left = 1 + random.below(2); left > 0; left -= 1) damage(metadata.contents, headBytes, 'HMMIRROR', random);
  if (random.below(4) === 0) forgePage(metadata.contents, random);
  let reads = 0;
  const link = new MemoryNetwork({ clock, random }).link('data', { nodes: ['alpha', 'beta'] });
  const mirror = new MirrorLink({
    ...{ name: 'm0', node: 'alpha', peer: 'beta', preferOwnDial: true, clock, random, transport: link.transport('alpha') },
    device: guarded(new MemoryDevice({ sizeBytes })),
    metadata: {
      ...wrapped(metadata),
      read: (offsetBytes, into, done) => {
        reads += 1;
        metadata.read(offsetBytes, into, done);
      },
    },
  });
  try {
    await clock.settled(mirror.open(), settleMs, 'opening');
  } catch (error) {
    return refusalOf(error);
  }
  if (reads > mostReads) throw new Error(`${String(reads)} reads to open`);
  await clock.runFor(1_000);
  const { state } = mirror.snapshot();
  if (state.element === 'uptodate' || state.serving !== 'no') throw new Error(`it is ${state.element} and serves: ${state.serving}`);
  const promoted = await clock.settled(
    mirror.promote({ epoch: { number: state.epoch.number + 1, owner: 'alpha' }, alone: true }).then(
      () => true,
      () => false,
    ),
    settleMs,
    'the refusal',
  );
  if (promoted) throw new Error('it serves what nobody knows to be good');
  await clock.settled(mirror.close(), settleMs, 'closing');
  if (clock.pendingTimers > 0) throw new Error('a timer is left');
  return 'opened';
}

/** A pair record, damaged; read by the store of the orchestrator. */
export async function fuzzPairRecord(seed: number): Promise<MetadataOutcome> {
  const random = new SeededRandom(seed);
  const device = new MemoryDevice({ sizeBytes: pairRecordBytes });
  const store = new DurablePairRecordStore(device);
  await store.load();
  const record = {
    ...newPairRecord({ primary: 'alpha', standby: 'beta' }, 'auto'),
    epoch: { number: 1 + random.below(9), owner: 'alpha' },
  };
  await store.write(record);
  for (let left = 1 + random.below(2); left > 0; left -= 1) damage(device.contents, recordBytes, 'HMPAIR01', random);
  try {
    const found = await new DurablePairRecordStore(device).load();
    if (found && (found.epoch.number === 0) !== (found.epoch.owner === '')) throw new Error('an epoch without owner was read');
    return 'opened';
  } catch (error) {
    return refusalOf(error);
  }
}

function refusalOf(error: unknown): ErrorCode {
  if (!(error instanceof HotMirrorError) || !refusals.includes(error.code)) throw error;
  return error.code;
}

function wrapped(device: MemoryDevice): BlockDevice {
  return {
    sizeBytes: device.sizeBytes,
    blockSizeBytes: device.blockSizeBytes,
    capabilities: device.capabilities,
    read: (offsetBytes, into, done) => device.read(offsetBytes, into, done),
    write: (offsetBytes, from, options, done) => device.write(offsetBytes, from, options, done),
    flush: (done) => device.flush(done),
    trim: (offsetBytes, lengthBytes, done) => device.trim(offsetBytes, lengthBytes, done),
    writeZeroes: (offsetBytes, lengthBytes, options, done) => device.writeZeroes(offsetBytes, lengthBytes, options, done),
    close: () => device.close(),
  };
}

/** An element that nothing is to be written to. */
function guarded(device: MemoryDevice): BlockDevice {
  const touched = (): never => {
    throw new Error('the element was written');
  };
  return { ...wrapped(device), write: touched, trim: touched, writeZeroes: touched };
}
