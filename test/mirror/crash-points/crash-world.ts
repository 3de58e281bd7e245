import type { BlockDevice, Done } from '../../../src/device/block-device.ts';
import { DurablePairRecordStore, pairRecordBytes, readPairRecordImage } from '../../../src/failover/pair-record-store.ts';
import { newPairRecord, withEpoch } from '../../../src/failover/pair-record.ts';
import type { PairRecord } from '../../../src/failover/pair-record.ts';
import type { Epoch } from '../../../src/epoch.ts';
import { HotMirrorError } from '../../../src/errors.ts';
import { MemoryDevice } from '../../../src/device/memory.ts';
import { elementMetadataBytes } from '../../../src/mirror/create-element.ts';
import { ElementStore, readElementImage } from '../../../src/mirror/element-store.ts';
import { historyLength } from '../../../src/mirror/metadata.ts';
import { MirrorLink } from '../../../src/mirror/mirror-link.ts';
import { Recording } from '../../../src/testing/recording-device.ts';
import { SeededRandom } from '../../../src/testing/seeded-random.ts';
import { VirtualClock } from '../../../src/testing/virtual-clock.ts';
import { MemoryNetwork } from '../../../src/transport/memory.ts';
import type { MemoryLink } from '../../../src/transport/memory.ts';
import { other } from '../support/mirror-pair.ts';
import type { NodeName } from '../support/mirror-pair.ts';
import { CrashDisk, diskNames, sectorBytes } from './crash-disk.ts';
import type { DiskName, WritePoint } from './crash-disk.ts';
import { SectorModel } from './sector-model.ts';

/** Both nodes. */
export const nodes: readonly NodeName[] = ['alpha', 'beta'];

const initialValue = 1;
const homes = { primary: 'alpha', standby: 'beta' };
const firstEpoch: Epoch = { number: 1, owner: 'alpha' };
const stepMs = 60_000;

/** What a story runs in. */
export interface CrashWorldOptions {
  readonly sizeBytes: number;
  /** Without it both nodes begin with nothing written on any disk. Default true: equal elements, never served. */
  readonly prepared?: boolean;
  readonly activeRegions?: number;
  /** ms until a request to a disk completes; at once by default. */
  readonly diskMs?: number;
  readonly delayMs?: number;
}

interface Process {
  readonly mirror: MirrorLink;
  readonly records: DurablePairRecordStore;
  alive: boolean;
}

/** The story ends here, because a node has crashed. */
export class Crashed extends Error {}

/**
 * Two nodes with one mirror and a pair record each, in virtual time, an application, and as much of an orchestrator as a story needs: it keeps the rules of
 * semantics 5 to 9 and writes the pair record before it orders what depends on it.
 */
export class CrashWorld {
  readonly clock: VirtualClock;
  readonly random: SeededRandom;
  readonly recording = new Recording();
  readonly link: MemoryLink;
  readonly disks: Readonly<Record<NodeName, readonly CrashDisk[]>>;
  readonly model: SectorModel;
  readonly log: string[] = [];
  readonly processes: Record<NodeName, Process | undefined> = { alpha: undefined, beta: undefined };
  /** The story is over, because a node crashed in it. */
  crashed = false;
  /** What happened since does not end the run of time any more. */
  recovering = false;
  readonly #options: CrashWorldOptions;

