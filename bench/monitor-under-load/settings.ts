import os from 'node:os';
import { parseArgs } from 'node:util';

import { watchTimes } from '../../src/heartbeat/options.ts';

export const usage = `Usage: npm run bench:monitor -- [--minutes M] [--interval MS] [--deadline MS] [--load N]
  --minutes M    how long it is watched (default 10)
  --interval MS  between two tokens on a link (default 100)
  --deadline MS  silence that makes a link down (default 500)
  --load N       busy processes beside the monitors (default: 2 for each core)`;

/** What is measured. */
export interface Settings {
  readonly minutes: number;
  readonly intervalMs: number;
  readonly deadlineMs: number;
  /** Busy processes. */
  readonly load: number;
}

const busyPerCore = 2;

/** Reads the command line. Throws `TypeError` for what it does not know, `RangeError` for times that cannot be watched. */
export function readSettings(args: readonly string[], cores: number = os.availableParallelism()): Settings {
  const text = { type: 'string' } as const;
  const { values } = parseArgs({ args: [...args], options: { minutes: text, interval: text, deadline: text, load: text } });
  const { minutes = '10', interval = '100', deadline = '500', load = String(busyPerCore * cores) } = values;
  if (!(Number.isFinite(Number(minutes)) && Number(minutes) > 0)) throw new TypeError('--minutes takes a number above 0');
  if (!/^\d+$/u.test(load)) throw new TypeError('--load takes a whole number');
  const { intervalMs, deadlineMs } = watchTimes({ intervalMs: Number(interval), deadlineMs: Number(deadline) });
  return { minutes: Number(minutes), intervalMs, deadlineMs, load: Number(load) };
}
