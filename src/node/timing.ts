import type { PlatformStep } from '../platform/platform-actions.ts';
import type { Rule } from '../rules.ts';
import type { PairConfig, PlatformConfig } from './config.ts';
import { isUnfenced } from './config.ts';
import { dialNeedsMs } from './link-pace.ts';
import { paceOf } from './link-schemes.ts';

/** A timing rule judged against the configuration. */
export interface TimingRow {
  readonly rule: Rule;
  readonly kept: boolean;
  /** A finding that breaks nothing: it is reported and does not fail `check`. */
  readonly warning: boolean;
  readonly text: string;
  readonly values: Readonly<Record<string, number | string>>;
}

/** The longest that things take by the configuration, in ms. What disks need for themselves is not in it. */
export interface WorstCase {
  /** From the death of the serving node to the verdict that it is down: the longest that is borne and an interval, where every row of `timing.deadline` is kept. */
  readonly detectionMs: number;
  /** From the verdict to the last step of the takeover, every step needing all its tries. */
  readonly takeoverMs: number;
  /** Both together. */
  readonly failoverMs: number;
  /** For how long writes stall when the passive node dies and `whenAlone` is `continue`; null where someone else decides. */
  readonly stallMs: number | null;
}

/** What {@link judgeTiming} found. */
export interface TimingReport {
  readonly worstCase: WorstCase;
  readonly rows: readonly TimingRow[];
}

/** Steps of a takeover, in order (semantics 7). */
const takeoverSteps: readonly PlatformStep[] = ['fence', 'notify', 'attach', 'fsck', 'mount', 'startServices', 'enableLogins', 'notify'];

/**
 * Judges every timing rule and works out the worst cases. Pure.
 * `roundTripMs` is the longest round trip measured on a monitor link, or null while nobody measured one.
 */
export function judgeTiming(config: PairConfig, roundTripMs: number | null = null): TimingReport {
  return {
    worstCase: worstCase(config),
    rows: [
      judgeDeadline(config, roundTripMs),
      ...judgeSlowLinks(config),
      judgeGrace(config),
      judgeLease(config, roundTripMs),
      judgeFence(config),
    ],
  };
}

/** Whether a rule is broken that is more than a warning. */
export function breaksTiming({ rows }: TimingReport): boolean {
  return rows.some(({ kept, warning }) => !kept && !warning);
}

function worstCase({ monitor, failover }: PairConfig): WorstCase {
  // The last sign of life may come at the very moment of death; silence is judged at most an interval after the longest that is borne.
  const detectionMs = monitor.maxDeadlineMs + monitor.intervalMs;
  const triesMs = takeoverSteps.map((step) => stepMs(failover.platform, step, failover.stepDeadlineMs) * (failover.stepRetries + 1));
  const takeoverMs = triesMs.reduce((sum, ms) => sum + ms, 0);
  // The loss of the data link is noticed after one deadline; fresh probes must then stay unanswered for another (rule `alone`).
  const stallMs = failover.whenAlone === 'continue' ? 2 * monitor.deadlineMs + monitor.intervalMs : null;
  return { detectionMs, takeoverMs, failoverMs: detectionMs + takeoverMs, stallMs };
}

function stepMs(platform: PlatformConfig, step: PlatformStep, stepDeadlineMs: number): number {
  const command = platform.kind === 'command' ? platform.commands[step] : undefined;
  return command ? (command.deadlineMs ?? stepDeadlineMs) : 0;
}

function judgeDeadline({ monitor }: PairConfig, roundTripMs: number | null): TimingRow {
  const neededMs = 2 * monitor.intervalMs + (roundTripMs ?? 0);
  const measured = roundTripMs === null ? 'round trip not measured' : `round trip ${formatMs(roundTripMs)}`;
  return {
    rule: 'timing.deadline',
    kept: monitor.deadlineMs >= neededMs,
    warning: false,
    text: `deadline ${formatMs(monitor.deadlineMs)}, needed ${formatMs(neededMs)} (2 intervals of ${formatMs(monitor.intervalMs)}; ${measured})`,
    values: { deadlineMs: monitor.deadlineMs, neededMs, intervalMs: monitor.intervalMs, ...(roundTripMs === null ? {} : { roundTripMs }) },
  };
}

