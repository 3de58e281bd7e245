import os from 'node:os';

import { sleep } from '../../src/clock/clock.ts';
import { systemClock } from '../../src/clock/system-clock.ts';
import { MonitorProcess } from '../../test/support/monitor-process.ts';
import { describeMachine, describeRun } from '../support/machine.ts';
import { cpuSecondsOf } from '../support/proc.ts';
import { Workplace } from '../support/processes.ts';
import { readSettings, usage } from './settings.ts';
import type { Settings } from './settings.ts';
import { deathText, loadBetween, loadText, stories, summaryTable } from './summary.ts';
import type { Load, Watched } from './summary.ts';

/*
 * Two processes watch each other by real monitors while busy processes take all CPU time there is. Prints what the monitors made of it; nothing is judged.
 */

const storyDeadlines = 4;
/** A verdict falls later where the monitor itself does not get the time to look. */
const verdictDeadlines = 100;
const pollMs = 20;
const msPerSecond = 1_000;
const secondsPerMinute = 60;

/** What was measured. */
interface Measured {
  readonly watched: readonly Watched[];
  readonly load: Load;
  /** From the death of one process until the other's monitor called it down; null where it did not. */
  readonly deathNoticedMs: number | null;
}

async function measure(settings: Settings): Promise<Measured> {
  const workplace = new Workplace(os.tmpdir());
  const { alpha, beta } = await MonitorProcess.pair(settings);
  try {
    const busy = Array.from({ length: settings.load }, () => workplace.start(process.execPath, ['-e', 'for (;;);']).pid);
    const both = [alpha, beta];
    await sleep(systemClock, settings.deadlineMs);
    const used = (): Load => ({ ...usedSoFar(), busySeconds: cpuSecondsOf(busy) });
    const own = (): readonly number[] => both.map(({ pid }) => cpuSecondsOf([pid]));
    for (const monitor of both) await monitor.forget();
    const [before, ownBefore] = [used(), own()];
    await sleep(systemClock, settings.minutes * secondsPerMinute * msPerSecond);
    const [after, ownAfter] = [used(), own()];
    for (const monitor of both) await monitor.look();
    const watched = both.map(({ node, news, tripsMs }, at) => {
      return { node, news: [...news], tripsMs: [...tripsMs], cpuSeconds: ownAfter[at]! - ownBefore[at]! };
    });
    return { watched, load: loadBetween(before, after), deathNoticedMs: await kill(beta, alpha, settings.deadlineMs) };
  } finally {
    await Promise.all([alpha.end(), beta.end()]);
    await workplace.end();
  }
}

/** Kills one process; gives how long the monitor of the other took to call it down, or null where it did not. */
async function kill(victim: MonitorProcess, watcher: MonitorProcess, deadlineMs: number): Promise<number | null> {
  const killedMs = systemClock.nowMs();
  await victim.end();
  while (systemClock.nowMs() < killedMs + verdictDeadlines * deadlineMs) {
    await watcher.look();
    const verdict = watcher.news.find((each) => each.kind === 'peer' && each.to === 'down' && each.atMs > killedMs);
    if (verdict) return verdict.atMs - killedMs;
    await sleep(systemClock, pollMs);
  }
  return null;
}

/** Since the machine started. */
function usedSoFar(): Omit<Load, 'busySeconds'> {
  const cpus = os.cpus();
  const ms = cpus.reduce((sum, { times }) => sum + times.user + times.nice + times.sys + times.irq, 0);
  return { usedSeconds: ms / msPerSecond, allSeconds: (cpus.length * systemClock.nowMs()) / msPerSecond };
}

async function main(): Promise<void> {
  const settings = readSettings(process.argv.slice(2));
  const { minutes, intervalMs, deadlineMs, load: busy } = settings;
  console.log(`${describeMachine([])}\n${describeRun(['npm run bench:monitor --', ...process.argv.slice(2)].join(' '))}`);
  console.log(`Interval ${intervalMs} ms, deadline ${deadlineMs} ms, two links, ${busy} busy processes, ${minutes} minutes.\n`);
  const { watched, load, deathNoticedMs } = await measure(settings);
  console.log(`${summaryTable(watched)}\n\n${loadText(load)} Load average ${os.loadavg()[0]!.toFixed(1)} at the end.`);
  console.log(deathText(deathNoticedMs));
  for (const line of stories(watched, storyDeadlines * deadlineMs)) console.log(line);
}

try {
  await main();
} catch (error) {
  if (!(error instanceof TypeError || error instanceof RangeError)) throw error;
  console.error(`${error.message}\n${usage}`);
  process.exitCode = 2;
}
