import type { InitReport } from '../../node/programs.ts';
import type { Command } from '../command.ts';
import { configOf, exitCodes, flag, print, thisNode, unconfirmed } from '../command.ts';
import { formatBytes, formatTable } from '../table.ts';

/** Makes the key file and the metadata of this node's elements. */
export const initCommand: Command = {
  name: 'init',
  usage: '[--force] [--blank]',
  summary: 'creates the key file where absent (home primary) and the metadata of this node',
  options: {
    force: { type: 'boolean', help: 'replaces metadata that exists; needs --yes' },
    blank: { type: 'boolean', help: 'the elements are blank, whatever the home of the node: the other node holds the data' },
  },
  words: [],
  common: ['config', 'node', 'json', 'yes'],
  async run(invocation) {
    const { io } = invocation;
    const loaded = configOf(invocation);
    const node = thisNode(invocation);
    const force = flag(invocation, 'force');
    const blank = flag(invocation, 'blank');
    if (force && !flag(invocation, 'yes')) {
      const becomes =
        loaded.config.nodes[node]?.home === 'primary' && !blank
          ? 'the data that the other node is overwritten with'
          : 'blank and overwritten from the other node';
      throw unconfirmed(`init --force on ${node}`, `what the metadata knows is forgotten, and each element of ${node} becomes ${becomes}`);
    }
    print(invocation, await io.programs.init({ loaded, node, clock: io.clock, random: io.random, force, blank }), describe);
    return exitCodes.done;
  },
};

const elements = { data: 'what it holds is the data', blank: 'blank, to be filled from the other node' } as const;
const keys = {
  created: 'key file created: copy it to the other node',
  present: 'key file present',
  none: 'no key file configured',
} as const;

function describe({ node, home, key, mirrors }: InitReport): string {
  const table = formatTable(
    mirrors.map(({ name, sizeBytes, element, metadata }) => [`  ${name}`, formatBytes(sizeBytes), elements[element], metadata]),
  );
  return `node ${node}, home ${home}; ${keys[key]}\n${table}`;
}
