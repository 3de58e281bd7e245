import PQueue from 'p-queue';

import type { Clock, Timer } from '../clock/clock.ts';
import { sleep } from '../clock/clock.ts';
import type { Epoch } from '../epoch.ts';
import { compareEpochs, formatEpoch, highestEpoch, noEpoch } from '../epoch.ts';
import { HotMirrorError } from '../errors.ts';
import type { Emitter, EventBase } from '../events.ts';
import { createEmitter } from '../events.ts';
import { platformSteps } from '../platform/platform-actions.ts';
import type { Rule } from '../rules.ts';
import { ArbiterNews } from './arbiter-news.ts';
import { Arbitration } from './arbitration.ts';
import { grantWaitedFor } from './boot.ts';
import type { BootDecision } from './boot.ts';
import type { FailoverEvents } from './failover-events.ts';
import type { FailoverOptions, FailoverPolicy } from './options.ts';
import { completePolicy } from './options.ts';
import type { Homes, Mode, PairRecord } from './pair-record.ts';
import { modeOf, newPairRecord, withEpoch } from './pair-record.ts';
import { makeReport } from './peer-report.ts';
import type { PeerReport } from './peer-report.ts';
import type { MirrorPort, MirrorView, MonitorPort, PeerAnswer } from './ports.ts';
import { RecordKeeper } from './record-keeper.ts';
import type { Unpromoted } from './serve.ts';
import { longestBackoffMs, ServiceRunner } from './service-runner.ts';
import type { Block } from './takeover.ts';
import { untilAny, within } from '../clock/within.ts';

/** Between two looks at what could not be done yet. */
export const retryMs = 500;

/** What the peer said last, and when it was asked and heard, by the own clock. */
export interface PeerSeen {
  readonly report: PeerReport;
  readonly probeSentMs: number;
  readonly heardMs: number;
}

/** A takeover that has not been committed. */
export interface TakeoverRun {
  readonly automatic: boolean;
  readonly abort: AbortController;
}

type EventName = keyof FailoverEvents;
type Payload<Name extends EventName> = Omit<Parameters<FailoverEvents[Name]>[0], 'atMs'>;

/**
 * One node of a pair: what it knows and the means by which it acts, shared by the parts of the orchestrator. What is durable is in `keeper`;
 * all other fields are lost in a crash, and nothing safe may depend on them.
 */
export class PairNode {
  readonly name: string;
  readonly peerName: string;
  readonly mirrors: readonly MirrorPort[];
  readonly monitor: MonitorPort;
  readonly clock: Clock;
  readonly options: FailoverOptions;
  readonly policy: Required<FailoverPolicy>;
  readonly events: Emitter<FailoverEvents>;
  readonly keeper: RecordKeeper;
  readonly arbitration: Arbitration;
  readonly service: ServiceRunner;
  readonly hasFence: boolean;
  /** Aborted by `close`. */
  readonly ended: AbortController = new AbortController();

