import { figure, markdownTable } from '../support/markdown.ts';
import { falseVerdictsADay, falseVerdictsADayAtMost } from './false-verdicts.ts';
import type { LossyPair } from './false-verdicts.ts';
import type { Quality } from './quality.ts';

/** A subject under some conditions. Its number is the same in the table and in the chart. */
export interface Row {
  readonly number: number;
  readonly name: string;
  readonly quality: Quality;
}

/** What the detectors were like under one kind of conditions. */
export interface Part {
  readonly title: string;
  readonly about: string;
  readonly rows: readonly Row[];
}

const seconds = (ms: number): string => (ms / 1e3).toFixed(2);

/** Mistakes a day. */
export function mistakesADay({ mistakes, days }: Quality): number {
  return mistakes / days;
}

export function qualityTable(rows: readonly Row[]): string {
  const head = ['', '', 'dead after, mean, s', 'p99', 'worst', 'mistakes a day', 'one lasts, s'];
  const lines = rows.map(({ number, name, quality }) => {
    const { mean, p99, worst } = quality.detectionMs;
    const { mistakes, mistakeMs } = quality;
    const wrong = mistakes === 0 ? ['0', ''] : [figure(mistakesADay(quality)), seconds(mistakeMs!)];
    return [String(number), name, seconds(mean), seconds(p99), seconds(worst), ...wrong];
  });
  return markdownTable(head, lines);
}

/** All of it in short: the mean time to notice death in seconds, and mistakes a day. */
export function summaryTable(parts: readonly Part[]): string {
  const names = parts[0]?.rows.map(({ name }) => name) ?? [];
  const cell = ({ quality }: Row): string => `${(quality.detectionMs.mean / 1e3).toFixed(1)} s, ${figure(mistakesADay(quality))}`;
  return markdownTable(
    ['', ...parts.map(({ title }) => title)],
    names.map((name, at) => [name, ...parts.map(({ rows }) => cell(rows[at]!))]),
  );
}

/** False verdicts a day on lossy links, by formula; the last column is a bound. */
export function falseVerdictTable(pair: Omit<LossyPair, 'links'>, lateProbeMs: number): string {
  const head = ['links', "the peer's tokens alone", 'tokens and answers', 'and fast probes, at most'];
  const rows = [1, 2].map((links) => {
    const all = { ...pair, links };
    const values = [
      falseVerdictsADay(all, { answers: false }),
      falseVerdictsADay(all, { answers: true }),
      falseVerdictsADayAtMost(all, lateProbeMs),
    ];
    return [String(links), ...values.map((value) => value.toPrecision(2))];
  });
  return markdownTable(head, rows);
}
