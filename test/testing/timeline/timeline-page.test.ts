import { createHash } from 'node:crypto';
import { Script } from 'node:vm';

import { expect } from 'chai';

import { rules } from '../../../src/rules.ts';
import type { TimelineEntry } from '../../../src/testing/timeline/entry.ts';
import { looks } from '../../../src/testing/timeline/looks.ts';
import { timelinePage } from '../../../src/testing/timeline/page.ts';
import { pageScript } from '../../../src/testing/timeline/page-script.ts';
import { pageStyle } from '../../../src/testing/timeline/page-style.ts';
import { readTimeline } from '../../../src/testing/timeline/read-timeline.ts';
import { Story, takeoverStory } from './sample-entries.ts';

const attack = '</script><img src=x onerror=alert(1)>\u2028<!--';
const hostile: TimelineEntry = {
  schema: 1,
  seq: 1,
  time: '2026-01-02T03:04:05.678Z',
  node: attack,
  event: 'takeover:decided',
  class: 1,
  mirror: attack,
  rule: attack,
  evidence: { [attack]: attack },
  text: attack,
};

/** What the browser would read as data. */
function dataOf(page: string): { readonly entries: readonly TimelineEntry[]; readonly rules: Readonly<Record<string, string>> } {
  const text = /<script type="application\/json" id="data">(.*?)<\/script>/su.exec(page)?.[1] ?? '';
  return JSON.parse(text) as ReturnType<typeof dataOf>;
}

