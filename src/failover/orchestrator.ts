import { HotMirrorError } from '../errors.ts';
import type { Emitter } from '../events.ts';
import { answerRequest } from './answers.ts';
import { Commands } from './commands.ts';
import type { MoveWish } from './commands.ts';
import type { FailoverEvents } from './failover-events.ts';
import { doubtAfterLoss, doubtAfterPause, hearAnswer } from './hearing.ts';
import { look } from './look.ts';
import { checkRules } from './messages.ts';
import type { FailoverOptions } from './options.ts';
import { PairNode } from './pair-node.ts';
import type { Control } from './pair-record.ts';
import { reportToJson } from './peer-report.ts';
import type { Json } from './ports.ts';
import { planOf, snapshotOf, statusOf } from './status.ts';
import type { FailoverPlan, FailoverSnapshot, FailoverStatus } from './status.ts';
import { unlessAborted } from '../clock/within.ts';

/** What an operator may say when asking for a fallback or a recovery. */
export interface FallbackOptions {
  /** Lifts takeover.auto, .dead, .uptodate and .verified: what may be lost is accepted. */
  readonly force?: boolean;
  /** Lifts these rules too: takeover.arbiter and takeover.fence need to be named. */
  readonly overrides?: readonly string[];
  readonly reason?: string;
  /** Gives up the wait; what was made durable stays. */
  readonly signal?: AbortSignal;
}

/**
 * Moves the service between the nodes of a pair (semantics 5, 7, 8 and 9). It decides by rules that are pure functions, makes every decision durable
 * before anything depends on it, and reaches mirrors, monitor, platform and arbiter only through their interfaces.
 *
 * One instance runs on each node. Tokens carry `report()` to the other, and requests of the other go to `answer()`.
 * An embedder constructs `HeartbeatMonitor` with both.
 */
export class FailoverOrchestrator implements AsyncDisposable {
  readonly events: Emitter<FailoverEvents>;
  readonly #node: PairNode;
  readonly #commands: Commands;
  readonly #subscriptions: (() => void)[] = [];
  #starting: Promise<void> | null = null;
  #closing: Promise<void> | null = null;

  /** Throws `RangeError` for homes or a policy that make no sense. */
  constructor(options: FailoverOptions) {
    if (options.mirrors.length === 0) throw new RangeError('a pair has at least one mirror');
    this.#node = new PairNode(options, () => look(this.#node));
    this.#commands = new Commands(this.#node);
    this.events = this.#node.events;
  }

  /**
   * Reads the pair record and begins to look: passive at first, then by the boot table. Writes nothing by itself.
   * Rejects with `HM_METADATA_CORRUPT` or `HM_METADATA_VERSION`, and the node stays passive.
   */
  start(): Promise<void> {
    this.#assertOpen();
    this.#starting ??= this.#start();
    return this.#starting;
  }

