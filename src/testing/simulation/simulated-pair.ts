import type { FailoverOrchestrator } from '../../failover/orchestrator.ts';
import { HotMirrorError } from '../../errors.ts';
import type { HeartbeatMonitor } from '../../heartbeat/heartbeat-monitor.ts';
import type { MirrorLink } from '../../mirror/mirror-link.ts';
import { completeOptions } from './complete-options.ts';
import type { CompleteOptions } from './complete-options.ts';
import type { SimulationEntry } from './entry.ts';
import { diagnose } from './invariants/diagnosis.ts';
import type { PairSimulationOptions } from './options.ts';
import { operate, perform } from './perform.ts';
import { settle } from './settle.ts';
import type { SimulatedProcess } from './simulated-process.ts';
import { nodeNames } from './steps.ts';
import type { NodeName, OperatorOrder, SimulationStep } from './steps.ts';
import { World } from './world.ts';

/** Longest virtual time that a call waits for its outcome. */
const patienceMs = 600_000;
const explainedEntries = 20;
/** Orders that move the service. */
const moves: ReadonlySet<OperatorOrder> = new Set(['fallback', 'force-fallback', 'recover', 'switchover']);

/** What a pair may be waited for; what is absent does not matter. */
export interface PairCondition {
  /** Which mode the serving node is in, or any node that knows. */
  readonly mode?: 'normal' | 'fallback';
  /** The one node that serves every mirror, or null: none does. */
  readonly serving?: NodeName | null;
  /** One node serves, both elements of every mirror are `uptodate` and connected. */
  readonly whole?: boolean;
}

/** A request of {@link SimulatedPair}. */
export interface PairRequest {
  /** Default: the first mirror. */
  readonly mirror?: string;
  /** In bytes; a multiple of 512. */
  readonly offset: number;
  /** Who is asked. Default: the node that serves. */
  readonly node?: NodeName;
}

/** The running parts of one node. They are the shipped classes; their promises settle only while virtual time passes. */
export interface NodeParts {
  readonly orchestrator: FailoverOrchestrator;
  readonly monitor: HeartbeatMonitor;
  readonly mirrors: ReadonlyMap<string, MirrorLink>;
}

/**
 * Two whole nodes in virtual time, with every fault that the field knows, reproducible from one number. Time passes only inside awaited calls. After every
 * event all invariants are checked; the call during which one breaks rejects with `InvariantError` (`HM_INVARIANT`).
 *
 * Calls must be awaited one after the other.
 */
export class SimulatedPair implements Disposable {
  readonly options: CompleteOptions;
  readonly #world: World;

  /** @internal Use {@link simulatePair}. */
  constructor(world: World) {
    this.#world = world;
    this.options = world.options;
  }

  /** Virtual time since the beginning, in ms. */
  get nowMs(): number {
    return this.#world.clock.nowMs();
  }

  /** What happened so far, in order. The same seed and the same calls give the same entries. */
  get log(): readonly SimulationEntry[] {
    return this.#world.log.entries;
  }

  /** Requests of users and workload that succeeded. */
  get acknowledged(): number {
    return this.#world.application.acknowledged;
  }