describe('timelinePage', () => {
  const entries = takeoverStory();
  const page = timelinePage(entries, { title: 'A takeover', note: 'seed 41' });

  it('is the same for the same entries, byte for byte', () => {
    expect(timelinePage(takeoverStory(), { title: 'A takeover', note: 'seed 41' })).to.equal(page);
  });

  it('reaches for nothing outside itself, and says so to the browser', () => {
    expect(page).not.to.match(/\b(?:src|href|action)\s*=\s*"(?!#)/u);
    expect(pageStyle).not.to.match(/url\(|@import/u);
    expect(pageScript).not.to.match(/\bfetch\(|XMLHttpRequest|WebSocket|import\(|eval\(|innerHTML|insertAdjacentHTML|document\.write/u);
    const policy = /Content-Security-Policy" content="([^"]+)"/u.exec(page)?.[1] ?? '';
    for (const text of [pageScript, pageStyle]) expect(policy).to.include(`'sha256-${createHash('sha256').update(text).digest('base64')}'`);
    expect(policy)
      .to.match(/^default-src 'none';/u)
      .and.not.to.include('unsafe');
  });

  it('carries a program that a browser can read', () => {
    expect(() => new Script(pageScript)).not.to.throw();
  });

  it('carries every entry, and the sentence of every rule that is cited', () => {
    const data = dataOf(page);
    expect(data.entries.map(({ text }) => text)).to.deep.equal(entries.map(({ text }) => text));
    expect(data.rules['takeover.commit']).to.equal(rules['takeover.commit']);
    expect(data.rules).to.have.all.keys([...new Set(entries.flatMap(({ rule }) => rule ?? []))]);
  });

  it('can be read without JavaScript: decisions with rule and evidence in a table', () => {
    const record = page.slice(page.indexOf('<section class="record">'), page.indexOf('<script'));
    expect(record).to.include('beta is about to take over with 2/beta: the peer is down').and.to.include(rules['takeover.commit']);
    expect(record).to.include('&quot;watch&quot;: &quot;normal&quot;').and.not.to.include('write 1 at');
  });

  it('shows what entries say as text, whatever it holds', () => {
    const bad = timelinePage([hostile], { title: attack, note: attack });
    expect(bad).not.to.include('<img').and.not.to.include('<!--').and.not.to.include('\u2028<');
    expect(bad.match(/<\/script>/gu)).to.have.length(2);
    expect(dataOf(bad).entries[0]).to.deep.include({ text: attack, node: attack, rule: attack, evidence: { [attack]: attack } });
    expect(timelinePage([{ ...hostile, rule: 'toString' }], { title: 'x' })).not.to.include('native code');
  });

  describe('offers to go', () => {
    /** Words and entry of each way there. */
    const jumpsIn = (html: string): readonly (readonly [string, string])[] =>
      [...html.matchAll(/<button type="button" data-entry="(\d+)">([^<]*)<\/button>/gu)].map(([, index = '', words = '']) => [
        words,
        dataOf(html).entries[Number(index)]?.text ?? '',
      ]);
    const told = (...tellings: readonly (readonly [number, string, 0 | 3])[]): string => {
      const story = new Story();
      for (const [atMs, event, eventClass] of tellings)
        story.tell(atMs, 'world', event, `${event} at ${String(atMs)}`, { class: eventClass });
      return timelinePage(story.entries(), { title: 'x' });
    };

    it('to the first broken invariant and the first fault, by time', () => {
      const page = told(
        [9, 'fault:begun', 0],
        [1, 'writes:parked', 3],
        [7, 'invariant:broken', 3],
        [5, 'fault:begun', 0],
        [8, 'invariant:broken', 3],
      );
      expect(jumpsIn(page)).to.deep.equal([
        ['broken invariant', 'invariant:broken at 7'],
        ['first fault', 'fault:begun at 5'],
      ]);
    });

    it('to the first entry of class 3 where nothing was broken, and nowhere in a quiet log', () => {
      expect(jumpsIn(told([1, 'boot:decided', 0], [3, 'writes:parked', 3], [4, 'writes:parked', 3]))).to.deep.equal([
        ['first of class 3', 'writes:parked at 3'],
      ]);
      expect(jumpsIn(told([1, 'boot:decided', 0]))).to.deep.equal([]);
    });
  });

  it('says in a line what the overview shows, with the names of the nodes', () => {
    const key = /<p class="key">(.*?)<\/p>/u.exec(page)?.[1]?.replace(/<[^>]*>/gu, '|') ?? '';
    for (const words of ['fault, class 3', 'class 2', 'class 1', 'rows alpha, beta:', 'serves', 'stands still', 'down'])
      expect(key).to.include(`|${words}|`);
  });

  it('draws no two states with one shape in one colour where they share a lane', () => {
    const lanes: readonly (readonly (keyof typeof looks)[])[] = [
      ['serving', 'passive', 'booting', 'stopping', 'paused', 'off', 'unknown'],
      ['normal', 'fallback', 'none'],
      ['both', 'alone', 'parked'],
      ['uptodate', 'consistent', 'outdated', 'inconsistent', 'failed'],
      ['open', 'late', 'cut'],
      ['step', 'brokenStep'],
    ];
    for (const states of lanes) {
      const drawn = states.map((state) => `${looks[state].form} ${looks[state].tone}`);
      expect([...new Set(drawn)], states.join()).to.have.length(states.length);
    }
  });
});

describe('the colours of the page', () => {
  const colours = new Map(
    [...pageStyle.matchAll(/--([\w-]+): light-dark\((#\w{6}), (#\w{6})\)/gu)].map(([, name, light, dark]) => [
      name,
      { light: light!, dark: dark! },
    ]),
  );
  const grounds = ['paper', 'surface', 'raised'];

  for (const theme of ['light', 'dark'] as const) {
    const contrast = (one: string, other: string): number => contrastOf(colours.get(one)![theme], colours.get(other)![theme]);

    it(`let text be read, ${theme}`, () => {
      for (const text of ['ink', 'muted', 'warn', 'moved', 'bad']) {
        for (const ground of grounds) expect(contrast(text, ground), `${text} on ${ground}`).to.be.at.least(4.5);
      }
      expect(contrast('on-tone', 'service')).to.be.at.least(4.5);
    });

    it(`let shapes be seen, ${theme}`, () => {
      for (const tone of ['quiet', 'service', 'good', 'warn', 'bad', 'moved', 'focus', 'border']) {
        for (const ground of grounds) expect(contrast(tone, ground), `${tone} on ${ground}`).to.be.at.least(3);
      }
    });
  }
});

/** By WCAG 2. */
function contrastOf(one: string, other: string): number {
  const [lighter, darker] = [luminanceOf(one), luminanceOf(other)].sort((first, second) => second - first) as [number, number];
  return (lighter + 0.05) / (darker + 0.05);
}

function luminanceOf(colour: string): number {
  const [red, green, blue] = [1, 3, 5].map((at) => {
    const share = Number.parseInt(colour.slice(at, at + 2), 16) / 255;
    return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
  }) as [number, number, number];
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
}

describe('readTimeline', () => {
  it('reads one entry a line', () => {
    const entries = takeoverStory();
    expect(readTimeline(`${entries.map((entry) => JSON.stringify(entry)).join('\n')}\n\n`)).to.deep.equal(entries);
  });

  it('refuses what is no entry, with its line', () => {
    for (const line of [
      '{',
      '[]',
      'null',
      '{"schema":2}',
      JSON.stringify({ ...hostile, class: 4 }),
      JSON.stringify({ ...hostile, text: 1 }),
    ]) {
      expect(() => readTimeline(`${JSON.stringify(hostile)}\n${line}`), line)
        .to.throw('line 2 is no entry')
        .with.property('code', 'HM_PROTOCOL');
    }
  });
});
