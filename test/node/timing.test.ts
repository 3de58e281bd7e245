import { readFile } from 'node:fs/promises';

import { expect } from 'chai';

import type { PairConfig } from '../../src/node/config.ts';
import { parseConfig } from '../../src/node/config.ts';
import { breaksTiming, formatMs, judgeTiming } from '../../src/node/timing.ts';

const example = new URL('../../../test/support/office-pair.json', import.meta.url);

describe('timing', () => {
  let config: PairConfig;
  before(async () => {
    config = parseConfig(JSON.parse(await readFile(example, 'utf8')), { folder: '/srv' });
  });

  const monitor = (changes: Partial<PairConfig['monitor']>): PairConfig => ({ ...config, monitor: { ...config.monitor, ...changes } });
  const failover = (changes: Partial<PairConfig['failover']>): PairConfig => ({ ...config, failover: { ...config.failover, ...changes } });
  const broken = (judged: PairConfig, roundTripMs: number | null = null): string[] =>
    judgeTiming(judged, roundTripMs)
      .rows.filter(({ kept, warning }) => !kept && !warning)
      .map(({ rule }) => rule);

  it('finds nothing broken in the example', () => {
    expect(broken(config)).to.deep.equal([]);
    expect(breaksTiming(judgeTiming(config))).to.equal(false);
  });

  it('timing.deadline: counts the measured round trip', () => {
    const tight = monitor({ intervalMs: 500, leaseMs: 990 });
    expect(broken(tight)).to.deep.equal([]);
    expect(broken(tight, 0.5)).to.deep.equal(['timing.deadline']);
  });

  describe('timing.deadline, of links that are slow by their kind', () => {
    const over = (listen: string, times: Partial<PairConfig['monitor']>): PairConfig => {
      const address = { listen, advertise: listen };
      return monitor({
        links: [{ name: 'line', addresses: { north: address, south: address } }],
        leaseMs: 3000,
        initialGraceMs: 200_000,
        ...times,
      });
    };
    const at = (rate: number, intervalMs: number, deadlineMs: number): PairConfig =>
      over(`serial:/dev/ttyS0?baudRate=${String(rate)}`, { intervalMs, deadlineMs, leaseMs: deadlineMs - 1 });
    const lineRows = (judged: PairConfig) => judgeTiming(judged).rows.filter(({ values }) => values['link'] === 'line');

    it('tells what a serial line needs for connecting, for a token with its answer, and for a last word', () => {
      const line = { link: 'line', intervalMs: 1_000 };
      expect(lineRows(at(9_600, 1_000, 5_000)).map(({ rule, kept, values }) => ({ rule, kept, values }))).to.deep.equal([
        { rule: 'timing.deadline', kept: true, values: { ...line, deadlineMs: 5_000, neededMs: 4_376, connectMs: 2_188, tripMs: 150 } },
        { rule: 'timing.deadline', kept: true, values: { ...line, neededIntervalMs: 296, tokensMs: 157, lastWordMs: 296 } },
      ]);
      expect(lineRows(config)).to.deep.equal([]);
    });

    it('is broken where two intervals and that round trip do not fit, or the interval has no room for the tokens or the last word', () => {
      expect(broken(at(9_600, 2_425, 5_000))).to.deep.equal([]);
      expect(broken(at(9_600, 2_426, 5_000))).to.deep.equal(['timing.deadline']);
      expect(broken(at(9_600, 296, 5_000))).to.deep.equal([]);
      expect(broken(at(9_600, 295, 5_000))).to.deep.equal(['timing.deadline']);
      expect(broken(at(1_200, 1_000, 35_000))).to.deep.equal(['timing.deadline']);
    });

    it('knows how often a mailbox is looked at, and that messages over the same bus are as fast as a network', () => {
      const mailbox = over('scsi-sim:/srv/bus?id=7&mailbox=0', { intervalMs: 1_000, deadlineMs: 5_000 });
      const [deadline, interval] = lineRows(mailbox);
      expect(deadline?.values).to.include({ neededMs: 2_520, connectMs: 1_260, tripMs: 210 });
      expect(interval?.values).to.include({ lastWordMs: 105 });
      expect(lineRows(over('scsi-sim:/srv/bus?id=7', { intervalMs: 1_000, deadlineMs: 5_000 }))).to.deep.equal([]);
    });
  });

  it('timing.grace: needs two deadlines', () => {
    expect(broken(monitor({ initialGraceMs: 1999 }))).to.deep.equal(['timing.grace']);
  });

  it('timing.lease: ends before the deadline and outlasts an interval and a round trip', () => {
    expect(broken(monitor({ leaseMs: 1000 }))).to.deep.equal(['timing.lease']);
    expect(broken(monitor({ leaseMs: 200 }))).to.deep.equal(['timing.lease']);
    expect(broken(monitor({ leaseMs: 201 }))).to.deep.equal([]);
    expect(broken(monitor({ leaseMs: 201 }), 2)).to.deep.equal(['timing.lease']);
  });

  it('takeover.unfenced: warns about auto without arbiter and fence, and breaks nothing', () => {
    const unfenced = (judged: PairConfig): boolean =>
      judgeTiming(judged).rows.some(({ rule, kept }) => rule === 'takeover.unfenced' && !kept);
    expect(unfenced(config)).to.equal(true);
    expect(unfenced(failover({ control: 'manual' }))).to.equal(false);
    expect(unfenced(failover({ arbiter: { kind: 'operator' } }))).to.equal(false);
    expect(unfenced(failover({ platform: { kind: 'command', commands: { fence: { argv: ['off'] } } } }))).to.equal(false);
    expect(unfenced(failover({ platform: { kind: 'command', commands: { mount: { argv: ['mount'] } } } }))).to.equal(true);
  });

  it('works out the worst case from deadline, interval and every try of every step', () => {
    expect(judgeTiming(config).worstCase).to.deep.equal({ detectionMs: 1200, takeoverMs: 0, failoverMs: 1200, stallMs: 2200 });
    const steps = failover({
      platform: {
        kind: 'command',
        commands: { notify: { argv: ['mail'], deadlineMs: 100 }, mount: { argv: ['mount'] }, detach: { argv: ['d'] } },
      },
      stepDeadlineMs: 5000,
      stepRetries: 1,
      whenAlone: 'freeze',
    });
    expect(judgeTiming(steps).worstCase).to.deep.equal({ detectionMs: 1200, takeoverMs: 10_400, failoverMs: 11_600, stallMs: null });
  });

  it('writes times for people', () => {
    expect([formatMs(1200), formatMs(0.44)]).to.deep.equal(['1,200 ms', '0.4 ms']);
  });
});
