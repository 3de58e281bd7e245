import { expect } from 'chai';

import { devicePromises } from '../../../src/device/promises.ts';
import { MemoryDevice } from '../../../src/device/memory.ts';
import type { BlockDevice } from '../../../src/device/block-device.ts';
import { elementMetadataBytes } from '../../../src/mirror/create-element.ts';
import { mirrorEventNames } from '../../../src/mirror/mirror-events.ts';
import type { DigestName } from '../../../src/mirror/digests.ts';
import type { MirrorEvent, MirrorEventName } from '../../../src/mirror/mirror-events.ts';
import { MirrorLink } from '../../../src/mirror/mirror-link.ts';
import type { MirrorLimits, MirrorProtocol, OpenSalvage, WhenCongested, WhenSplit } from '../../../src/mirror/options.ts';
import { rules } from '../../../src/rules.ts';
import type { ResyncRateLimits } from '../../../src/mirror/resync-rate.ts';
import { SeededRandom } from '../../../src/testing/seeded-random.ts';
import { VirtualClock } from '../../../src/testing/virtual-clock.ts';
import type { VirtualClockOptions } from '../../../src/testing/virtual-clock.ts';
import { MemoryNetwork } from '../../../src/transport/memory.ts';
import type { MemoryLink } from '../../../src/transport/memory.ts';
import type { Transport } from '../../../src/transport/transport.ts';

export type NodeName = 'alpha' | 'beta';

export const other = (node: NodeName): NodeName => (node === 'alpha' ? 'beta' : 'alpha');

/** One thing that a mirror told. */
export interface Told {
  readonly node: NodeName;
  readonly name: MirrorEventName;
  readonly event: MirrorEvent;
}

export interface MirrorPairOptions {
  readonly sizeBytes?: number;
  readonly betaBytes?: number;
  readonly seed?: number;
  readonly limits?: Partial<MirrorLimits>;
  readonly resync?: Partial<ResyncRateLimits>;
  readonly digest?: DigestName;
  readonly delayMs?: number;
  readonly whenSplit?: WhenSplit;
  /** Of both nodes. */
  readonly protocol?: MirrorProtocol;
  readonly whenCongested?: WhenCongested;
  /** Each node has one. */
  readonly undoJournal?: { readonly sizeBytes: number; readonly whenFull: 'give-up' | 'refuse' };
  /** Salvage files by their names. */
  readonly openSalvage?: OpenSalvage;
  /** Wraps a device, to record or to fail. */
  readonly wrap?: (device: BlockDevice, what: string) => BlockDevice;
  /** Requests to disks complete at once (default), or after so many ms. */
  readonly completion?: 'sync' | number;
  /** See `VirtualClock`. */
  readonly settles?: VirtualClockOptions['settles'];
  /** Wraps a node's transport, to listen or to tamper. */
  readonly wrapTransport?: (transport: Transport, node: NodeName) => Transport;
}

const mebibyte = 1_048_576;

/** Two nodes with one mirror, in virtual time. The contents of their disks outlive their mirrors, as they outlive a process. */
export class MirrorPair {
  readonly clock: VirtualClock;
  readonly random: SeededRandom;
  readonly link: MemoryLink;
  readonly disks: Record<NodeName, MemoryDevice>;
  readonly metadata: Record<NodeName, MemoryDevice>;
  readonly undoJournals: Record<NodeName, MemoryDevice | null>;
  readonly mirrors: Record<NodeName, MirrorLink | undefined> = { alpha: undefined, beta: undefined };
  readonly told: Told[] = [];
  readonly #options: MirrorPairOptions;

  constructor(options: MirrorPairOptions = {}) {
    const { sizeBytes = 4 * mebibyte, betaBytes = sizeBytes, seed = 1 } = options;
    this.#options = options;
    this.clock = new VirtualClock({ settles: options.settles ?? 'turns' });
    this.random = new SeededRandom(seed);
    this.link = new MemoryNetwork({ clock: this.clock, random: this.random }).link('data', {
      nodes: ['alpha', 'beta'],
      conditions: { delayMs: options.delayMs ?? 1 },
    });
    const { completion: delayMs = 'sync' } = options;
    const completion = delayMs === 'sync' ? delayMs : { clock: this.clock, delayMs };
    const device = (deviceBytes: number): MemoryDevice => new MemoryDevice({ sizeBytes: deviceBytes, completion });
    this.disks = { alpha: device(sizeBytes), beta: device(betaBytes) };
    const { undoJournal } = options;
    const journal = (): MemoryDevice | null => (undoJournal ? new MemoryDevice({ sizeBytes: undoJournal.sizeBytes }) : null);
    this.undoJournals = { alpha: journal(), beta: journal() };
    this.metadata = {
      alpha: device(elementMetadataBytes(sizeBytes)),
      beta: device(elementMetadataBytes(Math.max(betaBytes, sizeBytes))),
    };
  }

  /** `init` on both nodes: alpha holds the data, beta is blank. */
  async init(): Promise<this> {
    for (const node of ['alpha', 'beta'] as const) await this.initNode(node, node === 'alpha' ? 'data' : 'blank');
    return this;
  }

  async initNode(node: NodeName, kind: 'data' | 'blank', replace = false): Promise<void> {
    const created = MirrorLink.create({
      kind,
      sizeBytes: this.disks[node].sizeBytes,
      metadata: this.metadata[node],
      random: this.random,
      epoch: { number: 1, owner: 'alpha' },
      replace,
    });
    await this.clock.settled(created, 60_000, 'the metadata');
  }

  /** Starts a node's mirror, passive. */
  async open(node: NodeName, options: Parameters<MirrorLink['open']>[0] = {}): Promise<MirrorLink> {
    const mirror = this.make(node);
    await this.clock.settled(mirror.open(options), 60_000, 'opening');
    return mirror;
  }

