import { elementMetadataBytes } from '../../../src/mirror/create-element.ts';
import { regionBytes } from '../../../src/mirror/activity-log.ts';
import { ElementStore } from '../../../src/mirror/element-store.ts';
import { MirrorLink } from '../../../src/mirror/mirror-link.ts';
import { MemoryDevice } from '../../../src/device/memory.ts';
import type { Epoch } from '../../../src/epoch.ts';
import { HotMirrorError } from '../../../src/errors.ts';
import type { MirrorEvent } from '../../../src/mirror/mirror-events.ts';
import { SeededRandom } from '../../../src/testing/seeded-random.ts';
import { VirtualClock } from '../../../src/testing/virtual-clock.ts';
import { MemoryNetwork } from '../../../src/transport/memory.ts';
import type { MemoryLink } from '../../../src/transport/memory.ts';
import { BlockModel } from './block-model.ts';
import { other } from './mirror-pair.ts';
import type { NodeName } from './mirror-pair.ts';
import { SimulatedDisk } from './simulated-node.ts';

const blockBytes = 4096;
const hotBlocks = 8;
const nodes: readonly NodeName[] = ['alpha', 'beta'];

interface Process {
  readonly mirror: MirrorLink;
  alive: boolean;
}

/**
 * One random schedule: two mirrors, an application, faults of processes, machines and the cable, and an orchestrator that keeps the rules
 * (semantics 5 to 9). It knows everything at once, as the real one knows it by its protocols, and breaks off wherever a fault hits it.
 */
export class Schedule {
  readonly clock = new VirtualClock();
  readonly random: SeededRandom;
  readonly log: string[] = [];
  readonly #sizeBytes: number;
  readonly #stride: number;
  readonly #link: MemoryLink;
  readonly #disks: Record<NodeName, SimulatedDisk>;
  readonly #metadata: Record<NodeName, SimulatedDisk>;
  readonly #processes: Record<NodeName, Process | undefined> = { alpha: undefined, beta: undefined };
  readonly #model = new BlockModel(hotBlocks);
  readonly #activeRegions: number;
  /** Nodes that lost their cache and were not regenerated since. */
  readonly #powerLost = new Set<NodeName>();
  #epoch: Epoch = { number: 1, owner: 'alpha' };
  #order: { readonly of: readonly NodeName[] } | null = null;
  #outstanding = 0;
  #acknowledged = 0;

