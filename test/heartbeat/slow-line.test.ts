import { expect } from 'chai';

import { HeartbeatMonitor } from '../../src/heartbeat/heartbeat-monitor.ts';
import type { Json } from '../../src/heartbeat/types.ts';
import { lateProbeNeedsMs, serialPace } from '../../src/node/link-pace.ts';
import { SeededRandom } from '../../src/testing/seeded-random.ts';
import { VirtualClock } from '../../src/testing/virtual-clock.ts';
import { serialTransport } from '../../src/transport/serial.ts';
import { SerialCable } from '../transport/serial-cable.ts';
import { key } from '../transport/tcp-fixture.ts';

const baudRate = 9_600;
const bytesPerSecond = baudRate / 10;
const deadlineMs = 5_000;
const steadyMs = 15_000;
const cutMs = 3_000;

/** Two monitors whose only link is a serial line, which is cut for three seconds, though in use; returns how the line fared. */
async function lateLine(lateProbeMinMs?: number): Promise<{ readonly writtenPerSecond: number; readonly backAfterMs: number }> {
  const clock = new VirtualClock();
  const random = new SeededRandom(1);
  const cable = new SerialCable(clock, random);
  const monitors = (['alpha', 'beta'] as const).map((node) => {
    const peer = node === 'alpha' ? 'beta' : 'alpha';
    const device = `serial:${node === 'alpha' ? 'a' : 'b'}?baudRate=${String(baudRate)}`;
    const transport = serialTransport({
      ...{ device, pair: 'example', node, peer, purpose: 'monitor:line', key, clock, random, openPort: cable.open },
    });
    const links = [{ name: 'line', transport, ...(lateProbeMinMs === undefined ? {} : { lateProbeMinMs }) }];
    const report = (): Json => ({ node, mirrors: [{ name: 'm0', element: 'uptodate', connection: 'connected', serving: 'yes' }] });
    return new HeartbeatMonitor({ node, peer, preferOwnDial: node === 'alpha', links, clock, random, deadlineMs, report });
  });
  await Promise.all(monitors.map((monitor) => monitor.start()));
  await clock.runFor(steadyMs);
  const changes: { readonly to: string; readonly atMs: number }[] = [];
  monitors[0]!.events.on('link:changed', ({ to }) => changes.push({ to, atMs: clock.nowMs() }));
  const before = cable.written.get('a')!;
  cable.isCut = true;
  await clock.runFor(cutMs);
  cable.isCut = false;
  const backMs = clock.nowMs();
  await clock.runFor(deadlineMs);
  const written = cable.written.get('a')! - before;
  await Promise.all(monitors.map((monitor) => clock.settled(monitor.close(), 60_000)));
  expect(changes.map(({ to }) => to)).to.deep.equal(['late', 'up']);
  return { writtenPerSecond: (written * 1_000) / (cutMs + deadlineMs), backAfterMs: changes[1]!.atMs - backMs };
}

describe('a monitor over a slow line', () => {
  it('watch.token: gives a late line no more tokens than that can carry, so that they are not what it is late with', async () => {
    const bounded = await lateLine(lateProbeNeedsMs(serialPace(baudRate)));
    expect(bounded.writtenPerSecond).to.be.below(bytesPerSecond / 2);
    expect(bounded.backAfterMs).to.be.below(200);
    const unbounded = await lateLine();
    expect(unbounded.writtenPerSecond).to.be.above(2 * bounded.writtenPerSecond);
    expect(unbounded.backAfterMs).to.be.above(500);
  });
});
