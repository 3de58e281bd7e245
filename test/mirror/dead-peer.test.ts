import { setImmediate } from 'node:timers/promises';

import { expect } from 'chai';

import { systemRandom } from '../../src/clock/system-random.ts';
import { MemoryDevice } from '../../src/device/memory.ts';
import { elementMetadataBytes } from '../../src/mirror/create-element.ts';
import { MirrorLink } from '../../src/mirror/mirror-link.ts';
import { defaultMirrorLimits } from '../../src/mirror/options.ts';
import { VirtualClock } from '../../src/testing/virtual-clock.ts';
import { tcpTransport } from '../../src/transport/tcp.ts';
import { proxyTo } from '../transport/proxy.ts';
import type { Proxy } from '../transport/proxy.ts';
import { freeUrls, key } from '../transport/tcp-fixture.ts';
import { pattern } from './support/mirror-pair.ts';
import type { NodeName } from './support/mirror-pair.ts';

const sizeBytes = 262_144;
const stepMs = 5;
/** What is in a socket of this machine is read within so many turns of the event loop, through the proxy too. */
const turnsPerStep = 12;
const { deadlineMs, probeIntervalMs, handshakeDeadlineMs } = defaultMirrorLimits;

describe('A data link over TCP whose peer is dead', () => {
  const clock = new VirtualClock();
  const mirrors: MirrorLink[] = [];
  let proxy: Proxy;

  after(async () => {
    await Promise.all([pass(2 * handshakeDeadlineMs), ...mirrors.map((mirror) => mirror.close())]);
    await proxy.close();
  });

  /** Virtual time and the sockets go on together: no socket is ever late. */
  async function pass(ms: number, until: () => boolean = () => false): Promise<boolean> {
    for (let passed = 0; passed < ms; passed += stepMs) {
      if (until()) return true;
      await clock.runFor(stepMs);
      for (let turn = 0; turn < turnsPerStep; turn += 1) await setImmediate();
    }
    return until();
  }

  async function open(node: NodeName, listen: string, dial: string): Promise<MirrorLink> {
    const peer = node === 'alpha' ? 'beta' : 'alpha';
    const metadata = new MemoryDevice({ sizeBytes: elementMetadataBytes(sizeBytes) });
    const kind = node === 'alpha' ? 'data' : 'blank';
    await MirrorLink.create({ kind, sizeBytes, metadata, random: systemRandom, epoch: { number: 1, owner: 'alpha' } });
    const common = { node, peer, clock, random: systemRandom };
    const transport = tcpTransport({ ...common, listen, dial, pair: 'office', purpose: 'data:m0', key });
    const device = new MemoryDevice({ sizeBytes });
    const mirror = new MirrorLink({ ...common, name: 'm0', preferOwnDial: node === 'alpha', device, metadata, transport });
    mirrors.push(mirror);
    await mirror.open();
    return mirror;
  }

  it('is noticed on both nodes within deadlineMs and one probe interval, writes wait, and a live one is found again (serve.fresh)', async function () {
    this.timeout(60_000);
    const [alphaUrl, betaUrl, nowhere] = (await freeUrls(3)) as [string, string, string];
    proxy = await proxyTo(betaUrl);
    // Only alpha reaches its peer, and only through the proxy.
    const [alpha, beta] = [await open('alpha', alphaUrl, proxy.url), await open('beta', betaUrl, nowhere)];
    const whole = (): boolean => alpha.state().peerElement === 'uptodate';
    expect(await pass(20_000, whole), 'the first copy').to.equal(true);
    const promoted = alpha.promote({ epoch: { number: 1, owner: 'alpha' }, alone: false });
    await pass(100);
    await promoted;
    // A while of silence of the application is no silence of the link.
    await pass(3 * deadlineMs);
    expect(alpha.state().serving).to.equal('yes');

    proxy.silent = true;
    const silentMs = clock.nowMs();
    const lost = new Map<MirrorLink, number>();
    for (const mirror of [alpha, beta]) mirror.events.on('link:lost', () => lost.set(mirror, clock.nowMs() - silentMs));
    const endings: (string | null)[] = [];
    alpha.write(0, pattern(4_096, 7), {}, (error) => endings.push(error?.code ?? null));
    expect(await pass(deadlineMs + probeIntervalMs + stepMs, () => lost.size === 2), 'both nodes notice').to.equal(true);
    for (const afterMs of lost.values()) expect(afterMs).to.be.at.most(deadlineMs + probeIntervalMs + stepMs);
    expect(endings).to.deep.equal([]);
    expect(alpha.state().serving).to.equal('parked');

    proxy.silent = false;
    expect(await pass(4 * handshakeDeadlineMs, () => endings.length > 0 && whole()), 'the peer is found again').to.equal(true);
    expect(endings).to.deep.equal([null]);
  });
});
