import type { BlockDevice } from '../../../src/device/block-device.ts';
import { DurablePairRecordStore, pairRecordBytes, readPairRecordImage } from '../../../src/failover/pair-record-store.ts';
import { newPairRecord, withEpoch } from '../../../src/failover/pair-record.ts';
import type { PairRecord } from '../../../src/failover/pair-record.ts';
import type { Epoch } from '../../../src/epoch.ts';
import { HotMirrorError } from '../../../src/errors.ts';
import { MemoryDevice } from '../../../src/device/memory.ts';
import { elementMetadataBytes } from '../../../src/mirror/create-element.ts';
import { ElementStore, readElementImage } from '../../../src/mirror/element-store.ts';
import { historyLength } from '../../../src/mirror/metadata.ts';
import { mirrorEventNames } from '../../../src/mirror/mirror-events.ts';
import type { MirrorEvent, MirrorEventName } from '../../../src/mirror/mirror-events.ts';
import { MirrorLink } from '../../../src/mirror/mirror-link.ts';
import type { MirrorLimits, MirrorLinkOptions } from '../../../src/mirror/options.ts';
import { preImageLogBytes } from '../../../src/mirror/pre-image-log.ts';
import { Recording } from '../../../src/testing/recording-device.ts';
import { SeededRandom } from '../../../src/testing/seeded-random.ts';
import { VirtualClock } from '../../../src/testing/virtual-clock.ts';
import { MemoryNetwork } from '../../../src/transport/memory.ts';
import type { MemoryLink } from '../../../src/transport/memory.ts';
import { other } from '../support/mirror-pair.ts';
import type { NodeName } from '../support/mirror-pair.ts';
import { CrashDisk, diskNames, sectorBytes } from './crash-disk.ts';
import type { DiskName, WritePoint } from './crash-disk.ts';
import { KeptImages } from './kept-images.ts';

/** Both nodes. */
export const nodes: readonly NodeName[] = ['alpha', 'beta'];

export const initialValue = 1;
const homes = { primary: 'alpha', standby: 'beta' };
const firstEpoch: Epoch = { number: 1, owner: 'alpha' };
const stepMs = 60_000;
const extentBytes = 65_536;
const quiet: readonly MirrorEventName[] = ['state:changed', 'resync:progressed', 'verify:progressed'];

/** What a story runs in. */
export interface CrashWorldOptions extends Pick<MirrorLinkOptions, 'protocol' | 'whenCongested' | 'whenSplit' | 'resync'> {
  readonly sizeBytes: number;
  /** Of each element's device; that of the mirror by default. */
  readonly deviceBytes?: number;
  /** Without it both nodes begin with nothing written on any disk. Default true: equal elements, never served. */
  readonly prepared?: boolean;
  readonly limits?: Partial<MirrorLimits>;
  /** ms until a request to a disk completes; at once by default. */
  readonly diskMs?: number;
  readonly delayMs?: number;
  /** Extents that an undo journal of either node has room for; none by default. */
  readonly undoExtents?: number;
  /** Each node has a place for a salvage file. */
  readonly salvage?: boolean;
}

interface Process {
  readonly mirror: MirrorLink;
  readonly records: DurablePairRecordStore;
  alive: boolean;
}

/** The story ends here, because a node has crashed. */
export class Crashed extends Error {}

