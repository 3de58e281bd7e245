import { expect } from 'chai';
import fc from 'fast-check';

import { MemoryDevice } from '../../src/device/memory.ts';
import type { Epoch } from '../../src/epoch.ts';
import { HotMirrorError } from '../../src/errors.ts';
import type { PairRecord } from '../../src/failover/pair-record.ts';
import { decodePairRecord, encodePairRecord, maxReasonLength, modeOf, newPairRecord, withEpoch } from '../../src/failover/pair-record.ts';
import { DurablePairRecordStore, pairRecordBytes, readPairRecordImage } from '../../src/failover/pair-record-store.ts';
import { RecordKeeper } from '../../src/failover/record-keeper.ts';
import { platformSteps } from '../../src/platform/platform-actions.ts';

const sectorBytes = 512;
const homes = { primary: 'alpha', standby: 'beta' };
const fresh = newPairRecord(homes, 'auto');
const full: PairRecord = {
  epoch: { number: 7, owner: 'alpha' },
  homes,
  released: { number: 8, owner: 'beta' },
  refused: 6,
  intent: { number: 9, owner: 'alpha' },
  conflict: { number: 7, owner: 'beta' },
  control: { value: 'manual', version: 3 },
  journal: { sequence: 'start', epoch: 7, reason: 'x'.repeat(maxReasonLength), done: platformSteps, running: 'mount', state: 'failed' },
};

const codeOf = (act: () => unknown): string => {
  try {
    act();
    return 'none';
  } catch (error) {
    return error instanceof HotMirrorError ? error.code : String(error);
  }
};

describe('the pair record', () => {
  it('survives being written and read', () => {
    for (const record of [fresh, full]) expect(decodePairRecord(encodePairRecord(record))).to.deep.equal(record);
  });

  it('is never guessed: anything that is not exactly a record is HM_METADATA_CORRUPT', () => {
    const damaged: object[] = [
      {},
      [],
      { ...fresh, more: 1 },
      { ...fresh, epoch: { number: -1, owner: 'alpha' } },
      { ...fresh, epoch: { number: 1, owner: '' } },
      { ...fresh, epoch: { number: 0, owner: 'alpha' } },
      { ...fresh, epoch: { number: 1.5, owner: 'alpha' } },
      { ...fresh, homes: { primary: 'alpha', standby: 'alpha' } },
      { ...fresh, control: 'auto' },
      { ...fresh, journal: { ...full.journal, running: 'dance' } },
    ];
    for (const value of damaged) {
      const bytes = new TextEncoder().encode(JSON.stringify(value));
      expect(
        codeOf(() => decodePairRecord(bytes)),
        JSON.stringify(value),
      ).to.equal('HM_METADATA_CORRUPT');
    }
    for (const key of Object.keys(fresh)) {
      const rest = Object.fromEntries(Object.entries(fresh).filter(([name]) => name !== key));
      expect(
        codeOf(() => decodePairRecord(new TextEncoder().encode(JSON.stringify(rest)))),
        key,
      ).to.equal('HM_METADATA_CORRUPT');
    }
    fc.assert(fc.property(fc.uint8Array({ maxLength: 400 }), (bytes) => codeOf(() => decodePairRecord(bytes)) === 'HM_METADATA_CORRUPT'));
  });

  it('gives the mode by owner and homes', () => {
    expect([modeOf(fresh.epoch, homes), modeOf(full.epoch, homes), modeOf({ number: 1, owner: 'beta' }, homes)]).to.deep.equal([
      null,
      'normal',
      'fallback',
    ]);
  });

  it('with a new epoch, forgets what belonged to the earlier one and keeps the operator’s word', () => {
    const epoch = { number: 10, owner: 'beta' };
    expect(withEpoch(full, epoch)).to.deep.include({
      epoch,
      released: null,
      intent: null,
      conflict: null,
      refused: 6,
      control: full.control,
    });
  });

  it('is kept on a device, also in its largest form', async () => {
    const contents = new Uint8Array(pairRecordBytes);
    const store = new DurablePairRecordStore(new MemoryDevice({ sizeBytes: pairRecordBytes, contents }));
    expect(await store.load()).to.equal(null);
    const long = 'n'.repeat(255);
    const largest = {
      ...full,
      homes: { primary: long, standby: `${long.slice(1)}m` },
      epoch: { number: Number.MAX_SAFE_INTEGER, owner: long },
    };
    await store.write(fresh);
    await store.write(largest);
    const again = new DurablePairRecordStore(new MemoryDevice({ sizeBytes: pairRecordBytes, contents: contents.slice() }));
    expect(await again.load()).to.deep.equal(largest);
    for (const copyAtBytes of [0, pairRecordBytes / 2]) {
      const oneLost = contents.slice();
      oneLost.fill(0x55, copyAtBytes, copyAtBytes + pairRecordBytes / 2);
      const either = new DurablePairRecordStore(new MemoryDevice({ sizeBytes: pairRecordBytes, contents: oneLost }));
      expect(await either.load(), 'either copy alone tells of it').to.deep.equal(largest);
      expect(readPairRecordImage(oneLost, sectorBytes)).to.deep.equal(largest);
      const unreadable = (offsetBytes: number): boolean => offsetBytes !== copyAtBytes;
      expect(readPairRecordImage(contents, sectorBytes, unreadable)).to.deep.equal(largest);
    }
    expect(() => readPairRecordImage(contents, sectorBytes, () => false)).to.throw('cannot be read');
    contents.fill(0x55);
    const error: unknown = await new DurablePairRecordStore(new MemoryDevice({ sizeBytes: pairRecordBytes, contents }))
      .load()
      .catch((reason: unknown) => reason);
    expect((error as HotMirrorError).code).to.equal('HM_METADATA_CORRUPT');
  });
});

