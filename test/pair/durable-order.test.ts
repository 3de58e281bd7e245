import { expect } from 'chai';

import { Recording, RecordingDevice } from '../../src/testing/recording-device.ts';
import type { DeviceEntry, RecordedEntry } from '../../src/testing/recording-device.ts';
import { completeOptions } from '../../src/testing/simulation/complete-options.ts';
import type { SimulatedDisk } from '../../src/testing/simulation/simulated-disk.ts';
import { startPair } from '../../src/testing/simulation/simulated-pair.ts';
import type { SimulatedPair } from '../../src/testing/simulation/simulated-pair.ts';
import { nodeNames } from '../../src/testing/simulation/steps.ts';
import type { NodeName } from '../../src/testing/simulation/steps.ts';
import { World } from '../../src/testing/simulation/world.ts';

const block = 4096;
const times = { intervalMs: 200, deadlineMs: 1_000, leaseMs: 750, initialGraceMs: 2_000 };

/** A pair on disks that record, in one order, what was asked, what was durable when, and what the mirrors told. */
class RecordedPair {
  readonly recording: Recording;
  readonly pair: SimulatedPair;

  private constructor(pair: SimulatedPair, recording: Recording) {
    this.pair = pair;
    this.recording = recording;
    for (const node of nodeNames) this.#listen(node);
  }

  static async start(): Promise<RecordedPair> {
    const world = new World(completeOptions({ times, policy: { whenAlone: 'continue' } }));
    const recording = new Recording();
    for (const node of nodeNames) {
      const { record, mirrors } = world.nodes[node].disks;
      for (const [kind, disk] of Object.entries({ ...mirrors.get('m0'), record })) recordDisk(disk, `${node}:${kind}`, recording);
    }
    return new RecordedPair(await startPair(world), recording);
  }

  async boot(node: NodeName): Promise<void> {
    await this.pair.boot(node);
    this.#listen(node);
  }

  /** Writes and marks the acknowledgement. */
  async write(offset: number): Promise<void> {
    const node = this.pair.serving ?? 'nobody';
    await this.pair.write({ offset, bytes: new Uint8Array(block).fill(7) });
    this.recording.mark(`${node} acknowledged`);
  }

  /** Places of what happened at a device, from one place of the recording to another. */
  places(device: string, kind: DeviceEntry['kind'], from = 0, to = Infinity): readonly number[] {
    const fits = (entry: RecordedEntry): boolean => entry.kind === kind && entry.device === device && entry.at >= from && entry.at < to;
    return this.recording.entries.filter(fits).map(({ at }) => at);
  }

  /** The first mark of this name from there on. */
  mark(name: string, from = 0): number {
    const found = this.recording.entries.find((entry) => entry.kind === 'mark' && entry.at >= from && entry.label === name);
    if (!found) throw new Error(`nothing in the recording is called "${name}"`);
    return found.at;
  }

  #listen(node: NodeName): void {
    const { events } = this.pair.node(node)!.mirrors.get('m0')!;
    for (const event of ['lineage:decided', 'lineage:minted', 'resync:finished'] as const)
      events.on(event, () => void this.recording.mark(`${node} ${event}`));
  }
}

/** From now on whoever opens the disk gets a device that records. */
function recordDisk(disk: SimulatedDisk, name: string, recording: Recording): void {
  const open = disk.open.bind(disk);
  disk.open = (clock) => RecordingDevice.over(open(clock), name, recording, disk.contents.slice());
}

describe('what depends on something durable comes after it', () => {
  let pair: RecordedPair;
  let killedAt: number;

  /** A takeover, a write alone, the return of the old primary. */
  before(async () => {
    pair = await RecordedPair.start();
    await pair.write(0);
    killedAt = pair.recording.mark('killed').at;
    await pair.pair.crash('alpha');
    await pair.pair.until({ serving: 'beta' });
    await pair.write(block);
    await pair.boot('alpha');
    await pair.pair.until({ whole: true });
  });

  it('takeover.commit: intent and commit are durable in the pair record before the element serves in the new epoch', () => {
    const promoted = pair.places('beta:metadata', 'write-issued', killedAt)[0] ?? 0;
    expect(promoted).to.be.above(0);
    const durable = pair.places('beta:record', 'durable', killedAt, promoted);
    expect(durable.length).to.be.at.least(2);
    expect(pair.places('beta:record', 'write-issued', killedAt, promoted).length).to.equal(durable.length);
  });

  it('lineage.mint: the new generation is durable before the first write alone is acknowledged', () => {
    const minted = pair.mark('beta lineage:minted', killedAt);
    const acknowledged = pair.mark('beta acknowledged', killedAt);
    expect(minted).to.be.below(acknowledged);
    const issued = pair.places('beta:metadata', 'write-issued', killedAt, minted);
    expect(pair.places('beta:metadata', 'durable', killedAt, minted).length).to.equal(issued.length);
  });

  it('write.intent: the region is durable in the activity log before the write reaches the element', () => {
    const written = pair.places('beta:element', 'write-issued', killedAt)[0] ?? 0;
    const logged = pair.places('beta:metadata', 'write-issued', killedAt, written);
    expect(logged.length).to.be.at.least(2);
    expect(pair.places('beta:metadata', 'durable', killedAt, written).length).to.equal(logged.length);
  });

  it('resync.begin: the target is durably inconsistent before its first resync write', () => {
    const decided = pair.mark('alpha lineage:decided', killedAt);
    const resynced = pair.places('alpha:element', 'write-issued', decided)[0] ?? 0;
    const issued = pair.places('alpha:metadata', 'write-issued', killedAt, resynced);
    expect(issued.length).to.be.at.least(1);
    expect(pair.places('alpha:metadata', 'durable', killedAt, resynced).length).to.equal(issued.length);
  });

  it('lineage.adopt: the target is flushed, then adopts durably, then the source drops base and map', () => {
    const decided = pair.mark('alpha lineage:decided', killedAt);
    const adopted = pair.mark('alpha resync:finished', decided);
    const settled = pair.mark('beta resync:finished', decided);
    const copied = pair.places('alpha:element', 'durable', decided, adopted);
    expect(copied.length)
      .to.equal(pair.places('alpha:element', 'write-issued', decided, adopted).length)
      .and.to.be.above(0);
    const adoption = pair.places('alpha:metadata', 'durable', Math.max(...copied), adopted);
    expect(adoption.length).to.be.above(0);
    const dropped = pair.places('beta:metadata', 'durable', Math.min(...adoption), settled);
    expect(dropped.length).to.be.above(0);
    expect(settled).to.be.above(adopted);
  });
});