  constructor(options: CrashWorldOptions, writes: (point: WritePoint) => void) {
    this.#options = options;
    this.random = new SeededRandom(1);
    this.clock = new VirtualClock({
      settles: 'promises',
      afterEvent: () => {
        if (this.crashed && !this.recovering) throw new Crashed();
      },
    });
    const { clock, random } = this;
    this.link = new MemoryNetwork({ clock, random }).link('data', {
      nodes: ['alpha', 'beta'],
      conditions: { delayMs: options.delayMs ?? 1 },
    });
    this.model = new SectorModel(options.sizeBytes / sectorBytes, initialValue);
    const completion = options.diskMs === undefined ? 'sync' : { clock, delayMs: options.diskMs };
    const disksOf = (node: NodeName): readonly CrashDisk[] =>
      diskNames.map((name) => new CrashDisk(node, name, new Uint8Array(this.#bytesOf(name)), completion, writes));
    this.disks = { alpha: disksOf('alpha'), beta: disksOf('beta') };
    for (const node of nodes) initialData(this.disk(node, 'element').contents);
    if (options.prepared === false) this.disk('beta', 'element').contents.fill(0);
  }

  disk(node: NodeName, name: DiskName): CrashDisk {
    return this.disks[node][diskNames.indexOf(name)] as CrashDisk;
  }

  mirror(node: NodeName): MirrorLink {
    const process = this.processes[node];
    if (!process) throw new Error(`${node} does not run`);
    return process.mirror;
  }

  /** What a node's pair record says now. */
  record(node: NodeName): PairRecord | null {
    return readPairRecordImage(this.disk(node, 'record').contents, sectorBytes);
  }

  /** What a node's metadata says now; null before its `init`. */
  stored(node: NodeName): ReturnType<typeof readElementImage> {
    return readElementImage(this.disk(node, 'metadata').contents, sectorBytes);
  }

  /** The pair's epoch and its owner by both pair records; what was released counts as given. */
  get epoch(): Epoch {
    const records = nodes.map((node) => this.record(node)).filter((record) => record !== null);
    const epochs = records.flatMap(({ epoch, released }) => (released ? [epoch, released] : [epoch]));
    return epochs.reduce((highest, epoch) => (epoch.number > highest.number ? epoch : highest), firstEpoch);
  }

  // What a story does

  /** Equal elements and records on both nodes, as after an `init` and a first copy; no part of the story. */
  async prepare(): Promise<void> {
    if (this.#options.prepared === false) return;
    const metadata = new MemoryDevice({ sizeBytes: this.#bytesOf('metadata') });
    const { random } = this;
    await MirrorLink.create({ kind: 'data', sizeBytes: this.#options.sizeBytes, metadata, random, epoch: firstEpoch });
    // A history as long as it gets: metadata of several sectors can be torn.
    const history = Array.from({ length: historyLength }, (_, at) => at.toString(16).padStart(16, '0'));
    await (await ElementStore.load(metadata)).update(() => ({ history }));
    const record = new MemoryDevice({ sizeBytes: pairRecordBytes });
    await writeRecord(record, firstRecord());
    for (const node of nodes) {
      this.disk(node, 'metadata').contents.set(metadata.contents);
      this.disk(node, 'record').contents.set(record.contents);
    }
  }

  /** What `hotmirror init` does on a node: where it was cut short it is done again. */
  async initNode(node: NodeName, kind: 'data' | 'blank'): Promise<void> {
    this.#goOn();
    const [metadata, record] = [this.disk(node, 'metadata').open(this.recording), this.disk(node, 'record').open(this.recording)];
    const { random } = this;
    const init = async (): Promise<void> => {
      await DurablePairRecordStore.prepare(record);
      await writeRecord(record, firstRecord());
      await MirrorLink.create({ kind, sizeBytes: this.#options.sizeBytes, metadata, random, epoch: firstEpoch });
    };
    await this.#done(init(), `init of ${node}`);
  }

  /** Starts a node, passive. Rejects as `MirrorLink.open` does. */
  async boot(node: NodeName): Promise<void> {
    this.#goOn();
    this.#tell(`boot ${node}`);
    const { clock, random } = this;
    const [device, metadata, record] = this.disks[node].map((disk) => disk.open(this.recording)) as [BlockDevice, BlockDevice, BlockDevice];
    const limits = this.#options.activeRegions === undefined ? {} : { limits: { activeRegions: this.#options.activeRegions } };
    const mirror = new MirrorLink({
      ...{ name: 'm0', node, peer: other(node), preferOwnDial: node === 'alpha', device, metadata, clock, random },
      transport: this.link.transport(node),
      ...limits,
    });
    for (const name of ['lineage:decided', 'lineage:minted', 'resync:finished', 'link:lost', 'link:refused', 'element:failed'] as const) {
      mirror.events.on(name, ({ text }) => this.#tell(`    ${node} ${name}: ${text}`));
    }
    const records = new DurablePairRecordStore(record);
    const process: Process = { mirror, records, alive: true };
    this.processes[node] = process;
    const opened = async (): Promise<void> => {
      const loaded = await records.load();
      if (loaded?.intent) await records.write({ ...loaded, intent: null });
      await mirror.open({ epoch: loaded?.epoch ?? { number: 0, owner: '' } });
    };
    try {
      await this.#done(opened(), `opening ${node}`);
    } catch (error) {
      if (!(error instanceof Crashed)) this.end(node);
      throw error;
    }
  }

  /** The process of a node is dead; its disks keep what it wrote. */
  end(node: NodeName): void {
    const process = this.processes[node];
    if (process) process.alive = false;
    this.processes[node] = undefined;
    this.link.kill(node);
    for (const disk of this.disks[node]) disk.detach();
  }

  /** Part of a story: the process of a node dies. */
  kill(node: NodeName): void {
    this.#goOn();
    this.#tell(`kill ${node}`);
    this.end(node);
  }

  /** A node leaves and stops in order. */
  async stop(node: NodeName): Promise<void> {
    const mirror = this.mirror(node);
    const stopped = async (): Promise<void> => {
      await mirror.leave();
      await mirror.close();
    };
    await this.#done(stopped(), `stopping ${node}`);
    this.end(node);
  }

  /** Ends when the serving mirror and its peer hold the same. */
  inSync(): Promise<void> {
    return this.until(() => this.isInSync(), 'equal elements');
  }

  isInSync(): boolean {
    const states = nodes.map((node) => this.processes[node]?.mirror.state());
    const source = states.find((state) => state?.role === 'source');
    return source?.peerElement === 'uptodate' && source.dirtyBytes === 0 && !states.some((state) => state === undefined);
  }

  async until(condition: () => boolean, what: string): Promise<void> {
    this.#goOn();
    await this.clock.until(condition, stepMs, what);
  }

  async pass(ms: number): Promise<void> {
    this.#goOn();
    await this.clock.runFor(ms);
  }

  /** Writes `record` of a node, then gives the order that it allows. */
  async order(
    node: NodeName,
    change: (record: PairRecord) => PairRecord,
    order: (mirror: MirrorLink) => Promise<unknown>,
    what: string,
  ): Promise<void> {
    const process = this.processes[node];
    if (!process) throw new Error(`${node} does not run`);
    this.#tell(`${what} on ${node}`);
    const given = async (): Promise<void> => {
      const record = this.record(node) ?? firstRecord();
      const changed = change(record);
      if (changed !== record) await process.records.write(changed);
      if (process.alive) await order(process.mirror);
    };
    await this.#done(given(), what);
  }

  promote(node: NodeName, alone = false): Promise<void> {
    const epoch = this.epoch;
    const adopted = (record: PairRecord): PairRecord => (record.epoch.number < epoch.number ? withEpoch(record, epoch) : record);
    return this.order(node, adopted, (mirror) => mirror.promote({ epoch, alone }), 'promote');
  }

  /** Rule takeover.commit: intent, seal, the record, then the service. */
  async takeOver(node: NodeName): Promise<void> {
    const next: Epoch = { number: this.epoch.number + 1, owner: node };
    await this.order(
      node,
      (record) => ({ ...record, intent: next }),
      (mirror) => mirror.seal(),
      'intent and seal',
    );
    await this.order(
      node,
      (record) => withEpoch(record, next),
      (mirror) => mirror.promote({ epoch: next, alone: true }),
      'takeover',
    );
  }

  /** The peer is dead, or durably behind: rule alone. */
  goAlone(node: NodeName): Promise<void> {
    const next: Epoch = { number: this.epoch.number + 1, owner: node };
    const alone = (mirror: MirrorLink): Promise<void> =>
      mirror.goAlone({ epoch: next, rule: 'alone', connectionId: mirror.state().connectionId });
    return this.order(node, (record) => withEpoch(record, next), alone, 'go alone');
  }

  /** Rule outdate: the peer of a serving node that lost its data link records that it is old. */
  async outdatePeer(node: NodeName): Promise<void> {
    const { currentId, connectionId } = this.mirror(node).state();
    const order = { epoch: this.epoch, currentId, connectionId, nonce: 'n' };
    await this.order(
      other(node),
      (record) => record,
      (mirror) => mirror.outdate(order),
      'outdate',
    );
  }

  /** Rule handover: the giver is demoted and records that it released the service, then the taker serves. */
  async handOver(from: NodeName): Promise<void> {
    const to = other(from);
    const answers: boolean[] = [];
    const demoted = async (mirror: MirrorLink): Promise<void> => {
      answers.push((await mirror.demote()).handedOver);
    };
    await this.order(from, (record) => record, demoted, 'demote');
    if (!answers.includes(true)) throw new Error('nothing was handed over');
    const released: Epoch = { number: this.epoch.number + 1, owner: to };
    await this.order(
      from,
      (record) => ({ ...record, released }),
      (mirror) => mirror.raiseEpoch(released),
      'release',
    );
    await this.promote(to);
  }

  // The application

  /** Issues a write of whole sectors; resolves when it is acknowledged, never when its node crashes first. */
  write(node: NodeName, offsetBytes: number, lengthBytes: number, { fua = false } = {}): Promise<void> {
    const { bytes, acknowledged } = this.model.issue(offsetBytes, lengthBytes, false);
    return this.#issue(
      node,
      `write of ${String(lengthBytes)} at ${String(offsetBytes)}`,
      (mirror, done) => mirror.write(offsetBytes, bytes, { fua }, done),
      () => acknowledged(fua),
    );
  }

  zeroes(node: NodeName, offsetBytes: number, lengthBytes: number): Promise<void> {
    const { acknowledged } = this.model.issue(offsetBytes, lengthBytes, true);
    return this.#issue(
      node,
      `zeroes of ${String(lengthBytes)} at ${String(offsetBytes)}`,
      (mirror, done) => mirror.writeZeroes(offsetBytes, lengthBytes, {}, done),
      () => acknowledged(false),
    );
  }

  flush(node: NodeName): Promise<void> {
    const flushed = this.model.flush();
    return this.#issue(node, 'flush', (mirror, done) => mirror.flush(done), flushed);
  }

  /** Waits for requests. */
  all(requests: readonly Promise<void>[]): Promise<void> {
    return this.#done(
      Promise.all(requests).then(() => undefined),
      'the requests',
    );
  }

  #issue(node: NodeName, what: string, start: (mirror: MirrorLink, done: Done) => void, succeeded: () => void): Promise<void> {
    this.#goOn();
    const process = this.processes[node];
    if (!process) throw new Error(`${node} does not run`);
    this.#tell(what);
    return new Promise((resolve) => {
      start(process.mirror, (error) => {
        if (!process.alive) return;
        this.#tell(`  ${what}: ${error?.code ?? 'done'}`);
        if (!error) succeeded();
        resolve();
      });
    });
  }

  async #done<T>(promise: Promise<T>, what: string): Promise<T> {
    promise.catch(() => undefined);
    this.#goOn();
    return this.clock.settled(promise, stepMs, what);
  }

  /** A story that goes on after its crash would do what nobody does. */
  #goOn(): void {
    if (this.crashed && !this.recovering) throw new Crashed();
  }

  #tell(text: string): void {
    this.log.push(`${String(Math.round(this.clock.nowMs()))} ${text}`);
  }

  #bytesOf(name: DiskName): number {
    if (name === 'element') return this.#options.sizeBytes;
    return name === 'record' ? pairRecordBytes : elementMetadataBytes(this.#options.sizeBytes);
  }
}

const firstRecord = (): PairRecord => withEpoch(newPairRecord(homes, 'auto'), firstEpoch);

async function writeRecord(device: BlockDevice, record: PairRecord): Promise<void> {
  const store = new DurablePairRecordStore(device);
  await store.load();
  await store.write(record);
}

function initialData(contents: Uint8Array): void {
  const view = new DataView(contents.buffer, contents.byteOffset, contents.byteLength);
  for (let at = 0; at < contents.byteLength; at += sectorBytes) view.setUint32(at, initialValue, true);
}

/** The code of a refusal that says so, of anything else the error itself. */
export function codeOf(error: unknown): string {
  return error instanceof HotMirrorError ? error.code : String(error);
}
