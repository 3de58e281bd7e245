import createDebug from 'debug';

import type { Clock, Timer } from '../clock/clock.ts';
import { randomHex } from '../clock/random.ts';
import { HotMirrorError } from '../errors.ts';
import type { Emitter } from '../events.ts';
import { Conversation } from './conversation.ts';
import type { DetectorChoice } from './detector.ts';
import type { HeartbeatEvents } from './events.ts';
import type { LinkQuality } from './link-statistics.ts';
import { MonitorLink } from './monitor-link.ts';
import type { Line } from './monitor-link.ts';
import { checkLinks, initialGrace, watchTimes } from './options.ts';
import type { HeartbeatMonitorOptions, WatchTimes } from './options.ts';
import { Outlook } from './outlook.ts';
import { PauseDetector } from './pause-detector.ts';
import type { RequestOptions } from './peer-channel.ts';
import { Reporter } from './reporter.ts';
import { nonceBytes } from './token.ts';
import type { Json, LinkState, MonitorStatus, PeerAnswer, PeerState, SilenceEvidence, Verdict, WatchState } from './types.ts';
import { judge } from './verdict.ts';

const debug = createDebug('hotmirror:heartbeat');

/** Shortest time between two looks; it also makes sure that a threshold is passed, not just reached. */
const shortestWaitMs = 1;

const stateOrder: Readonly<Record<LinkState, number>> = { up: 0, late: 1, down: 2 };

/**
 * Decides from tokens on several links whether the peer is viable (semantics 6). It never acts on its own verdict.
 *
 * Both nodes run one; each answers the other's tokens. Everything is decided by pure functions (`judge`, `freshSilence`) from what the links have
 * seen; this class wakes up, lets the sockets drain, asks them, and tells.
 */
export class HeartbeatMonitor {
  /** What happens, as typed events. */
  readonly events: Emitter<HeartbeatEvents>;
  readonly #node: string;
  readonly #peer: string;
  readonly #clock: Clock;
  readonly #run: string;
  readonly #links: readonly MonitorLink[];
  readonly #outlook: Outlook;
  readonly #conversation: Conversation;
  readonly #pauses: PauseDetector;
  readonly #reporter: Reporter;
  #lifecycle: 'new' | 'running' | 'closed' = 'new';
  #closing: Promise<void> | null = null;
  #verdict: Verdict;
  #watch: WatchState = 'grace';
  #wake: Timer | null = null;
  #looking = false;