  /** This node is responsible for serving in the epoch of its record. */
  serving = false;
  servingSinceMs = 0;
  /** It has not found its place by the boot table since it started. */
  booting = true;
  leaving = false;
  peerSeen: PeerSeen | null = null;
  takeover: TakeoverRun | null = null;
  /** Ends the fence that runs before this node goes on alone. */
  fencing: AbortController | null = null;
  /** A wish of an operator that moves the service, one at a time. */
  move: string | null = null;
  boot: BootDecision | null = null;
  /** Rules that block a takeover or going alone now. */
  blockers: readonly Block[] = [];
  /** An operator lets this node serve without its peer; lasts for one look. */
  operatorWord: { readonly overrides: readonly Rule[] } | null = null;
  /** Mirrors for whose being alone the epoch was raised, and whose peer element has not been seen uptodate since. */
  readonly raisedFor: Set<string> = new Set();
  /** The answer to the latest token that was answered, whatever it carried. */
  lastAnswer: PeerAnswer | null = null;
  /** When the peer was last found to answer on no monitor link, while a mirror was without its data link. */
  unreachableAtMs: number = -Infinity;
  /** When this node last woke up after it had stood still so long that the peer may have taken over. */
  stoodStillAtMs: number = -Infinity;
  /** When the last token was sent whose answer showed that this node is still the owner, and the peer about to take nothing over. */
  ownedAtMs: number = -Infinity;
  /** Mirrors that could not be promoted yet, and how they are to be. */
  unpromoted: Unpromoted | null = null;
  /** The last decision about going alone of each mirror that lost its data link, so that each is reported once. */
  readonly aloneDecisions: Map<string, string> = new Map();
  /** When a mirror that refused to go alone is asked again. */
  readonly aloneAgainMs: Map<string, number> = new Map();
  /** The offer of an open release. After a crash it may have been sent. */
  offer: { readonly attempts: number; readonly force: boolean; readonly sent: boolean } = { attempts: 0, force: false, sent: true };
  /** A hand-over that this node accepted and does not serve yet. */
  taking: { readonly epoch: Epoch; readonly force: boolean } | null = null;
  /** Automatic takeovers, or fences before going alone, that came to nothing in a row, and when the next may be tried. */
  attempts: { readonly failed: number; readonly nextMs: number } = { failed: 0, nextMs: 0 };
  /** The monitor is paused by this node (rule `takeover.auto`). */
  pausedMonitor = false;
  /** Since when nobody serves because of a hand-over. */
  withoutOwnerSinceMs: number | null = null;
  /** A seal may be in effect that no takeover needs any more. */
  sealed = false;
  readonly arbiterNews: ArbiterNews = new ArbiterNews(this);
  /** A grant of the arbiter that this node did not commit. */
  pendingHandBack: { readonly granted: Epoch; readonly earlier: Epoch } | null = null;
  /** Mirrors whose element is doubted, until the mirror has settled that, each with the number of its latest doubt (rule `element.start`). */
  readonly doubted: Map<string, number> = new Map();
  /** Doubts so far. */
  doubts = 0;
  /** The highest epoch that anyone showed, with its homes where known; written by the next look. */
  heard: { readonly epoch: Epoch; readonly homes: Homes | null } = { epoch: noEpoch, homes: null };

  readonly #lane = new PQueue({ concurrency: 1 });
  readonly #waiters = new Set<() => void>();
  readonly #look: () => Promise<void>;
  #lookQueued = false;
  #timer: { readonly timer: Timer; readonly dueMs: number } | null = null;
  #mode: Mode | null = null;
  #nonsense = '';

