import type { Clock } from '../../../src/clock/clock.ts';
import { sleep } from '../../../src/clock/clock.ts';
import { HotMirrorError } from '../../../src/errors.ts';
import type { Json, MonitorPort, PeerAnswer, PeerState, SilenceEvidence } from '../../../src/failover/ports.ts';

export interface FakeMonitorTimes {
  readonly intervalMs: number;
  readonly deadlineMs: number;
  readonly graceMs: number;
  readonly latencyMs: number;
}

/** All monitor links of a pair as one cable. */
export class FakeNetwork {
  readonly ends = new Set<FakeMonitor>();
  whole = true;
  /** Requests of these kinds are carried out and their answers lost, once each. */
  readonly loseAnswers: string[] = [];

  other(end: FakeMonitor): FakeMonitor | null {
    return [...this.ends].find((one) => one !== end) ?? null;
  }
}

/** A monitor with the promises of the port and nothing behind them but a cable. */
export class FakeMonitor implements MonitorPort {
  readonly paused = new Set<string>();
  report: () => Json = () => null;
  answer: (body: Json) => Promise<Json> = () => Promise.reject(new HotMirrorError('HM_CLOSED', 'not there yet'));
  readonly #network: FakeNetwork;
  readonly #clock: Clock;
  readonly #times: FakeMonitorTimes;
  readonly #startedMs: number;
  readonly #changeListeners = new Set<() => void>();
  readonly #answerListeners = new Set<(answer: PeerAnswer) => void>();
  readonly #oversleptListeners = new Set<(lateMs: number) => void>();
  #lastHeardMs: number | null = null;
  #lastState: PeerState = 'unknown';
  #left = false;
  #dead = false;

  constructor(network: FakeNetwork, clock: Clock, times: FakeMonitorTimes) {
    this.#network = network;
    this.#clock = clock;
    this.#times = times;
    this.#startedMs = clock.nowMs();
    network.ends.add(this);
    this.#tick();
  }

  crash(): void {
    this.#dead = true;
    this.#network.ends.delete(this);
  }

  sayGoodbye(): void {
    const peer = this.#network.other(this);
    if (this.#network.whole && peer) {
      peer.#left = true;
      peer.#look();
    }
  }

  oversleep(lateMs: number): void {
    for (const listener of this.#oversleptListeners) listener(lateMs);
  }

  #tick(): void {
    if (this.#dead) return;
    const probeSentMs = this.#clock.nowMs();
    const peer = this.#network.other(this);
    if (peer && this.#network.whole) {
      this.#clock.timer(this.#times.latencyMs, () => this.#probe(probeSentMs));
    }
    this.#look();
    this.#clock.timer(this.#times.intervalMs, () => this.#tick());
  }

  #probe(probeSentMs: number): void {
    const peer = this.#network.other(this);
    if (!peer || !this.#network.whole || this.#dead) return;
    const report = peer.report();
    if (report === null) return;
    this.#clock.timer(this.#times.latencyMs, () => {
      if (!this.#network.whole || this.#dead) return;
      const heardMs = this.#clock.nowMs();
      this.#lastHeardMs = heardMs;
      this.#left = false;
      this.#look();
      for (const listener of this.#answerListeners) listener({ probeSentMs, heardMs, link: 'net', report });
    });
  }

  #look(): void {
    const state = this.peerState();
    if (state === this.#lastState) return;
    this.#lastState = state;
    for (const listener of [...this.#changeListeners]) listener();
  }

  peerState(): PeerState {
    if (this.#left) return 'left';
    if (this.#lastHeardMs === null) return 'unknown';
    const silentMs = this.#clock.nowMs() - this.#lastHeardMs;
    if (silentMs <= 2 * this.#times.intervalMs) return 'up';
    return silentMs <= this.#times.deadlineMs || this.watchState() !== 'normal' ? 'suspect' : 'down';
  }

  watchState(): 'grace' | 'normal' | 'paused' {
    if (this.paused.size > 0) return 'paused';
    return this.#clock.nowMs() - this.#startedMs < this.#times.graceMs ? 'grace' : 'normal';
  }

  verdict(): ReturnType<MonitorPort['verdict']> {
    return { rule: 'watch.all', because: `the peer is ${this.peerState()}`, evidence: {} };
  }

  freshSilence(sinceMs: number): SilenceEvidence {
    const countedFromMs = Math.max(sinceMs, this.#startedMs, this.#lastHeardMs ?? 0);
    const { deadlineMs } = this.#times;
    const earliestMs = countedFromMs + deadlineMs;
    return { silent: this.#clock.nowMs() >= earliestMs, countedFromMs, lastHeardMs: this.#lastHeardMs, deadlineMs, earliestMs };
  }

  reachable(): boolean {
    const state = this.peerState();
    return state === 'up' || state === 'suspect';
  }

  async request(body: Json, { deadlineMs, signal }: { readonly deadlineMs: number; readonly signal?: AbortSignal }): Promise<Json> {
    if (!this.reachable()) throw new HotMirrorError('HM_PEER_UNREACHABLE', 'no link is up');
    const timeout = sleep(this.#clock, deadlineMs, signal).then(() => {
      throw new HotMirrorError('HM_REQUEST_TIMEOUT', 'no answer');
    });
    timeout.catch(() => undefined);
    return Promise.race([this.#ask(body), timeout]);
  }

  async #ask(body: Json): Promise<Json> {
    await sleep(this.#clock, this.#times.latencyMs);
    const peer = this.#network.other(this);
    if (!peer || this.#isCut()) return new Promise(() => undefined);
    const outcome = await peer.answer(body).then(
      (value) => () => value,
      (error: unknown) => () => {
        throw error instanceof HotMirrorError ? HotMirrorError.fromJSON(JSON.parse(JSON.stringify(error))) : error;
      },
    );
    await sleep(this.#clock, this.#times.latencyMs);
    const kind = (body as { kind?: string }).kind ?? '';
    const lost = this.#network.loseAnswers.indexOf(kind);
    if (lost >= 0) this.#network.loseAnswers.splice(lost, 1);
    if (this.#isCut() || lost >= 0) return new Promise(() => undefined);
    return outcome();
  }

  #isCut(): boolean {
    return !this.#network.whole || this.#dead;
  }

  onChange(listener: () => void): () => void {
    this.#changeListeners.add(listener);
    return () => this.#changeListeners.delete(listener);
  }

  onAnswer(listener: (answer: PeerAnswer) => void): () => void {
    this.#answerListeners.add(listener);
    return () => this.#answerListeners.delete(listener);
  }

  onOverslept(listener: (lateMs: number) => void): () => void {
    this.#oversleptListeners.add(listener);
    return () => this.#oversleptListeners.delete(listener);
  }

  pause(because: string): void {
    this.paused.add(because);
  }

  resume(because: string): void {
    this.paused.delete(because);
  }
}
