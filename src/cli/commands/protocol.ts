import { HotMirrorError } from '../../errors.ts';
import type { MirrorProtocol } from '../../node/control-protocol.ts';
import { protocols } from '../../node/control-protocol.ts';
import { ask } from '../ask.ts';
import type { Command } from '../command.ts';
import { configOf, exitCodes, flag, print, unconfirmed } from '../command.ts';

const mayLose: Readonly<Record<MirrorProtocol, string | null>> = {
  sync: null,
  memsync: 'what is acknowledged and was only received by the other node is lost where both nodes fail at once',
  async: 'a takeover may lose what is acknowledged and queued, up to limits.windowBytes of the configuration',
};

/** Changes by which protocol requests complete, while they do. */
export const protocolCommand: Command = {
  name: 'protocol',
  usage: 'MIRROR sync|memsync|async',
  summary: 'changes when a write completes, on both nodes until each is restarted; memsync and async need --yes',
  options: {},
  words: [[], protocols],
  common: ['config', 'node', 'json', 'yes'],
  async run(invocation) {
    const [mirror = '', word] = invocation.positionals;
    const protocol = protocols.find((each) => each === word);
    if (!protocol) throw new HotMirrorError('HM_USAGE', `say ${protocols.join(' or ')}`);
    const names = configOf(invocation).config.mirrors.map(({ name }) => name);
    if (!names.includes(mirror)) throw new HotMirrorError('HM_USAGE', `there is no mirror "${mirror}"; there are ${names.join(', ')}`);
    const loss = mayLose[protocol];
    if (loss !== null && !flag(invocation, 'yes')) throw unconfirmed(`protocol ${protocol}`, loss);
    const result = await ask(invocation, 'protocol', { mirror, protocol }, { patient: true });
    print(invocation, result, ({ text }) => text);
    return result.toldBoth ? exitCodes.done : exitCodes.findings;
  },
};
