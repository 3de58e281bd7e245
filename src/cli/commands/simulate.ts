import { HotMirrorError } from '../../errors.ts';
import type { Command, Invocation } from '../command.ts';
import { exitCodes, flag, optionText, print } from '../command.ts';
import { reportFile } from '../report-file.ts';

const largestSeed = 2 ** 32 - 1;
const largestCount = 1_000_000_000;
const longestSeconds = 31_536_000;
const msPerSecond = 1_000;
const seedsByDefault = 100;

/** Runs simulated pairs through faults that chance draws. */
export const simulateCommand: Command = {
  name: 'simulate',
  usage: '[--seed N] [--seeds COUNT] [--for SECONDS] [--schedule FILE.json] [--report FILE.html]',
  summary: 'whole pairs in virtual time through drawn faults, on every core; each run can be had again from its seed',
  options: {
    seed: { type: 'string', value: 'N', help: 'the first seed, 0 to 4294967295; alone: this one run; default: a fresh one' },
    seeds: {
      type: 'string',
      value: 'COUNT',
      help: `how many seeds in a row, at most, from 1; default: ${String(seedsByDefault)}, or no limit with --for`,
    },
    for: { type: 'string', value: 'SECONDS', help: 'begins no seed later than this, in seconds of real time, from 1; default: no limit' },
    schedule: { type: 'string', value: 'FILE.json', help: 'runs this one schedule in place of seeds' },
    report: {
      type: 'string',
      value: 'FILE.html',
      help: 'writes a page that shows the one run of --seed or --schedule on a time axis; a file that exists is replaced',
    },
  },
  words: [],
  common: ['json'],
  async run(invocation) {
    const { io } = invocation;
    const seed = whole(invocation, 'seed', 0, largestSeed);
    const seeds = whole(invocation, 'seeds', 1, largestCount);
    const seconds = whole(invocation, 'for', 1, longestSeconds);
    const schedule = optionText(invocation, 'schedule') ?? null;
    if (schedule !== null && (seed ?? seeds ?? seconds) !== null)
      throw new HotMirrorError('HM_USAGE', 'simulate: --schedule is one run; --seed, --seeds and --for do not go with it');
    const report = await reportFile(invocation);
    // With --json the verdict alone is the result.
    const account = flag(invocation, 'json') ? io.err : io.out;
    const verdict = await io.programs.simulate({
      clock: io.clock,
      random: io.random,
      signal: io.signal,
      tell: (text) => account(`${text}\n`),
      seed,
      seeds: seed === null && seconds === null ? (seeds ?? seedsByDefault) : seeds,
      forMs: seconds === null ? null : seconds * msPerSecond,
      schedule,
      report,
    });
    print(invocation, verdict, ({ text }) => text);
    if (verdict.stopped && verdict.failures.length === 0) return exitCodes.interrupted;
    return verdict.passed ? exitCodes.done : exitCodes.failed;
  },
};

function whole(invocation: Invocation, name: string, least: number, largest: number): number | null {
  const text = optionText(invocation, name);
  if (text === undefined) return null;
  if (!/^\d+$/.test(text) || Number(text) < least || Number(text) > largest)
    throw new HotMirrorError('HM_USAGE', `simulate: --${name} takes a whole number from ${String(least)} to ${String(largest)}`);
  return Number(text);
}
