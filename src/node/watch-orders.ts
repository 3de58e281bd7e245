import * as z from 'zod';

import type { Clock, Timer } from '../clock/clock.ts';
import { randomHex } from '../clock/random.ts';
import type { Random } from '../clock/random.ts';
import { HotMirrorError } from '../errors.ts';
import type { EventBase } from '../events.ts';
import type { DetectorChoice } from '../heartbeat/detector.ts';
import type { HeartbeatMonitor } from '../heartbeat/heartbeat-monitor.ts';
import type { Json } from '../heartbeat/types.ts';
import type { PairConfig } from './config.ts';
import type { ToldBothResult } from './control-protocol.ts';
import { formatMs, judgeTiming } from './timing.ts';
import type { TimingRow } from './timing.ts';

/** Longest maintenance: who forgets to end it gets automatic takeovers back the next day. */
export const longestMaintenanceMs: number = 24 * 3_600_000;
const longestTimeMs = longestMaintenanceMs;
const msPerMinute = 60_000;
const requestDeadlineMs = 5_000;
const kind = 'watch-order';
const giverBytes = 8;
/** The words by which the monitor is paused. */
const maintenance = 'maintenance';

/** What an operator wants changed of the watch: its times (null: as they are), or no verdicts for a while (null: verdicts again). */
export type WatchOrder =
  | { readonly order: 'times'; readonly intervalMs: number | null; readonly deadlineMs: number | null }
  | { readonly order: 'maintenance'; readonly forMs: number | null };

const timeMs = z.int().min(1).max(longestTimeMs);
const orderSchema: z.ZodType<WatchOrder> = z.discriminatedUnion('order', [
  z.strictObject({ order: z.literal('times'), intervalMs: timeMs.nullable(), deadlineMs: timeMs.nullable() }),
  z.strictObject({ order: z.literal('maintenance'), forMs: z.int().min(1).max(longestMaintenanceMs).nullable() }),
]);

const ofKind = z.object({ kind: z.literal(kind) });
/** `giver` names one run of a node, whose orders are numbered. */
const requestSchema = z.strictObject({
  kind: z.literal(kind),
  giver: z.string().min(1).max(64),
  number: z.int().min(1),
  order: orderSchema,
});
const answerSchema = z.object({ changed: z.boolean() });

/** What {@link WatchOrders} needs. */
export interface WatchOrdersOptions {
  readonly config: PairConfig;
  /** The other node's name, for what people read. */
  readonly peer: string;
  readonly monitor: Pick<HeartbeatMonitor, 'configure' | 'pause' | 'resume' | 'request' | 'status' | 'times'>;
  readonly clock: Clock;
  readonly random: Random;
  /** Puts an event into the log. */
  readonly tell: (event: string, payload: Omit<EventBase, 'atMs'>) => void;
}

/** The detector of a configuration, as a monitor wants it. */
export function detectorOf({ detector, maxDeadlineMs }: PairConfig['monitor']): DetectorChoice {
  return detector === 'deadline' ? { kind: detector } : { kind: detector, maxDeadlineMs };
}

/**
 * What an operator changes of the watch while it runs (rule `watch.live`): here, and by request on the other node. It lasts until a node starts anew, which then goes by its
 * configuration. Neither can bring a takeover forward: the deadline never falls below the configured one, which leases are computed from.
 */
export class WatchOrders {
  readonly #options: WatchOrdersOptions;
  readonly #giver: string;
  #given = 0;
  /** Of each kind, the latest order of the peer. */
  readonly #heard: Map<WatchOrder['order'], { readonly giver: string; readonly number: number }> = new Map();
  #closed = false;
  #limit: Timer | null = null;

  constructor(options: WatchOrdersOptions) {
    this.#options = options;
    this.#giver = randomHex(options.random, giverBytes);
  }

