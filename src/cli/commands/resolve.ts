import path from 'node:path';

import { HotMirrorError } from '../../errors.ts';
import { peerOf } from '../../node/config.ts';
import { ask } from '../ask.ts';
import type { Command } from '../command.ts';
import { configOf, exitCodes, flag, optionText, print, unconfirmed } from '../command.ts';

/** Ends a split brain of a mirror: one node survives, the other gives way. */
export const resolveCommand: Command = {
  name: 'resolve',
  usage: 'MIRROR --survivor NODE [--salvage FILE]',
  summary: 'ends a split brain: the element of one node survives, the other is overwritten',
  options: {
    survivor: { type: 'string', value: 'NODE', help: 'the node whose element survives; needed' },
    salvage: {
      type: 'string',
      value: 'FILE',
      help: 'a new file on the other node that keeps what is overwritten there; default: it is lost',
    },
  },
  words: [[]],
  common: ['config', 'node', 'json', 'yes'],
  async run(invocation) {
    const { config } = configOf(invocation);
    const [mirror = ''] = invocation.positionals;
    if (!config.mirrors.some(({ name }) => name === mirror)) throw new HotMirrorError('HM_USAGE', `no mirror is called "${mirror}"`);
    const survivor = optionText(invocation, 'survivor');
    if (survivor === undefined) throw new HotMirrorError('HM_USAGE', 'resolve needs --survivor NODE');
    const loser = peerOf(config, survivor);
    const salvage = optionText(invocation, 'salvage');
    if (!flag(invocation, 'yes')) {
      const kept = salvage === undefined ? 'and kept nowhere' : `and kept in ${salvage} on ${loser}`;
      throw unconfirmed(
        'resolve',
        `what ${loser} completed alone in ${mirror} since both elements were last the same is overwritten, ${kept}`,
      );
    }
    // A path counts from the folder in which the command was given, also where the other node writes the file.
    const params = { mirror, survivor, salvage: salvage === undefined ? null : path.resolve(salvage) };
    print(invocation, await ask(invocation, 'resolve', params, { patient: true }), ({ text }) => text);
    return exitCodes.done;
  },
};
