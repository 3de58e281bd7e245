import type { LoggedEvent } from '../../node/control-protocol.ts';
import { ask } from '../ask.ts';
import type { Command } from '../command.ts';
import { exitCodes, flag, print } from '../command.ts';

const nameWidth = 20;

/** Shows the event log. */
export const eventsCommand: Command = {
  name: 'events',
  usage: '[--follow]',
  summary: 'shows the event log, oldest first',
  options: { follow: { type: 'boolean' } },
  words: [],
  needsConfig: true,
  async run(invocation) {
    const follow = flag(invocation, 'follow');
    try {
      await ask(invocation, 'events', { follow }, { patient: follow, onProgress: (event) => print(invocation, event, describe) });
    } catch (error) {
      // Following ends by the user's wish only.
      if (!(follow && invocation.io.signal.aborted)) throw error;
    }
    return exitCodes.done;
  },
};

function describe({ time, node, event, class: effect, mirror, rule, text }: LoggedEvent): string {
  const about = mirror === undefined ? '' : ` ${mirror}:`;
  return `${time} ${node} ${String(effect)} ${event.padEnd(nameWidth)}${about} ${text}${rule === undefined ? '' : ` (${rule})`}`;
}
