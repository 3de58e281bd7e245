import { readFile } from 'node:fs/promises';

import { expect } from 'chai';

import { HotMirrorError } from '../../src/errors.ts';
import type { EventBase } from '../../src/events.ts';
import type { HeartbeatMonitor } from '../../src/heartbeat/heartbeat-monitor.ts';
import type { Json } from '../../src/heartbeat/types.ts';
import type { PairConfig } from '../../src/node/config.ts';
import { parseConfig } from '../../src/node/config.ts';
import { WatchOrders } from '../../src/node/watch-orders.ts';
import { Pair, deadlineMs, initialGraceMs, intervalMs } from '../heartbeat/pair.ts';

const minuteMs = 60_000;
const times = (intervalMs: number | null, deadlineMs: number | null) => ({ order: 'times', intervalMs, deadlineMs }) as const;

describe('WatchOrders', () => {
  let pair: Pair;
  let config: PairConfig;
  let told: string[];
  let monitors: { readonly alpha: HeartbeatMonitor; readonly beta: HeartbeatMonitor };
  let alpha: WatchOrders;
  let beta: WatchOrders;

  beforeEach(async () => {
    const json = JSON.parse(await readFile(new URL('../../../test/support/office-pair.json', import.meta.url), 'utf8')) as Record<
      string,
      object
    >;
    const monitor = { ...json['monitor'], intervalMs, deadlineMs, initialGraceMs };
    config = parseConfig({ ...json, monitor }, { folder: '/srv' });
    pair = new Pair();
    told = [];
    monitors = await pair.steady({}, { answer: (body) => Promise.resolve(answered(beta, body)) });
    alpha = orders('alpha', 'beta');
    beta = orders('beta', 'alpha');
  });
  afterEach(async () => {
    alpha.close();
    beta.close();
    await pair.end();
    expect(pair.clock.pendingTimers).to.equal(0);
  });

  function orders(node: 'alpha' | 'beta', peer: string): WatchOrders {
    const tell = (event: string, { text }: Omit<EventBase, 'atMs'>): void => void told.push(`${node} ${event} ${text}`);
    return new WatchOrders({ config, peer, monitor: monitors[node], clock: pair.clock, random: pair.random, tell });
  }

  function answered(by: WatchOrders, body: Json): Json {
    const answer = by.answer(body);
    if (answer === null) throw new HotMirrorError('HM_PROTOCOL', 'none of these');
    return answer;
  }

  const give = (order: Parameters<WatchOrders['give']>[0]): ReturnType<WatchOrders['give']> =>
    pair.clock.settled(alpha.give(order), minuteMs);

  it('watch.live: times change on both nodes, what is not named stays, and asking again changes nothing', async () => {
    expect(await give(times(100, 3_000))).to.include({ changed: true, toldBoth: true });
    for (const monitor of Object.values(monitors)) expect(monitor.times).to.include({ intervalMs: 100, deadlineMs: 3_000 });
    expect(await give(times(100, null))).to.deep.include({ changed: false, toldBoth: true });
    expect(told.filter((line) => line.includes('watch:changed'))).to.have.length(2);
    await pair.clock.runFor(deadlineMs);
    expect(monitors.beta.peerState()).to.equal('up');
  });

  it('timing.lease: no deadline falls below the configured one, which leases are computed from', async () => {
    const refused = await alpha.give(times(null, deadlineMs - 1)).catch((error: unknown) => error as HotMirrorError);
    expect(refused).to.include({ code: 'HM_REFUSED', rule: 'timing.lease' });
    for (const monitor of Object.values(monitors)) expect(monitor.times.deadlineMs).to.equal(deadlineMs);
    expect(told).to.deep.equal([]);
  });

  it('timing.deadline, timing.lease: no interval breaks a rule that the configuration must keep', async () => {
    for (const [tooLongMs, rule] of [
      [deadlineMs / 2 + 1, 'timing.deadline'],
      [deadlineMs, 'timing.deadline'],
    ] as const) {
      const refused = await alpha.give(times(tooLongMs, null)).catch((error: unknown) => error as HotMirrorError);
      expect(refused).to.include({ code: 'HM_REFUSED', rule });
    }
  });

  it('the peer refuses what it could not keep by its own configuration, whoever asks', () => {
    const asked = { kind: 'watch-order', giver: 'x', number: 1 } as const;
    expect(() => beta.answer({ ...asked, order: { ...times(null, deadlineMs - 1) } })).to.throw(HotMirrorError, 'leases');
    for (const order of [
      {},
      { order: 'times' },
      { order: 'maintenance', forMs: 0 },
      { order: 'maintenance', forMs: 1e12 },
      null,
      'x',
    ] as Json[])
      expect(() => beta.answer({ ...asked, order }), JSON.stringify(order)).to.throw(HotMirrorError, 'makes no sense');
    for (const body of [null, 1, [], {}, { kind: 'mirror-order' }] as Json[]) expect(beta.answer(body)).to.equal(null);
  });

  it('watch.live: an order that a slow link brings after a later one of its kind is refused, though that was refused too', () => {
    const order = (number: number, wanted: Json, giver = 'x'): (() => Json | null) => {
      return () => beta.answer({ kind: 'watch-order', giver, number, order: wanted });
    };
    const maintenance = (forMs: number | null): Json => ({ order: 'maintenance', forMs });
    expect(order(2, maintenance(null))()).to.deep.equal({ changed: false });
    expect(order(1, maintenance(minuteMs)))
      .to.throw(HotMirrorError, 'a later order')
      .with.property('rule', 'watch.live');
    expect(monitors.beta.watchState()).to.equal('normal');
    expect(order(4, times(null, deadlineMs - 1))).to.throw(HotMirrorError, 'leases');
    expect(order(3, times(null, 3_000))).to.throw(HotMirrorError, 'a later order');
    expect(order(3, maintenance(minuteMs))()).to.deep.equal({ changed: true });
    expect(order(1, maintenance(null), 'started anew')()).to.deep.equal({ changed: true });
  });

  it('takes no order of the peer once it is closed: its timer would keep the process', () => {
    beta.close();
    const order = { order: 'maintenance', forMs: minuteMs };
    expect(() => beta.answer({ kind: 'watch-order', giver: 'x', number: 1, order }))
      .to.throw(HotMirrorError)
      .with.property('code', 'HM_CLOSED');
  });

  it('watch.live: maintenance keeps both nodes from verdicts, and ends by itself', async () => {
    expect(await give({ order: 'maintenance', forMs: minuteMs })).to.include({ changed: true, toldBoth: true });
    expect([monitors.alpha.watchState(), monitors.beta.watchState()]).to.deep.equal(['paused', 'paused']);
    await pair.kill('beta', monitors.beta);
    await pair.clock.runFor(minuteMs / 2);
    expect(monitors.alpha.peerState()).to.equal('suspect');
    await pair.clock.runFor(minuteMs);
    expect(monitors.alpha.peerState()).to.equal('down');
    expect(told.filter((line) => line.startsWith('alpha')).map((line) => line.split(' ')[1])).to.deep.equal([
      'maintenance:started',
      'maintenance:ended',
    ]);
  });

  it('watch.live: maintenance that is ended by an operator ends on both, once', async () => {
    await give({ order: 'maintenance', forMs: minuteMs });
    expect(await give({ order: 'maintenance', forMs: null })).to.include({ changed: true, toldBoth: true });
    expect([monitors.alpha.watchState(), monitors.beta.watchState()]).to.deep.equal(['normal', 'normal']);
    expect(await give({ order: 'maintenance', forMs: null })).to.include({ changed: false });
    await pair.clock.runFor(2 * minuteMs);
    expect(told.filter((line) => line.includes('maintenance:ended'))).to.have.length(2);
  });

  it('says so where the other node could not be told', async () => {
    for (const link of pair.links) link.cut();
    await pair.clock.runFor(2 * deadlineMs);
    const { toldBoth, text } = await give({ order: 'maintenance', forMs: minuteMs });
    expect(toldBoth).to.equal(false);
    expect(text).to.include('beta has not confirmed it');
    expect(monitors.alpha.watchState()).to.equal('paused');
    for (const link of pair.links) link.heal();
  });
});
