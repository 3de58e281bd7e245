import { times } from '../support/markdown.ts';
import type { Ratio } from './tables.ts';

/** A part of the chart. */
export interface ChartPart {
  readonly title: string;
  readonly ratios: readonly Ratio[];
}

const width = 860;
const left = 290;
const right = 70;
const barHeight = 13;
const rowGap = 12;
const partHead = 46;
const legendHeight = 58;
const margin = 14;
/** Told apart by lightness too, and seen on white as on black. */
const colours = ['#2f7ed8', '#9a9a9a', '#d9822b', '#4c9f70'];

const style = `text{font:13px system-ui,sans-serif;fill:#1f2328}.head{font-weight:600}.value{font-size:12px}
.grid{stroke:#8c959f;stroke-opacity:.35}.one{stroke:#57606a;stroke-width:1.5}
@media (prefers-color-scheme:dark){text{fill:#e6edf3}.one{stroke:#adbac7}}`;

/** Speeds against a reference as bars to the right, faster, or to the left, slower, of the line at 1×; each step of the scale is a doubling. */
export function ratioChart(parts: readonly ChartPart[], reference: string): string {
  const all = parts.flatMap(({ ratios }) => ratios);
  const subjects = [...new Set(all.map(({ subject }) => subject))];
  const scale = scaleFor(all.map(({ values }) => values.median));
  const drawn: string[] = [legend(subjects, reference)];
  let top = legendHeight;
  for (const part of parts) {
    const { lines, height } = drawPart(part, subjects, scale, top);
    drawn.push(...lines);
    top += height;
  }
  const height = top + margin;
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${String(width)} ${String(height)}" width="${String(width)}" height="${String(height)}" role="img">`,
    `<title>Speed against ${escaped(reference)}</title>`,
    `<style>${style}</style>`,
    ...drawn,
    '</svg>\n',
  ].join('\n');
}

interface Scale {
  /** Powers of two. */
  readonly steps: readonly number[];
  readonly x: (ratio: number) => number;
}

function scaleFor(ratios: readonly number[]): Scale {
  const low = Math.min(-1, ...ratios.map((ratio) => Math.floor(Math.log2(ratio))));
  const high = Math.max(1, ...ratios.map((ratio) => Math.ceil(Math.log2(ratio))));
  const stepWidth = (width - left - right) / (high - low);
  return {
    steps: Array.from({ length: high - low + 1 }, (_, at) => low + at),
    x: (ratio) => left + (Math.log2(ratio) - low) * stepWidth,
  };
}

function legend(subjects: readonly string[], reference: string): string {
  const head = text(margin, 22, `Speed against ${reference} (= 1×); more is better`, 'head');
  const entries = subjects.map((subject, at) => {
    const x = margin + at * 210;
    return `${bar(x, 34, barHeight, at)}${text(x + barHeight + 6, 45, subject)}`;
  });
  return [head, ...entries].join('\n');
}

function drawPart(
  { title, ratios }: ChartPart,
  subjects: readonly string[],
  { steps, x }: Scale,
  top: number,
): { lines: string[]; height: number } {
  const workloads = [...new Set(ratios.map(({ workload }) => workload))];
  const rowHeight = subjects.length * barHeight + rowGap;
  const bottom = top + partHead + workloads.length * rowHeight;
  const lines = [text(margin, top + 24, title, 'head')];
  for (const step of steps) {
    const at = x(2 ** step).toFixed(1);
    lines.push(`<line class="${step === 0 ? 'one' : 'grid'}" x1="${at}" x2="${at}" y1="${String(top + 32)}" y2="${String(bottom)}"/>`);
    lines.push(text(x(2 ** step), top + 26, `${String(2 ** step)}×`, 'value', 'middle'));
  }
  for (const [row, workload] of workloads.entries()) {
    const rowTop = top + partHead + row * rowHeight;
    lines.push(text(left - 12, rowTop + (subjects.length * barHeight) / 2 + 4, workload, '', 'end'));
    for (const ratio of ratios.filter((each) => each.workload === workload)) {
      const at = subjects.indexOf(ratio.subject);
      lines.push(drawRatio(ratio, rowTop + at * barHeight, at, x));
    }
  }
  return { lines, height: bottom - top };
}

function drawRatio({ values: { median } }: Ratio, top: number, colour: number, x: Scale['x']): string {
  const [from, to] = [Math.min(x(1), x(median)), Math.max(x(1), x(median))];
  const label = text(to + 5, top + barHeight - 2, times(median), 'value');
  return `${bar(from, top, Math.max(1, to - from), colour)}${label}`;
}

function bar(x: number, y: number, length: number, colour: number): string {
  const fill = colours[colour % colours.length]!;
  return `<rect x="${x.toFixed(1)}" y="${y.toFixed(1)}" width="${length.toFixed(1)}" height="${String(barHeight - 1)}" fill="${fill}"/>`;
}

function text(x: number, y: number, content: string, className = '', anchor = 'start'): string {
  const classed = className === '' ? '' : ` class="${className}"`;
  return `<text${classed} x="${x.toFixed(1)}" y="${y.toFixed(1)}" text-anchor="${anchor}">${escaped(content)}</text>`;
}

function escaped(content: string): string {
  return content.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('"', '&quot;');
}
