import { HotMirrorError } from '../../errors.ts';
import { ask } from '../ask.ts';
import type { Command } from '../command.ts';
import { configOf, exitCodes, print } from '../command.ts';

/** Takes this node's element of a mirror out, or brings it back. */
export const elementCommand: Command = {
  name: 'element',
  usage: 'MIRROR off|on',
  summary: "takes this node's element out, or brings it back",
  options: {},
  words: [[], ['off', 'on']],
  common: ['config', 'node', 'json'],
  async run(invocation) {
    const [mirror = '', to] = invocation.positionals;
    if (to !== 'off' && to !== 'on') throw new HotMirrorError('HM_USAGE', 'say off or on');
    const names = configOf(invocation).config.mirrors.map(({ name }) => name);
    if (!names.includes(mirror)) throw new HotMirrorError('HM_USAGE', `there is no mirror "${mirror}"; there are ${names.join(', ')}`);
    print(invocation, await ask(invocation, 'element', { mirror, to }), ({ text }) => text);
    return exitCodes.done;
  },
};
