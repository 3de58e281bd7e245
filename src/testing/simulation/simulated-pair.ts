import { copyOf } from '../../bytes.ts';
import type { FailoverOrchestrator } from '../../failover/orchestrator.ts';
import { HotMirrorError } from '../../errors.ts';
import type { HeartbeatMonitor } from '../../heartbeat/heartbeat-monitor.ts';
import type { MirrorLink } from '../../mirror/mirror-link.ts';
import type { Request } from './application.ts';
import { checkNode, checkStep } from './check-step.ts';
import { completeOptions } from './complete-options.ts';
import type { CompleteOptions } from './complete-options.ts';
import type { SimulationEntry } from './entry.ts';
import { explain } from './explanation.ts';
import { diagnose } from './invariants/diagnosis.ts';
import { LazyPromise } from './lazy-promise.ts';
import type { PairSimulationOptions } from './options.ts';
import { checkCondition, fits, servingNodes } from './pair-condition.ts';
import type { PairCondition } from './pair-condition.ts';
import { askPair } from './pair-requests.ts';
import type { PairRequest } from './pair-requests.ts';
import { operate, perform } from './perform.ts';
import { answers, stanceOf } from './process-stance.ts';
import { settle } from './settle.ts';
import { nodeNames } from './steps.ts';
import type { NodeName, OperatorOrder, SimulationStep } from './steps.ts';
import { World } from './world.ts';

/** Longest virtual time that a call waits for its outcome, where it is not told. */
const patienceMs = 600_000;
/** Orders that move the service. */
const moves: ReadonlySet<OperatorOrder> = new Set(['fallback', 'force-fallback', 'recover', 'switchover']);

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
 * Calls must be awaited one after the other, but for `write`, `read` and `flush`: what they ask is asked by the call, and they may be awaited later, with
 * other calls in between, or several together. Every call rejects with `RangeError` for what makes no sense: a node, link or mirror that there is not, a time
 * that is none.
 */
export class SimulatedPair implements Disposable {
  readonly options: CompleteOptions;
  readonly #world: World;
  #turns: Promise<unknown> = Promise.resolve();

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

