import { HotMirrorError } from '../../errors.ts';
import type { Command, Invocation } from '../command.ts';
import { exitCodes, flag, optionText, print } from '../command.ts';

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
    seed: { type: 'string' },
    seeds: { type: 'string' },
    for: { type: 'string' },
    schedule: { type: 'string' },
    report: { type: 'string' },
  },
  words: [],
  needsConfig: false,
  async run(invocation) {
    const { io } = invocation;
    const seed = whole(invocation, 'seed', largestSeed);
    const seeds = whole(invocation, 'seeds', largestCount);
    const seconds = whole(invocation, 'for', longestSeconds);
    const schedule = optionText(invocation, 'schedule') ?? null;
    if (schedule !== null && (seed ?? seeds ?? seconds) !== null)
      throw new HotMirrorError('HM_USAGE', 'simulate: --schedule is one run; --seed, --seeds and --for do not go with it');
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
      report: optionText(invocation, 'report') ?? null,
    });
    print(invocation, verdict, ({ text }) => text);
    return verdict.passed ? exitCodes.done : exitCodes.failed;
  },
};

function whole(invocation: Invocation, name: string, largest: number): number | null {
  const text = optionText(invocation, name);
  if (text === undefined) return null;
  if (!/^\d+$/.test(text) || Number(text) > largest)
    throw new HotMirrorError('HM_USAGE', `simulate: --${name} takes a whole number up to ${String(largest)}`);
  return Number(text);
}
