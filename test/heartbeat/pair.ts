import { HeartbeatMonitor } from '../../src/heartbeat/heartbeat-monitor.ts';
import type { HeartbeatMonitorOptions } from '../../src/heartbeat/options.ts';
import { decodeMessage, encodeMessage } from '../../src/heartbeat/token.ts';
import type { Message } from '../../src/heartbeat/token.ts';
import type { HotMirrorError } from '../../src/errors.ts';
import { SeededRandom } from '../../src/testing/seeded-random.ts';
import { VirtualClock } from '../../src/testing/virtual-clock.ts';
import { MemoryNetwork } from '../../src/transport/memory.ts';
import type { MemoryLink } from '../../src/transport/memory.ts';
import type { Connection } from '../../src/transport/transport.ts';

export const intervalMs = 200;
export const deadlineMs = 1_000;
export const initialGraceMs = 2_000;

export type Overrides = Partial<HeartbeatMonitorOptions>;

/** Two nodes, their links, and a log of what their monitors emitted. */
export class Pair {
  readonly clock = new VirtualClock({ startMs: 5_000 });
  readonly random: SeededRandom;
  readonly network: MemoryNetwork;
  readonly links: readonly MemoryLink[];
  /** Events but answers, as `alpha link:changed net late`. */
  readonly log: string[] = [];
  readonly #monitors = new Set<HeartbeatMonitor>();

  constructor(names: readonly string[] = ['net', 'line'], delayMs = 1, seed = 1) {
    this.random = new SeededRandom(seed);
    this.network = new MemoryNetwork({ clock: this.clock, random: this.random });
    this.links = names.map((name) => this.network.link(name, { nodes: ['alpha', 'beta'], conditions: { delayMs } }));
  }

  link(name: string): MemoryLink {
    const link = this.links.find((one) => one.name === name);
    if (!link) throw new Error(`no link ${name}`);
    return link;
  }

  /** A monitor on `node`, not started. */
  monitor(node: 'alpha' | 'beta', overrides: Overrides = {}): HeartbeatMonitor {
    const monitor = new HeartbeatMonitor({
      node,
      peer: node === 'alpha' ? 'beta' : 'alpha',
      preferOwnDial: node === 'alpha',
      links: this.links.map((link) => ({ name: link.name, transport: link.transport(node) })),
      clock: this.clock,
      random: this.random,
      ...{ intervalMs, deadlineMs, initialGraceMs },
      report: () => ({ from: node }),
      ...overrides,
    });
    this.#monitors.add(monitor);
    monitor.events.on('link:changed', ({ link, to }) => this.log.push(`${node} link:changed ${link} ${to}`));
    monitor.events.on('peer:changed', ({ to, rule }) => this.log.push(`${node} peer:changed ${to} ${rule ?? ''}`));
    monitor.events.on('monitor:overslept', () => this.log.push(`${node} monitor:overslept`));
    monitor.events.on('frame:rejected', ({ link, code }) => this.log.push(`${node} frame:rejected ${link} ${code}`));
    return monitor;
  }

  /** Both monitors, started, past their grace, all links up; the log is empty. */
  async steady(
    alphaOverrides: Overrides = {},
    betaOverrides: Overrides = {},
  ): Promise<{ readonly alpha: HeartbeatMonitor; readonly beta: HeartbeatMonitor }> {
    const alpha = this.monitor('alpha', alphaOverrides);
    const beta = this.monitor('beta', betaOverrides);
    await Promise.all([alpha.start(), beta.start()]);
    await this.clock.runFor(initialGraceMs + intervalMs);
    this.log.length = 0;
    return { alpha, beta };
  }

  /** The process of this node dies. */
  async kill(node: 'alpha' | 'beta', monitor: HeartbeatMonitor): Promise<void> {
    this.network.kill(node);
    await this.close(monitor);
  }

  async close(monitor: HeartbeatMonitor, options: { readonly leave?: boolean } = {}): Promise<void> {
    this.#monitors.delete(monitor);
    await this.clock.settled(monitor.close(options), 20_000, 'close');
  }

  /** Closes all; afterwards no timer may be left. */
  async end(): Promise<void> {
    for (const monitor of [...this.#monitors]) await this.close(monitor);
    // What the network still carries: the news of the end.
    await this.clock.runFor(10);
  }
}

/** A peer that says only what the test wants. */
export class ScriptedPeer {
  readonly received: Message[] = [];
  readonly ended: (HotMirrorError | null)[] = [];
  connection: Connection | null = null;
  readonly run: string;
  readonly #pair: Pair;

  constructor(pair: Pair, run = 'feedfacefeedface') {
    this.#pair = pair;
    this.run = run;
  }

  /** Dials as beta on this link and keeps what arrives. */
  async dial(link: string): Promise<Connection> {
    const connection = await this.#pair.clock.settled(this.#pair.link(link).transport('beta').dial(), 1_000);
    this.connection = connection;
    connection.receive({
      frame: (bytes) => void this.received.push(decodeMessage(bytes)),
      closed: (error) => void this.ended.push(error),
    });
    return connection;
  }

  async say(...messages: readonly Message[]): Promise<void> {
    for (const message of messages) this.connection?.send([encodeMessage(message)]);
    await this.#pair.clock.runFor(3);
  }

  token(sequence: number, run = this.run): Message {
    return { kind: 'token', run, sequence, nonce: '0123456789abcdef' };
  }

  last<Kind extends Message['kind']>(kind: Kind): Extract<Message, { readonly kind: Kind }> {
    const found = this.received.findLast((message) => message.kind === kind);
    if (!found) throw new Error(`no ${kind} arrived`);
    return found as Extract<Message, { readonly kind: Kind }>;
  }
}
