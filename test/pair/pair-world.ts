import { MemoryArbiter } from '../../src/arbiter/memory.ts';
import type { Clock } from '../../src/clock/clock.ts';
import { MemoryDevice } from '../../src/device/memory.ts';
import type { FailoverPolicy } from '../../src/failover/options.ts';
import { pairRecordBytes } from '../../src/failover/pair-record-store.ts';
import { elementMetadataBytes } from '../../src/mirror/create-element.ts';
import { MirrorLink } from '../../src/mirror/mirror-link.ts';
import { SeededRandom } from '../../src/testing/seeded-random.ts';
import { VirtualClock } from '../../src/testing/virtual-clock.ts';
import { MemoryNetwork } from '../../src/transport/memory.ts';
import type { MemoryLink } from '../../src/transport/memory.ts';
import { SimulatedDisk } from '../mirror/support/simulated-node.ts';
import { arbiterOf } from './arbiter-of.ts';
import { History } from './history.ts';
import { Machine, names } from './machine.ts';
import type { Name, Times } from './machine.ts';
import { NodeClock } from './node-clock.ts';

const mebibyte = 1_048_576;
const blockBytes = 512;
const blocks = 8;
const maxOutstanding = 4;
const linkNames = ['data', 'mon1', 'mon2'] as const;
export type LinkName = (typeof linkNames)[number];

interface DisksOfNode {
  readonly element: SimulatedDisk;
  readonly metadata: SimulatedDisk;
  readonly record: SimulatedDisk;
}

export interface PairOptions {
  readonly seed: number;
  readonly arbiter: boolean;
  readonly policy: FailoverPolicy;
  /** Machines may lose power, so the application writes with FUA. */
  readonly powerCuts: boolean;
  readonly sizeBytes?: number;
  readonly times?: Times;
  /** False: the disks of the elements complete at once. */
  readonly slowDisks?: boolean;
}

/** Two machines with real mirrors, monitors and orchestrators, an application, and every mishap, in virtual time. */
export class PairWorld {
  readonly clock = new VirtualClock();
  readonly random: SeededRandom;
  readonly history = new History();
  readonly links: Readonly<Record<LinkName, MemoryLink>>;
  readonly arbiter = new MemoryArbiter();
  /** Nodes that do not reach the arbiter. */
  readonly blind = new Set<Name>();
  /** What happened, a line each. */
  readonly trace: string[] = [];
  /** Whether the application makes requests. */
  applicationOn = true;
  readonly #options: PairOptions;
  readonly #times: Times;
  readonly #sizeBytes: number;
  readonly #strideBytes: number;
  readonly #disks: Readonly<Record<Name, DisksOfNode>>;
  readonly #clocks: Record<Name, NodeClock | undefined> = { alpha: undefined, beta: undefined };
  readonly #machines: Record<Name, Machine | undefined> = { alpha: undefined, beta: undefined };
  readonly #cuts = new Map<string, { readonly link: LinkName; readonly from: Name }>();

  constructor(options: PairOptions) {
    const { seed, times = { intervalMs: 250, deadlineMs: 1000, leaseMs: 750, graceMs: 2000 } } = options;
    const random = new SeededRandom(seed);
    const network = new MemoryNetwork({ clock: this.clock, random });
    const link = (name: LinkName): MemoryLink => network.link(name, { nodes: ['alpha', 'beta'], delayMs: 1 + random.below(5) });
    this.#options = options;
    this.#times = times;
    this.random = random;
    this.links = { data: link('data'), mon1: link('mon1'), mon2: link('mon2') };
    this.#sizeBytes = options.sizeBytes ?? (random.below(4) === 0 ? 9 * mebibyte : mebibyte / 2);
    this.#strideBytes = Math.floor(this.#sizeBytes / blocks / 4096) * 4096;
    const elementMs = (options.slowDisks ?? random.below(2) === 0) ? 1 + random.below(15) : 0;
    const metadataMs = random.below(2) === 0 ? 1 + random.below(random.below(3) === 0 ? 120 : 15) : 0;
    this.#disks = { alpha: this.#disksOf('alpha', elementMs, metadataMs), beta: this.#disksOf('beta', elementMs, metadataMs) };
  }

