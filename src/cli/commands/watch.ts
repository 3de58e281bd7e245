import { HotMirrorError } from '../../errors.ts';
import { longestMaintenanceMs } from '../../node/watch-orders.ts';
import { ask } from '../ask.ts';
import type { Command, ExitCode, Invocation } from '../command.ts';
import { exitCodes, optionText, print } from '../command.ts';

const minuteMs = 60_000;
const wholeNumber = /^[1-9]\d{0,8}$/;

/** Changes how often the nodes probe each other and how long they wait, while they run. */
export const watchCommand: Command = {
  name: 'watch',
  usage: '[--interval MS] [--deadline MS]',
  summary: 'changes how often the nodes probe each other and how long silence is borne, on both nodes until each is restarted',
  options: {
    interval: { type: 'string', value: 'MS', help: 'between two tokens on a link, in ms; default: as it is' },
    deadline: { type: 'string', value: 'MS', help: 'silence that is borne, in ms, at least as configured; default: as it is' },
  },
  words: [],
  common: ['config', 'node', 'json'],
  async run(invocation) {
    const times = { intervalMs: timeOf(invocation, 'interval'), deadlineMs: timeOf(invocation, 'deadline') };
    if (times.intervalMs === null && times.deadlineMs === null)
      throw new HotMirrorError('HM_USAGE', 'say --interval MS, --deadline MS, or both');
    return told(invocation, await ask(invocation, 'watch', times));
  },
};

/** Keeps both nodes from verdicts, and so from automatic takeovers, for a while. */
export const maintenanceCommand: Command = {
  name: 'maintenance',
  usage: 'MINUTES|off',
  summary: 'no verdicts and no automatic takeover for so many minutes, on both nodes; ends by itself, or with off',
  options: {},
  words: [[]],
  common: ['config', 'node', 'json'],
  async run(invocation) {
    const word = invocation.positionals[0] ?? '';
    const most = longestMaintenanceMs / minuteMs;
    if (word !== 'off' && !(wholeNumber.test(word) && Number(word) <= most))
      throw new HotMirrorError('HM_USAGE', `say off, or for how many minutes, from 1 to ${String(most)}`);
    return told(invocation, await ask(invocation, 'maintenance', { forMs: word === 'off' ? null : Number(word) * minuteMs }));
  },
};

function timeOf(invocation: Invocation, option: string): number | null {
  const text = optionText(invocation, option);
  if (text === undefined) return null;
  if (!wholeNumber.test(text)) throw new HotMirrorError('HM_USAGE', `--${option} takes a whole number of ms, not "${text}"`);
  return Number(text);
}

function told(invocation: Invocation, result: { readonly text: string; readonly toldBoth: boolean }): ExitCode {
  print(invocation, result, ({ text }) => text);
  return result.toldBoth ? exitCodes.done : exitCodes.findings;
}
