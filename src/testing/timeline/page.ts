import { createHash } from 'node:crypto';

import { rules } from '../../rules.ts';
import type { TimelineEntry } from './entry.ts';
import { escapeHtml, escapeJson } from './escape.ts';
import type { LookName, MarkKind } from './looks.ts';
import { classWords, looks, markWords, overviewBars, overviewTicks } from './looks.ts';
import { isTraffic, markOf } from './marks.ts';
import type { TimelineModel } from './model.ts';
import { pageScript } from './page-script.ts';
import { pageStyle } from './page-style.ts';
import { classGlyphs, markShapes } from './shapes.ts';
import { timelineModel } from './timeline-model.ts';

/** What a page says of itself. */
export interface TimelinePageOptions {
  readonly title: string;
  /** A line below the title: the seed, the node, what the log is from. */
  readonly note?: string;
}

/** Rows of the table for readers without JavaScript; the page itself has no limit. */
const maxRecordRows = 1_000;

/**
 * Makes the page that shows what happened in a pair: one HTML file that needs nothing else and reaches for nothing else. The same entries make the same page.
 * What entries say is shown as text, whatever it holds.
 */
export function timelinePage(entries: readonly TimelineEntry[], options: TimelinePageOptions): string {
  const model = timelineModel(entries);
  const data = {
    axis: model.axis,
    originMs: model.originMs,
    startMs: model.startMs,
    endMs: model.endMs,
    groups: model.groups,
    entries: entries.map((entry, index) => pageEntry(entry, model.times[index] ?? 0)),
    rules: citedRules(entries),
    looks,
    shapes: markShapes,
    glyphs: classGlyphs,
    classWords,
  };
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="${contentPolicy()}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>${escapeHtml(options.title)}</title>
<style>${pageStyle}</style>
</head>
<body>
${appOf(model, entries, options)}
${recordOf(model, entries, options)}
<script type="application/json" id="data">${escapeJson(data)}</script>
<script>${pageScript}</script>
</body>
</html>
`;
}

/** Nothing but this page's own script and style, and no network at all. */
function contentPolicy(): string {
  const hash = (text: string): string => `'sha256-${createHash('sha256').update(text).digest('base64')}'`;
  return `default-src 'none'; script-src ${hash(pageScript)}; style-src ${hash(pageStyle)}; base-uri 'none'; form-action 'none'`;
}

function pageEntry(entry: TimelineEntry, at: number): unknown {
  const { seq, time, node, event, mirror, rule, evidence, text } = entry;
  const kind = markOf(entry);
  return {
    seq,
    at,
    time,
    node,
    event,
    class: entry.class,
    text,
    ...(mirror === undefined ? {} : { mirror }),
    ...(rule === undefined ? {} : { rule }),
    ...(evidence === undefined ? {} : { evidence }),
    ...(kind === null ? {} : { kind }),
    ...(isTraffic(entry) ? { traffic: true } : {}),
  };
}

/** The rules that entries cite and that this version has, with their sentences. */
function citedRules(entries: readonly TimelineEntry[]): Readonly<Record<string, string>> {
  const cited = [...new Set(entries.flatMap(({ rule }) => rule ?? []))].sort();
  const known = cited
    .map((rule) => [rule, sentenceOf(rule)] as const)
    .filter((pair): pair is readonly [string, string] => pair[1] !== null);
  return Object.fromEntries(known);
}

function sentenceOf(rule: string | undefined): string | null {
  return rule !== undefined && Object.hasOwn(rules, rule) ? rules[rule as keyof typeof rules] : null;
}

function appOf(model: TimelineModel, entries: readonly TimelineEntry[], { title, note }: TimelinePageOptions): string {
  const axis = model.axis === 'virtual' ? 'virtual time' : 'wall time, UTC';
  return `<div class="app">
<a class="skip" href="#entries">Skip to the list of entries</a>
<header>
<div class="titles"><h1>${escapeHtml(title)}</h1>${note === undefined ? '' : `<p class="note">${escapeHtml(note)}</p>`}</div>
<dl class="summary">${summaryOf(entries)}</dl>
<div class="tools">
<button type="button" id="zoom-out" aria-label="Zoom out" title="Zoom out (−)">−</button>
<button type="button" id="zoom-in" aria-label="Zoom in" title="Zoom in (+)">+</button>
<button type="button" id="zoom-all" title="Show all of it (Home)">All</button>
<button type="button" id="legend-toggle" aria-expanded="false" aria-controls="legend">Legend</button>
<button type="button" id="theme">Dark</button>
</div>
</header>
<section class="chart" id="chart" aria-label="Timeline">
<div class="head"><div class="corner"><span>overview</span><span>${axis}</span></div>
<div class="axis" id="axis"><canvas id="overview" aria-hidden="true"></canvas>${overviewKeyOf(model)}<canvas id="ruler" aria-hidden="true"></canvas><div class="chip" id="chip" hidden></div></div></div>
<div class="body"><div class="labels" id="labels">${labelsOf(model)}</div>
<div class="plot" id="plot" tabindex="0" role="group" aria-label="Lanes over time. Arrow keys pan, plus and minus zoom, Home shows all, Tab moves through decisions and faults."><canvas id="lanes" aria-hidden="true"></canvas><div class="line" id="chosen" hidden></div><div id="marks"></div><div class="line" id="cursor" hidden></div><div class="tip" id="tip" aria-hidden="true" hidden></div></div></div>
</section>
<div class="status"><span id="hover"></span><span class="keys"><kbd>wheel</kbd> <kbd>+</kbd> <kbd>−</kbd> zoom · drag <kbd>←</kbd> <kbd>→</kbd> pan · <kbd>Tab</kbd> next mark · <kbd>Enter</kbd> open · <kbd>Home</kbd> all</span></div>
<aside class="side" id="side" aria-label="Entries">
<section class="details" id="details" aria-label="Details" tabindex="-1" hidden></section>
<div class="find"><input type="search" id="filter" aria-label="Filter by text, event, rule or node" placeholder="Filter by text, event, rule or node" autocomplete="off" spellcheck="false">
<fieldset class="scopes" aria-label="Which entries">${scopesOf()}<output id="count"></output></fieldset>${jumpsOf(model, entries)}</div>
<div id="entries" role="listbox" tabindex="0" aria-label="Entries"></div>
</aside>
<section class="legend" id="legend" aria-label="Legend" tabindex="-1" hidden>${legendOf()}</section>
</div>`;
}

function scopesOf(): string {
  const scopes = [
    ['marked', 'Marked'],
    ['events', 'Events'],
    ['all', 'All'],
  ] as const;
  return scopes
    .map(
      ([value, words]) =>
        `<label><input type="radio" name="scope" value="${value}"${value === 'events' ? ' checked' : ''}>${words}</label>`,
    )
    .join('');
}

/** Ways to where one wants to be first: the entry that broke something, and the fault that may have led to it. */
function jumpsOf({ times }: TimelineModel, entries: readonly TimelineEntry[]): string {
  const order = [...entries.keys()].sort((one, other) => (times[one] ?? 0) - (times[other] ?? 0) || one - other);
  const firstOf = (fits: (entry: TimelineEntry) => boolean): number | undefined => order.find((index) => fits(entries[index]!));
  const broken = firstOf((entry) => markOf(entry) === 'broken');
  const jumps: readonly (readonly [string, number | undefined])[] = [
    broken === undefined ? ['first of class 3', firstOf((entry) => entry.class === 3)] : ['broken invariant', broken],
    ['first fault', firstOf((entry) => markOf(entry) === 'fault')],
  ];
  const buttons = jumps.flatMap(([words, index]) =>
    index === undefined ? [] : [`<button type="button" data-entry="${String(index)}">${words}</button>`],
  );
  return buttons.length === 0 ? '' : `<div class="jumps" role="group" aria-label="Go to">go to ${buttons.join('')}</div>`;
}

/** What the colours of the overview mean, in a line. */
function overviewKeyOf({ groups }: TimelineModel): string {
  const nodes = groups.filter(({ lanes }) => lanes.some(({ label }) => label === 'state')).map(({ title }) => title);
  const sign = (form: 'tick' | 'bar', tone: string, words: string): string => `<span><i class="${form} ${tone}"></i>${words}</span>`;
  const ticks = overviewTicks.map(([tone, words]) => sign('tick', tone, words));
  const bars =
    nodes.length === 0
      ? []
      : [`<span>rows ${escapeHtml(nodes.join(', '))}:</span>`, ...overviewBars.map(([tone, words]) => sign('bar', tone, words))];
  return `<p class="key">${[...ticks, ...bars].join('')}</p>`;
}

function summaryOf(entries: readonly TimelineEntry[]): string {
  const kinds = entries.map(markOf);
  const count = (...wanted: readonly MarkKind[]): number => kinds.filter((kind) => kind !== null && wanted.includes(kind)).length;
  const broken = count('broken');
  const figures: readonly (readonly [number, string, string])[] = [
    [entries.length, entries.length === 1 ? 'entry' : 'entries', ''],
    [count('decision', 'refusal'), 'decisions', ''],
    [count('fault'), 'faults', ''],
    ...(broken === 0 ? [] : [[broken, 'invariants broken', ' class="alarm"'] as const]),
  ];
  const words = figures.map(([number, what, alarm]) => `<div${alarm}><dt>${what}</dt><dd>${grouped(number)}</dd></div>`);
  return `<div><dt>duration</dt><dd id="duration"></dd></div>${words.join('')}`;
}

/** `12,345`. */
function grouped(number: number): string {
  return String(number).replace(/\B(?=(?:\d{3})+$)/gu, ',');
}

function labelsOf({ groups }: TimelineModel): string {
  return groups
    .map(({ title, lanes }) => {
      const rows = lanes.map(({ label, form }) => `<div class="lane ${form}" title="${escapeHtml(label)}">${escapeHtml(label)}</div>`);
      return `<section><h2>${escapeHtml(title)}</h2>${rows.join('')}</section>`;
    })
    .join('');
}

function legendOf(): string {
  const states = (Object.keys(looks) as LookName[]).map(
    (name) => `<li><canvas data-look="${name}" aria-hidden="true"></canvas>${escapeHtml(looks[name].words)}</li>`,
  );
  const marks = (Object.keys(markWords) as MarkKind[]).map(
    (kind) => `<li>${shapeOf(kind, kind === 'broken' ? 3 : 0)}${escapeHtml(markWords[kind])}</li>`,
  );
  const classes = classWords.map((words, index) => `<li>${shapeOf('decision', index)}class ${String(index)}: ${words}</li>`);
  return `<h2>Legend</h2><h3>Marks</h3><ul>${marks.join('')}</ul><h3>Classes</h3><ul>${classes.join('')}</ul><h3>States</h3><ul>${states.join('')}</ul>`;
}

function shapeOf(kind: MarkKind, eventClass: number): string {
  return `<span class="mark ${kind} class${String(eventClass)}" aria-hidden="true"><svg viewBox="0 0 14 14"><path d="${markShapes[kind]}"/><path class="glyph" d="${classGlyphs[eventClass] ?? ''}"/></svg></span>`;
}

/** What can be read without JavaScript, and printed: every decision and fault with its rule and evidence. */
function recordOf(model: TimelineModel, entries: readonly TimelineEntry[], { title, note }: TimelinePageOptions): string {
  const marked = entries.flatMap((entry, index) => (markOf(entry) === null ? [] : [{ entry, atMs: model.times[index] ?? 0 }]));
  const rows = marked.slice(0, maxRecordRows).map(({ entry, atMs }) => {
    const when = model.axis === 'virtual' ? `${(atMs / 1000).toFixed(3)} s` : entry.time;
    const sentence = sentenceOf(entry.rule);
    const rule =
      entry.rule === undefined ? '' : `<code>${escapeHtml(entry.rule)}</code>${sentence === null ? '' : ` ${escapeHtml(sentence)}`}`;
    const evidence = entry.evidence === undefined ? '' : `<pre>${escapeHtml(JSON.stringify(entry.evidence, null, 1))}</pre>`;
    const cells = [
      escapeHtml(when),
      escapeHtml(entry.node),
      escapeHtml(entry.event),
      String(entry.class),
      escapeHtml(entry.text),
      rule,
      evidence,
    ];
    return `<tr>${cells.map((cell) => `<td>${cell}</td>`).join('')}</tr>`;
  });
  const more = marked.length > rows.length ? `<p>${String(marked.length - rows.length)} more are left out here.</p>` : '';
  const heads = ['time', 'node', 'event', 'class', 'what', 'rule', 'evidence'].map((head) => `<th scope="col">${head}</th>`).join('');
  return `<section class="record"><h1>${escapeHtml(title)}</h1>${note === undefined ? '' : `<p>${escapeHtml(note)}</p>`}
<p>Decisions, faults and orders. The timeline itself needs JavaScript.</p><table><thead><tr>${heads}</tr></thead><tbody>${rows.join('\n')}</tbody></table>${more}</section>`;
}