  /** Both nodes initialised and up, one serving, elements equal. */
  async start(): Promise<this> {
    for (const node of names) {
      const metadata = new MemoryDevice({ sizeBytes: elementMetadataBytes(this.#sizeBytes) });
      const kind = node === 'alpha' ? 'data' : 'blank';
      const epoch = { number: 1, owner: 'alpha' };
      await MirrorLink.create({ kind, sizeBytes: this.#sizeBytes, metadata, random: this.random, epoch });
      this.#disks[node].metadata.contents.set(metadata.contents);
    }
    for (const node of names) await this.boot(node);
    await this.converge(20_000);
    return this;
  }

  running(node: Name): Machine | undefined {
    return this.#machines[node];
  }

  machine(node: Name): Machine {
    const machine = this.#machines[node];
    if (!machine) throw new Error(`${node} is not running`);
    return machine;
  }

  note(text: string): void {
    this.trace.push(`${this.clock.nowMs().toFixed(0)} ${text}`);
  }

  async boot(node: Name): Promise<void> {
    if (this.#machines[node]) return;
    this.note(`boot ${node}`);
    const clock = new NodeClock(this.clock);
    const disks = this.#disks[node];
    this.#clocks[node] = clock;
    const starting = Machine.start({
      node,
      clock,
      random: this.random,
      times: this.#times,
      policy: this.#options.policy,
      arbiter: this.#options.arbiter ? arbiterOf(this.arbiter, clock, () => this.blind.has(node)) : null,
      device: await disks.element.open(),
      metadata: await disks.metadata.open(),
      record: await disks.record.open(),
      links: this.links,
      note: (text) => this.note(text),
    });
    this.#machines[node] = await this.clock.settled(starting, 60_000, `the start of ${node}`);
  }

  /** The process dies, or the whole machine with what its disks had cached. */
  kill(node: Name, how: 'process' | 'power'): void {
    const machine = this.#machines[node];
    if (!machine) return;
    this.note(`kill ${node} (${how})`);
    machine.clock.dead = true;
    for (const link of Object.values(this.links)) link.kill(node);
    for (const disk of Object.values(this.#disks[node]) as SimulatedDisk[]) {
      if (how === 'power') disk.cutPower(this.random);
      else disk.detach();
    }
    this.#machines[node] = undefined;
    this.#clocks[node] = undefined;
    this.#applyCuts();
  }

  /** Begins to stop a node in order; it is gone once that is done. */
  close(node: Name): void {
    const machine = this.#machines[node];
    if (!machine?.ready || machine.closing || machine.clock.paused) return;
    this.note(`close ${node}`);
    machine.close().then(
      () => {
        if (machine.alive) this.kill(node, 'process');
      },
      (error: unknown) => {
        if (machine.alive) this.history.problems.push(`the close of ${node} failed: ${String(error)}`);
      },
    );
  }

  /** The machine stands still, as after SIGSTOP, until `resume`. */
  pause(node: Name): void {
    const machine = this.#machines[node];
    if (!machine || machine.clock.paused) return;
    this.note(`pause ${node}`);
    machine.clock.paused = true;
    this.#applyCuts();
  }

  resume(node: Name): void {
    const machine = this.#machines[node];
    if (!machine?.clock.paused) return;
    this.note(`resume ${node}`);
    machine.clock.resume();
    this.#applyCuts();
  }

  /** From now on a link loses what is sent; with `from`, only what that node sends. */
  cut(link: LinkName, from?: Name): void {
    this.note(`cut ${link} ${from ? `from ${from}` : 'both ways'}`);
    for (const node of from ? [from] : names) this.#cuts.set(`${link}:${node}`, { link, from: node });
    this.#applyCuts();
  }

  heal(...links: readonly LinkName[]): void {
    this.note(`heal ${links.join(' ')}`);
    for (const [key, { link }] of this.#cuts) if (links.includes(link)) this.#cuts.delete(key);
    this.#applyCuts();
  }

  /** The links that lose something. */
  get cutLinks(): ReadonlySet<LinkName> {
    return new Set([...this.#cuts.values()].map(({ link }) => link));
  }

  /** One node serves, both elements are `uptodate` and connected. */
  get converged(): boolean {
    const views = names.flatMap((node) => (this.#machines[node]?.ready ? [this.#machines[node].mirror.state()] : []));
    return (
      views.length === names.length &&
      views.filter(({ serving }) => serving === 'yes').length === 1 &&
      views.every(({ element, connection, resync }) => element === 'uptodate' && connection === 'connected' && resync === null)
    );
  }

  /** Lets time pass with the application at work. Throws at the first broken rule. */
  async advance(byMs: number): Promise<void> {
    for (let leftMs = byMs; leftMs > 0;) {
      const stepMs = Math.min(leftMs, 5 + this.random.below(30));
      if (this.applicationOn) for (const node of names) this.#request(node);
      await this.clock.runFor(stepMs);
      leftMs -= stepMs;
      this.#check();
    }
  }

  /** Lets time pass until the pair is whole and has acknowledged another write; restarts whoever stopped. */
  async converge(withinMs: number): Promise<void> {
    const untilMs = this.clock.nowMs() + withinMs;
    const before = this.history.acknowledged;
    while (!this.converged || (this.applicationOn && this.history.acknowledged === before)) {
      if (this.clock.nowMs() > untilMs) throw new Error(`stuck: ${names.map((node) => this.#describe(node)).join('; ')}`);
      await this.advance(200);
      for (const node of names) await this.boot(node);
    }
  }

  /** Ends every mishap; the pair must become whole again by itself, with equal elements that hold all that was acknowledged. */
  async settle(): Promise<void> {
    this.note('settle');
    for (const node of names) this.resume(node);
    this.heal(...linkNames);
    this.blind.clear();
    this.arbiter.reachable = true;
    await this.converge(120_000);
    this.applicationOn = false;
    await this.clock.runFor(5_000);
    const nowMs = this.clock.nowMs();
    for (const node of names) {
      const { contents } = this.#disks[node].element;
      const view = new DataView(contents.buffer, contents.byteOffset);
      for (let block = 0; block < blocks; block += 1)
        this.history.found(block, view.getUint32(block * this.#strideBytes, true), nowMs, nowMs, `the disk of ${node}`);
    }
    if (Buffer.compare(this.#disks.alpha.element.contents, this.#disks.beta.element.contents) !== 0)
      this.history.problems.push('the elements differ');
    this.#check();
  }

  /** Nothing runs any more. */
  end(): void {
    for (const node of names) this.kill(node, 'process');
  }

  #disksOf(node: Name, elementMs: number, metadataMs: number): DisksOfNode {
    const { clock } = this;
    const own: Clock = {
      nowMs: () => clock.nowMs(),
      wallMs: () => clock.wallMs(),
      drain: () => clock.drain(),
      timer: (delayMs, fire) => (this.#clocks[node] ?? clock).timer(delayMs, fire),
    };
    const disk = (sizeBytes: number, delayMs: number): SimulatedDisk =>
      new SimulatedDisk(new Uint8Array(sizeBytes), blockBytes, delayMs === 0 ? 'sync' : { clock: own, delayMs });
    return {
      element: disk(this.#sizeBytes, elementMs),
      metadata: disk(elementMetadataBytes(this.#sizeBytes), metadataMs),
      record: disk(pairRecordBytes, metadataMs),
    };
  }

  #applyCuts(): void {
    const paused = names.some((node) => this.#machines[node]?.clock.paused);
    for (const link of Object.values(this.links)) {
      link.heal();
      // A machine that stands still neither takes nor sends.
      if (paused) link.cut();
    }
    if (!paused) for (const { link, from } of this.#cuts.values()) this.links[link].cut(from);
  }

  /** The application asks wherever it is let. */
  #request(node: Name): void {
    const machine = this.#machines[node];
    if (!machine?.ready || machine.clock.paused || machine.outstanding >= maxOutstanding) return;
    if (machine.mirror.state().serving === 'no') return;
    const kind = this.random.below(10);
    const block = this.random.below(blocks);
    if (kind < 5) this.#write(machine, block);
    else if (kind < 9) this.#read(machine, block);
    else machine.mirror.flush(() => undefined);
  }

  #write(machine: Machine, block: number): void {
    const write = this.history.issue(machine.node, block, this.clock.nowMs());
    const bytes = new Uint8Array(blockBytes);
    new DataView(bytes.buffer).setUint32(0, write.value, true);
    machine.outstanding += 1;
    machine.mirror.write(block * this.#strideBytes, bytes, { fua: this.#options.powerCuts }, (error) => {
      if (this.#replied(machine, error, 'a write')) this.history.acknowledge(write, this.clock.nowMs());
    });
  }

  #read(machine: Machine, block: number): void {
    const bytes = new Uint8Array(blockBytes);
    const issuedMs = this.clock.nowMs();
    machine.outstanding += 1;
    machine.mirror.read(block * this.#strideBytes, bytes, (error) => {
      if (!this.#replied(machine, error, 'a read')) return;
      const value = new DataView(bytes.buffer).getUint32(0, true);
      this.history.found(block, value, issuedMs, this.clock.nowMs(), `a read at ${machine.node}`);
    });
  }

  /** Whether the reply says that the request succeeded. */
  #replied(machine: Machine, error: Error | null, what: string): boolean {
    if (!machine.alive) return false;
    machine.outstanding -= 1;
    if (machine.clock.paused) this.history.problems.push(`${what} was answered by ${machine.node} while it stood still`);
    if (error) return false;
    this.history.replied(machine.node, machine.mirror.snapshot().metadata.epoch, what);
    return true;
  }

  #check(): void {
    const [problem] = this.history.problems;
    if (problem === undefined) return;
    this.note(problem);
    throw new Error(problem);
  }

  #describe(node: Name): string {
    const machine = this.#machines[node];
    if (!machine) return `${node} is down`;
    return `${node} ${JSON.stringify(machine.mirror.state())} ${JSON.stringify(machine.orchestrator.status().blockedBy)}`;
  }
}
