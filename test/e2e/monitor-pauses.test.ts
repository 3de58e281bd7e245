import { expect } from 'chai';

import { sleep } from '../../src/clock/clock.ts';
import { systemClock } from '../../src/clock/system-clock.ts';
import { MonitorProcess } from '../support/monitor-process.ts';
import type { MonitorNode } from '../support/monitor-program.ts';

const intervalMs = 60;
const deadlineMs = 300;
const suspendedMs = 10 * deadlineMs;
const blockedMs = 2 * deadlineMs;
/** So long nothing may be said against a peer that lives. */
const watchedMs = 4 * deadlineMs;
const blocks = 5;

/** Two processes with real monitors on TCP links: own pauses are nobody's silence (rule `watch.pause`). */
describe('a monitor whose process stands still', function () {
  this.timeout(60_000);
  let pair: Readonly<Record<MonitorNode, MonitorProcess>>;

  beforeEach(async () => {
    pair = await MonitorProcess.pair({ intervalMs, deadlineMs });
    for (const monitor of [pair.alpha, pair.beta]) await monitor.forget();
  });

  afterEach(async () => {
    await Promise.all([pair.alpha.end(), pair.beta.end()]);
  });

  it('SIGSTOP for ten deadlines: its peer calls it down, and upon SIGCONT it does not call its peer down', async () => {
    await suspend(pair.alpha);
    await pair.beta.look();
    expect(saidOfPeer(pair.beta), 'what the other said meanwhile').to.include('down');
    await sleep(systemClock, watchedMs);
    await wellAgain();
    expectNoVerdict(pair.alpha);
  });

  it('SIGSTOP of both for ten deadlines, as on a suspended host: upon SIGCONT neither calls the other down', async () => {
    await suspend(pair.alpha, pair.beta);
    await sleep(systemClock, watchedMs);
    await wellAgain();
    expectNoVerdict(pair.alpha);
    expectNoVerdict(pair.beta);
  });

  for (const betweenMs of [intervalMs, 2 * deadlineMs])
    it(`its event loop blocked for two deadlines, five times, ${betweenMs} ms apart: it never calls its peer down`, async () => {
      for (let block = 0; block < blocks; block += 1) {
        await pair.alpha.block(blockedMs);
        await sleep(systemClock, betweenMs);
      }
      await sleep(systemClock, watchedMs);
      await wellAgain();
      expectNoVerdict(pair.alpha, blocks);
    });

  async function suspend(...monitors: readonly MonitorProcess[]): Promise<void> {
    for (const monitor of monitors) monitor.signal('SIGSTOP');
    await sleep(systemClock, suspendedMs);
    for (const monitor of monitors) monitor.signal('SIGCONT');
  }

  /** All links come back, and both know that the other lives. */
  async function wellAgain(): Promise<void> {
    await Promise.all([pair.alpha.untilUp(), pair.beta.untilUp()]);
  }
});

function saidOfPeer({ news }: MonitorProcess): readonly string[] {
  return news.flatMap((each) => (each.kind === 'peer' ? each.to : []));
}

/** It noticed so many pauses at least, and passed no verdict. */
function expectNoVerdict(monitor: MonitorProcess, pauses = 1): void {
  const told = monitor.news.map(({ atMs, text }) => `${atMs.toFixed(0)} ${text}`).join('\n');
  expect(monitor.news.filter(({ kind }) => kind === 'overslept').length, `pauses of ${monitor.node}\n${told}`).to.be.at.least(pauses);
  expect(saidOfPeer(monitor), `what ${monitor.node} said\n${told}`).to.not.include('down');
}
