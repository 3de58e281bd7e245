import { expect } from 'chai';

import { MemoryDevice } from '../../src/device/memory.ts';
import { devicePromises } from '../../src/device/promises.ts';
import { pairRecordBytes } from '../../src/failover/pair-record-store.ts';
import { elementMetadataBytes } from '../../src/mirror/create-element.ts';
import { MirrorLink } from '../../src/mirror/mirror-link.ts';
import { Recording, RecordingDevice } from '../../src/testing/recording-device.ts';
import type { DeviceEntry, RecordedEntry } from '../../src/testing/recording-device.ts';
import { SeededRandom } from '../../src/testing/seeded-random.ts';
import { VirtualClock } from '../../src/testing/virtual-clock.ts';
import { MemoryNetwork } from '../../src/transport/memory.ts';
import type { MemoryLink } from '../../src/transport/memory.ts';
import { Machine, names } from './machine.ts';
import type { Name } from './machine.ts';
import { NodeClock } from './node-clock.ts';

const sizeBytes = 1_048_576;
const block = 4096;
const patienceMs = 60_000;
const times = { intervalMs: 200, deadlineMs: 1_000, leaseMs: 750, graceMs: 2_000 };
const kinds = ['element', 'metadata', 'record'] as const;
type Kind = (typeof kinds)[number];

/** Two whole nodes on disks that record, in one order, what was asked, what was durable when, and what the nodes told. */
class RecordedPair {
  readonly clock = new VirtualClock();
  readonly recording = new Recording();
  readonly #random = new SeededRandom(1);
  readonly #network = new MemoryNetwork({ clock: this.clock, random: this.#random });
  readonly #links: Record<'data' | 'mon1' | 'mon2', MemoryLink> = {
    data: this.#link('data'),
    mon1: this.#link('mon1'),
    mon2: this.#link('mon2'),
  };
  readonly #disks = new Map<string, MemoryDevice>();
  readonly #machines = new Map<Name, Machine>();

  async start(): Promise<this> {
    for (const node of names) {
      const sizes: Record<Kind, number> = { element: sizeBytes, metadata: elementMetadataBytes(sizeBytes), record: pairRecordBytes };
      for (const kind of kinds) this.#disks.set(`${node}:${kind}`, new MemoryDevice({ sizeBytes: sizes[kind] }));
      const metadata = new MemoryDevice({ sizeBytes: sizes.metadata, contents: this.#contents(node, 'metadata') });
      const kind = node === 'alpha' ? 'data' : 'blank';
      await MirrorLink.create({ kind, sizeBytes, metadata, random: this.#random, epoch: { number: 1, owner: 'alpha' } });
    }
    for (const node of names) await this.boot(node);
    await this.until('alpha', ({ serving, peerElement }) => serving === 'yes' && peerElement === 'uptodate');
    await this.clock.runFor(2 * times.graceMs);
    return this;
  }

  async boot(node: Name): Promise<void> {
    const open = (kind: Kind): Promise<RecordingDevice> => {
      const contents = this.#contents(node, kind);
      return RecordingDevice.wrap(new MemoryDevice({ sizeBytes: contents.byteLength, contents }), `${node}:${kind}`, this.recording);
    };
    const machine = await Machine.start({
      node,
      clock: new NodeClock(this.clock),
      random: this.#random,
      times,
      policy: { whenAlone: 'continue' },
      arbiter: null,
      device: await open('element'),
      metadata: await open('metadata'),
      record: await open('record'),
      links: this.#links,
      note: (text) => void this.recording.mark(text.trim()),
    });
    this.#machines.set(node, machine);
  }

  kill(node: Name): void {
    this.machine(node).clock.dead = true;
    this.#machines.delete(node);
    for (const link of Object.values(this.#links)) link.kill(node);
  }

  machine(node: Name): Machine {
    const machine = this.#machines.get(node);
    if (!machine) throw new Error(`${node} is not running`);
    return machine;
  }

  async until(node: Name, holds: (state: ReturnType<MirrorLink['state']>) => boolean): Promise<void> {
    await this.clock.until(() => holds(this.machine(node).mirror.state()), patienceMs, `what ${node} is to be`);
  }

  /** Writes and marks the acknowledgement. */
  async write(node: Name, offsetBytes: number): Promise<number> {
    const bytes = new Uint8Array(block).fill(7);
    await this.clock.settled(devicePromises(this.machine(node).mirror).write(offsetBytes, bytes), patienceMs, 'the write');
    return this.recording.mark(`${node} acknowledged`).at;
  }

  /** Places of what happened at a device, from one place of the recording to another. */
  places(device: string, kind: DeviceEntry['kind'], from = 0, to = Infinity): readonly number[] {
    const fits = (entry: RecordedEntry): boolean => entry.kind === kind && entry.device === device && entry.at >= from && entry.at < to;
    return this.recording.entries.filter(fits).map(({ at }) => at);
  }

  /** The first mark from there on that begins like this. */
  mark(begins: string, from = 0): number {
    const found = this.recording.entries.find((entry) => entry.kind === 'mark' && entry.at >= from && entry.label.startsWith(begins));
    if (!found) throw new Error(`nothing in the recording begins with "${begins}"`);
    return found.at;
  }

  #contents(node: Name, kind: Kind): Uint8Array {
    const disk = this.#disks.get(`${node}:${kind}`);
    if (!disk) throw new Error(`no ${kind} of ${node}`);
    return disk.contents;
  }

  #link(name: string): MemoryLink {
    return this.#network.link(name, { nodes: ['alpha', 'beta'], delayMs: 1 });
  }
}

describe('what depends on something durable comes after it', () => {
  let pair: RecordedPair;
  let killedAt: number;

  /** A takeover, a write alone, the return of the old primary. */
  before(async () => {
    pair = await new RecordedPair().start();
    await pair.write('alpha', 0);
    killedAt = pair.recording.mark('killed').at;
    pair.kill('alpha');
    await pair.until('beta', ({ serving }) => serving === 'alone');
    await pair.write('beta', block);
    await pair.boot('alpha');
    await pair.until('alpha', ({ element }) => element === 'uptodate');
    await pair.until('beta', ({ peerElement }) => peerElement === 'uptodate');
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
