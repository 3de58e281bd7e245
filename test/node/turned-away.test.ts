import { expect } from 'chai';

import { createEmitter } from '../../src/events.ts';
import type { FrameRejected, HeartbeatEvents } from '../../src/heartbeat/events.ts';
import type { LinkState } from '../../src/heartbeat/types.ts';
import { TurnedAway } from '../../src/node/turned-away.ts';
import { VirtualClock } from '../../src/testing/virtual-clock.ts';

const otherKey: FrameRejected = {
  ...{ atMs: 0, class: 1, rule: 'trust', text: 'what calls itself beta does not hold the key', code: 'HM_WRONG_KEY', count: 1 },
  link: 'net',
};

describe('Who is turned away', () => {
  const links = new Map<string, LinkState>();
  let clock: VirtualClock;
  let events: ReturnType<typeof createEmitter<HeartbeatEvents>>;
  let away: TurnedAway;

  beforeEach(() => {
    for (const name of ['net', 'line']) links.set(name, 'down');
    clock = new VirtualClock();
    events = createEmitter<HeartbeatEvents>(() => undefined);
    const shown = () => [...links].map(([name, state]) => ({ name, state, lastSeenMs: null, rttMs: null }));
    away = new TurnedAway({ events, status: () => ({ state: 'normal', peer: 'unknown', links: shown() }) }, clock);
  });

  it('is warned of once for all links that say the same, with the remedy', () => {
    for (const link of ['net', 'line', 'net']) events.emit('frame:rejected', { ...otherKey, link });
    const [warning, ...others] = away.warnings;
    expect(others).to.deep.equal([]);
    expect(warning?.because).to.equal('turned away on monitor links net, line: what calls itself beta does not hold the key');
    expect(warning?.remedy).to.contain('Copy the key file');
  });

  it('is no warning any more once the link is up, or nobody tried for a minute', async () => {
    events.emit('frame:rejected', otherKey);
    events.emit('frame:rejected', { ...otherKey, link: 'line' });
    links.set('net', 'up');
    expect(away.warnings.map(({ because }) => because)).to.deep.equal([
      'turned away on monitor link line: what calls itself beta does not hold the key',
    ]);
    await clock.runFor(60_000);
    expect(away.warnings).to.deep.equal([]);
  });

  it('is not who lost a connection or sent garbage', () => {
    events.emit('frame:rejected', { ...otherKey, class: 0, code: 'HM_BAD_CHECKSUM', text: 'a damaged frame' });
    expect(away.warnings).to.deep.equal([]);
  });
});
