import { expect } from 'chai';

import { makeReport, parseReport, reportToJson } from '../../src/failover/peer-report.ts';
import { newPairRecord } from '../../src/failover/pair-record.ts';
import type { Json } from '../../src/failover/ports.ts';
import type { ProbeReport } from '../../src/health.ts';
import { World } from './support/world.ts';

const failed: ProbeReport = { name: 'web', state: 'failed', text: 'exited with 2' };

describe('Health in the report of a node (watch.token)', () => {
  const stance = { booting: false, serving: true, service: 'running', leaving: false, overGrant: null } as const;
  const record = newPairRecord({ primary: 'alpha', standby: 'beta' }, 'auto');
  const sent = (health?: readonly ProbeReport[]): Json =>
    JSON.parse(JSON.stringify(reportToJson(makeReport('alpha', record, [], stance, health)))) as Json;
  const received = (health: unknown): unknown => parseReport({ ...(sent() as object), health } as Json);

  it('is not there without probes, so that a report is what it was', () => {
    expect(sent()).not.to.have.property('health');
    expect(sent([])).to.deep.equal(sent());
  });

  it('is read as it was sent, in the same text, without ages', () => {
    const results = [
      { sinceMs: 5, ...failed },
      { state: 'ok', name: 'lag', sinceMs: 7 },
    ] as const;
    const report = parseReport(sent(results));
    expect(report?.health).to.deep.equal([failed, { name: 'lag', state: 'ok' }]);
    expect(JSON.stringify(report)).to.equal(JSON.stringify(sent(results)));
  });

  it('is left out where the peer would refuse it: the report still counts', () => {
    expect(sent([{ ...failed, text: 'two\nlines' }])).to.deep.equal(sent());
  });

  it('fits into the frames of a slow line: long health travels without what the probes said', () => {
    const long = Array.from({ length: 16 }, (_each, at) => ({ ...failed, name: `probe${String(at)}`, text: '"'.repeat(120) }));
    const { health } = parseReport(sent(long))!;
    expect(health).to.deep.equal(long.map(({ name, state }) => ({ name, state })));
    expect(Buffer.byteLength(JSON.stringify(sent(long)))).to.be.below(2_048);
  });

  it('is as good as none where it is out of bounds or of a later version: the report still counts, and renews leases', () => {
    expect((received([failed]) as { health: unknown }).health).to.deep.equal([failed]);
    expect((received([{ ...failed, text: 'not assigned yet: \u0378' }]) as { health: unknown }).health).to.have.length(1);
    for (const hostile of [
      null,
      {},
      'ok',
      [null],
      [{ name: 'web' }],
      [{ name: 'web', state: 'fine' }],
      [{ ...failed, name: '' }],
      [{ ...failed, name: 'a b' }],
      [{ ...failed, name: 'x'.repeat(65) }],
      [{ ...failed, text: 'x'.repeat(121) }],
      [{ ...failed, text: '\u001B[2J' }],
      [{ ...failed, text: 7 }],
      Array.from({ length: 17 }, (_each, index) => ({ name: `p${String(index)}`, state: 'ok' })),
    ])
      expect(received(hostile), JSON.stringify(hostile)).to.deep.equal(parseReport(sent()));
  });
});

describe('Health of the peer', () => {
  let world: World;

  afterEach(() => expect(world.violations).to.deep.equal([]));

  const told = (): readonly string[] =>
    world.seen.filter(({ event }) => event === 'peer-health:changed').map(({ node, payload }) => `${node}: ${payload.text}`);

  it('is told once, shown while the peer answers, and moves nothing (watch.all)', async () => {
    const health: { alpha: readonly ProbeReport[] } = { alpha: [{ name: 'web', state: 'ok' }] };
    world = new World({ health: { alpha: () => health.alpha } });
    await world.settle();
    expect(world.beta.orchestrator.status().peerHealth).to.deep.equal(health.alpha);
    expect(world.alpha.orchestrator.status()).not.to.have.property('peerHealth');
    expect(told()).to.deep.equal([]);
    health.alpha = [failed];
    await world.run(10_000);
    expect(told()).to.deep.equal(['beta: Health probe web of alpha is failed (was ok): exited with 2.']);
    expect(world.beta.orchestrator.status().peerHealth).to.deep.equal([failed]);
    expect(world.serving).to.deep.equal(['alpha']);
    expect(world.alpha.orchestrator.status().epoch).to.equal(1);
    health.alpha = [{ name: 'web', state: 'ok' }];
    await world.run(1_000);
    expect(told()).to.have.length(2);
    health.alpha = [failed];
    world.crash('alpha');
    await world.run(5_000);
    expect(world.beta.orchestrator.status()).not.to.have.property('peerHealth');
  });
});
