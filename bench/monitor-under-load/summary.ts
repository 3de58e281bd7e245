import type { MonitorNews } from '../../test/support/monitor-program.ts';
import { figure, markdownTable } from '../support/markdown.ts';

/** What one monitor told in the time that was watched, while its peer lived. */
export interface Watched {
  readonly node: string;
  readonly news: readonly MonitorNews[];
  readonly tripsMs: readonly number[];
  readonly cpuSeconds: number;
}

/** CPU time of a span: what there was, and who used it. */
export interface Load {
  /** Of all cores. */
  readonly allSeconds: number;
  /** By everything on this machine. */
  readonly usedSeconds: number;
  /** By the busy processes. */
  readonly busySeconds: number;
}

/** What one monitor's time came to. */
export interface Summary {
  readonly falseVerdicts: number;
  readonly suspects: number;
  readonly lateLinks: number;
  readonly downLinks: number;
  readonly oversleeps: number;
  /** 0 where there was none. */
  readonly longestOversleepMs: number;
  /** Null where no token was answered. */
  readonly tripsMs: { readonly count: number; readonly p50: number; readonly p99: number; readonly max: number } | null;
}

/** Counts. Every verdict `down` is false, for the peer lived. */
export function summarise({ news, tripsMs }: Pick<Watched, 'news' | 'tripsMs'>): Summary {
  const overslept = news.flatMap((each) => (each.kind === 'overslept' ? each.lateMs : []));
  const count = (kind: 'peer' | 'link', state: string): number =>
    news.filter((each) => each.kind !== 'overslept' && each.kind === kind && each.to === state).length;
  return {
    falseVerdicts: count('peer', 'down'),
    suspects: count('peer', 'suspect'),
    lateLinks: count('link', 'late'),
    downLinks: count('link', 'down'),
    oversleeps: overslept.length,
    longestOversleepMs: Math.max(0, ...overslept),
    tripsMs: tripsSummary(tripsMs),
  };
}

function tripsSummary(tripsMs: readonly number[]): Summary['tripsMs'] {
  if (tripsMs.length === 0) return null;
  const sorted = [...tripsMs].sort((one, other) => one - other);
  const quantile = (share: number): number => sorted[Math.ceil(share * sorted.length) - 1]!;
  return { count: sorted.length, p50: quantile(0.5), p99: quantile(0.99), max: quantile(1) };
}

/** One column for each monitor. */
export function summaryTable(watched: readonly Watched[]): string {
  const summaries = watched.map(summarise);
  const row = (name: string, of: (summary: Summary) => string): string[] => [name, ...summaries.map(of)];
  const trip = (of: (trips: NonNullable<Summary['tripsMs']>) => number) => (summary: Summary) =>
    summary.tripsMs ? figure(of(summary.tripsMs)) : '';
  return markdownTable(
    ['', ...watched.map(({ node }) => node)],
    [
      row('false verdicts', ({ falseVerdicts }) => figure(falseVerdicts)),
      row('times suspect', ({ suspects }) => figure(suspects)),
      row('links that went late', ({ lateLinks }) => figure(lateLinks)),
      row('links that went down', ({ downLinks }) => figure(downLinks)),
      row('own oversleeps', ({ oversleeps }) => figure(oversleeps)),
      row('the longest of them, ms late', ({ longestOversleepMs }) => figure(longestOversleepMs)),
      row(
        'tokens answered',
        trip(({ count }) => count),
      ),
      row(
        'round trip p50, ms',
        trip(({ p50 }) => p50),
      ),
      row(
        'p99',
        trip(({ p99 }) => p99),
      ),
      row(
        'max',
        trip(({ max }) => max),
      ),
      ['CPU time, s', ...watched.map(({ cpuSeconds }) => figure(cpuSeconds))],
    ],
  );
}

/** From counters that only grow. */
export function loadBetween(before: Load, after: Load): Load {
  return {
    allSeconds: after.allSeconds - before.allSeconds,
    usedSeconds: after.usedSeconds - before.usedSeconds,
    busySeconds: after.busySeconds - before.busySeconds,
  };
}

/** One line about how busy the cores were. */
export function loadText({ allSeconds, usedSeconds, busySeconds }: Load): string {
  const percent = ((100 * usedSeconds) / allSeconds).toFixed(1);
  return `Load: ${figure(usedSeconds)} of ${figure(allSeconds)} CPU seconds used (${percent} %), ${figure(busySeconds)} of them by the busy processes.`;
}

/** One line about the death at the end; null: it was not noticed. */
export function deathText(noticedMs: number | null): string {
  return noticedMs === null
    ? 'The death of beta at the end was **not noticed**.'
    : `The death of beta at the end was noticed after ${figure(noticedMs)} ms.`;
}

/** The false verdicts, with what the same monitor told in the time before each; empty where there is none. */
export function stories(watched: readonly Watched[], beforeMs: number): readonly string[] {
  return watched.flatMap(({ node, news }) =>
    news
      .filter((each) => each.kind === 'peer' && each.to === 'down')
      .slice(0, mostStories)
      .flatMap(({ atMs }) => news.filter((each) => each.atMs <= atMs && each.atMs > atMs - beforeMs))
      .map(({ atMs, text }) => `${node} at ${atMs.toFixed(0)} ms: ${text}`),
  );
}

const mostStories = 5;