/**
 * What a link that is slow by its kind needs. Half of a deadline is for a dial; two intervals and a round trip fit into it. An interval has room for the tokens of both nodes, or they queue, and
 * for what a dead node had handed over, or the last sign of life comes later than {@link WorstCase.detectionMs} allows for.
 */
function judgeSlowLinks({ monitor }: PairConfig): TimingRow[] {
  const { deadlineMs, intervalMs } = monitor;
  return monitor.links.flatMap(({ name, addresses }): TimingRow[] => {
    const pace = paceOf(addresses, deadlineMs);
    if (!pace) return [];
    const { connectMs, tripMs, tokensMs, lastWordMs } = pace;
    const neededMs = Math.max(dialNeedsMs(pace), 2 * intervalMs + tripMs);
    const neededIntervalMs = Math.max(tokensMs, lastWordMs);
    const row = { rule: 'timing.deadline', warning: false } as const;
    return [
      {
        ...row,
        kept: deadlineMs >= neededMs,
        text: `link ${name}: deadline ${formatMs(deadlineMs)}, needed ${formatMs(neededMs)} (twice what connecting takes, ${formatMs(connectMs)}; 2 intervals and what a token with its answer takes, ${formatMs(tripMs)})`,
        values: { link: name, deadlineMs, neededMs, intervalMs, connectMs, tripMs },
      },
      {
        ...row,
        kept: intervalMs >= neededIntervalMs,
        text: `link ${name}: interval ${formatMs(intervalMs)}, needed ${formatMs(neededIntervalMs)} (all tokens of one, ${formatMs(tokensMs)}; what comes of a node after its death, ${formatMs(lastWordMs)})`,
        values: { link: name, intervalMs, neededIntervalMs, tokensMs, lastWordMs },
      },
    ];
  });
}

function judgeGrace({ monitor }: PairConfig): TimingRow {
  const neededMs = 2 * monitor.deadlineMs;
  return {
    rule: 'timing.grace',
    kept: monitor.initialGraceMs >= neededMs,
    warning: false,
    text: `initial grace ${formatMs(monitor.initialGraceMs)}, needed ${formatMs(neededMs)} (2 deadlines)`,
    values: { initialGraceMs: monitor.initialGraceMs, neededMs },
  };
}

/** The lease must end before the peer may take over, and outlast a probe and its answer: else every interval the service stalls. */
function judgeLease({ monitor }: PairConfig, roundTripMs: number | null): TimingRow {
  const { leaseMs, deadlineMs, intervalMs } = monitor;
  const neededMs = intervalMs + (roundTripMs ?? 0);
  return {
    rule: 'timing.lease',
    kept: leaseMs < deadlineMs && leaseMs > neededMs,
    warning: false,
    text: `lease ${formatMs(leaseMs)}, between ${formatMs(neededMs)} (an interval and a round trip) and the deadline of ${formatMs(deadlineMs)}`,
    values: { leaseMs, neededMs, deadlineMs },
  };
}

function judgeFence(config: PairConfig): TimingRow {
  const { control } = config.failover;
  const unfenced = control === 'auto' && isUnfenced(config);
  return {
    rule: 'takeover.unfenced',
    kept: !unfenced,
    warning: true,
    text: unfenced
      ? unfencedWarning
      : `control is ${control}${isUnfenced(config) ? '' : ', and an arbiter or a fence guards the takeover'}`,
    values: { control },
  };
}

/** What rule `takeover.unfenced` means for the pair, in plain words. */
export const unfencedWarning: string =
  'control is auto without arbiter and fence: when every link is cut at once, both nodes can come to serve, and one of the two histories is lost';

/** `1,200 ms`. */
export function formatMs(ms: number): string {
  const digits = Number.isInteger(ms) ? 0 : 1;
  return `${ms.toLocaleString('en-US', { minimumFractionDigits: digits, maximumFractionDigits: digits })} ms`;
}
