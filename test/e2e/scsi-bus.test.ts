import path from 'node:path';

import { expect } from 'chai';

import { sleep } from '../../src/clock/clock.ts';
import { systemClock } from '../../src/clock/system-clock.ts';
import type { NodeStatus } from '../../src/node/control-protocol.ts';
import { SeededRandom } from '../../src/testing/seeded-random.ts';
import { BusProcess } from '../transport/scsi-sim/bus-process.ts';
import { AcknowledgedWrites } from './support/acknowledged-writes.ts';
import { CommandPair, elementBytes } from './support/command-pair.ts';
import type { NodeName, PairFile } from './support/command-pair.ts';
import { exportIt, socketOf, untilExported } from './support/exported-pair.ts';

const socket = 'bus.sock';
const writingMs = 500;

/** The second monitor link is a SCSI bus. */
function overScsi(file: PairFile): void {
  exportIt(file);
  Object.assign(file.monitor.links[1]!, { name: 'scsi', alpha: `scsi-sim:${socket}?id=7`, beta: `scsi-sim:${socket}?id=6` });
}

function linkOf({ monitor }: NodeStatus): string | undefined {
  return monitor.links.find(({ name }) => name === 'scsi')?.state;
}

describe('a pair with a SCSI bus between its nodes', function () {
  this.timeout(300_000); // many processes on a machine that may be busy

  let pair: CommandPair;
  let bus: BusProcess;

  beforeEach(async () => {
    pair = await CommandPair.initialised({ change: overScsi });
    bus = await BusProcess.start(path.join(pair.folder, socket));
    await Promise.all([pair.run('alpha'), pair.run('beta')]);
    await pair.health('alpha');
    for (const node of ['alpha', 'beta'] as const) await pair.until(node, 'the SCSI link', (status) => linkOf(status) === 'up');
  });
  afterEach(async () => {
    await pair.end();
    await bus.end();
  });

  for (const [first, second] of [
    ['alpha', 'beta'],
    ['beta', 'alpha'],
  ] as const) {
    it(`loses no acknowledged write when a bus error takes down both, and ${first} boots before ${second}`, async () => {
      await untilExported(pair, 'alpha');
      const writes = new AcknowledgedWrites(new SeededRandom(1), elementBytes);
      const { ended } = await writes.begin(socketOf(pair, 'alpha'));
      await sleep(systemClock, writingMs);
      expect(await bus.fault('error')).to.equal('hosts none, terminated');
      expect(await Promise.all([pair.process('alpha').ended, pair.process('beta').ended])).to.deep.equal([null, null]);
      await ended;
      expect(writes.acknowledged).to.be.above(0);
      for (const node of ['alpha', 'beta'] as const)
        expect(pair.process(node).stderr).to.include('a SCSI bus error: every host on the bus goes down with it');

      await pair.run(first);
      await pair.run(second);
      await pair.health('alpha');
      await untilExported(pair, 'alpha');
      expect(await writes.lost(socketOf(pair, 'alpha'))).to.deep.equal([]);
      await pair.stopAll();
      expect(await pair.identical()).to.equal(true);
    });
  }

  it('goes on over the other link while the bus is gone, and is watched over it again once it is back', async () => {
    await bus.end('SIGKILL');
    const nodes: readonly NodeName[] = ['alpha', 'beta'];
    for (const node of nodes) await pair.until(node, 'a silent SCSI link', (status) => linkOf(status) === 'down');
    bus = await BusProcess.start(path.join(pair.folder, socket));
    for (const node of nodes) await pair.until(node, 'the SCSI link again', (status) => linkOf(status) === 'up');
    await pair.health('alpha');
  });
});