/** Two nodes with one mirror and a pair record each, in virtual time: their disks, and the processes that have them open. */
export class CrashNodes {
  readonly clock: VirtualClock;
  readonly random: SeededRandom;
  readonly recording = new Recording();
  readonly link: MemoryLink;
  readonly disks: Readonly<Record<NodeName, readonly CrashDisk[]>>;
  /** What each node's element held when a log of its pre-images was begun. */
  readonly kept: KeptImages;
  readonly log: string[] = [];
  /** The names of the events so far, by node. */
  readonly told = new Set<string>();
  readonly processes: Record<NodeName, Process | undefined> = { alpha: undefined, beta: undefined };
  /** Nodes whose disk was replaced; where that was cut short it is done again. */
  readonly replaced = new Set<NodeName>();
  /** The story is over, because a node crashed in it. */
  crashed = false;
  /** What happened since does not end the run of time any more. */
  recovering = false;
  readonly #options: CrashWorldOptions;
  /** Nodes that have a salvage file. */
  readonly #salvaged = new Set<NodeName>();

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
    this.kept = new KeptImages((node) => this.disk(node, 'element').contents);
    const completion = options.diskMs === undefined ? 'sync' : { clock, delayMs: options.diskMs };
    const noticed = (point: WritePoint): void => {
      this.kept.notice(point);
      writes(point);
    };
    const disksOf = (node: NodeName): readonly CrashDisk[] =>
      diskNames.map((name) => new CrashDisk(node, name, new Uint8Array(this.bytesOf(name)), completion, noticed));
    this.disks = { alpha: disksOf('alpha'), beta: disksOf('beta') };
    for (const node of nodes) initialData(this.disk(node, 'element').contents);
    // What lies beyond the mirror is nobody's, and differs.
    this.disk('beta', 'element').contents.fill(0, options.prepared === false ? 0 : options.sizeBytes);
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
    try {
      return readElementImage(this.disk(node, 'metadata').contents, sectorBytes);
    } catch (error) {
      // Where a new disk was cut short there is nothing that anybody needs.
      if (this.replaced.has(node)) return null;
      throw error;
    }
  }

  /** The pair's epoch and its owner by both pair records; what was released counts as given. */
  get epoch(): Epoch {
    const records = nodes.map((node) => this.record(node)).filter((record) => record !== null);
    const epochs = records.flatMap(({ epoch, released }) => (released ? [epoch, released] : [epoch]));
    return epochs.reduce((highest, epoch) => (epoch.number > highest.number ? epoch : highest), firstEpoch);
  }

  /** Equal elements and records on both nodes, as after an `init` and a first copy; no part of the story. */
  async prepare(): Promise<void> {
    if (this.#options.prepared === false) return;
    const metadata = new MemoryDevice({ sizeBytes: this.bytesOf('metadata') });
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
    this.goOn();
    const [metadata, record] = [this.disk(node, 'metadata').open(this.recording), this.disk(node, 'record').open(this.recording)];
    const { random } = this;
    const init = async (): Promise<void> => {
      await DurablePairRecordStore.prepare(record);
      await writeRecord(record, firstRecord());
      await MirrorLink.create({ kind, sizeBytes: this.#options.sizeBytes, metadata, random, epoch: firstEpoch });
    };
    await this.done(init(), `init of ${node}`);
  }

  /** A node that does not run gets a new disk in the place of one that failed, and a blank element on it: `hotmirror init --force --blank`. */
  async replaceDisk(node: NodeName): Promise<void> {
    this.goOn();
    this.tell(`new disk of ${node}`);
    this.replaced.add(node);
    const element = this.disk(node, 'element');
    element.replace(new Uint8Array(element.contents.byteLength));
    const metadata = this.disk(node, 'metadata').open(this.recording);
    const { sizeBytes } = this.#options;
    await this.done(MirrorLink.create({ kind: 'blank', sizeBytes, metadata, random: this.random, replace: true }), `new disk of ${node}`);
    this.end(node);
  }

  /** Starts a node, passive. Rejects as `MirrorLink.open` does. */
  async boot(node: NodeName): Promise<void> {
    this.goOn();
    this.tell(`boot ${node}`);
    this.kept.started(node);
    const { clock, random, recording } = this;
    const open = (name: DiskName): BlockDevice => this.disk(node, name).open(recording);
    const { protocol, whenCongested, whenSplit, resync, limits, undoExtents, salvage } = this.#options;
    const mirror = new MirrorLink({
      ...{ name: 'm0', node, peer: other(node), preferOwnDial: node === 'alpha', clock, random },
      ...{ device: open('element'), metadata: open('metadata'), transport: this.link.transport(node) },
      ...(protocol ? { protocol } : {}),
      ...(whenCongested ? { whenCongested } : {}),
      ...(whenSplit ? { whenSplit } : {}),
      ...(resync ? { resync } : {}),
      ...(limits ? { limits } : {}),
      ...(undoExtents === undefined ? {} : { undoJournal: { device: open('undo'), whenFull: 'give-up' } }),
      ...(salvage ? { openSalvage: () => Promise.resolve(this.#openSalvage(node)) } : {}),
    });
    for (const name of mirrorEventNames) {
      mirror.events.on(name, ({ text }: MirrorEvent) => {
        if (quiet.includes(name)) return;
        this.told.add(`${node} ${name}`);
        this.tell(`    ${node} ${name}: ${text}`);
      });
    }
    const records = new DurablePairRecordStore(open('record'));
    const process: Process = { mirror, records, alive: true };
    this.processes[node] = process;
    const opened = async (): Promise<void> => {
      const loaded = await records.load();
      if (loaded?.intent) await records.write({ ...loaded, intent: null });
      await mirror.open({ epoch: loaded?.epoch ?? { number: 0, owner: '' } });
    };
    try {
      await this.done(opened(), `opening ${node}`);
    } catch (error) {
      if (!(error instanceof Crashed)) this.end(node);
      throw error;
    }
  }

  /** Starts a node whose disk has failed: it does not come up. */
  async bootInVain(node: NodeName): Promise<void> {
    try {
      await this.boot(node);
    } catch (error) {
      if (error instanceof HotMirrorError && error.code.startsWith('HM_IO_')) return;
      throw error;
    }
    throw new Error(`${node} has started`);
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
    this.goOn();
    this.tell(`kill ${node}`);
    this.end(node);
  }

  /** A node leaves and stops in order. */
  async stop(node: NodeName): Promise<void> {
    const mirror = this.mirror(node);
    const stopped = async (): Promise<void> => {
      await mirror.leave();
      await mirror.close();
    };
    await this.done(stopped(), `stopping ${node}`);
    this.end(node);
  }

  /** An operator moves the salvage file of a node away. */
  removeSalvage(node: NodeName): void {
    this.tell(`the salvage file of ${node} is moved away`);
    this.#salvaged.delete(node);
    this.kept.forgetSalvage(node);
    const disk = this.disk(node, 'salvage');
    disk.restore(new Uint8Array(disk.contents.byteLength));
  }

  /** Ends when the serving mirror and its peer hold the same. */
  inSync(): Promise<void> {
    return this.until(() => this.isInSync(), 'equal elements');
  }

  isInSync(): boolean {
    const states = nodes.map((node) => this.processes[node]?.mirror.state());
    const source = states.find((state) => state?.role === 'source');
    const whole = source?.peerElement === 'uptodate' && source.dirtyBytes === 0;
    return whole && states.every((state) => state?.element === 'uptodate');
  }

  async until(condition: () => boolean, what: string): Promise<void> {
    this.goOn();
    await this.clock.until(condition, stepMs, what);
  }

  async pass(ms: number): Promise<void> {
    this.goOn();
    await this.clock.runFor(ms);
  }

  async done<T>(promise: Promise<T>, what: string): Promise<T> {
    promise.catch(() => undefined);
    this.goOn();
    return this.clock.settled(promise, stepMs, what);
  }

  /** A story that goes on after its crash would do what nobody does. */
  goOn(): void {
    if (this.crashed && !this.recovering) throw new Crashed();
  }

  tell(text: string): void {
    this.log.push(`${String(Math.round(this.clock.nowMs()))} ${text}`);
  }

  bytesOf(name: DiskName): number {
    const { sizeBytes, deviceBytes = sizeBytes, undoExtents, salvage } = this.#options;
    if (name === 'element') return deviceBytes;
    if (name === 'record') return pairRecordBytes;
    if (name === 'metadata') return elementMetadataBytes(deviceBytes);
    if (name === 'undo') return undoExtents === undefined ? 0 : preImageLogBytes(undoExtents, extentBytes);
    return salvage ? preImageLogBytes(Math.ceil(deviceBytes / extentBytes), extentBytes) : 0;
  }

  #openSalvage(node: NodeName): { readonly device: BlockDevice; readonly created: boolean } {
    const created = !this.#salvaged.has(node);
    this.#salvaged.add(node);
    return { device: this.disk(node, 'salvage').open(this.recording), created };
  }
}

/** The pair record of a node after `init`. */
export const firstRecord = (): PairRecord => withEpoch(newPairRecord(homes, 'auto'), firstEpoch);

async function writeRecord(device: BlockDevice, record: PairRecord): Promise<void> {
  const store = new DurablePairRecordStore(device);
  await store.load();
  await store.write(record);
}

function initialData(contents: Uint8Array): void {
  const view = new DataView(contents.buffer, contents.byteOffset, contents.byteLength);
  for (let at = 0; at < contents.byteLength; at += sectorBytes) view.setUint32(at, initialValue, true);
}
