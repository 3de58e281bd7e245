import { HotMirrorError } from '../../errors.ts';
import type { PlanView } from '../../node/control-protocol.ts';
import { ask } from '../ask.ts';
import type { Command } from '../command.ts';
import { exitCodes, print } from '../command.ts';
import { formatTable } from '../table.ts';

/** Shows what would be done. */
export const planCommand: Command = {
  name: 'plan',
  usage: 'fallback|recover',
  summary: 'shows the steps that would run now and the rules that would block them; changes nothing',
  options: {},
  words: [['fallback', 'recover']],
  common: ['config', 'node', 'json'],
  async run(invocation) {
    const wish = invocation.positionals[0];
    if (wish !== 'fallback' && wish !== 'recover') throw new HotMirrorError('HM_USAGE', 'say fallback or recover');
    print(invocation, await ask(invocation, 'plan', { wish }), describe);
    return exitCodes.done;
  },
};

function describe({ wish, fulfilled, steps, blockedBy, mayLose }: PlanView): string {
  if (fulfilled) return `${wish}: nothing to do`;
  const blocks = blockedBy.map(({ rule, because }) => `blocked by ${rule}: ${because}`);
  const table = formatTable(steps.map(({ node, step, text }, index) => [`${String(index + 1)}.`, node, step, text]));
  return [...blocks, table, ...(mayLose === null ? [] : [`by force it may lose: ${mayLose}`])].join('\n');
}
