import type { Epoch } from '../../epoch.ts';
import { completeOptions } from '../simulation/complete-options.ts';
import type { CompleteOptions } from '../simulation/complete-options.ts';
import type { SimulatedProcess } from '../simulation/simulated-process.ts';
import { isDelivery } from '../simulation/simulated-network.ts';
import { streamOf } from '../simulation/streams.ts';
import type { NodeName } from '../simulation/steps.ts';
import { nodeNames } from '../simulation/steps.ts';
import { World } from '../simulation/world.ts';
import { SeededRandom } from '../seeded-random.ts';
import type { WaitingTimer } from '../virtual-clock.ts';
import type { Choice, CrashChoice } from './choices.ts';
import { describeChoice } from './choices.ts';
import { smallTimes } from './options.ts';
import type { CompleteExploration, ExplorationBounds } from './options.ts';
import { stateKey } from './state-key.ts';
import { Traffic } from './traffic.ts';

const extentBytes = 65_536;
const extents = 2;
const blockBytes = 512;
const delayMs = 10;
const mirror = 'm0';
const monitorLink = 'mon';
const stepDeadlineMs = 1_000;
const requestDeadlineMs = 200;
const patienceMs = 10 * smallTimes.deadlineMs;
const half = 0.5;

/** A write that succeeded. */
interface Acknowledged {
  readonly write: number;
  readonly node: NodeName;
  readonly epoch: Epoch;
}

let initialised: readonly Uint8Array[] = [];

/** Chance without chance: jitter is always the middle, so that states differ in nothing but what happened. Ids are unlike each other. */
class SteadyRandom extends SeededRandom {
  override fraction(): number {
    return half;
  }
}

/** Two whole nodes with one mirror of two extents, of which every event is chosen from outside. */
export class SmallWorld {
  readonly world: World;
  readonly traffic: Traffic;
  readonly acknowledged: Acknowledged[] = [];
  /** The last event was a process's own and moved time: of what happens again and again, one point in some is enough to recognise it. */
  ticked = false;
  readonly #options: CompleteExploration;
  readonly #held = new Map<number, number>();
  readonly #written: number[] = [];
  readonly #waiting = new Set<number>();
  #trace: string[] | null = null;
  #seen = 0;
  #instant = 0;
  #scheduled = 0;
  /** Who served when that was last looked at; the write for the next one to begin is still to come. */
  #serving: NodeName[] = ['alpha'];
  #writesAtOnce = 1;

  private constructor(options: CompleteExploration) {
    this.#options = options;
    this.world = new World(worldOptions(options), (seed, part) => new SteadyRandom(streamOf(seed, part).seed));
    this.traffic = new Traffic(() => this.world.clock.nowMs());
  }

  /** Both nodes run, are whole, and past the initial grace. */
  static async start(options: CompleteExploration): Promise<SmallWorld> {
    const small = new SmallWorld(options);
    const { world } = small;
    await small.#init();
    for (const node of nodeNames) small.#boot(node);
    await world.clock.until(() => world.converged, patienceMs, 'a whole pair');
    await world.clock.runFor(smallTimes.initialGraceMs - world.clock.nowMs());
    return small;
  }

  /** From now on what happens is kept as text. */
  traced(): void {
    this.#trace = [];
    this.#seen = this.world.log.entries.length;
    this.traffic.arrivals();
  }

  get trace(): readonly string[] {
    return this.#trace ?? [];
  }