  /** `look` is the one function that decides what to do next; it runs in the lane, after every change. */
  constructor(options: FailoverOptions, look: () => Promise<void>) {
    this.options = options;
    this.name = options.node;
    this.peerName = options.peer;
    this.mirrors = options.mirrors;
    this.monitor = options.monitor;
    this.clock = options.clock;
    this.#look = look;
    this.policy = completePolicy(options.policy ?? {}, options.arbiter !== null);
    this.hasFence = options.platform.capabilities.fence;
    this.events = createEmitter<FailoverEvents>(options.onListenerError ?? (() => undefined));
    this.arbitration = new Arbitration(options.arbiter, this.clock, this.policy.requestDeadlineMs);
    const initial = newPairRecord(homesOf(options), this.policy.control);
    this.keeper = new RecordKeeper(options.node, options.records, initial, (...change) => this.#written(...change));
    this.service = this.#makeService();
  }

  get record(): PairRecord {
    return this.keeper.record;
  }

  get closed(): boolean {
    return this.ended.signal.aborted;
  }

  /** What all mirrors say now. */
  views(): readonly MirrorView[] {
    return this.mirrors.map((mirror) => mirror.state());
  }

  /** The element's state as far as it may be relied upon: a doubt counts before the element has confirmed it. */
  trusted(view: MirrorView): MirrorView['element'] {
    return view.element === 'uptodate' && this.doubted.has(view.name) ? 'consistent' : view.element;
  }

  /** This node stood still so long that the peer may have taken over, and nothing that it heard since shows that it is still the owner. */
  get ownershipDoubted(): boolean {
    return this.ownedAtMs < this.stoodStillAtMs;
  }

  /** The peer's word while it answers; null when it is silent or has not been heard since the start. */
  livePeer(): PeerReport | null {
    const state = this.monitor.peerState();
    return state === 'up' || state === 'suspect' ? (this.peerSeen?.report ?? null) : null;
  }

  report(): PeerReport {
    const { booting, serving, leaving } = this;
    const overGrant = serving ? null : grantWaitedFor(this.boot);
    const stance = { booting, serving, leaving, service: this.service.state, overGrant };
    return makeReport(this.name, this.record, this.views(), stance, this.options.health?.());
  }

  /** The highest epoch that is known here to be real: recorded, released, carried by an element or shown by the peer. */
  knownEpoch(): Epoch {
    const { epoch, released, conflict } = this.record;
    return highestEpoch([epoch, released, conflict, this.heard.epoch, ...this.views().map((view) => view.epoch)]);
  }

  emit<Name extends EventName>(name: Name, payload: Payload<Name>): void {
    if (this.closed) return;
    const event = { atMs: this.clock.nowMs(), ...payload } as unknown as Parameters<FailoverEvents[Name]>[0];
    (this.events.emit as (name: EventName, event: EventBase) => boolean).call(this.events, name, event);
  }

  /** Reports what failed and gives it back as a typed error. */
  failed(what: string, error: unknown, name: 'order:failed' | 'record:failed' = 'order:failed'): HotMirrorError {
    const failure = HotMirrorError.from(error, 'HM_INTERNAL', what);
    this.emit(name, { class: this.serving ? 1 : 0, error: failure.toJSON(), text: `${what}: ${failure.message}` });
    return failure;
  }

  /** Gives an order to a mirror within a limit. After a rejection it is unknown whether it took effect. */
  order<T>(mirror: MirrorPort, what: string, give: () => Promise<T>): Promise<T> {
    const limit = { deadlineMs: this.policy.stepDeadlineMs, code: 'HM_REQUEST_TIMEOUT', what: `${what} of mirror ${mirror.name}` } as const;
    return within(this.clock, limit, give);
  }

  /** Gives an order to every mirror; whether all carried it out. Failures are reported. */
  async orderAll(
    what: string,
    give: (mirror: MirrorPort) => Promise<unknown>,
    mirrors: readonly MirrorPort[] = this.mirrors,
  ): Promise<boolean> {
    const outcomes = await Promise.all(
      mirrors.map((mirror) =>
        this.order(mirror, what, () => give(mirror)).then(
          () => true,
          (error: unknown) => {
            this.failed(`${what} of mirror ${mirror.name}`, error);
            return false;
          },
        ),
      ),
    );
    return outcomes.every(Boolean);
  }

  /** Somebody showed an epoch. A higher one of another owner ends serving here and now; its record follows (rule `lineage.epoch`). */
  hearEpoch(epoch: Epoch, homes: Homes | null): void {
    if (epoch.number > this.heard.epoch.number) this.heard = { epoch, homes };
    const order = compareEpochs(epoch, this.record.epoch);
    if (order !== 'higher' && order !== 'conflict') return;
    if (this.serving && epoch.owner !== this.name) {
      for (const mirror of this.mirrors) void mirror.raiseEpoch(epoch).catch((error: unknown) => this.failed('raising the epoch', error));
    }
    this.wake();
  }

  /** Makes an epoch of the other node the own record's, and then the elements'. */
  async adoptEpoch(epoch: Epoch, homes: Homes | null, rule: Rule): Promise<void> {
    const before = this.record.epoch;
    await this.keeper.change(rule, (record) =>
      epoch.number > record.epoch.number ? { ...withEpoch(record, epoch), homes: homes ?? record.homes } : record,
    );
    if (this.record.epoch.number !== before.number)
      await this.orderAll('raising the epoch', (mirror) => mirror.raiseEpoch(this.record.epoch));
  }

  /** Runs a decision; one at a time, so that what it looked at is still so when it acts. */
  decide<T>(task: () => Promise<T>): Promise<T> {
    return this.#lane.add(task);
  }

  /** Something changed: look again. */
  wake(): void {
    for (const waiter of [...this.#waiters]) waiter();
    if (this.#lookQueued || this.closed) return;
    this.#lookQueued = true;
    void this.#lane.add(async () => {
      this.#lookQueued = false;
      if (!this.closed) await this.#look();
      for (const waiter of [...this.#waiters]) waiter();
    });
  }

  /** Looks again at `atMs` at the latest. */
  wakeAt(atMs: number): void {
    if (this.closed || (this.#timer && this.#timer.dueMs <= atMs)) return;
    this.#timer?.timer.cancel();
    const timer = this.clock.timer(Math.max(0, atMs - this.clock.nowMs()), () => {
      this.#timer = null;
      this.wake();
    });
    this.#timer = { timer, dueMs: atMs };
  }

  /** Looks again after {@link retryMs}. */
  retryLater(): void {
    this.wakeAt(this.clock.nowMs() + retryMs);
  }

  /** Resolves with the first answer of `find` that is not null; rejects with what it throws, `HM_CLOSED`, or `HM_REQUEST_TIMEOUT`. */
  waitFor<T>(what: string, limitMs: number, find: () => T | null, signal?: AbortSignal): Promise<T> {
    return untilAny([this.ended.signal, ...(signal ? [signal] : [])], (either) => {
      const limit = { deadlineMs: limitMs, code: 'HM_REQUEST_TIMEOUT', what, signal: either } as const;
      return within(this.clock, limit, (inner) => this.#found(find, inner));
    });
  }

  #found<T>(find: () => T | null, signal: AbortSignal): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      const waiter = (): void => {
        try {
          const found = find();
          if (found === null) return;
          resolve(found);
        } catch (error) {
          reject(error instanceof Error ? error : new HotMirrorError('HM_INTERNAL', String(error)));
        }
        this.#waiters.delete(waiter);
      };
      signal.addEventListener('abort', () => this.#waiters.delete(waiter), { once: true });
      this.#waiters.add(waiter);
      waiter();
    });
  }

  /** Ends everything: no event, no timer, no decision after it. */
  async end(): Promise<void> {
    this.ended.abort(new HotMirrorError('HM_CLOSED', 'the orchestrator was closed'));
    this.#timer?.timer.cancel();
    this.#timer = null;
    this.#waiters.clear();
    await this.service.end();
    await this.#lane.onIdle();
    await this.keeper.idle();
  }

  /** The longest that all steps of a stop and a start can take, with their retries. */
  longestSequenceMs(): number {
    const { stepDeadlineMs, stepRetries, requestDeadlineMs } = this.policy;
    return platformSteps.length * (stepRetries + 1) * (stepDeadlineMs + longestBackoffMs) + requestDeadlineMs;
  }

  /** Reports what makes no sense once, until something made sense again. */
  noteNonsense(error: HotMirrorError): void {
    if (this.#nonsense === error.message) return;
    this.#nonsense = error.message;
    this.failed('a report', error);
  }

  /** Runs `task` after a while, unless this node is closed by then. */
  afterDelay(delayMs: number, task: () => void): void {
    if (this.closed) return;
    void sleep(this.clock, delayMs, this.ended.signal).then(task, () => undefined);
  }

  /** Emits `mode:changed` where the mode is another one now. */
  noteMode(): void {
    const { epoch, homes } = this.record;
    const mode = modeOf(epoch, homes);
    if (mode === this.#mode) return;
    const known = this.#mode !== null;
    this.#mode = mode;
    if (known)
      this.emit('mode:changed', { class: 2, mode, epoch, text: `the mode is ${mode ?? 'unknown'}: ${epoch.owner} owns the service` });
  }

  #written(why: string, after: PairRecord, before: PairRecord): void {
    this.emit('record:written', { class: 0, why, record: after, text: `the pair record was written: ${why}` });
    if (after.epoch.number !== before.epoch.number) {
      this.emit('epoch:raised', { class: 0, epoch: after.epoch, text: `the epoch is ${formatEpoch(after.epoch)}` });
    }
    if (after.control.value !== before.control.value) {
      this.emit('control:changed', { class: 0, control: after.control.value, text: `control is ${after.control.value}` });
    }
    this.noteMode();
    this.wake();
  }

  #makeService(): ServiceRunner {
    const { clock, platform } = this.options;
    return new ServiceRunner({
      clock,
      platform,
      stepDeadlineMs: this.policy.stepDeadlineMs,
      stepRetries: this.policy.stepRetries,
      context: { node: this.name, peer: this.peerName, mirrors: this.mirrors.map(({ name }) => name) },
      journal: () => this.record.journal,
      record: (journal) => this.keeper.change(`${journal.sequence} journal`, (record) => ({ ...record, journal })),
      onState: () => this.wake(),
      onStep: (event, news) => {
        const { error, ...rest } = news;
        const text = `${news.step} ${event}${error ? `: ${error.message}` : ''}`;
        const serious = event === 'failed' && news.step !== 'notify' ? (news.sequence === 'start' ? 3 : 1) : 0;
        this.emit(`step:${event}`, { class: serious, ...rest, ...(error ? { error: error.toJSON() } : {}), text });
      },
    });
  }
}

function homesOf({ node, peer, homes }: FailoverOptions): Homes {
  const primary = [node, peer].find((name) => homes[name] === 'primary');
  const standby = [node, peer].find((name) => homes[name] === 'standby');
  if (primary === undefined || standby === undefined)
    throw new RangeError('homes must name one of the two nodes primary and the other standby');
  return { primary, standby };
}
