import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { pathToFileURL } from 'node:url';

import { expect } from 'chai';

import { rules } from '../../src/rules.ts';
import { timelinePage } from '../../src/testing/timeline/page.ts';
import { skipBecause } from '../support/skip.ts';
import { Story, takeoverStory } from '../testing/timeline/sample-entries.ts';
import { chromiumInstalled, launchChromium } from './support/chromium.ts';
import type { Browser, Locator, Page, PageOptions } from './support/chromium.ts';
import { CommandPair } from './support/command-pair.ts';
import { brightnessOf, coloursOf, readPng } from './support/png.ts';

const suiteTimeoutMs = 180_000;
/** A blank page has a handful. */
const fewestColours = 100;
const decided = 'beta is about to take over with 2/beta: the peer is down';
/** The label of the mark that has the focus, or null. */
const focusedLabel = `document.activeElement.matches('.mark') ? document.activeElement.ariaLabel : null`;
/** For the size of a desk and of a laptop beside a terminal. */
const sizes = [
  { width: 1400, height: 900 },
  { width: 800, height: 600 },
] as const;

describe('the timeline in a browser', function () {
  this.timeout(suiteTimeoutMs);
  let browser: Browser;
  let folder: string;
  let story: string;

  before(async function () {
    if (!chromiumInstalled) skipBecause(this, 'chromium is not installed');
    folder = await mkdtemp(path.join(tmpdir(), 'hotmirror-timeline-'));
    story = await saved('story.html', timelinePage(takeoverStory(), { title: 'A takeover and the way back', note: 'seed 41' }));
    browser = await launchChromium();
  });
  after(async () => {
    if (!chromiumInstalled) return;
    await browser.close();
    await rm(folder, { recursive: true });
  });

  async function saved(name: string, page: string): Promise<string> {
    const file = path.join(folder, name);
    await writeFile(file, page);
    return file;
  }

  /** Opens a page, uses it, and finds that it complained of nothing and asked for nothing. */
  async function withPage(file: string, use: (page: Page) => Promise<void>, options: PageOptions = {}): Promise<void> {
    const page = await browser.newPage({ viewport: sizes[0], ...options });
    const complaints: string[] = [];
    const asked: string[] = [];
    page.on('console', (message) => complaints.push(message.text()));
    page.on('pageerror', (error) => complaints.push(error.message));
    page.on('request', (request) => asked.push(request.url()));
    await page.goto(pathToFileURL(file).href);
    await use(page);
    await page.close();
    expect(complaints).to.deep.equal([]);
    expect(asked).to.deep.equal([pathToFileURL(file).href]);
  }

  const ruler = (page: Page): Promise<Buffer> => page.locator('.axis').screenshot();
  const marks = (page: Page): Locator => page.locator('#marks .mark');

  for (const colorScheme of ['light', 'dark'] as const) {
    for (const viewport of sizes) {
      it(`draws something, ${colorScheme}, ${String(viewport.width)} × ${String(viewport.height)}`, () =>
        withPage(
          story,
          async (page) => {
            expect(await page.title()).to.equal('A takeover and the way back');
            const picture = readPng(await page.screenshot());
            expect([picture.width, picture.height]).to.deep.equal([viewport.width, viewport.height]);
            expect(coloursOf(picture)).to.be.greaterThan(fewestColours);
            if (colorScheme === 'dark') expect(brightnessOf(picture)).to.be.lessThan(80);
            else expect(brightnessOf(picture)).to.be.greaterThan(200);
            const lanes = readPng(await page.locator('#lanes').screenshot());
            expect(coloursOf(lanes)).to.be.greaterThan(fewestColours / 2);
          },
          { colorScheme, viewport },
        ));
    }
  }

  it('opens a decision with Enter: its text, its rule and its evidence; Escape closes it and gives the focus back', () =>
    withPage(story, async (page) => {
      const mark = page.locator('#marks .mark[aria-label*="lineage.base"]').first();
      await mark.focus();
      await page.keyboard.press('Enter');
      const details = page.locator('#details');
      expect(await details.innerText())
        .to.include('alpha is the source of beta (copy: union)')
        .and.to.include('lineage.base');
      expect(await details.innerText())
        .to.include(rules['lineage.base'])
        .and.to.include('union');
      await page.keyboard.press('Escape');
      expect(await details.isVisible()).to.equal(false);
      expect(await page.evaluate(`document.activeElement.matches('.mark[aria-label*="lineage.base"]')`)).to.equal(true);
    }));

  it('opens what is clicked, and goes on to the next mark', () =>
    withPage(story, async (page) => {
      await page.locator('.mark.fault').first().click();
      expect(await page.locator('#details').innerText()).to.include('the data link of m0 is cut');
      await page.getByRole('button', { name: 'next mark' }).click();
      expect(await page.locator('#details').innerText())
        .to.include('m0 without its peer: go')
        .and.to.include(rules.alone);
    }));

  it('says what a fault was, beside its mark under the pointer and in the line below', () =>
    withPage(story, async (page) => {
      const tip = page.locator('#tip');
      expect(await tip.isVisible()).to.equal(false);
      await page.hover('.mark.fault', { position: { x: 12, y: 12 } });
      expect(await tip.innerText())
        .to.include('fault:begun')
        .and.to.include('the data link of m0 is cut');
      expect(await page.locator('#hover').innerText()).to.include('the data link of m0 is cut');
      await page.mouse.move(5, 5);
      expect(await tip.isVisible()).to.equal(false);
    }));

  it('goes to the first fault on demand, and says what the overview shows', () =>
    withPage(story, async (page) => {
      await page.getByRole('button', { name: 'first fault' }).click();
      expect(await page.locator('#details').innerText()).to.include('the data link of m0 is cut');
      expect(await page.locator('.entry[aria-selected="true"]').innerText()).to.include('fault:begun');
      expect(await page.locator('.key').innerText())
        .to.include('fault, class 3')
        .and.to.include('rows alpha, beta:');
    }));

  it('finds a decision by its rule, in the chart and in the list', () =>
    withPage(story, async (page) => {
      await page.fill('#filter', 'takeover.commit decided');
      expect(await page.locator('.entry').allInnerTexts()).to.have.length(1);
      expect(await marks(page).count()).to.equal(1);
      await page.focus('#entries');
      await page.keyboard.press('Enter');
      const text = await page.locator('#details').innerText();
      for (const part of [decided, 'takeover.commit', rules['takeover.commit'], '"m0": "uptodate"']) expect(text).to.include(part);
    }));

  it('zooms and pans by keyboard and wheel, and shows all again', () =>
    withPage(story, async (page) => {
      await page.focus('#plot');
      const all = await ruler(page);
      const count = await marks(page).count();
      await page.keyboard.press('+');
      await page.keyboard.press('+');
      const closer = await ruler(page);
      expect(closer.equals(all)).to.equal(false);
      expect(await marks(page).count()).not.to.equal(count);
      await page.keyboard.press('ArrowRight');
      expect((await ruler(page)).equals(closer)).to.equal(false);
      await page.keyboard.press('Home');
      expect((await ruler(page)).equals(all)).to.equal(true);
      await page.hover('#plot', { position: { x: 300, y: 200 } });
      await page.mouse.wheel(0, -480);
      await page.mouse.move(10, 10);
      await page.waitForFunction(`document.querySelectorAll('#marks .mark').length !== ${String(count)}`);
    }));

  it('moves through every mark with Tab, also those out of view, in order', () =>
    withPage(story, async (page) => {
      await page.focus('#plot');
      for (let press = 0; press < 4; press += 1) await page.keyboard.press('+');
      for (let press = 0; press < 40; press += 1) await page.keyboard.press('ArrowLeft');
      await page.focus('#plot');
      const labels: string[] = [];
      for (;;) {
        await page.keyboard.press('Tab');
        const label = (await page.evaluate(focusedLabel)) as string | null;
        if (label === null) break;
        labels.push(label);
      }
      expect(labels.join()).to.include(decided).and.to.include('alpha loses power').and.to.include('recover: done');
      const times = labels.map(Number.parseFloat);
      expect(times).to.deep.equal(times.toSorted((one, other) => one - other));
    }));

  it('changes its colours on demand, and explains its signs', () =>
    withPage(story, async (page) => {
      const before = brightnessOf(readPng(await page.screenshot()));
      await page.click('#theme');
      expect(brightnessOf(readPng(await page.screenshot()))).to.be.lessThan(before / 2);
      await page.click('#legend-toggle');
      expect(await page.locator('#legend').innerText())
        .to.include('writes are parked')
        .and.to.include('class 3: service lost');
      await page.keyboard.press('Escape');
      expect(await page.locator('#legend').isVisible()).to.equal(false);
    }));

  it('shows text, never markup, whatever an entry says', async () => {
    const attack = '</script><img src=x onerror="document.title=1">';
    const story = new Story();
    story.tell(0, attack, 'takeover:decided', attack, { rule: attack, mirror: attack, evidence: { [attack]: attack } });
    const file = await saved('attack.html', timelinePage(story.entries(), { title: 'safe', note: attack }));
    await withPage(file, async (page) => {
      await marks(page).first().click();
      expect(await page.locator('#details').innerText()).to.include(attack);
      expect(await page.locator('img').count()).to.equal(0);
      expect(await page.title()).to.equal('safe');
    });
  });

  it('can be read without JavaScript', () =>
    withPage(
      story,
      async (page) => {
        const text = await page.locator('body').innerText();
        expect(text).to.include(decided).and.to.include(rules['takeover.commit']);
      },
      { javaScriptEnabled: false },
    ));

  it('takes 100,000 entries, and lists them', async () => {
    const story = new Story();
    story.node(0, 'alpha', 'serving', 'normal', 1, 'alpha');
    story.writes(0, 1_150_000, 'alpha', 1);
    const entries = story.entries();
    expect(entries.length).to.be.greaterThan(100_000);
    const file = await saved('long.html', timelinePage(entries, { title: 'a long one' }));
    await withPage(file, async (page) => {
      await page.getByRole('radio', { name: 'All' }).check();
      await page.focus('#entries');
      await page.keyboard.press('End');
      expect(await page.locator('.entry').count()).to.be.within(1, 60);
      expect(await page.locator('#details').innerText()).to.include(entries.at(-1)!.text);
    });
  });

  it("shows a real node's log, by hotmirror events --report", async () => {
    const pair = await CommandPair.healthy();
    try {
      const file = path.join(folder, 'alpha.html');
      expect(await pair.must('alpha', 'events', '--report', file)).to.include(`shown in ${file}\n`);
      expect(await readFile(file, 'utf8')).to.include('What alpha did');
      await withPage(file, async (page) => {
        const lanes = await page.locator('#labels .lane').allInnerTexts();
        for (const lane of ['decisions', 'state', 'epoch', 'm0 serving', 'm0 element', 'data m0 seen by alpha'])
          expect(lanes).to.include(lane);
        await page.fill('#filter', 'service:started');
        await page.locator('.entry').first().click();
        expect(await page.locator('#details').innerText()).to.include('alpha serves epoch 1/alpha');
      });
    } finally {
      await pair.end();
    }
  });
});