  /** The node that serves every mirror; null while there is none, or where there are two. */
  get serving(): NodeName | null {
    const serving = nodeNames.filter((node) => this.#serves(node));
    return serving.length === 1 ? serving[0]! : null;
  }

  /** Whether one node serves and both elements of every mirror are `uptodate` and connected. */
  get whole(): boolean {
    return this.#world.converged;
  }

  /** The parts of a node that runs; null while it is down. */
  node(name: NodeName): NodeParts | null {
    const { process } = this.#world.nodes[name];
    return process?.opened ? process : null;
  }

  /** Performs one step. Throws `RangeError` where it names what does not exist. */
  async perform(step: SimulationStep): Promise<void> {
    if (step.do === 'run') return this.runFor(step.forMs);
    perform(this.#world, step);
    await this.#world.clock.settle();
    this.#world.check();
  }

  /** Lets virtual time pass, in ms. */
  async runFor(ms: number): Promise<void> {
    await this.#world.clock.runFor(ms);
  }

  /**
   * Lets time pass until the pair is so. Rejects with `HM_NOT_REACHED` after `withinMs` (default ten minutes of virtual time).
   */
  async until(condition: PairCondition | ((pair: this) => boolean), options: { readonly withinMs?: number } = {}): Promise<void> {
    const holds = typeof condition === 'function' ? () => condition(this) : () => this.#fits(condition);
    const wanted = typeof condition === 'function' ? 'the condition' : JSON.stringify(condition);
    const { clock } = this.#world;
    const untilMs = clock.nowMs() + (options.withinMs ?? patienceMs);
    await clock.settle();
    while (!holds()) {
      if (!(await clock.runNext(untilMs)))
        throw new HotMirrorError('HM_NOT_REACHED', `${wanted} was not reached by ${String(untilMs)} ms\n${this.explain()}`);
    }
  }

  /** The link loses its way: what is sent waits. With `from`, only what that node sends. */
  cut(link: string, options: { readonly from?: NodeName } = {}): Promise<void> {
    return this.perform({ do: 'cut', link, ...options });
  }

  /** Mends a link, or all of them. */
  heal(link = 'all'): Promise<void> {
    return this.perform({ do: 'heal', link });
  }

  /** The process dies, or its machine with what the disks had cached; see the step `crash`. */
  crash(node: NodeName, options: { readonly how?: 'process' | 'power'; readonly afterEffects?: number } = {}): Promise<void> {
    return this.perform({ do: 'crash', node, how: 'process', ...options });
  }

  /** Starts a node that is down. */
  boot(node: NodeName): Promise<void> {
    return this.perform({ do: 'boot', node });
  }

  /** Stops a node in order (rule node.leave). */
  stop(node: NodeName): Promise<void> {
    return this.perform({ do: 'stop', node });
  }

  /** The process stands still while the world goes on, or with `suspend` its machine; until `resume` where `forMs` is absent. */
  pause(node: NodeName, options: { readonly forMs?: number; readonly suspend?: boolean } = {}): Promise<void> {
    return this.perform({ do: 'pause', node, ...options });
  }

  /** Ends a pause. */
  resume(node: NodeName): Promise<void> {
    return this.perform({ do: 'resume', node });
  }

  /** Asks for the fallback: the service moves to the home standby. As {@link SimulatedPair.order}. */
  fallback(options: { readonly node?: NodeName } = {}): Promise<void> {
    return this.order('fallback', options);
  }

  /** Asks for the recovery: the service moves back to the home primary. As {@link SimulatedPair.order}. */
  recover(options: { readonly node?: NodeName } = {}): Promise<void> {
    return this.order('recover', options);
  }

  /** Asks for a switchover: the service moves to the other node. As {@link SimulatedPair.order}. */
  switchover(options: { readonly node?: NodeName } = {}): Promise<void> {
    return this.order('switchover', options);
  }

  /**
   * Asks a node (default: beta, or alpha where beta does not run) as an operator would, waits for the answer, and after a move until the pair serves.
   * Rejects with the refusal; with `HM_NO_NODE` where the node does not run, or dies before it answers.
   */
  async order(order: OperatorOrder, { node = this.#operated }: { readonly node?: NodeName } = {}): Promise<void> {
    const { process } = this.#world.nodes[node];
    const answer = operate(this.#world, node, order);
    if (!process || !answer) throw new HotMirrorError('HM_NO_NODE', `${node} does not answer\n${this.explain()}`);
    const outcome = { answered: false };
    const mark = (): void => void (outcome.answered = true);
    answer.then(mark, mark);
    await this.until(() => outcome.answered || !process.alive);
    if (!outcome.answered) throw new HotMirrorError('HM_NO_NODE', `${node} died before it answered`);
    await answer;
    if (moves.has(order)) await this.until(() => this.serving !== null);
  }

  /** Writes as a user would and waits for the acknowledgement. Rejects with the request's error; `HM_NOT_REACHED` where none comes. */
  async write(request: PairRequest & { readonly bytes: Uint8Array; readonly fua?: boolean }): Promise<void> {
    await this.#request('write', request, request.bytes.slice(), request.fua ?? false);
  }

  /** Reads as a user would. */
  async read(request: PairRequest & { readonly length: number }): Promise<Uint8Array> {
    return this.#request('read', request, new Uint8Array(request.length), false);
  }

  /** Makes everything acknowledged durable on both elements (rule write.flush). */
  async flush(request: Omit<PairRequest, 'offset'> = {}): Promise<void> {
    await this.#request('flush', { ...request, offset: 0 }, new Uint8Array(0), false);
  }

  /** Lets time pass until a promise settles, such as one of an order to `node(…)`, and gives its outcome. */
  async settled<Outcome>(promise: Promise<Outcome>): Promise<Outcome> {
    let done = false;
    const mark = (): void => void (done = true);
    promise.then(mark, mark);
    await this.until(() => done);
    return promise;
  }

  /**
   * Faults stop: links heal, pauses end, broken disks are replaced, nodes start. The pair must become whole and stay so, with equal elements that hold all
   * that was acknowledged. Rejects with `InvariantError`.
   */
  settle(): Promise<void> {
    return settle(this.#world, () => diagnose(this.#world.view));
  }

  /** Who waits for what, and the last that happened, in words. */
  explain(): string {
    const last = this.log.slice(-explainedEntries).map(({ atMs, node, event, text }) => `${atMs.toFixed(0)} ms ${node} ${event}: ${text}`);
    return [`seed ${String(this.options.seed)}, ${this.nowMs.toFixed(0)} ms`, ...diagnose(this.#world.view), '', ...last].join('\n');
  }

  /** Nothing runs any more. */
  close(): void {
    for (const node of nodeNames) this.#world.kill(node, 'process');
  }

  /** The same as `close`, for `using`. */
  [Symbol.dispose](): void {
    this.close();
  }

  async #request(kind: 'read' | 'write' | 'flush', request: PairRequest, bytes: Uint8Array, fua: boolean): Promise<Uint8Array> {
    const { mirror = this.options.mirrors[0]!.name, offset, node } = request;
    if (!this.options.mirrors.some(({ name }) => name === mirror)) throw new RangeError(`there is no mirror ${mirror}`);
    const process = this.#asked(node);
    let outcome: { readonly error: HotMirrorError | null } | null = null;
    this.#world.application.ask(process, { kind, mirror, offsetBytes: offset, bytes, fua }, (error) => (outcome = { error }));
    await this.until(() => outcome !== null || !process.alive);
    const { error } = (outcome as { readonly error: HotMirrorError | null } | null) ?? {
      error: new HotMirrorError('HM_CLOSED', `${process.node} died before it answered`),
    };
    if (error) throw error;
    return bytes;
  }

  get #operated(): NodeName {
    return this.#world.nodes.beta.process?.ready ? 'beta' : 'alpha';
  }

  #asked(node: NodeName | null = this.serving): SimulatedProcess {
    const process = node && this.#world.nodes[node].process;
    if (!process) throw new HotMirrorError('HM_NOT_SERVING', `${node ?? 'no node'} serves now\n${this.explain()}`);
    return process;
  }

  #serves(node: NodeName): boolean {
    const { process } = this.#world.nodes[node];
    if (!process?.ready || !process.orchestrator.status().serving) return false;
    return [...process.mirrors.values()].every((mirror) => ['yes', 'alone'].includes(mirror.state().serving));
  }

  #fits({ mode, serving, whole }: PairCondition): boolean {
    if (serving !== undefined && (serving === null ? nodeNames.some((node) => this.#serves(node)) : this.serving !== serving)) return false;
    if (whole !== undefined && this.whole !== whole) return false;
    if (mode === undefined) return true;
    const knowing = this.serving ? [this.serving] : nodeNames;
    return knowing.some((node) => {
      const { process } = this.#world.nodes[node];
      return process?.ready && process.orchestrator.status().mode === mode;
    });
  }
}

/**
 * Makes a pair of whole nodes in virtual time that has started: alpha serves, beta mirrors and watches it, and the initial grace is over.
 * Throws `RangeError` for options that make no sense.
 */
export async function simulatePair(options: PairSimulationOptions = {}): Promise<SimulatedPair> {
  return startPair(new World(completeOptions(options)));
}

/** Initialises and starts both nodes of a new world, behind a handle. */
export async function startPair(world: World): Promise<SimulatedPair> {
  const pair = new SimulatedPair(world);
  await world.init();
  for (const node of nodeNames) world.boot(node);
  await pair.until(() => nodeNames.every((node) => watches(pair.node(node))) && pair.whole);
  world.workload?.start();
  return pair;
}

/** Whether a node has decided what it is after its start, and judges its peer. */
function watches(parts: NodeParts | null): boolean {
  return parts?.monitor.watchState() === 'normal' && !parts.orchestrator.status().booting;
}
