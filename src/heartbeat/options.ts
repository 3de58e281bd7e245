import type { Clock } from '../clock/clock.ts';
import type { Random } from '../clock/random.ts';
import type { Transport } from '../transport/transport.ts';
import { createDetector } from './detector.ts';
import type { Detector, DetectorChoice, DetectorOptions } from './detector.ts';
import type { Json } from './types.ts';

/** A monitor link, as a {@link HeartbeatMonitor} is given it; it listens and dials on each. */
export interface MonitorLinkOptions {
  readonly name: string;
  readonly transport: Transport;
  /** Never more than one token in so many ms, where the link is late and would be probed each twentieth of the interval: what a slow line can carry. Default 5. */
  readonly lateProbeMinMs?: number;
}

/** What a {@link HeartbeatMonitor} is made of. */
export interface HeartbeatMonitorOptions {
  /** This node's name and the peer's. */
  readonly node: string;
  readonly peer: string;
  /** Of two connections the one that this side dialled stays. True on exactly one of the two nodes: the home primary. */
  readonly preferOwnDial: boolean;
  /** The monitor links, one or more. */
  readonly links: readonly MonitorLinkOptions[];
  readonly clock: Clock;
  readonly random: Random;
  /** Between two tokens on a link. Default 1,000. */
  readonly intervalMs?: number;
  /** Silence that makes a link `down`; at least 2 × `intervalMs`. Default 5,000. */
  readonly deadlineMs?: number;
  /** What decides how long silence is borne: always `deadlineMs` (the default), or longer on a link that has shown itself irregular. */
  readonly detector?: DetectorChoice;
  /** No verdict before it (rule `watch.start`); at least 2 × `deadlineMs`. Default 2 × `deadlineMs`. */
  readonly initialGraceMs?: number;
  /** What this node answers tokens with: pair record, element states, health. At most 64 KiB as JSON; when it throws, `null` is sent. */
  readonly report: () => Json;
  /** Handles a request of the peer; what it rejects with is the peer's refusal. Without it every request is refused with `HM_NOT_SUPPORTED`. */
  readonly answer?: (body: Json) => Promise<Json>;
  /** Gets what listeners of events throw. Default: the `debug` log. */
  readonly onListenerError?: (error: unknown) => void;
}

/** How often to probe and how long to wait; may change while the monitor runs (rule `watch.live`). */
export interface WatchTimes {
  readonly intervalMs: number;
  readonly deadlineMs: number;
  /** Between two tokens on a late link that can carry them. */
  readonly lateProbeMs: number;
  /** How a monitor link's silence is judged; data links are judged by the deadline. */
  readonly detector: DetectorOptions;
}

/** Silence of this many intervals makes a link late. */
export const lateAfterIntervals = 1.5;
const lateProbesPerInterval = 20;
const defaultIntervalMs = 1_000;
const defaultDeadlineMs = 5_000;
const shortestLateProbeMs = 5;
const intervalsPerDeadline = 2;
const deadlinesPerGrace = 2;

/**
 * The times from what was configured, with defaults (rule `timing.deadline`).
 * Throws `RangeError` for a time that is not above 0, a deadline below two intervals, or a detector that cannot be.
 */
export function watchTimes(options: {
  readonly intervalMs?: number;
  readonly deadlineMs?: number;
  readonly detector?: DetectorChoice;
}): WatchTimes {
  const { intervalMs = defaultIntervalMs, deadlineMs = defaultDeadlineMs } = options;
  for (const [name, value] of Object.entries({ intervalMs, deadlineMs })) mustBeAboveZero(name, value);
  if (deadlineMs < intervalsPerDeadline * intervalMs)
    throw new RangeError(`deadlineMs must be at least ${String(intervalsPerDeadline)} × intervalMs`);
  const lateProbeMs = Math.min(intervalMs, Math.max(shortestLateProbeMs, intervalMs / lateProbesPerInterval));
  const detector: DetectorOptions = { ...(options.detector ?? { kind: 'deadline' }), deadlineMs };
  createDetector(detector);
  return { intervalMs, deadlineMs, lateProbeMs, detector };
}

/** What learns how long a link's silence is to be borne; null where the deadline alone decides. */
export function learnedPatience({ detector }: WatchTimes): Detector | null {
  return detector.kind === 'deadline' ? null : createDetector(detector);
}

/** The shortest initial grace for a deadline (rule `timing.grace`). */
export function shortestGraceMs(deadlineMs: number): number {
  return deadlinesPerGrace * deadlineMs;
}

/** The initial grace, with its default. Throws `RangeError` below two deadlines (rule `watch.start`). */
export function initialGrace(initialGraceMs: number | undefined, deadlineMs: number): number {
  const shortestMs = shortestGraceMs(deadlineMs);
  const graceMs = initialGraceMs ?? shortestMs;
  if (!(Number.isFinite(graceMs) && graceMs >= shortestMs))
    throw new RangeError(`initialGraceMs must be at least ${String(deadlinesPerGrace)} × deadlineMs`);
  return graceMs;
}

/** Throws `RangeError` or `TypeError` for links that cannot be watched. */
export function checkLinks(links: HeartbeatMonitorOptions['links']): void {
  if (links.length === 0) throw new RangeError('a monitor needs at least one link');
  const names = new Set(links.map(({ name }) => name));
  if (names.size < links.length) throw new RangeError('two monitor links have the same name');
  for (const { lateProbeMinMs } of links) if (lateProbeMinMs !== undefined) mustBeAboveZero('lateProbeMinMs', lateProbeMinMs);
}

function mustBeAboveZero(name: string, value: number): void {
  if (!(Number.isFinite(value) && value > 0)) throw new RangeError(`${name} must be above 0, not ${String(value)}`);
}