  /** Carries an order out here, and then has the other node do so: one that it has not confirmed may still reach it, unless a later one of its kind does first. Rejects with `HM_REFUSED` where a timing rule stands in the way; then nothing has changed. */
  async give(order: WatchOrder): Promise<ToldBothResult> {
    const { monitor, peer } = this.#options;
    const here = this.#carryOut(order);
    const text = this.#textOf(order);
    this.#given += 1;
    try {
      const request = { kind, giver: this.#giver, number: this.#given, order: { ...order } };
      const answer = await monitor.request(request, { deadlineMs: requestDeadlineMs });
      return { changed: answerSchema.parse(answer).changed || here, toldBoth: true, text };
    } catch (error) {
      const { message } = HotMirrorError.from(error, 'HM_PROTOCOL', `${peer} answered with what makes no sense`);
      return { changed: here, toldBoth: false, text: `${text}; ${peer} has not confirmed it: ${message}` };
    }
  }

  /**
   * Answers a request of the peer; null where it is none of these. Throws `HM_PROTOCOL`, `HM_CLOSED`, what a refused order throws, and `HM_REFUSED` for one that a slow link
   * brings after a later one of its kind.
   */
  answer(body: Json): Json | null {
    if (!ofKind.safeParse(body).success) return null;
    if (this.#closed) throw new HotMirrorError('HM_CLOSED', 'the node is closing');
    const parsed = requestSchema.safeParse(body);
    if (!parsed.success)
      throw new HotMirrorError('HM_PROTOCOL', `the peer sent an order that makes no sense: ${z.prettifyError(parsed.error)}`);
    const { giver, number, order } = parsed.data;
    const heard = this.#heard.get(order.order);
    if (heard?.giver === giver && number <= heard.number)
      throw new HotMirrorError('HM_REFUSED', 'a later order has come before it', { rule: 'watch.live' });
    this.#heard.set(order.order, { giver, number });
    return { changed: this.#carryOut(order) };
  }

  /** Leaves no timer, and takes no more orders of the peer. */
  close(): void {
    this.#closed = true;
    this.#limit?.cancel();
  }

  #carryOut(order: WatchOrder): boolean {
    return order.order === 'times' ? this.#setTimes(order) : this.#maintain(order.forMs);
  }

  #setTimes(wanted: { readonly intervalMs: number | null; readonly deadlineMs: number | null }): boolean {
    const { config, monitor, tell } = this.#options;
    const before = monitor.times;
    const intervalMs = wanted.intervalMs ?? before.intervalMs;
    const deadlineMs = wanted.deadlineMs ?? before.deadlineMs;
    refuseBadTimes(config, { intervalMs, deadlineMs });
    if (intervalMs === before.intervalMs && deadlineMs === before.deadlineMs) return false;
    const detector = detectorOf({ ...config.monitor, maxDeadlineMs: Math.max(config.monitor.maxDeadlineMs, deadlineMs) });
    monitor.configure({ intervalMs, deadlineMs, detector });
    tell('watch:changed', { class: 0, rule: 'watch.live', text: `The monitor ${timesText({ intervalMs, deadlineMs })}.` });
    return true;
  }

  #maintain(forMs: number | null): boolean {
    const { clock, monitor, tell } = this.#options;
    const running = monitor.status().pauses?.some(({ because }) => because === maintenance) ?? false;
    if (forMs === null && !running) return false;
    this.#limit?.cancel();
    const ended = (why: string): void =>
      tell('maintenance:ended', { class: 0, rule: 'watch.live', text: `Maintenance has ended: ${why}.` });
    if (forMs === null) {
      monitor.resume(maintenance);
      ended('an operator said so');
      return true;
    }
    monitor.pause(maintenance, { forMs });
    this.#limit = clock.timer(forMs, () => ended('its time is over'));
    tell('maintenance:started', { class: 0, rule: 'watch.live', text: `${maintenanceText(forMs)}.` });
    return true;
  }

  #textOf(order: WatchOrder): string {
    if (order.order === 'times') return `the monitor ${timesText(this.#options.monitor.times)}`;
    return order.forMs === null ? 'verdicts are passed again' : maintenanceText(order.forMs);
  }
}

/** Throws `HM_REFUSED` by the timing rule that the times would break. */
function refuseBadTimes(config: PairConfig, times: { readonly intervalMs: number; readonly deadlineMs: number }): void {
  const { deadlineMs, maxDeadlineMs, initialGraceMs } = config.monitor;
  if (times.deadlineMs < deadlineMs) {
    const remedy = 'Change monitor.deadlineMs in the configuration of both nodes while neither runs.';
    const message = `leases are computed from the configured deadline of ${formatMs(deadlineMs)}; while the pair runs it can only be made longer`;
    throw new HotMirrorError('HM_REFUSED', message, { rule: 'timing.lease', details: { remedy } });
  }
  const longer = {
    maxDeadlineMs: Math.max(maxDeadlineMs, times.deadlineMs),
    initialGraceMs: Math.max(initialGraceMs, 2 * times.deadlineMs),
  };
  const broken = judgeTiming({ ...config, monitor: { ...config.monitor, ...times, ...longer } }).rows.find(
    ({ kept, warning }) => !kept && !warning,
  );
  if (broken) throw new HotMirrorError('HM_REFUSED', broken.text, { rule: broken.rule, details: { remedy: remedyOf(broken) } });
}

/** Which times would do. */
function remedyOf({ rule, values: { neededMs, neededIntervalMs } }: TimingRow): string {
  if (neededIntervalMs !== undefined) return `Choose an interval of at least ${formatMs(Number(neededIntervalMs))}.`;
  const deadline = rule === 'timing.deadline' ? `a deadline of at least ${formatMs(Number(neededMs))}, or ` : '';
  return `Choose ${deadline}a shorter interval.`;
}

function timesText({ intervalMs, deadlineMs }: { readonly intervalMs: number; readonly deadlineMs: number }): string {
  return `probes each ${formatMs(intervalMs)}, and bears silence for ${formatMs(deadlineMs)}`;
}

function maintenanceText(forMs: number): string {
  const minutes = forMs / msPerMinute;
  return `maintenance: no verdict, and so no takeover, for ${Number.isInteger(minutes) ? `${String(minutes)} min` : formatMs(forMs)}`;
}
