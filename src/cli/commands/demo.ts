import type { Command } from '../command.ts';
import { exitCodes, flag, print } from '../command.ts';

/** Shows a pair on this machine through a failure and back. */
export const demoCommand: Command = {
  name: 'demo',
  usage: '',
  summary: 'a pair of two processes on this machine, a kill -9, a fallback, a recovery, a verdict',
  options: {},
  words: [],
  common: ['json'],
  async run(invocation) {
    const { io } = invocation;
    // With --json the verdict alone is the result.
    const account = flag(invocation, 'json') ? io.err : io.out;
    const verdict = await io.programs.demo({ clock: io.clock, random: io.random, signal: io.signal, tell: (text) => account(`${text}\n`) });
    print(invocation, verdict, ({ text }) => text);
    if (verdict.stopped) return exitCodes.interrupted;
    return verdict.passed ? exitCodes.done : exitCodes.failed;
  },
};