  /** The node that serves every mirror; null while there is none, or where there are two. A node that stands still serves nobody. */
  get serving(): NodeName | null {
    const serving = servingNodes(this.#world);
    return serving.length === 1 ? serving[0]! : null;
  }

  /** Whether one node serves and both elements of every mirror are `uptodate` and connected. */
  get whole(): boolean {
    return this.#world.converged;
  }

  /** The parts of a node that runs; null while it is down. Throws `RangeError` for a node that there is not. */
  node(name: NodeName): NodeParts | null {
    checkNode(name);
    const { process } = this.#world.nodes[name];
    return process?.opened ? process : null;
  }

  /**
   * Performs one step, as a schedule does: a step that does not fit the moment, such as a crash of a node that is down, does nothing. The calls below say so
   * where they do not fit. Rejects with `RangeError` for a step that is none, or that names what this pair does not have.
   */
  async perform(step: SimulationStep): Promise<void> {
    checkStep(step, this.options);
    if (step.do === 'run') return this.runFor(step.forMs);
    await perform(this.#world, step);
    await this.#happened();
  }

  /** Lets virtual time pass, in ms; a finite number from 0. */
  async runFor(ms: number): Promise<void> {
    checkTime('ms', ms);
    const { clock } = this.#world;
    const untilMs = clock.nowMs() + ms;
    await clock.settle();
    while (await this.#next(untilMs));
  }

  /**
   * Lets time pass until the pair is so. Rejects with `HM_NOT_REACHED` after `withinMs` (default ten minutes of virtual time).
   */
  async until(condition: PairCondition | ((pair: this) => boolean), options: { readonly withinMs?: number } = {}): Promise<void> {
    if (typeof condition === 'function') return this.#wait(() => condition(this), 'the condition was not reached', this.#limitMs(options));
    checkCondition(condition);
    return this.#wait(() => fits(this.#world, condition), `${JSON.stringify(condition)} was not reached`, this.#limitMs(options));
  }

  /**
   * The link loses its way: what is sent waits. With `from`, only what that node sends.
   *
   * A cut of `all` links under `whenAlone: 'continue'` without arbiter and fence, the default, ends in a split brain once both nodes have gone on alone
   * (rules `takeover.unfenced`, `lineage.split`): {@link SimulatedPair.settle} then rejects. Script such a cut with `freeze` or an arbiter.
   */
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

  /**
   * Begins to start a node that is down; `until` waits for what it comes to. Rejects with `HM_NODE_RUNNING` where it runs, starts, or still stops.
   */
  async boot(node: NodeName): Promise<void> {
    checkNode(node);
    const { process } = this.#world.nodes[node];
    if (process) throw new HotMirrorError('HM_NODE_RUNNING', `${node} is up already: it ${stanceOf(process)}\n${this.explain()}`);
    await this.perform({ do: 'boot', node });
  }

  /**
   * Stops a node in order (rule node.leave), and waits until it is down; a stop that fails ends the node too, and the log says so (`node:failed`). Rejects
   * with `HM_NO_NODE` where the node cannot be stopped: it is down, stands still, or has not started yet; with `HM_NOT_REACHED` after `withinMs` (default ten
   * minutes of virtual time).
   */
  async stop(node: NodeName, options: { readonly withinMs?: number } = {}): Promise<void> {
    const limitMs = this.#limitMs(options);
    checkNode(node);
    const { process } = this.#world.nodes[node];
    if (!process?.stopping) {
      this.#assertAnswers(node);
      await this.perform({ do: 'stop', node });
    }
    await this.#wait(() => !process?.alive, `${node} was not down`, limitMs);
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
   * Asks a node (default: beta, or alpha where beta answers nobody) as an operator would, waits for the answer, and after a move until the pair serves.
   * Rejects with the refusal; with `HM_NO_NODE` where the node is down, stands still or has not started yet; with `HM_NODE_DIED` where it dies before it
   * answers; with `HM_NOT_REACHED` after `withinMs` (default ten minutes of virtual time).
   */
  async order(order: OperatorOrder, options: { readonly node?: NodeName; readonly withinMs?: number } = {}): Promise<void> {
    const limitMs = this.#limitMs(options);
    const { node = answers(this.#world.nodes.beta.process) ? 'beta' : 'alpha' } = options;
    checkStep({ do: 'operator', node, order }, this.options);
    this.#assertAnswers(node);
    const process = this.#world.nodes[node].process!;
    const answer = operate(this.#world, node, order)!;
    const outcome = { answered: false };
    const mark = (): void => void (outcome.answered = true);
    answer.then(mark, mark);
    await this.#wait(() => outcome.answered || !process.alive, `${node} did not answer the order ${order}`, limitMs);
    if (!outcome.answered) throw new HotMirrorError('HM_NODE_DIED', `${node} died before it answered the order ${order}`);
    await answer;
    if (moves.has(order)) await this.#wait(() => this.serving !== null, `nobody served after the order ${order}`, limitMs);
  }

  /**
   * Writes as a user would; its promise waits for the acknowledgement. Rejects with the request's error; with `HM_NOT_SERVING` where nobody serves, or the
   * node that was named is down; with `HM_NODE_DIED` where the node dies before it answers, so that the write may be there or not; with `HM_NOT_REACHED`
   * where no answer comes within `withinMs`: the write may still be done later.
   */
  write(request: PairRequest & { readonly bytes: Uint8Array; readonly fua?: boolean }): Promise<void> {
    const asked = this.#ask('write', request, () => copyOf(request.bytes), request.fua);
    return new LazyPromise(async () => {
      await asked();
    });
  }

  /** Reads as a user would. Rejects as {@link SimulatedPair.write}. */
  read(request: PairRequest & { readonly length: number }): Promise<Uint8Array> {
    return new LazyPromise(this.#ask('read', request, () => new Uint8Array(request.length)));
  }

  /** Makes everything acknowledged durable on both elements (rule write.flush). Rejects as {@link SimulatedPair.write}. */
  flush(request: Omit<PairRequest, 'offset'> = {}): Promise<void> {
    const asked = this.#ask('flush', { ...request, offset: 0 }, () => new Uint8Array(0));
    return new LazyPromise(async () => {
      await asked();
    });
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
   * that was acknowledged. Rejects with `InvariantError`: also where every link was cut under `whenAlone: 'continue'` without arbiter and fence, for a split
   * brain ends by an operator's decision alone (see {@link SimulatedPair.cut}).
   */
  settle(): Promise<void> {
    return settle(this.#world, () => diagnose(this.#world.view));
  }

  /** Who waits for what, which faults are in force, and the last that happened, in words. What repeats itself is told once. */
  explain(): string {
    return explain(this.#world);
  }

  /** Nothing runs any more. */
  close(): void {
    for (const node of nodeNames) this.#world.kill(node, 'process');
  }

  /** The same as `close`, for `using`. */
  [Symbol.dispose](): void {
    this.close();
  }

  /** Asks at once; what is returned waits for the answer. */
  #ask(kind: Request['kind'], request: PairRequest, bytesOf: () => Uint8Array, fua = false): () => Promise<Uint8Array> {
    try {
      const limitMs = this.#limitMs(request);
      const asked = askPair(this.#world, kind, request, bytesOf(), fua);
      return async () => {
        await this.#wait(() => asked.over(), asked.missing, limitMs);
        return asked.answer();
      };
    } catch (error) {
      return async () => {
        throw error;
      };
    }
  }

  #assertAnswers(node: NodeName): void {
    const { process } = this.#world.nodes[node];
    if (!answers(process)) throw new HotMirrorError('HM_NO_NODE', `${node} ${stanceOf(process)}\n${this.explain()}`);
  }

  /** What was done takes effect, without time. */
  async #happened(): Promise<void> {
    await this.#world.clock.settle();
    this.#world.check();
  }

  async #wait(holds: () => boolean, what: string, limitMs: number): Promise<void> {
    await this.#world.clock.settle();
    while (!holds()) {
      if (!(await this.#next(limitMs))) throw new HotMirrorError('HM_NOT_REACHED', `${what} by ${String(limitMs)} ms\n${this.explain()}`);
    }
  }

  /** Lets the next event happen; false where none comes by then. Calls that overlap take turns, so that each event is over before the next. */
  #next(untilMs: number): Promise<boolean> {
    const turn = this.#turns.then(() => this.#world.clock.runNext(untilMs));
    this.#turns = turn.catch(() => undefined);
    return turn;
  }

  #limitMs({ withinMs = patienceMs }: { readonly withinMs?: number }): number {
    checkTime('withinMs', withinMs);
    return this.nowMs + withinMs;
  }
}

function checkTime(name: string, ms: number): void {
  if (!(Number.isFinite(ms) && ms >= 0)) throw new RangeError(`${name} must be a finite number from 0, not ${String(ms)}`);
}

/**
 * Makes a pair of whole nodes in virtual time that has started: alpha serves, beta mirrors and watches it, and the initial grace is over.
 * Rejects with `RangeError` for options that make no sense, with their path, and with the error of a node that cannot start.
 */
export async function simulatePair(options: PairSimulationOptions = {}): Promise<SimulatedPair> {
  return startPair(new World(completeOptions(options)));
}

/** Initialises and starts both nodes of a new world, behind a handle. */
export async function startPair(world: World): Promise<SimulatedPair> {
  const pair = new SimulatedPair(world);
  await world.init();
  for (const node of nodeNames) world.boot(node);
  const failed = (): Error | undefined => nodeNames.map((node) => world.nodes[node].startError).find((error) => error !== null);
  await pair.until(() => failed() !== undefined || (nodeNames.every((node) => watches(pair.node(node))) && pair.whole));
  const error = failed();
  if (error) throw error;
  world.workload?.start();
  return pair;
}

/** Whether a node has decided what it is after its start, and judges its peer. */
function watches(parts: NodeParts | null): boolean {
  return parts?.monitor.watchState() === 'normal' && !parts.orchestrator.status().booting;
}
