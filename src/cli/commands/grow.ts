import { HotMirrorError } from '../../errors.ts';
import { ask } from '../ask.ts';
import type { Command } from '../command.ts';
import { configOf, exitCodes, print } from '../command.ts';

/** Makes a mirror as large as both its devices are by now. */
export const growCommand: Command = {
  name: 'grow',
  usage: 'MIRROR',
  summary: 'makes a mirror as large as both its devices are, after they were enlarged',
  options: {},
  words: [[]],
  common: ['config', 'node', 'json'],
  async run(invocation) {
    const [mirror = ''] = invocation.positionals;
    const names = configOf(invocation).config.mirrors.map(({ name }) => name);
    if (!names.includes(mirror)) throw new HotMirrorError('HM_USAGE', `there is no mirror "${mirror}"; there are ${names.join(', ')}`);
    print(invocation, await ask(invocation, 'grow', { mirror }, { patient: true }), ({ text }) => text);
    return exitCodes.done;
  },
};
