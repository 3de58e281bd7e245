import { fork } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';

import { sleep } from '../../src/clock/clock.ts';
import { randomHex } from '../../src/clock/random.ts';
import { systemClock } from '../../src/clock/system-clock.ts';
import { systemRandom } from '../../src/clock/system-random.ts';
import type { MonitorStatus } from '../../src/heartbeat/types.ts';
import { freePorts } from '../../src/node/demo/free-ports.ts';
import { ownEnvironment } from './environment.ts';
import type { MonitorAnswer, MonitorNews, MonitorNode, MonitorOrder, MonitorSettings } from './monitor-program.ts';

const links = 2;
const keyBytes = 32;
const pollMs = 20;
/** Longest wait for something that must come about, on a machine however busy. */
const patienceMs = 30_000;

/** A process of its own with a real monitor, over TCP links with a key, and what it told so far. */
export class MonitorProcess {
  readonly node: MonitorNode;
  readonly news: MonitorNews[] = [];
  /** Round trips of tokens, in ms. */
  readonly tripsMs: number[] = [];
  readonly #child: ChildProcess;

  private constructor(settings: MonitorSettings) {
    this.node = settings.node;
    const program = new URL('monitor-program.js', import.meta.url);
    this.#child = fork(program, [JSON.stringify(settings)], { env: ownEnvironment(), execArgv: [] });
  }

  /** Two that watch each other, on two links; resolves when both know it. */
  static async pair(times: {
    readonly intervalMs: number;
    readonly deadlineMs: number;
  }): Promise<Readonly<Record<MonitorNode, MonitorProcess>>> {
    const ports = await freePorts(2 * links, systemRandom);
    const address = (at: number): string => `tcp://127.0.0.1:${String(ports[at])}`;
    const common = {
      ...times,
      key: randomHex(systemRandom, keyBytes),
      links: Array.from({ length: links }, (_, at) => ({ alpha: address(2 * at), beta: address(2 * at + 1) })),
    };
    const pair = { alpha: new MonitorProcess({ ...common, node: 'alpha' }), beta: new MonitorProcess({ ...common, node: 'beta' }) };
    try {
      await Promise.all([pair.alpha.untilUp(), pair.beta.untilUp()]);
    } catch (error) {
      await Promise.all([pair.alpha.end(), pair.beta.end()]);
      throw error;
    }
    return pair;
  }

  get pid(): number {
    return this.#child.pid!;
  }

  /** Asks what came about since it was asked last, and keeps it. */
  look(): Promise<MonitorStatus> {
    return this.#order('tell');
  }

  /** What came about until now is not kept. */
  async forget(): Promise<void> {
    await this.look();
    this.news.length = 0;
    this.tripsMs.length = 0;
  }

  /** Its event loop stands still for so long; resolves when it goes on. */
  async block(blockMs: number): Promise<void> {
    await this.#order({ blockMs });
  }

  signal(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }

  /** Waits until verdicts are passed, the peer lives and no link is down. */
  async untilUp(): Promise<void> {
    const limitMs = systemClock.nowMs() + patienceMs;
    for (;;) {
      const status = await this.look();
      if (status.state === 'normal' && status.peer === 'up' && status.links.every(({ state }) => state !== 'down')) return;
      if (systemClock.nowMs() > limitMs) throw new Error(`${this.node} never had its links up; last: ${JSON.stringify(status)}`);
      await sleep(systemClock, pollMs);
    }
  }

  /** SIGKILL; resolves when it is gone. */
  async end(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const gone = once(this.#child, 'exit');
    this.#child.kill('SIGKILL');
    await gone;
  }

  async #order(order: MonitorOrder): Promise<MonitorStatus> {
    const given = new AbortController();
    const signal = AbortSignal.any([given.signal, AbortSignal.timeout(patienceMs)]);
    const ended = once(this.#child, 'exit', { signal }).then(() => Promise.reject(new Error(`the monitor of ${this.node} ended`)));
    const answered = once(this.#child, 'message', { signal });
    this.#child.send(order);
    try {
      const [{ status, news, tripsMs }] = (await Promise.race([answered, ended])) as [MonitorAnswer];
      this.news.push(...news);
      for (const tripMs of tripsMs) this.tripsMs.push(tripMs);
      return status;
    } finally {
      ended.catch(() => undefined);
      answered.catch(() => undefined);
      given.abort();
    }
  }
}
