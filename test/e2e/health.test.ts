import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';

import { expect } from 'chai';

import type { NodeStatus } from '../../src/node/control-protocol.ts';
import { CommandPair, deadlineMs, never } from './support/command-pair.ts';

/** A deadline of the lag that a busy machine does not reach. */
const calmDeadlineMs = 10_000;

describe('Health probes of two running nodes', function () {
  this.timeout(180_000);
  let pair: CommandPair;
  let folder: string;
  let broken: string;

  before(async () => {
    folder = await mkdtemp(path.join(tmpdir(), 'hotmirror-health-'));
    broken = path.join(folder, 'broken');
    pair = await CommandPair.healthy({
      change: ({ monitor }) => {
        const argv = ['sh', '-c', `if [ -e ${broken} ]; then cat ${broken}; exit 2; fi`];
        Object.assign(monitor, {
          ...{ deadlineMs: calmDeadlineMs, initialGraceMs: 2 * calmDeadlineMs },
          health: [{ name: 'web', argv, when: 'serving', everyMs: 100, deadlineMs: 20_000 }],
        });
      },
    });
  });
  after(async () => {
    await pair.end();
    await rm(folder, { recursive: true, force: true });
  });

  const of = (health: NodeStatus['health'] | NodeStatus['peerHealth'] = [], probe = 'web'): string | undefined =>
    health.find(({ name }) => name === probe)?.state;

  it('are told by status on both nodes while all is well', async () => {
    await pair.until('alpha', 'an ok probe', ({ health }) => of(health) === 'ok' && of(health, 'lag') === 'ok');
    const { peerHealth, health } = await pair.until('beta', 'the ok probe of the peer', (status) => of(status.peerHealth) === 'ok');
    expect(of(health)).to.equal('unknown');
    expect(peerHealth).to.deep.include({ name: 'web', state: 'ok' });
  });

  it('that fail are an event of class 1 on both nodes, are shown, and move nothing (watch.all)', async () => {
    await writeFile(broken, 'no response\n');
    for (const [node, name] of [
      ['alpha', 'health:changed'],
      ['beta', 'peer-health:changed'],
    ] as const) {
      const event = await pair.event(node, name, (each) => each.event === name && each.class === 1);
      expect(event).to.include({ rule: 'watch.all', text: 'Health probe web of alpha is failed (was ok): exited with 2: no response.' });
      expect(event.evidence).to.deep.equal({ node: 'alpha', probe: 'web', from: 'ok', to: 'failed' });
    }
    const { peerHealth } = await pair.status('beta');
    expect(peerHealth).to.deep.include({ name: 'web', state: 'failed', text: 'exited with 2: no response' });
    expect(await pair.must('alpha', 'status')).to.match(/^health of alpha: web failed for .*: exited with 2: no response$/mu);
    expect(await pair.must('beta', 'status')).to.match(/^health of alpha: web failed: exited with 2: no response$/mu);
    await never(
      'the service moved',
      () => pair.status('beta'),
      ({ serving, mode }) => serving || mode === 'fallback',
      4 * deadlineMs,
    );
    expect(pair.process('beta').stderr).to.include('class 1: peer-health:changed: Health probe web of alpha is failed');
  });

  it('that are ok again are told on both nodes', async () => {
    await rm(broken);
    await pair.event('alpha', 'its end', ({ event, class: eventClass }) => event === 'health:changed' && eventClass === 0);
    await pair.event('beta', 'its end', ({ event, class: eventClass }) => event === 'peer-health:changed' && eventClass === 0);
    expect(pair.process('alpha').stderr).to.include('class 0: health:changed: Health probe web of alpha is ok (was failed).');
    expect((await pair.status('alpha')).epoch).to.equal(1);
  });
});
