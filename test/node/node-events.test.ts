import { expect } from 'chai';

import { createEmitter } from '../../src/events.ts';
import type { HeartbeatEvents } from '../../src/heartbeat/events.ts';
import type { HeartbeatMonitor } from '../../src/heartbeat/heartbeat-monitor.ts';
import type { LinkState } from '../../src/heartbeat/types.ts';
import type { LogEntry } from '../../src/node/event-log.ts';
import { NodeEvents } from '../../src/node/node-events.ts';
import { VirtualClock } from '../../src/testing/virtual-clock.ts';

/** What a log has got of the events of two mirrors. */
function logging(): { readonly events: NodeEvents; readonly entries: LogEntry[] } {
  const entries: LogEntry[] = [];
  const log = { append: (entry: LogEntry) => ({ ...entry, schema: 1, seq: entries.push(entry), time: '', node: 'alpha' }) as const };
  return { events: new NodeEvents(log, new VirtualClock()), entries };
}

describe('The events of a node', () => {
  it('of attempts to connect are logged once for each mirror, and what was counted when the node stops', async () => {
    const { events, entries } = logging();
    for (const mirror of ['m0', 'm1']) {
      const hear = events.mirror(mirror, () => false);
      for (let attempt = 1; attempt <= 5; attempt += 1) {
        hear({ name: 'link:connected', payload: { atMs: attempt, class: 0, text: 'connected', evidence: { connectionId: attempt } } });
        hear({ name: 'state:changed', payload: { atMs: attempt, class: 0, text: 'changed' } });
        hear({ name: 'link:refused', payload: { atMs: attempt, class: 1, rule: 'lineage.source', text: 'failed', mirror } });
      }
    }
    expect(entries.map(({ event, mirror }) => [event, mirror])).to.deep.equal([
      ['link:connected', 'm0'],
      ['link:refused', 'm0'],
      ['link:connected', 'm1'],
      ['link:refused', 'm1'],
    ]);
    await events.close();
    expect(entries).to.have.lengthOf(8);
    expect(entries.at(-1)).to.deep.equal({
      event: 'link:refused',
      class: 1,
      rule: 'lineage.source',
      mirror: 'm1',
      text: 'failed (again, 4 times in 0.0 s)',
      evidence: { repeats: 4 },
    });
  });

  it('of what monitor links refuse are logged once for each link, and anew once it was up', () => {
    const { events, entries } = logging();
    const monitor = createEmitter<HeartbeatEvents>(() => undefined);
    events.monitor({ events: monitor } as unknown as HeartbeatMonitor);
    const refuse = (link: string): void => {
      monitor.emit('frame:rejected', { atMs: 0, class: 1, rule: 'trust', text: 'another key', link, code: 'HM_WRONG_KEY', count: 1 });
    };
    const change = (to: LinkState): void => {
      monitor.emit('link:changed', {
        atMs: 0,
        class: 0,
        rule: 'watch.all',
        evidence: {},
        text: `net is ${to}`,
        link: 'net',
        from: 'late',
        to,
      });
    };
    for (const link of ['net', 'line', 'net', 'line', 'net']) refuse(link);
    change('down');
    refuse('net');
    change('up');
    refuse('net');
    expect(entries.map(({ text }) => text)).to.deep.equal([
      'Monitor link net: another key',
      'Monitor link line: another key',
      'net is down',
      'net is up',
      'Monitor link net: another key (again, 3 times in 0.0 s)',
      'Monitor link line: another key (again, once in 0.0 s)',
      'Monitor link net: another key',
    ]);
  });
});