  /** Throws `RangeError` for times or links that cannot be watched (rules `timing.deadline`, `watch.start`). */
  constructor(options: HeartbeatMonitorOptions) {
    const { clock, random, preferOwnDial } = options;
    const onListenerError = options.onListenerError ?? ((error: unknown) => debug('a listener threw: %O', error));
    checkLinks(options.links);
    this.#node = options.node;
    this.#peer = options.peer;
    this.#clock = clock;
    const times = watchTimes(options);
    const graceMs = initialGrace(options.initialGraceMs, times.deadlineMs);
    this.#run = randomHex(random, nonceBytes);
    this.#pauses = new PauseDetector(clock.nowMs(), clock.wallMs());
    this.#reporter = new Reporter(options.peer, onListenerError);
    this.events = this.#reporter.events;
    const refuse = (): Promise<Json> => Promise.reject(new HotMirrorError('HM_NOT_SUPPORTED', `${options.node} answers no requests`));
    this.#conversation = new Conversation({
      clock,
      run: this.#run,
      report: options.report,
      answer: options.answer ?? refuse,
      lines: () => this.#lines(),
      listener: {
        alive: (link) => {
          this.#alive(link);
        },
        answered: (link, probeSentMs, report) => {
          this.#answered(link, probeSentMs, report);
        },
        left: () => {
          this.#rule(this.#clock.nowMs());
        },
        rejected: (link, error) => {
          this.#rejected(link, error);
        },
      },
    });
    const common = { preferOwnDial, clock, random, times, run: this.#run, handlers: this.#conversation };
    this.#links = options.links.map((link) => new MonitorLink({ ...link, ...common }));
    this.#outlook = new Outlook(this.#links, times, graceMs);
    this.#verdict = judge(this.#outlook.observe(clock.nowMs(), false));
  }

  /**
   * Begins to listen, dial and watch; resolves when every link listens. To be called once.
   * Rejects with `HM_ADDRESS_IN_USE`, `HM_ADDRESS` or `HM_UNAUTHENTICATED_BIND`; the monitor is closed then.
   */
  async start(): Promise<void> {
    if (this.#lifecycle === 'closed') throw closed();
    if (this.#lifecycle === 'running') throw new TypeError('start() is to be called once');
    this.#lifecycle = 'running';
    this.#reporter.open();
    const nowMs = this.#clock.nowMs();
    this.#outlook.start(nowMs);
    this.#pauses.looked(nowMs, this.#clock.wallMs());
    this.#schedule(nowMs);
    try {
      await Promise.all(this.#links.map((link) => link.start()));
    } catch (error) {
      await this.close();
      throw error;
    }
  }

  /**
   * Ends everything; no event follows and no timer is left. With `leave`, the peer is told first on every link, and its confirmation awaited for at most
   * a deadline (rule `node.leave`).
   */
  close(options: { readonly leave?: boolean } = {}): Promise<void> {
    this.#closing ??= this.#close(options.leave ?? false);
    return this.#closing;
  }

  /** The same as `close`, for `await using`. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /**
   * Changes the times while it runs (rule `watch.live`). An initial grace that still runs grows to two of the new deadlines, and a detector learns anew.
   * Never go below a deadline that the peer's lease was computed from (rule `timing.lease`). Throws `RangeError` as the constructor does, and `HM_CLOSED`.
   */
  configure(times: { readonly intervalMs?: number; readonly deadlineMs?: number; readonly detector?: DetectorChoice }): void {
    this.#mustBeOpen();
    const { intervalMs, deadlineMs, detector } = this.#outlook.times;
    this.#outlook.configure(watchTimes({ intervalMs, deadlineMs, detector, ...times }), this.#clock.nowMs());
    this.#lookSoon();
  }

  /**
   * No verdict until `resume` is called with the same words, or for `forMs` at most. Several may pause for reasons of their own.
   * Throws `RangeError` for a time that is not above 0.
   */
  pause(because: string, { forMs }: { readonly forMs?: number } = {}): void {
    if (forMs !== undefined && !(Number.isFinite(forMs) && forMs > 0)) throw new RangeError('a pause lasts for more than 0 ms');
    const nowMs = this.#clock.nowMs();
    this.#outlook.pause(because, forMs === undefined ? null : nowMs + forMs);
    if (this.#verdict.state === 'down') this.#rule(nowMs);
    this.#noteWatchState();
    if (forMs !== undefined) this.#lookSoon();
  }

  /** Takes back `pause` with these words; the next verdict follows once the sockets are drained. */
  resume(because: string): void {
    this.#outlook.resume(because);
    this.#noteWatchState();
    this.#lookSoon();
  }

  /** An operator allows a verdict about a peer never seen since the start (rule `watch.start`): it then needs the same silence as any other. */
  judgeUnseen(because: string): void {
    this.#mustBeOpen();
    this.#outlook.unseenBecause = because;
    this.#lookSoon();
  }

  /**
   * An authenticated sign of life elsewhere, such as a data link, at `atMs` of this node's monotonic clock (rule `watch.all`). From its first one on, `source` counts
   * like a monitor link. Throws `RangeError` above 256 sources; does nothing once closed.
   */
  heard(source: string, at: { readonly atMs: number }): void {
    if (this.#lifecycle === 'closed') return;
    const nowMs = this.#clock.nowMs();
    this.#outlook.heard(source, Math.min(at.atMs, nowMs));
    this.#conversation.presence.lives(at.atMs);
    this.#peerLives(nowMs);
  }

  /**
   * Asks the peer over whichever links are up; the peer acts on it once. `body` is at most 64 KiB as JSON.
   * Rejects with `HM_PEER_UNREACHABLE`, `HM_REQUEST_TIMEOUT` (whether the peer acted is unknown), `HM_BUSY`, `HM_ABORTED`, `HM_CLOSED`, or the peer's own refusal.
   */
  request(body: Json, options: RequestOptions): Promise<Json> {
    return this.#conversation.channel.request(body, options);
  }

  /** Whether every link stayed silent for a full deadline of fresh probes since `sinceMs` (rule `alone`). */
  freshSilence(sinceMs: number): SilenceEvidence {
    const asleep = this.#lifecycle !== 'running' || this.#overdueMs() > 0;
    return this.#outlook.freshSilence(sinceMs, this.#clock.nowMs(), asleep);
  }

  /** What the monitor thinks of the peer. */
  peerState(): PeerState {
    return this.verdict().state;
  }

  /** The state of the peer with its grounds. A `down` from before a pause that the monitor has not worked off yet is not repeated. */
  verdict(): Verdict {
    const lateMs = this.#verdict.state === 'down' ? this.#overdueMs() : 0;
    if (lateMs === 0) return this.#verdict;
    const because = `the monitor stood still for ${String(Math.round(lateMs))} ms and has not looked since`;
    return { state: 'suspect', rule: 'watch.pause', because, evidence: { lateMs, before: this.#verdict.evidence } };
  }

  /** How often it probes now and how long it waits. */
  get times(): WatchTimes {
    return this.#outlook.times;
  }

  /** Whether verdicts are passed now. */
  watchState(): WatchState {
    return this.#outlook.watchState(this.#clock.nowMs());
  }

  /** Whether a monitor link is up over which the peer can be asked. */
  reachable(): boolean {
    return this.#conversation.openLines().length > 0;
  }

  /** Calls back when the state of peer, link or watch changed, or the monitor overslept; returns how to stop that. */
  onChange(listener: () => void): () => void {
    return this.#reporter.onChange(listener);
  }

  /** Calls back for each answer of the peer; returns how to stop that. */
  onAnswer(listener: (answer: PeerAnswer) => void): () => void {
    return this.#reporter.onAnswer(listener);
  }

  /** Calls back when the monitor woke up late by so much (rule `watch.pause`); returns how to stop that. */
  onOverslept(listener: (lateMs: number) => void): () => void {
    return this.#reporter.onOverslept(listener);
  }

  /** The monitor's part of the node's status. */
  status(): MonitorStatus {
    const nowMs = this.#clock.nowMs();
    const links = this.#links.map(({ name, state, lastError, watch: { lastSeenMs, rttMs } }) => {
      const why = state === 'up' || lastError === null ? {} : { lastError };
      return { name, state, lastSeenMs: lastSeenMs === null ? null : nowMs - lastSeenMs, rttMs, ...why };
    });
    const pauses = this.#outlook.pauses(nowMs);
    return { state: this.watchState(), peer: this.peerState(), links, ...(pauses.length > 0 ? { pauses } : {}) };
  }

  /** How good each link is, by name: round trips, jitter, loss. */
  quality(): ReadonlyMap<string, LinkQuality> {
    const nowMs = this.#clock.nowMs();
    return new Map(this.#links.map(({ name, watch }) => [name, watch.quality(nowMs, this.#outlook.times.deadlineMs)]));
  }

  /** All state on which a later step depends, serialisable, for simulators. What a detector has learnt is not in it: they run `deadline`. */
  snapshot(): { readonly [key: string]: Json } {
    const { presence, channel, responder } = this.#conversation;
    const links = this.#links.map((link) => link.snapshot());
    const { state: peerState, rule } = this.#verdict;
    return {
      ...{ node: this.#node, peer: this.#peer, run: this.#run, lifecycle: this.#lifecycle, watch: this.watchState() },
      ...{ peerState, rule, peerRun: presence.run, left: presence.left, ...this.#outlook.snapshot() },
      ...{ lookedMs: this.#pauses.lookedMs, links, channel: channel.snapshot(), responder: responder.snapshot() },
    };
  }

  async #close(leave: boolean): Promise<void> {
    if (leave && this.#lifecycle === 'running') {
      const { deadlineMs, intervalMs } = this.#outlook.times;
      await this.#conversation.leave(deadlineMs, intervalMs);
    }
    this.#lifecycle = 'closed';
    this.#reporter.close();
    this.#wake?.cancel();
    this.#conversation.channel.close();
    await Promise.all(this.#links.map((link) => link.stop()));
  }

  /** Looks as soon as possible. Whatever may end in `down` goes this way: sockets first, then judgement. */
  #lookSoon(): void {
    if (this.#lifecycle !== 'running' || this.#looking) return;
    this.#wake?.cancel();
    this.#wake = this.#clock.timer(0, () => void this.#look());
  }

  /** One turn: drain the sockets, notice own pauses, probe, judge, and plan the next turn (rules `watch.token`, `watch.pause`). */
  async #look(): Promise<void> {
    this.#looking = true;
    await this.#clock.drain();
    this.#looking = false;
    if (this.#lifecycle !== 'running') return;
    const nowMs = this.#clock.nowMs();
    const { times } = this.#outlook;
    const lateMs = this.#overdueMs();
    if (lateMs > 0) {
      this.#outlook.beginAnew(nowMs, this.#pauses.lookedMs);
      this.#reporter.overslept(lateMs, this.#pauses.lookedMs, nowMs);
    }
    this.#pauses.looked(nowMs, this.#clock.wallMs());
    for (const link of this.#links) {
      const dueMs = link.probeDueMs(nowMs, times);
      if (dueMs !== null && (dueMs <= nowMs || lateMs > 0)) link.probe();
      const state = link.watch.state(nowMs, times);
      this.#noteLinkState(link, state, nowMs);
      if (state === 'down') link.redial();
    }
    this.#rule(nowMs);
    this.#noteWatchState();
    this.#schedule(nowMs);
  }

  #schedule(nowMs: number): void {
    if (this.#lifecycle !== 'running') return;
    const { times } = this.#outlook;
    const probes = this.#links.flatMap((link) => link.probeDueMs(nowMs, times) ?? []);
    const thresholds = this.#outlook.thresholdsMs(nowMs).map((thresholdMs) => thresholdMs + shortestWaitMs);
    const soonestMs = Math.min(nowMs + times.intervalMs, ...probes, ...thresholds);
    const dueMs = Math.max(soonestMs, nowMs + shortestWaitMs);
    this.#pauses.expect(dueMs);
    this.#wake = this.#clock.timer(dueMs - nowMs, () => void this.#look());
  }

  #overdueMs(): number {
    return this.#pauses.lateMs(this.#clock.nowMs(), this.#clock.wallMs(), this.#outlook.times.intervalMs);
  }

  #alive(link: MonitorLink): void {
    const nowMs = this.#clock.nowMs();
    if (this.#overdueMs() > 0) link.watch.sleptThrough(nowMs, this.#pauses.lookedMs);
    link.watch.heard(nowMs);
    this.#outlook.seen = true;
    this.#noteLinkState(link, 'up', nowMs);
    this.#peerLives(nowMs);
  }

  /** A sign of life can only make things better: nothing else is judged before the sockets are drained. */
  #peerLives(nowMs: number): void {
    if (this.#verdict.state === 'up') return;
    const verdict = this.#judge(nowMs);
    if (verdict.state === 'up') this.#apply(verdict, nowMs);
  }

  #answered(link: MonitorLink, probeSentMs: number, report: Json): void {
    this.#reporter.answered({ probeSentMs, heardMs: this.#clock.nowMs(), link: link.name, report });
  }

  #rejected(link: MonitorLink, error: HotMirrorError): void {
    this.#reporter.rejected(link, error, this.#clock.nowMs(), this.#outlook.times.intervalMs);
  }

  /** Judges, and tells where the peer's state changed. */
  #rule(nowMs: number): void {
    this.#apply(this.#judge(nowMs), nowMs);
  }

  #apply(verdict: Verdict, nowMs: number): void {
    const from = this.#verdict.state;
    this.#verdict = verdict;
    if (verdict.state !== from) this.#reporter.peer(from, verdict, nowMs);
  }

  #noteLinkState(link: MonitorLink, to: LinkState, nowMs: number): void {
    const from = link.state;
    link.state = to;
    if (to !== from) this.#reporter.link(link, from, nowMs, this.#conversation.presence.left);
  }

  #noteWatchState(): void {
    const watch = this.watchState();
    if (watch === this.#watch) return;
    this.#watch = watch;
    this.#reporter.changed();
  }

  #judge(nowMs: number): Verdict {
    return judge(this.#outlook.observe(nowMs, this.#conversation.presence.left));
  }

  /** The connections that stand on links that are not down, best first. */
  #lines(): readonly Line[] {
    const usable = this.#links.filter(({ line, state }) => line?.alive === true && state !== 'down');
    const rtt = (link: MonitorLink): number => link.watch.rttMs ?? Number.MAX_VALUE;
    const best = usable.toSorted((a, b) => stateOrder[a.state] - stateOrder[b.state] || rtt(a) - rtt(b));
    return best.flatMap(({ line }) => line ?? []);
  }

  #mustBeOpen(): void {
    if (this.#lifecycle === 'closed') throw closed();
  }
}

function closed(): HotMirrorError {
  return new HotMirrorError('HM_CLOSED', 'the monitor was closed');
}
