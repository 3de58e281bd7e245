import { lateAfterIntervals } from '../../src/heartbeat/options.ts';

/** A pair of which nothing has failed, on links that lose each message by itself. */
export interface LossyPair {
  readonly links: number;
  readonly intervalMs: number;
  readonly deadlineMs: number;
  /** Share of messages lost one way, from 0 to below 1. */
  readonly lost: number;
  /** A message takes up to so long, evenly spread; above 0. */
  readonly jitterMs: number;
}

/** Messages sent at each interval, at a moment of their own. */
interface Stream {
  readonly intervalMs: number;
  /** Share that comes to something. */
  readonly arrives: number;
  /** Distribution of how long it takes, and its density. */
  readonly within: (ms: number) => number;
  readonly density: (ms: number) => number;
  readonly longestMs: number;
}

const dayMs = 86_400_000;
const steps = 2_000;

/**
 * False verdicts a day, where tokens come at each interval and nothing is probed faster; with `answers`, the watcher's own tokens are answered besides.
 *
 * A verdict falls where something arrives and then, on all links, nothing for a deadline. So it is the sum over all streams of messages of how often they arrive, times the chance that
 * none of their others arrives within the deadline, times the same chance of every other stream, whose moments are independent. Exact up to the numeric integral over the moments.
 */
export function falseVerdictsADay(pair: LossyPair, { answers }: { readonly answers: boolean }): number {
  const link = answers ? [oneWay(pair), roundTrip(pair)] : [oneWay(pair)];
  const streams = Array.from({ length: pair.links }, () => link).flat();
  const { deadlineMs } = pair;
  const verdicts = streams.map((stream, at) => {
    const others = streams.filter((_, other) => other !== at).map((other) => silence(other, deadlineMs));
    const aMillisecond = stream.arrives / stream.intervalMs;
    return others.reduce((chance, each) => chance * each, aMillisecond * silenceAfterArrival(stream, deadlineMs));
  });
  return dayMs * verdicts.reduce((sum, each) => sum + each, 0);
}

/**
 * At most so many false verdicts a day where a late link is probed each `lateProbeMs`, as the monitor does.
 *
 * Whatever came before, a verdict needs that on every link, late since one and a half intervals, no answer to a fast probe comes within the deadline; each probe has a chance of its own. There
 * is at most one verdict for each sign of life, and of these are at most two in the time of a fast probe, on each link. All else that might arrive is left out.
 */
export function falseVerdictsADayAtMost(pair: LossyPair, lateProbeMs: number): number {
  const { links, intervalMs, deadlineMs } = pair;
  const answered = roundTrip(pair);
  let unanswered = 1;
  // The monitor is a millisecond late with the first, at most.
  for (let sentMs = lateAfterIntervals * intervalMs + 1 + lateProbeMs; sentMs < deadlineMs; sentMs += lateProbeMs)
    unanswered *= 1 - answered.arrives * answered.within(deadlineMs - sentMs);
  return (dayMs / lateProbeMs) * 2 * links * unanswered ** links;
}

function oneWay({ lost, jitterMs, intervalMs }: LossyPair): Stream {
  return {
    intervalMs,
    arrives: 1 - lost,
    within: (ms) => Math.min(1, Math.max(0, ms / jitterMs)),
    density: (ms) => (ms >= 0 && ms <= jitterMs ? 1 / jitterMs : 0),
    longestMs: jitterMs,
  };
}

/** There and back: two ways, each of which may fail. */
function roundTrip({ lost, jitterMs, intervalMs }: LossyPair): Stream {
  const within = (ms: number): number => {
    const ways = Math.min(2, Math.max(0, ms / jitterMs));
    return ways <= 1 ? ways ** 2 / 2 : 1 - (2 - ways) ** 2 / 2;
  };
  const density = (ms: number): number => Math.max(0, 1 - Math.abs(ms / jitterMs - 1)) / jitterMs;
  return { intervalMs, arrives: (1 - lost) ** 2, within, density, longestMs: 2 * jitterMs };
}

/** The chance that nothing of a stream arrives in some stretch of time. */
function silence(stream: Stream, lengthMs: number): number {
  const { intervalMs } = stream;
  return mean((part) => {
    // One is sent `part` of an interval after the stretch began.
    const back = Math.ceil(stream.longestMs / intervalMs) + 1;
    return noneOf(stream, lengthMs, part * intervalMs - back * intervalMs);
  });
}

/** The chance that nothing more of a stream arrives in a stretch of time that begins when one does. */
function silenceAfterArrival(stream: Stream, lengthMs: number): number {
  const { intervalMs, longestMs, density, arrives, within } = stream;
  return mean((part) => {
    const tookMs = part * longestMs;
    const back = Math.ceil(longestMs / intervalMs) + 1;
    const itself = 1 - arrives * (within(lengthMs + tookMs) - within(tookMs));
    return (density(tookMs) * longestMs * noneOf(stream, lengthMs, -tookMs - back * intervalMs)) / itself;
  });
}

/** The chance that none arrives in the stretch from 0, of those that are sent in each interval from `firstMs`. */
function noneOf({ intervalMs, arrives, within }: Stream, lengthMs: number, firstMs: number): number {
  let none = 1;
  for (let sentMs = firstMs; sentMs < lengthMs; sentMs += intervalMs) none *= 1 - arrives * (within(lengthMs - sentMs) - within(-sentMs));
  return none;
}

/** Of a function on [0, 1]. */
function mean(of: (part: number) => number): number {
  let sum = 0;
  for (let step = 0; step < steps; step += 1) sum += of((step + 0.5) / steps);
  return sum / steps;
}