/** A keeper with a record, of which so many writes fail; some of a write that fails may reach the disk. */
async function failing(): Promise<{ readonly keeper: RecordKeeper; readonly written: number[]; readonly fail: (writes: number) => void }> {
  const written: number[] = [];
  let failures = 0;
  const store = {
    load: () => Promise.resolve(fresh),
    write: (record: PairRecord) => {
      written.push(record.epoch.number);
      return failures-- > 0 ? Promise.reject(new Error('no space')) : Promise.resolve();
    },
  };
  const keeper = new RecordKeeper('alpha', store, fresh, () => undefined);
  await keeper.load();
  return { keeper, written, fail: (writes) => (failures = writes) };
}

describe('RecordKeeper', () => {
  const slow = (log: string[], fail: () => boolean = () => false): RecordKeeper => {
    const store = {
      load: () => Promise.resolve(null),
      write: async (record: PairRecord) => {
        log.push(`begin ${String(record.refused)}`);
        await Promise.resolve();
        if (fail()) throw new Error('no space');
        log.push(`end ${String(record.refused)}`);
      },
    };
    return new RecordKeeper('alpha', store, fresh, (why) => log.push(`told ${why}`));
  };

  it('makes changes one after the other, each on what the one before left, each durable before it counts', async () => {
    const log: string[] = [];
    const keeper = slow(log);
    const raise = (why: string): Promise<PairRecord> => keeper.change(why, (record) => ({ ...record, refused: record.refused + 1 }));
    const first = raise('a');
    const second = raise('b');
    expect(keeper.record.refused).to.equal(0);
    await Promise.all([first, second]);
    expect(log).to.deep.equal(['begin 1', 'end 1', 'told a', 'begin 2', 'end 2', 'told b']);
    expect(keeper.record.refused).to.equal(2);
  });

  it('a change that could not be written never was', async () => {
    const log: string[] = [];
    let failing = true;
    const keeper = slow(log, () => failing);
    const error: unknown = await keeper.change('a', (record) => ({ ...record, refused: 5 })).catch((reason: unknown) => reason);
    expect((error as HotMirrorError).code).to.equal('HM_STATE_UNWRITABLE');
    expect(keeper.record).to.equal(fresh);
    failing = false;
    await keeper.change('b', (record) => ({ ...record, refused: record.refused + 1 }));
    expect(keeper.record.refused).to.equal(1);
  });

  it('takes back an epoch of its own whose write failed, at once or when it is told to: a crash may bring back what nobody heard of', async () => {
    const { keeper, written, fail } = await failing();
    const claim = (number: number): Promise<unknown> =>
      keeper.change('a', (record) => withEpoch(record, { number, owner: 'alpha' })).catch(() => null);
    fail(1);
    await claim(7);
    expect([...written, keeper.doubtful]).to.deep.equal([7, fresh.epoch.number, false]);
    fail(2);
    await claim(8);
    expect(keeper.doubtful).to.equal(true);
    await keeper.settle();
    await keeper.settle();
    expect([...written.slice(2), keeper.doubtful]).to.deep.equal([8, fresh.epoch.number, fresh.epoch.number, false]);
  });

  it('never takes back the epoch of its peer, or a recorded split: that half of it is on the disk keeps this node from serving (boot.alone)', async () => {
    const { keeper, written, fail } = await failing();
    const theirs: Epoch = { number: 9, owner: 'beta' };
    fail(1);
    await keeper.change('a', (record) => withEpoch(record, theirs)).catch(() => null);
    fail(1);
    await keeper.change('b', (record) => ({ ...record, conflict: theirs })).catch(() => null);
    await keeper.settle();
    expect(written).to.deep.equal([9, fresh.epoch.number]);
    // A claim in doubt does not count once something else was written over it in part.
    fail(3);
    await keeper.change('c', (record) => withEpoch(record, { number: 10, owner: 'alpha' })).catch(() => null);
    await keeper.change('d', (record) => withEpoch(record, theirs)).catch(() => null);
    await keeper.settle();
    expect(written.slice(2)).to.deep.equal([10, fresh.epoch.number, 9]);
  });

  it('outdate: what runs exclusively sees no change begin', async () => {
    const log: string[] = [];
    const keeper = slow(log);
    const exclusive = keeper.exclusively(async () => {
      log.push('in');
      await new Promise<void>((resolve) => setTimeout(resolve, 5));
      log.push('out');
    });
    await Promise.all([exclusive, keeper.change('a', (record) => ({ ...record, refused: 1 }))]);
    expect(log.slice(0, 3)).to.deep.equal(['in', 'out', 'begin 1']);
  });

  it('bounds what may wait', async () => {
    const keeper = slow([]);
    const changes = Array.from({ length: 400 }, () =>
      keeper
        .change('a', (record) => record)
        .then(
          () => 'done',
          (error: unknown) => (error as HotMirrorError).code,
        ),
    );
    const outcomes = await Promise.all(changes);
    expect(outcomes.filter((outcome) => outcome === 'HM_BUSY').length).to.be.greaterThan(100);
  });
});
