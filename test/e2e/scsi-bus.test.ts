import path from 'node:path';

import { expect } from 'chai';

import { sleep } from '../../src/clock/clock.ts';
import { systemClock } from '../../src/clock/system-clock.ts';
import type { NodeStatus } from '../../src/node/control-protocol.ts';
import { SeededRandom } from '../../src/testing/seeded-random.ts';
import { BusProcess } from '../transport/scsi-sim/bus-process.ts';
import { AcknowledgedWrites } from './support/acknowledged-writes.ts';
import { CommandPair, deadlineMs, elementBytes, never } from './support/command-pair.ts';
import type { NodeName, PairFile } from './support/command-pair.ts';
import { CutNetwork } from './support/cut-network.ts';
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

/** What a mailbox, and starts on a busy machine, have time for. */
const mailboxDeadlineMs = 20 * deadlineMs;

describe('a pair with a mailbox on the shared unit of a SCSI bus', function () {
  this.timeout(300_000); // many processes on a machine that may be busy

  let pair: CommandPair;
  let bus: BusProcess;
  let network: CutNetwork;

  beforeEach(async () => {
    pair = await CommandPair.create();
    const file = await pair.readConfig();
    network = await CutNetwork.of(file);
    Object.assign(file.monitor, {
      intervalMs: mailboxDeadlineMs / 5,
      deadlineMs: mailboxDeadlineMs,
      initialGraceMs: 2 * mailboxDeadlineMs,
    });
    file.monitor.links[1] = { name: 'scsi', alpha: `scsi-sim:${socket}?id=7&mailbox=0`, beta: `scsi-sim:${socket}?id=6&mailbox=0` };
    await pair.writeConfig(file);
    for (const node of ['alpha', 'beta'] as const) await pair.must(node, 'init');
    bus = await BusProcess.start(path.join(pair.folder, socket));
    await Promise.all([pair.run('alpha'), pair.run('beta')]);
    await pair.health('alpha');
    for (const node of ['alpha', 'beta'] as const) await pair.until(node, 'the mailbox', (status) => linkOf(status) === 'up');
  });
  afterEach(async () => {
    await pair.end();
    await network.end();
    await bus.end();
  });

  it('does not fall back while the mailbox answers, and does once the primary is dead', async () => {
    network.cut();
    await pair.until('beta', 'the network not up', ({ monitor }) => monitor.links[0]?.state !== 'up');
    await never(
      'a fallback, or a peer that is not up, while the mailbox answers',
      () => pair.status('beta'),
      ({ mode, serving, monitor }) => mode !== 'normal' || serving || monitor.peer === 'down',
      1.5 * mailboxDeadlineMs,
    );
    expect((await pair.status('alpha')).serving).to.equal(true);
    await network.mend(pair);
    network.cut();
    await pair.kill('alpha');
    await pair.until('beta', 'a fallback', ({ mode, serving }) => mode === 'fallback' && serving);
  });

  it('tells in check what the mailbox needs', async () => {
    const report = await pair.must('beta', 'check');
    expect(report).to.match(/kept +timing\.deadline +link scsi: deadline 10,000 ms, needed 4,210 ms/u);
    expect(report).to.match(/detection +12,000 ms +a deadline and an interval/u);
  });
});
