import { HotMirrorError } from '../../errors.ts';
import { isUnfenced } from '../../node/config.ts';
import { unfencedWarning } from '../../node/timing.ts';
import { ask } from '../ask.ts';
import type { Command } from '../command.ts';
import { configOf, exitCodes, print } from '../command.ts';

/** Switches automatic fallback on or off. */
export const controlCommand: Command = {
  name: 'control',
  usage: 'auto|manual',
  summary: 'switches automatic fallback on or off',
  options: {},
  words: [['auto', 'manual']],
  common: ['config', 'node', 'json'],
  async run(invocation) {
    const mode = invocation.positionals[0];
    if (mode !== 'auto' && mode !== 'manual') throw new HotMirrorError('HM_USAGE', 'say auto or manual');
    print(invocation, await ask(invocation, 'control', { mode }), ({ text }) => text);
    if (mode === 'auto' && isUnfenced(configOf(invocation).config))
      invocation.io.err(`hotmirror: warning: takeover.unfenced: ${unfencedWarning}\n`);
    return exitCodes.done;
  },
};