  /** A node's mirror that is not open yet. */
  make(node: NodeName): MirrorLink {
    const { wrap = (device: BlockDevice): BlockDevice => device, wrapTransport = (transport: Transport): Transport => transport } =
      this.#options;
    const journal = this.undoJournals[node];
    const undoJournal = journal
      ? { device: wrap(unclosed(journal), `${node}:undo`), whenFull: this.#options.undoJournal?.whenFull ?? 'give-up' }
      : null;
    const mirror = new MirrorLink({
      name: 'm0',
      node,
      peer: other(node),
      preferOwnDial: node === 'alpha',
      device: wrap(unclosed(this.disks[node]), `${node}:disk`),
      metadata: wrap(unclosed(this.metadata[node]), `${node}:metadata`),
      transport: wrapTransport(this.link.transport(node), node),
      clock: this.clock,
      random: this.random,
      ...(this.#options.protocol ? { protocol: this.#options.protocol } : {}),
      ...(this.#options.whenCongested ? { whenCongested: this.#options.whenCongested } : {}),
      ...(this.#options.limits ? { limits: this.#options.limits } : {}),
      ...(this.#options.whenSplit ? { whenSplit: this.#options.whenSplit } : {}),
      ...(this.#options.resync ? { resync: this.#options.resync } : {}),
      ...(this.#options.digest ? { digest: this.#options.digest } : {}),
      ...(this.#options.openSalvage ? { openSalvage: this.#options.openSalvage } : {}),
      ...(undoJournal ? { undoJournal } : {}),
    });
    for (const name of mirrorEventNames) mirror.events.on(name, (event: MirrorEvent) => this.#tell({ node, name, event }));
    this.mirrors[node] = mirror;
    return mirror;
  }

  mirror(node: NodeName): MirrorLink {
    const mirror = this.mirrors[node];
    if (!mirror) throw new Error(`${node} is not running`);
    return mirror;
  }

  /** The process dies: its mirror does nothing any more. What it wrote stays, as in a page cache. */
  kill(node: NodeName): void {
    this.link.kill(node);
    this.mirrors[node] = undefined;
  }

  /** Both nodes up, alpha serving, elements equal. */
  async start(): Promise<this> {
    await this.init();
    await this.open('alpha');
    await this.open('beta');
    await this.until(() => this.mirror('alpha').state().peerElement === 'uptodate', 'the first copy');
    const promoted = this.mirror('alpha').promote({ epoch: { number: 1, owner: 'alpha' }, alone: false });
    await this.clock.settled(promoted, 60_000, 'the promotion');
    return this;
  }

  async until(condition: () => boolean, what: string, withinMs = 60_000): Promise<void> {
    await this.clock.until(condition, withinMs, what);
  }

  /** Writes and waits for the acknowledgement. */
  write(node: NodeName, offsetBytes: number, bytes: Uint8Array, fua = false): Promise<void> {
    return this.clock.settled(devicePromises(this.mirror(node)).write(offsetBytes, bytes, { fua }), 60_000, 'the write');
  }

  flush(node: NodeName): Promise<void> {
    return this.clock.settled(devicePromises(this.mirror(node)).flush(), 60_000, 'the flush');
  }

  read(node: NodeName, offsetBytes: number, lengthBytes: number): Promise<Uint8Array> {
    return this.clock.settled(devicePromises(this.mirror(node)).read(offsetBytes, lengthBytes), 60_000, 'the read');
  }

  get identical(): boolean {
    return Buffer.compare(this.disks.alpha.contents, this.disks.beta.contents) === 0;
  }

  /** Every event is plain data with a class, and cites a rule that there is; a listener's error would be lost, so that it is told instead. */
  #tell(told: Told): void {
    const { event } = told;
    try {
      expect(JSON.parse(JSON.stringify(event))).to.deep.equal(event);
      expect(event.class).to.be.oneOf([0, 1, 2, 3]);
      if (event.rule !== undefined) expect(rules).to.have.property(event.rule);
    } catch (error) {
      this.clock.timer(0, () => {
        throw error;
      });
    }
    if (told.name !== 'state:changed' && told.name !== 'resync:progressed') this.told.push(told);
  }

  /** Serving without the peer, as after its death. */
  goAlone(node: NodeName, number = 2): Promise<void> {
    const mirror = this.mirror(node);
    const { connectionId } = mirror.state();
    return this.clock.settled(mirror.goAlone({ epoch: { number, owner: node }, rule: 'alone', connectionId }), 1_000, 'going alone');
  }

  /** Names of the events of a node, in order. */
  names(node: NodeName): readonly MirrorEventName[] {
    return this.told.filter((entry) => entry.node === node).map(({ name }) => name);
  }
}

/** `length` bytes that tell where they come from. */
export function pattern(length: number, value: number): Uint8Array {
  return new Uint8Array(length).fill(value);
}

/** The disk stays when its mirror closes it. */
function unclosed(device: MemoryDevice): BlockDevice {
  return {
    sizeBytes: device.sizeBytes,
    blockSizeBytes: device.blockSizeBytes,
    capabilities: device.capabilities,
    read: (offsetBytes, into, done) => device.read(offsetBytes, into, done),
    write: (offsetBytes, from, options, done) => device.write(offsetBytes, from, options, done),
    flush: (done) => device.flush(done),
    trim: (offsetBytes, lengthBytes, done) => device.trim(offsetBytes, lengthBytes, done),
    writeZeroes: (offsetBytes, lengthBytes, options, done) => device.writeZeroes(offsetBytes, lengthBytes, options, done),
    close: () => Promise.resolve(),
  };
}
