import { systemClock } from '../../src/clock/system-clock.ts';
import { systemRandom } from '../../src/clock/system-random.ts';
import { HeartbeatMonitor } from '../../src/heartbeat/heartbeat-monitor.ts';
import type { LinkState, MonitorStatus, PeerState } from '../../src/heartbeat/types.ts';
import { tcpTransport } from '../../src/transport/tcp.ts';

/*
 * A process that does nothing but watch its peer: `fork`ed with its settings as JSON, it answers questions and stands still when it is told to. See `MonitorProcess`.
 */

export type MonitorNode = 'alpha' | 'beta';

/** What such a process watches, and how. */
export interface MonitorSettings {
  readonly node: MonitorNode;
  /** The shared key, in hexadecimal digits. */
  readonly key: string;
  /** Where each node listens, link by link. */
  readonly links: readonly Readonly<Record<MonitorNode, string>>[];
  readonly intervalMs: number;
  readonly deadlineMs: number;
}

/** An event of the monitor; `atMs` is of the monotonic clock, which on Linux is the same for all processes. */
export type MonitorNews = { readonly atMs: number; readonly text: string } & (
  | { readonly kind: 'peer'; readonly to: PeerState }
  | { readonly kind: 'link'; readonly link: string; readonly to: LinkState }
  | { readonly kind: 'overslept'; readonly lateMs: number }
);

/** What a process is asked to do: to tell, or to stand still for so long, with its event loop. */
export type MonitorOrder = 'tell' | { readonly blockMs: number };

/** The answer to either: what came about since the last. */
export interface MonitorAnswer {
  readonly status: MonitorStatus;
  readonly news: readonly MonitorNews[];
  /** Round trips of tokens, in ms. */
  readonly tripsMs: readonly number[];
}

function monitorOf({ node, key, links, intervalMs, deadlineMs }: MonitorSettings): HeartbeatMonitor {
  const peer = node === 'alpha' ? 'beta' : 'alpha';
  const common = { pair: 'watch', node, peer, key: Buffer.from(key, 'hex'), clock: systemClock, random: systemRandom };
  return new HeartbeatMonitor({
    ...{ node, peer, intervalMs, deadlineMs, clock: systemClock, random: systemRandom },
    preferOwnDial: node === 'alpha',
    links: links.map((link, at) => {
      const name = `net${String(at)}`;
      return { name, transport: tcpTransport({ ...common, listen: link[node], dial: link[peer], purpose: `monitor:${name}` }) };
    }),
    report: () => ({ from: node }),
  });
}

async function watch(settings: MonitorSettings): Promise<void> {
  const monitor = monitorOf(settings);
  let news: MonitorNews[] = [];
  let tripsMs: number[] = [];
  monitor.events.on('peer:changed', ({ atMs, text, to }) => news.push({ kind: 'peer', atMs, text, to }));
  monitor.events.on('link:changed', ({ atMs, text, link, to }) => news.push({ kind: 'link', atMs, text, link, to }));
  monitor.events.on('monitor:overslept', ({ atMs, text, lateMs }) => news.push({ kind: 'overslept', atMs, text, lateMs }));
  monitor.events.on('peer:answered', ({ heardMs, probeSentMs }) => tripsMs.push(heardMs - probeSentMs));
  process.on('message', (order: MonitorOrder) => {
    if (order !== 'tell') Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, order.blockMs);
    process.send?.({ status: monitor.status(), news, tripsMs } satisfies MonitorAnswer);
    news = [];
    tripsMs = [];
  });
  // Whoever started it is gone.
  process.on('disconnect', () => process.exit());
  await monitor.start();
}

await watch(JSON.parse(process.argv[2]!) as MonitorSettings);
