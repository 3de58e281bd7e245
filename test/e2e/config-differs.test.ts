import { expect } from 'chai';

import type { NodeStatus } from '../../src/node/control-protocol.ts';
import { CommandPair, deadlineMs } from './support/command-pair.ts';
import type { PairFile } from './support/command-pair.ts';

describe('A node that runs with another configuration than its peer', function () {
  this.timeout(120_000);
  let pair: CommandPair;
  let file: PairFile;

  before(async () => {
    pair = await CommandPair.healthy({ change: (made) => (file = made) });
  });
  after(() => pair.end());

  const differs = ({ warnings = [] }: NodeStatus): boolean => warnings.some(({ because }) => because.includes('which differs in monitor'));
  const startBetaAnew = async (change: object): Promise<void> => {
    await pair.stop('beta');
    await pair.writeConfig({ ...file, monitor: { ...file.monitor, ...change } });
    await pair.run('beta');
  };

  it('timing.lease: is warned of on both until both run with the same', async () => {
    await startBetaAnew({ deadlineMs: deadlineMs / 2 });
    for (const node of ['alpha', 'beta'] as const) {
      const { warnings } = await pair.until(node, 'a warning of what differs', differs);
      expect(warnings?.map(({ rule }) => rule)).to.include('timing.lease');
    }
    await startBetaAnew({});
    await pair.event('alpha', 'an end of the difference', ({ event }) => event === 'config:agrees');
    for (const node of ['alpha', 'beta'] as const) await pair.until(node, 'no such warning', (status) => !differs(status));
  });
});
