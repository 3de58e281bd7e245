import type { Estimate } from './statistics.ts';

const fewDigits = 3;
const largestRatioWithTwoDecimals = 10;

/** A table whose first column is text and whose others are numbers. */
export function markdownTable(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]): string => `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`;
  return [line(head), `|---|${'---:|'.repeat(head.length - 1)}`, ...rows.map(line)].join('\n');
}

/** Three digits, or whole where there are more. */
export function figure(value: number): string {
  const digits = Math.abs(value) >= 10 ** fewDigits ? { maximumFractionDigits: 0 } : { maximumSignificantDigits: fewDigits };
  return value.toLocaleString('en', digits);
}

/** `4.0×` */
export function times(value: number): string {
  return `${value.toFixed(value < largestRatioWithTwoDecimals ? 2 : 1)}×`;
}

/** The median, and from where to where it went. */
export function spread({ median, min, max }: Estimate, format: (value: number) => string): string {
  return min === max ? format(median) : `${format(median)} (${format(min)}–${format(max)})`;
}
