import { mistakesADay } from './tables.ts';
import type { Part, Row } from './tables.ts';

const columns = 2;
const width = 980;
const margin = 14;
const panel = { width: (width - margin) / columns, height: 300, left: 62, right: 14, top: 34, bottom: 40 } as const;
const radius = 8;
const legendRow = 20;
const legendColumns = 4;
const legendHead = 30;
const legendFoot = 14;
/** Axes: seconds until death is noticed, and mistakes a day. */
const least = { seconds: 0.7, mistakes: 0.25 } as const;
const most = { seconds: 45, mistakes: 40_000 } as const;
const ticks = { seconds: [1, 2, 5, 10, 20, 40], mistakes: [1, 10, 100, 1_000, 10_000] } as const;
/** Where no mistake was seen. */
const noneHeight = 40;
const colours = { own: '#2f7ed8', two: '#4c9f70', other: '#d9822b' } as const;

const style = `text{font:12px system-ui,sans-serif;fill:#1f2328}.head{font-weight:600;font-size:13px}.mark{font-size:10px;fill:#fff;font-weight:600}
.grid{stroke:#8c959f;stroke-opacity:.35}.zero{fill:#8c959f;fill-opacity:.12}
@media (prefers-color-scheme:dark){text{fill:#e6edf3}.mark{fill:#fff}}`;

/** One panel for each kind of conditions: how soon death is noticed, to the right, against mistakes a day, upwards. Both axes are logarithmic. Best is at the bottom left. */
export function qualityChart(parts: readonly Part[]): string {
  const names = parts[0]?.rows ?? [];
  const legendHeight = legendHead + Math.ceil(names.length / legendColumns) * legendRow + legendFoot;
  const height = legendHeight + Math.ceil(parts.length / columns) * panel.height;
  const panels = parts.map((part, at) =>
    drawPanel(part, margin + (at % columns) * panel.width, legendHeight + Math.floor(at / columns) * panel.height),
  );
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${String(width)} ${String(height)}" width="${String(width)}" height="${String(height)}" role="img">`,
    '<title>How soon failure detectors notice death, and how often they are wrong</title>',
    `<style>${style}</style>`,
    text(margin, 20, 'Seconds from the crash until it is noticed (mean), against mistakes a day; best is bottom left', 'head'),
    ...names.map((row, at) => legendEntry(row, at)),
    ...panels,
    '</svg>\n',
  ].join('\n');
}

function legendEntry(row: Row, at: number): string {
  const x = margin + radius + (at % legendColumns) * ((width - margin) / legendColumns);
  const y = legendHead + Math.floor(at / legendColumns) * legendRow + legendRow / 2;
  return `${mark(x, y, row)}${text(x + radius + 5, y + 4, row.name)}`;
}

function drawPanel({ title, rows }: Part, left: number, top: number): string {
  const [x0, x1] = [left + panel.left, left + panel.width - panel.right];
  const [y0, y1] = [top + panel.top, top + panel.height - panel.bottom];
  const zeroTop = y1 - noneHeight;
  const x = (seconds: number): number => x0 + (x1 - x0) * along(seconds, least.seconds, most.seconds);
  const y = (mistakes: number): number => zeroTop - (zeroTop - y0) * along(mistakes, least.mistakes, most.mistakes);
  const lines = [
    text(left + panel.left, top + 22, title, 'head'),
    `<rect class="zero" x="${fixed(x0)}" y="${fixed(zeroTop)}" width="${fixed(x1 - x0)}" height="${fixed(noneHeight)}"/>`,
    text(x0 - 6, y1 - noneHeight / 2 + 4, 'none seen', '', 'end'),
    ...ticks.seconds.map((each) => `${line(x(each), y0, x(each), y1)}${text(x(each), y1 + 15, `${String(each)} s`, '', 'middle')}`),
    ...ticks.mistakes.map((each) => `${line(x0, y(each), x1, y(each))}${text(x0 - 6, y(each) + 4, each.toLocaleString('en'), '', 'end')}`),
  ];
  const taken: { readonly x: number; readonly y: number }[] = [];
  for (const row of rows.toSorted((one, other) => one.quality.detectionMs.mean - other.quality.detectionMs.mean)) {
    const mistakes = mistakesADay(row.quality);
    const place = { x: x(row.quality.detectionMs.mean / 1e3), y: mistakes === 0 ? y1 - radius - 1 : y(mistakes) };
    // Beside each other where they would lie on each other.
    while (taken.some((other) => Math.hypot(other.x - place.x, other.y - place.y) < 2 * radius)) place.x += 2;
    taken.push(place);
    lines.push(mark(place.x, place.y, row));
  }
  return lines.join('\n');
}

/** Where a value lies on a logarithmic axis, from 0 to 1. */
function along(value: number, from: number, to: number): number {
  return Math.min(1, Math.max(0, Math.log(value / from) / Math.log(to / from)));
}

function mark(x: number, y: number, { number, name }: Row): string {
  const fill = name.endsWith('1 link') ? colours.own : name.endsWith('2 links') ? colours.two : colours.other;
  return `<circle cx="${fixed(x)}" cy="${fixed(y)}" r="${String(radius)}" fill="${fill}"><title>${escaped(name)}</title></circle>${text(x, y + 3.5, String(number), 'mark', 'middle')}`;
}

function line(x1: number, y1: number, x2: number, y2: number): string {
  return `<line class="grid" x1="${fixed(x1)}" y1="${fixed(y1)}" x2="${fixed(x2)}" y2="${fixed(y2)}"/>`;
}

function text(x: number, y: number, content: string, className = '', anchor = 'start'): string {
  const classed = className === '' ? '' : ` class="${className}"`;
  return `<text${classed} x="${fixed(x)}" y="${fixed(y)}" text-anchor="${anchor}">${escaped(content)}</text>`;
}

function fixed(value: number): string {
  return value.toFixed(1);
}

function escaped(content: string): string {
  return content.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('"', '&quot;');
}