  /** The next event by default; undefined where nothing is left to happen. */
  next(): WaitingTimer | undefined {
    const timers = this.world.clock.waiting();
    const waiting = new Set(timers.map(({ order }) => order));
    for (const [delivery, behind] of this.#held) if (!waiting.has(delivery) || !waiting.has(behind)) this.#held.delete(delivery);
    return timers.find(({ order }) => !this.#held.has(order)) ?? timers[0];
  }

  async fire(timer: WaitingTimer): Promise<void> {
    const { clock } = this.world;
    const beforeMs = clock.nowMs();
    await clock.fire(timer);
    this.#instant = clock.nowMs() === beforeMs ? this.#instant + 1 : 0;
    this.ticked = this.#instant === 0 && !isDelivery(timer);
    this.#note(`next: ${timer.label}`);
    await this.#writeAtOnce();
  }

  /** Every choice that the budget allows here, but for crashes within the next event. */
  choices(budget: ExplorationBounds): readonly Choice[] {
    const choices: Choice[] = [];
    if (budget.writes > 0) for (const node of nodeNames) if (this.#serves(node)) choices.push({ do: 'write', node });
    if (budget.crashes > 0) for (const node of nodeNames) if (this.world.nodes[node].process) choices.push(...this.crashes(node, 0));
    if (budget.partitions > 0) choices.push(...this.#partitions());
    if (budget.postponements > 0) choices.push(...this.#postponements());
    return choices;
  }

  /** The crashes of a node after so many effects. */
  crashes(node: NodeName, afterEffects: number): readonly CrashChoice[] {
    return this.#options.rebootAfterMs.map((rebootAfterMs) => ({ do: 'crash', node, afterEffects, rebootAfterMs }));
  }

  /** Effects of this node's process so far. */
  effects(node: NodeName): number {
    return this.world.nodes[node].process?.gate.effects ?? 0;
  }

  /** Makes a choice, and lets what follows from it at once happen. */
  async perform(choice: Choice): Promise<void> {
    this.#note(`CHOICE: ${describeChoice(choice)}`);
    switch (choice.do) {
      case 'postpone':
        this.#held.set(choice.held, choice.behind);
        break;
      case 'crash':
        await this.#crash(choice);
        break;
      case 'partition':
        this.#partition(choice);
        break;
      case 'write':
        await this.#writeAndCrash(choice);
    }
    await this.world.clock.settle();
    this.world.check();
    this.#note(null);
    await this.#writeAtOnce();
  }

  /** The application's view of two owners: both acknowledged, the later one not in a higher epoch. Null where there are none. */
  twoOwners(): string | null {
    for (const [at, later] of this.acknowledged.entries()) {
      const earlier = this.acknowledged.slice(0, at).find(({ node, epoch }) => node !== later.node && epoch.number >= later.epoch.number);
      if (!earlier) continue;
      const told = ({ write, node, epoch }: Acknowledged): string => `write ${String(write)} by ${node} in epoch ${String(epoch.number)}`;
      return `${told(earlier)}, and afterwards ${told(later)}`;
    }
    return null;
  }

  /** Recognises the state; `offers` tells whether all choices are offered here. */
  key(offers: boolean): Promise<string> {
    const { world, traffic } = this;
    const application = [[...this.#waiting], this.acknowledged, this.#writesAtOnce, offers];
    return stateKey({ world, traffic, application, written: this.#written, held: this.#held, instant: this.#instant });
  }

  /** Whether anyone owns the pair in another epoch than the first. */
  get raised(): boolean {
    return nodeNames.some((node) => {
      const { process } = this.world.nodes[node];
      return process?.ready === true && process.orchestrator.status().epoch > 1;
    });
  }

  /** What changes but times: while it stays the same, the same choice leads to the same but for timing. */
  get sign(): string {
    const { nodes } = this.world;
    const node = (name: NodeName): unknown => {
      const { process, disks } = nodes[name];
      const versions = disks.all.map(({ version }) => version);
      if (!process?.ready) return [process?.opened, versions];
      const { booting, serving, epoch } = process.orchestrator.status();
      const mirrors = [...process.mirrors.values()].map((one) => one.state());
      const told = mirrors.map(({ role, connection, serving: served, element, peerElement }) => [
        role,
        connection,
        served,
        element,
        peerElement,
      ]);
      return [versions, booting, serving, epoch, process.monitor.peerState(), process.monitor.reachable(), told];
    };
    return JSON.stringify([nodeNames.map(node), this.traffic.news, this.acknowledged.length, this.#scheduled]);
  }

  /** Starts and healings that are due. */
  get scheduled(): number {
    return this.#scheduled;
  }

  /** The same for every small world: written once. */
  async #init(): Promise<void> {
    const disks = nodeNames.map((node) => this.world.nodes[node].disks.mirrors.get(mirror)!);
    if (initialised.length === 0) {
      await this.world.init();
      initialised = disks.map(({ metadata }) => metadata.contents.slice());
    } else {
      for (const [at, { metadata }] of disks.entries()) metadata.replace(initialised[at]);
    }
  }

  #boot(node: NodeName): void {
    this.world.boot(node);
    const { process } = this.world.nodes[node];
    if (process) process.gate.tap = this.traffic.tap(node);
  }

  #serves(node: NodeName): boolean {
    const { process } = this.world.nodes[node];
    return process?.ready === true && process.mirrors.get(mirror)?.state().serving !== 'no';
  }

  async #crash(crash: CrashChoice): Promise<void> {
    const timer = this.next();
    const process = this.world.nodes[crash.node].process;
    if (crash.afterEffects === 0 || !timer || !process) {
      this.#die(crash);
      return;
    }
    process.gate.dieAfter(crash.afterEffects, () => this.#die(crash));
    await this.fire(timer);
    process.gate.spare();
  }

  async #writeAndCrash({ node, crash }: Extract<Choice, { do: 'write' }>): Promise<void> {
    const gate = this.world.nodes[node].process?.gate;
    if (crash) gate?.dieAfter(crash.afterEffects, () => this.#die(crash));
    this.#write(node);
    await this.world.clock.settle();
    gate?.spare();
  }

  #die({ node, rebootAfterMs }: CrashChoice): void {
    this.world.kill(node, 'process');
    this.traffic.died(node);
    this.#later(rebootAfterMs, `start of ${node}`, () => this.#boot(node));
  }

  #partition({ way, healAfterMs }: Extract<Choice, { do: 'partition' }>): void {
    const { network } = this.world;
    network.cut('all', way === 'both' ? nodeNames : [way]);
    if (healAfterMs !== null) this.#later(healAfterMs, 'the links heal', () => network.heal('all'));
  }

  #later(afterMs: number, label: string, run: () => void): void {
    this.#scheduled += 1;
    const fire = (): void => {
      this.#scheduled -= 1;
      this.#note(`NOW: ${label}`);
      run();
    };
    this.world.clock.timer(afterMs, fire, label);
  }

  async #writeAtOnce(): Promise<void> {
    const serving = nodeNames.filter((node) => this.#serves(node));
    const begun = serving.find((node) => !this.#serving.includes(node));
    this.#serving = serving;
    if (begun === undefined || this.#writesAtOnce === 0) return;
    this.#writesAtOnce -= 1;
    this.#note(`WRITE: the application writes at ${begun}, which begins to serve`);
    this.#write(begun);
    await this.world.clock.settle();
    this.world.check();
    this.#note(null);
  }

  /** Asks for a write of each extent at once: the second may pass what the first waits for. */
  #write(node: NodeName): void {
    const { process } = this.world.nodes[node];
    for (let extent = 0; extent < extents && process?.alive; extent += 1) this.#writeOne(process, extent * extentBytes);
  }

  #writeOne(process: SimulatedProcess, offsetBytes: number): void {
    const { node } = process;
    const write = this.#written.length + 1;
    this.#written.push(offsetBytes);
    this.#waiting.add(write);
    const bytes = new Uint8Array(blockBytes).fill(write);
    this.world.application.ask(process, { kind: 'write', mirror, offsetBytes, bytes, fua: false }, (error) => {
      this.#waiting.delete(write);
      if (error) return;
      const { epoch } = process.mirrors.get(mirror)!.snapshot().metadata;
      this.acknowledged.push({ write, node, epoch });
      this.#note(`ACKNOWLEDGED: write ${String(write)} by ${node} in epoch ${String(epoch.number)} of ${epoch.owner}`);
    });
  }

  #partitions(): readonly Choice[] {
    const { ways, healAfterMs } = this.#options;
    return ways.flatMap((way) => healAfterMs.map((healMs) => ({ do: 'partition', way, healAfterMs: healMs }) as const));
  }

  /** Each delivery on its way, behind each later one of another lane and behind the first and the last event of each process within a deadline. */
  #postponements(): readonly Choice[] {
    const choices: Choice[] = [];
    const timers = this.world.clock.waiting();
    for (const [at, held] of timers.entries()) {
      if (!isDelivery(held) || this.#held.has(held.order) || held.dueMs - this.world.clock.nowMs() > delayMs) continue;
      const later = timers
        .slice(at + 1)
        .filter(({ order, dueMs }) => !this.#held.has(order) && dueMs <= held.dueMs + smallTimes.deadlineMs);
      const behind = new Set(later.filter(isDelivery));
      for (const node of nodeNames) {
        const own = later.filter(({ label }) => label === node);
        for (const timer of [own[0], own.at(-1)]) if (timer) behind.add(timer);
      }
      for (const { label, order, dueMs } of behind) {
        const text = `the next delivery over ${held.label} waits for what ${label} does in ${String(dueMs - held.dueMs)} ms`;
        choices.push({ do: 'postpone', held: held.order, behind: order, text });
      }
    }
    return choices;
  }

  #note(text: string | null): void {
    if (!this.#trace) return;
    const stamp = `${String(Math.round(this.world.clock.nowMs())).padStart(6)} ms `;
    const entries = this.world.log.entries;
    if (text !== null && !text.startsWith('next')) this.#trace.push(stamp + text);
    for (const told of this.traffic.arrivals()) this.#trace.push(`${stamp}  ${told}`);
    for (const { node, event, text: words } of entries.slice(this.#seen)) this.#trace.push(`${stamp}  ${node} ${event}: ${words}`);
    this.#seen = entries.length;
  }
}

function worldOptions({ whenAlone }: CompleteExploration): CompleteOptions {
  return completeOptions({
    mirrors: [{ name: mirror, sizeBytes: extents * extentBytes }],
    monitorLinks: [monitorLink],
    arbiter: whenAlone === 'arbiter',
    policy: { whenAlone, stepDeadlineMs, requestDeadlineMs },
    times: smallTimes,
    links: { delayMs },
    threadLagMs: 0,
    activeRegions: 4,
  });
}