  constructor(seed: number) {
    this.random = new SeededRandom(seed);
    const large = this.random.below(6) === 0;
    this.#sizeBytes = large ? 3 * regionBytes : 4 * 65_536;
    this.#stride = Math.floor(this.#sizeBytes / hotBlocks / blockBytes) * blockBytes;
    this.#activeRegions = large ? 2 : 4;
    const { clock, random } = this;
    const completion = random.below(3) === 0 ? { clock, delayMs: random.below(4) } : 'sync';
    const conditions = { delayMs: random.below(4) };
    this.#link = new MemoryNetwork({ clock, random }).link('data', { nodes: ['alpha', 'beta'], conditions });
    const disk = (): SimulatedDisk => new SimulatedDisk(new Uint8Array(this.#sizeBytes), blockBytes, completion);
    const metadata = (): SimulatedDisk => new SimulatedDisk(new Uint8Array(elementMetadataBytes(this.#sizeBytes)), 512, completion);
    this.#disks = { alpha: disk(), beta: disk() };
    this.#metadata = { alpha: metadata(), beta: metadata() };
  }

  /** Acknowledged requests so far: a schedule that acknowledges nothing proves nothing. */
  get acknowledged(): number {
    return this.#acknowledged;
  }

  /** Runs it; throws what is wrong. */
  async run(steps: number): Promise<void> {
    await this.#create();
    for (const node of nodes) await this.#boot(node);
    for (let step = 0; step < steps; step += 1) {
      await this.#step();
      await this.#pass(this.#pauseMs());
    }
    await this.#settle();
  }

  /** Both elements are equal from the beginning, so that a schedule need not begin with a full copy. */
  async #create(): Promise<void> {
    const image = new MemoryDevice({ sizeBytes: elementMetadataBytes(this.#sizeBytes) });
    await MirrorLink.create({ kind: 'data', sizeBytes: this.#sizeBytes, metadata: image, random: this.random, epoch: this.#epoch });
    for (const node of nodes) this.#metadata[node].contents.set(image.contents);
  }

  #pauseMs(): number {
    const pick = this.random.below(20);
    if (pick === 0) return this.random.below(3_000);
    return this.random.below(pick < 8 ? 25 : 4);
  }

  async #step(): Promise<void> {
    const pick = this.random.below(100);
    const node = nodes[this.random.below(2)] as NodeName;
    if (pick < 45) for (let burst = 1 + this.random.below(4); burst > 0; burst -= 1) this.#request();
    else if (pick < 65) this.#orchestrate(false);
    else if (pick < 69) this.#crash(node, this.random.below(2) === 0);
    else if (pick < 82) await this.#boot(node);
    else if (pick < 85) this.#note('cut', () => this.#link.cut());
    else if (pick < 86) this.#note('cut one way', () => this.#link.cut(node));
    else if (pick < 92) this.#note('heal', () => this.#link.heal());
    else if (pick < 95) this.#note('break', () => this.#link.break());
    else if (pick < 96) await this.#stop(node);
    else await this.#checkDifferences();
  }

  // The application

  #request(): void {
    const process = this.#processes[this.#epoch.owner as NodeName];
    if (!process || this.#outstanding >= 6) return;
    const kind = this.random.below(10);
    if (kind < 5) this.#write(process);
    else if (kind < 7) this.#flush(process);
    else this.#read(process);
  }

  #write({ mirror }: Process): void {
    const process = this.#processes[mirror === this.#processes.alpha?.mirror ? 'alpha' : 'beta'] as Process;
    const block = this.random.below(hotBlocks);
    const write = this.#model.issue(block);
    const fua = this.random.below(5) === 0;
    const bytes = new Uint8Array(blockBytes);
    new DataView(bytes.buffer).setUint32(0, write, true);
    new DataView(bytes.buffer).setUint32(blockBytes - 4, write, true);
    this.#issue(
      process,
      `write ${String(block)}=${String(write)}${fua ? ' fua' : ''}`,
      (done) => mirror.write(block * this.#stride, bytes, { fua }, done),
      () => {
        this.#model.acknowledged(block, write, fua);
      },
    );
  }

  #flush(process: Process): void {
    const floors = this.#model.floors();
    this.#issue(
      process,
      'flush',
      (done) => process.mirror.flush(done),
      () => {
        this.#model.flushed(floors);
      },
    );
  }

  #read(process: Process): void {
    const block = this.random.below(hotBlocks);
    const floor = this.#model.floors()[block] ?? 0;
    const into = new Uint8Array(blockBytes);
    this.#issue(
      process,
      `read ${String(block)}`,
      (done) => process.mirror.read(block * this.#stride, into, done),
      () => {
        this.#judge(block, into, floor);
      },
    );
  }

  #issue(process: Process, what: string, start: (done: (error: HotMirrorError | null) => void) => void, succeeded: () => void): void {
    this.#outstanding += 1;
    this.#tell(what);
    let ended = false;
    start((error) => {
      if (ended) throw new Error(`${what} ended twice`);
      ended = true;
      if (!process.alive) return;
      this.#outstanding -= 1;
      this.#tell(`  ${what}: ${error?.code ?? 'done'}`);
      if (error) return;
      this.#acknowledged += 1;
      succeeded();
    });
  }

  #judge(block: number, bytes: Uint8Array, floor: number): void {
    const view = new DataView(bytes.buffer);
    const write = view.getUint32(0, true);
    if (write !== view.getUint32(blockBytes - 4, true)) throw new Error(`block ${String(block)} is torn`);
    const wrong = this.#model.judge(block, write, floor);
    if (wrong) throw new Error(wrong);
    this.#tell(`  block ${String(block)} holds ${String(write)}`);
  }

  // Faults

  #crash(node: NodeName, powerCut: boolean): void {
    const process = this.#processes[node];
    if (!process) return;
    this.#tell(`${powerCut ? 'power cut' : 'kill'} ${node}`);
    const peer = this.#processes[other(node)]?.mirror.state();
    const mine = process.mirror.state();
    const peerHolds =
      peer !== undefined && (peer.serving !== 'no' || (peer.element === 'uptodate' && peer.role === 'target' && mine.serving !== 'alone'));
    if ((powerCut && !peerHolds) || this.#powerLost.has(other(node))) this.#model.cachesLost();
    if (powerCut) this.#powerLost.add(node);
    this.#end(node);
    for (const disk of [this.#disks[node], this.#metadata[node]]) {
      if (powerCut) disk.cutPower(this.random);
      else disk.detach();
    }
  }

  #end(node: NodeName): void {
    const process = this.#processes[node];
    if (!process) return;
    process.alive = false;
    this.#processes[node] = undefined;
    this.#link.kill(node);
    if (this.#order?.of.includes(node)) this.#order = null;
    if (this.#epoch.owner === node) this.#outstanding = 0;
  }

  /** A node stops in order. */
  async #stop(node: NodeName): Promise<void> {
    const process = this.#processes[node];
    if (!process || this.#order) return;
    this.#tell(`stop ${node}`);
    const leave = this.random.below(2) === 0;
    const stopped = (async () => {
      if (leave) await process.mirror.leave();
      await process.mirror.close();
    })();
    await this.clock.settled(stopped, 30_000, `stopping ${node}`);
    this.#end(node);
    for (const disk of [this.#disks[node], this.#metadata[node]]) disk.detach();
  }

  async #boot(node: NodeName): Promise<void> {
    if (this.#processes[node]) return;
    this.#tell(`boot ${node}`);
    const mirror = new MirrorLink({
      name: 'm0',
      node,
      peer: other(node),
      preferOwnDial: node === 'alpha',
      device: await this.#disks[node].open(),
      metadata: await this.#metadata[node].open(),
      transport: this.#link.transport(node),
      clock: this.clock,
      random: this.random,
      limits: { activeRegions: this.#activeRegions },
    });
    for (const name of [
      'lineage:decided',
      'lineage:minted',
      'resync:finished',
      'link:lost',
      'element:failed',
      'link:refused',
      'metadata:repaired',
    ] as const) {
      mirror.events.on(name, (event: MirrorEvent) => {
        this.#tell(`    ${node} ${name}: ${event.text}`);
      });
    }
    const process = { mirror, alive: true };
    const opened = mirror.open().then(() => mirror.raiseEpoch(this.#epoch));
    await this.clock.settled(opened, 10_000, `opening ${node}`);
    this.#processes[node] = process;
  }

  // The orchestrator

  /** Gives one order that the rules allow now, if there is one. */
  #orchestrate(eager: boolean): void {
    if (this.#order) return;
    const owner = this.#epoch.owner as NodeName;
    const serving = this.#processes[owner]?.mirror;
    const peer = this.#processes[other(owner)]?.mirror;
    if (!serving) {
      if (peer && !eager) this.#give('takeover', [other(owner)], () => this.#takeOver(other(owner), peer));
      return;
    }
    const state = serving.state();
    if (state.serving === 'no') {
      if (state.element === 'uptodate') {
        this.#give('promote', [owner], () => serving.promote({ epoch: this.#epoch, alone: false }));
      } else if (!peer && !eager && this.random.below(3) === 0) {
        this.#give('promote by force', [owner], () => serving.promote({ epoch: this.#next(owner), alone: true, force: true }));
      }
    } else if (state.serving === 'parked') {
      if (!peer || state.peerBehind)
        this.#give('alone', [owner], () =>
          serving.goAlone({ epoch: this.#next(owner), rule: 'alone', connectionId: serving.state().connectionId }),
        );
      else if (!eager) this.#give('outdate', nodes, () => this.#outdate(serving, peer, owner));
    } else if (state.serving === 'yes' && peer && !eager && this.random.below(8) === 0) {
      this.#give('handover', nodes, () => this.#handOver(serving, peer, owner));
    }
  }

  #give(what: string, of: readonly NodeName[], run: () => Promise<unknown>): void {
    const order = { of };
    this.#order = order;
    this.#tell(`order: ${what} (${of.join(', ')})`);
    const over = (how: string): void => {
      if (this.#order !== order) return;
      this.#order = null;
      this.#tell(`  ${what}: ${how}`);
    };
    run().then(
      () => {
        over('done');
      },
      (error: unknown) => {
        over(error instanceof HotMirrorError ? error.code : String(error));
      },
    );
  }

  async #takeOver(node: NodeName, mirror: MirrorLink): Promise<void> {
    const sealed = await mirror.seal();
    const dead = !this.#processes[other(node)];
    if (sealed.element !== 'uptodate' || !dead) {
      await mirror.unseal();
      return;
    }
    await mirror.promote({ epoch: this.#next(node), alone: true });
  }

  async #outdate(serving: MirrorLink, peer: MirrorLink, owner: NodeName): Promise<void> {
    const { currentId, connectionId } = serving.state();
    await peer.outdate({ epoch: this.#epoch, currentId, connectionId, nonce: 'n' });
    const now = serving.state();
    if (now.serving !== 'parked' || now.connectionId !== connectionId) return;
    await serving.goAlone({ epoch: this.#next(owner), rule: 'alone', connectionId: serving.state().connectionId });
  }

  async #handOver(giver: MirrorLink, taker: MirrorLink, owner: NodeName): Promise<void> {
    const { handedOver } = await giver.demote();
    if (!handedOver) return;
    const epoch = this.#next(other(owner));
    await giver.raiseEpoch(epoch);
    await taker.promote({ epoch, alone: false });
  }

  #next(owner: NodeName): Epoch {
    this.#epoch = { number: this.#epoch.number + 1, owner };
    this.#outstanding = 0;
    this.#tell(`  epoch ${String(this.#epoch.number)}/${owner}`);
    return this.#epoch;
  }

  // Judgement

  /** Rule write.intent: where the elements differ, something durable on at least one of them says so. */
  async #checkDifferences(): Promise<void> {
    const stores = [await this.#stored('alpha'), await this.#stored('beta')] as const;
    const [a, b] = [stores[0].metadata, stores[1].metadata];
    const partial = a.current === b.current || a.base === b.current || b.base === a.current;
    if (!partial || a.resyncId !== null || b.resyncId !== null) return;
    for (let at = 0; at < this.#sizeBytes; at += blockBytes) {
      const [mine, theirs] = [this.#disks.alpha.contents, this.#disks.beta.contents].map((contents) =>
        contents.subarray(at, at + blockBytes),
      );
      if (Buffer.compare(mine!, theirs!) === 0) continue;
      const extent = Math.floor(at / a.extentBytes);
      const region = Math.floor(at / regionBytes);
      const said = stores.some(({ dirty, metadata }) => dirty.has(extent) || metadata.activeRegions.includes(region));
      if (!said) throw new Error(`the elements differ at ${String(at)} and no durable record says so (write.intent)`);
    }
  }

  #stored(node: NodeName): Promise<ElementStore> {
    const contents = this.#metadata[node].contents.slice();
    return ElementStore.load(new MemoryDevice({ sizeBytes: contents.byteLength, contents }));
  }

  /** No more faults: both come back, one serves, the elements become the same, and everything acknowledged is there. */
  async #settle(): Promise<void> {
    this.#tell('settle');
    this.#link.heal();
    for (const node of nodes) await this.#boot(node);
    // Until then a mirror may believe in a connection that is no more.
    await this.#pass(5_000);
    for (let tries = 0; !this.#inSync; tries += 1) {
      if (tries > 600)
        throw new Error(`no way to equal elements: ${JSON.stringify(nodes.map((node) => this.#processes[node]?.mirror.state()))}`);
      this.#orchestrate(true);
      if (tries % 20 === 10) this.#request();
      await this.#pass(100);
    }
    const serving = this.#processes[this.#epoch.owner as NodeName]?.mirror as MirrorLink;
    for (let block = 0; block < hotBlocks; block += 1) {
      const into = new Uint8Array(blockBytes);
      const floor = this.#model.floors()[block] ?? 0;
      const read = new Promise<HotMirrorError | null>((resolve) => {
        serving.read(block * this.#stride, into, resolve);
      });
      const error = await this.clock.settled(read, 10_000, 'the last read');
      if (error) throw error;
      this.#judge(block, into, floor);
    }
    await this.#pass(5_000);
    if (!this.#identical) throw new Error('the elements differ after a finished resync');
  }

  get #inSync(): boolean {
    const serving = this.#processes[this.#epoch.owner as NodeName]?.mirror.state();
    return !this.#order && serving?.serving === 'yes' && serving.peerElement === 'uptodate' && serving.dirtyBytes === 0;
  }

  get #identical(): boolean {
    return Buffer.compare(this.#disks.alpha.contents, this.#disks.beta.contents) === 0;
  }

  async #pass(ms: number): Promise<void> {
    await this.clock.runFor(ms);
    if (this.#inSync) this.#powerLost.clear();
    const serving = nodes.filter(
      (node) => this.#processes[node] && ['yes', 'alone'].includes(this.#processes[node].mirror.state().serving),
    );
    if (serving.length > 1) throw new Error('two owners');
    for (const node of nodes) {
      if (this.#processes[node]?.mirror.state().connection === 'split-brain') throw new Error(`${node} sees a split brain`);
    }
  }

  #note(what: string, run: () => void): void {
    this.#tell(what);
    run();
  }

  #tell(text: string): void {
    this.log.push(`${String(Math.round(this.clock.nowMs()))} ${text}`);
  }
}