  async #start(): Promise<void> {
    const node = this.#node;
    await node.keeper.load();
    const { epoch } = node.record;
    await node.orderAll('raising the epoch', async (mirror) => {
      if (mirror.state().epoch.number < epoch.number) await mirror.raiseEpoch(epoch);
    });
    if (node.closed) return;
    const wake = (): void => node.wake();
    this.#subscriptions.push(
      ...node.mirrors.map((mirror) =>
        mirror.onChange(() => {
          doubtAfterLoss(node);
          wake();
        }),
      ),
      node.monitor.onChange(wake),
      node.monitor.onAnswer((answer) => hearAnswer(node, answer)),
      node.monitor.onOverslept((lateMs) => doubtAfterPause(node, lateMs)),
    );
    node.noteMode();
    node.wake();
  }

  /**
   * Moves the service to the home standby: by hand-over while the peer answers, whose refusal stands even under `force`; by takeover when it does not.
   * Resolves when the service is up there. Rejects with `HM_REFUSED` (rule and remedy), `HM_STEP_FAILED`, `HM_PEER_UNREACHABLE`, `HM_ABORTED`.
   */
  async fallback(options: FallbackOptions = {}): Promise<void> {
    this.#assertStarted();
    const { force = false, reason = 'an operator asked for a fallback', signal } = options;
    const overrides = checkRules(options.overrides ?? []);
    await this.#move(this.#node.record.homes.standby, { reason, force, overrides, regenerate: false }, signal);
  }

  /**
   * Brings the service back to the home primary, waiting for its regeneration; with `force` by takeover where the home standby is silent.
   * Rejects as {@link FailoverOrchestrator.fallback}.
   */
  async recover(options: FallbackOptions = {}): Promise<void> {
    this.#assertStarted();
    const { force = false, reason = 'an operator asked for the recovery', signal } = options;
    const overrides = checkRules(options.overrides ?? []);
    await this.#move(this.#node.record.homes.primary, { reason, force, overrides, regenerate: !force }, signal);
  }

  /** Moves the service to the other node, both being healthy. Rejects as {@link FailoverOrchestrator.fallback}. */
  async switchover(options: { readonly signal?: AbortSignal } = {}): Promise<void> {
    this.#assertStarted();
    const node = this.#node;
    const target = node.record.epoch.owner === node.name ? node.peerName : node.name;
    const wish = { reason: 'an operator asked for a switchover', force: false, overrides: [], regenerate: false };
    if (!node.livePeer()) throw new HotMirrorError('HM_REFUSED', 'handover: the other node does not answer', { rule: 'handover' });
    await this.#move(target, wish, options.signal);
  }

  /** The signal ends the wait; a move goes on where it has begun to stop services, since half a move is no state to leave a pair in. */
  #move(target: string, wish: MoveWish, signal: AbortSignal | undefined): Promise<void> {
    return unlessAborted(signal, () => this.#commands.move(target, signal ? { ...wish, signal } : wish));
  }

  /** The serving node becomes the home primary, here or at the peer. */
  async adopt(): Promise<void> {
    this.#assertStarted();
    await this.#commands.adopt();
  }

  /** Automatic takeover on or off, for both nodes; durable, and honoured up to the commit of a takeover (rule `watch.live`). */
  async setControl(control: Control): Promise<void> {
    this.#assertStarted();
    await this.#commands.setControl(control);
  }

  /**
   * An operator lets this node serve without its peer: a frozen one, or one that waits after a start. `overrides: ['takeover.arbiter']` goes on
   * without the arbiter. Rejects with `HM_REFUSED` where a rule still forbids it.
   */
  async resume(options: { readonly reason: string; readonly overrides?: readonly string[] }): Promise<void> {
    this.#assertStarted();
    await this.#commands.resume(checkRules(options.overrides ?? []));
  }

  /**
   * Takes this node's element of a mirror out, durably, or brings it back (rule `element.off`); never between the steps of a takeover. Rejects with `RangeError` for an
   * unknown mirror, `HM_REFUSED` where this node serves from it or it has failed.
   */
  async setElement(options: { readonly mirror: string; readonly to: 'off' | 'on' }): Promise<void> {
    this.#assertStarted();
    await this.#commands.setElement(options.mirror, options.to);
  }

  /**
   * Ends a split brain: of the pair records, so that `survivor` owns the service from now on, and of `mirror`, or of every mirror that this node sees as split,
   * where the other element gives way to that of `survivor` (rule `lineage.resolve`). What the other completed alone is overwritten; `salvage` names a file on
   * its node that keeps it. Rejects with `HM_REFUSED` where the loser serves, or nothing is known of a split of `mirror`; asked again it goes on.
   */
  async resolve(options: { readonly survivor: string; readonly mirror?: string; readonly salvage?: string }): Promise<void> {
    this.#assertStarted();
    const { name, peerName } = this.#node;
    const { survivor, mirror = null, salvage = null } = options;
    if (survivor !== name && survivor !== peerName) throw new RangeError(`${survivor} is no node of this pair`);
    await this.#commands.resolve({ survivor, mirror, salvage });
  }

  /**
   * The elements of this node that are targets of unfinished resyncs become what they were before, `outdated` (rule `resync.undo`); `fallback({ force: true })`
   * does it by itself. A source that answers begins anew. Rejects with `HM_REFUSED` where one of them has no undo journal to go by.
   */
  async rollBack(): Promise<void> {
    this.#assertStarted();
    const node = this.#node;
    await node.decide(async () => {
      for (const mirror of node.mirrors.filter((one) => one.state().element === 'inconsistent'))
        await node.order(mirror, 'rolling back', () => mirror.rollBack());
    });
  }

  /** The steps that would run now and the rules that would block them. Changes nothing. */
  plan(wish: 'fallback' | 'recover'): FailoverPlan {
    return planOf(this.#node, wish);
  }

  /** What this node is and does now. */
  status(): FailoverStatus {
    return statusOf(this.#node);
  }

  /** Everything that a later step depends on, for simulators and support. */
  snapshot(): FailoverSnapshot {
    return snapshotOf(this.#node);
  }

  /** What the tokens of this node carry. */
  report(): Json {
    return reportToJson(this.#node.report());
  }

  /** Answers a request of the peer; rejects with the refusal that the peer is to see. */
  async answer(body: Json): Promise<Json> {
    this.#assertStarted();
    return answerRequest(this.#node, this.#commands, body);
  }

  /**
   * Stops the service if this node serves, hands nothing over and records nothing new. With `leave` it says goodbye on the data links as well
   * (rule `node.leave`); the monitor says it on its own links afterwards.
   */
  close(options: { readonly leave?: boolean } = {}): Promise<void> {
    this.#closing ??= this.#close(options.leave ?? false);
    return this.#closing;
  }

  async #close(leave: boolean): Promise<void> {
    const node = this.#node;
    node.leaving = true;
    const stopped = new HotMirrorError('HM_CLOSED', 'the node is being stopped');
    node.takeover?.abort.abort(stopped);
    node.fencing?.abort(stopped);
    await this.#starting?.catch(() => undefined);
    const { epoch } = node.record;
    const served = node.serving;
    if (served)
      await node.service.stop(epoch.number, 'the node is being stopped', { bestEffort: true, journalled: false }).catch(() => undefined);
    await node.decide(async () => {
      if (node.serving) {
        node.serving = false;
        await node.orderAll('demotion', (mirror) => mirror.demote());
        node.emit('service:stopped', { class: 3, rule: 'node.leave', epoch, text: `${node.name} is being stopped and hands nothing over` });
      }
      if (leave) await node.orderAll('leaving', (mirror) => mirror.leave());
    });
    await node.keeper.settle().catch((error: unknown) => node.failed('the pair record', error, 'record:failed'));
    for (const unsubscribe of this.#subscriptions.splice(0)) unsubscribe();
    await node.end();
  }

  /** The same as `close`, for `await using`. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #assertOpen(): void {
    if (this.#closing) throw new HotMirrorError('HM_CLOSED', 'the orchestrator was closed');
  }

  #assertStarted(): void {
    this.#assertOpen();
    if (!this.#starting) throw new TypeError('start() first');
  }
}
