import { expect } from 'chai';

import type { Done } from '../../src/device/block-device.ts';
import { regionBytes } from '../../src/mirror/activity-log.ts';
import type { MirrorCounters } from '../../src/mirror/counters.ts';
import { MirrorPair, pattern } from './support/mirror-pair.ts';

const block = 4096;
const mebibyte = 1_048_576;

/** How far a percentile may be off: two figures are kept. */
const exactness = 0.01;

async function ending(pair: MirrorPair, issue: (done: Done) => void): Promise<string> {
  const ended = new Promise<string>((resolve) => issue((error) => resolve(error?.code ?? 'ok')));
  return pair.clock.settled(ended, 60_000, 'the request');
}

describe('mirror/counters', () => {
  it('count requests and bytes by kind, with how long each took from call to answer', async () => {
    const delayMs = 5;
    const pair = await new MirrorPair({ delayMs }).start();
    const mirror = pair.mirror('alpha');
    for (let at = 0; at < 10; at += 1) await pair.write('alpha', at * block, pattern(block, 1));
    await pair.write('alpha', 0, pattern(2 * block, 2), true);
    await pair.flush('alpha');
    await pair.read('alpha', 0, 3 * block);
    expect(await ending(pair, (done) => mirror.writeZeroes(0, 2 * mebibyte, {}, done))).to.equal('ok');
    const { requests } = mirror.counters();
    expect(requests.write).to.include({ requests: 11, bytes: 12 * block, errors: 0 });
    expect(requests.flush).to.include({ requests: 1, bytes: 0, errors: 0 });
    expect(requests.read).to.include({ requests: 1, bytes: 3 * block, errors: 0 });
    expect(requests.zeroes).to.include({ requests: 1, bytes: 2 * mebibyte, errors: 0 });
    expect(requests.trim).to.deep.equal({ requests: 0, bytes: 0, errors: 0, latencyMs: null });
    expect(requests.write.latencyMs?.p50).to.be.closeTo(2 * delayMs, 2 * delayMs * exactness);
    expect(requests.read.latencyMs?.max).to.be.below(1);
    expect(requests.flush.latencyMs?.p999).to.be.at.least(2 * delayMs * (1 - exactness));
  });

  it('count the trims of elements that can give space back apart from zeroes', async () => {
    const pair = await new MirrorPair({
      wrap: (device) => ({ ...device, capabilities: { ...device.capabilities, punchHole: true } }),
    }).start();
    expect(await ending(pair, (done) => pair.mirror('alpha').trim(0, block, done))).to.equal('ok');
    const { requests } = pair.mirror('alpha').counters();
    expect(requests.trim).to.include({ requests: 1, bytes: block });
    expect(requests.zeroes).to.include({ requests: 0, bytes: 0 });
  });

  it('count what ended with an error, and what was not taken at all', async () => {
    const pair = await new MirrorPair({ limits: { queuedRequests: 1 } }).start();
    const mirror = pair.mirror('alpha');
    const codes: string[] = [];
    for (let at = 0; at < 3; at += 1) mirror.write(at * block, pattern(block, 1), {}, (error) => codes.push(error?.code ?? 'ok'));
    await pair.until(() => codes.length === 3, 'the writes');
    expect(codes).to.deep.equal(['HM_BUSY', 'HM_BUSY', 'ok']);
    expect(mirror.counters().refusedRequests).to.equal(2);
    const lost = ending(pair, (done) => mirror.write(0, pattern(block, 1), {}, done));
    await mirror.raiseEpoch({ number: 9, owner: 'beta' });
    expect(await lost).to.equal('HM_STALE_EPOCH');
    expect(mirror.counters().requests.write).to.include({ requests: 1, bytes: block, errors: 1 });
  });

  it('tell what waits: requests inside, the window, and by how much the peer is behind', async () => {
    const pair = await new MirrorPair({ delayMs: 5 }).start();
    const mirror = pair.mirror('alpha');
    await pair.write('alpha', 0, pattern(block, 1));
    expect(mirror.counters().queues).to.deep.equal({ inside: 0, windowBytes: 0, resyncWindowBytes: 0, lagBytes: 0, unconfirmedMs: 0 });
    const written = ending(pair, (done) => mirror.write(0, pattern(2 * block, 2), {}, done));
    expect(mirror.counters().queues).to.deep.equal({
      inside: 1,
      windowBytes: 2 * block,
      resyncWindowBytes: 0,
      lagBytes: 2 * block,
      unconfirmedMs: 0,
    });
    expect(await written).to.equal('ok');
    pair.kill('beta');
    await pair.until(() => mirror.state().serving === 'parked', 'the loss');
    await mirror.goAlone({ epoch: { number: 2, owner: 'alpha' }, rule: 'alone', connectionId: mirror.state().connectionId });
    await pair.write('alpha', 0, pattern(block, 3));
    expect(mirror.counters().queues).to.include({ windowBytes: 0, lagBytes: mirror.state().dirtyBytes });
    expect(mirror.state().dirtyBytes).to.be.above(0);
  });

  it('count the stream, the resync and the link on both sides', async () => {
    const pair = await new MirrorPair({ sizeBytes: 4 * mebibyte }).start();
    const [alpha, beta] = [pair.mirror('alpha'), pair.mirror('beta')];
    await pair.write('alpha', 0, pattern(block, 1));
    expect(alpha.counters().replication).to.deep.equal({ sentWrites: 1, sentBytes: block, receivedWrites: 0, receivedBytes: 0 });
    expect(beta.counters().replication).to.deep.equal({ sentWrites: 0, sentBytes: 0, receivedWrites: 1, receivedBytes: block });
    const extents = (4 * mebibyte) / 65_536;
    const copied = { started: 1, finished: 1, sentExtents: extents, sentBytes: 4 * mebibyte, receivedBytes: 0 };
    expect(alpha.counters().resync).to.deep.equal(copied);
    expect(beta.counters().resync).to.deep.equal({ started: 0, finished: 0, sentExtents: 0, sentBytes: 0, receivedBytes: 4 * mebibyte });
    for (const mirror of [alpha, beta]) expect(mirror.counters().link).to.deep.equal({ connections: 1, agreed: 1, refused: 0, lost: 0 });
    pair.link.break();
    await pair.until(() => alpha.state().peerElement === 'uptodate' && alpha.counters().link.agreed === 2, 'the next handshake');
    for (const mirror of [alpha, beta]) expect(mirror.counters().link).to.include({ agreed: 2, lost: 1 });
  });

  it('count the regions that writes waited for, and the flushes that made room in the activity log (write.intent)', async () => {
    const pair = await new MirrorPair({ sizeBytes: 4 * regionBytes, limits: { activeRegions: 2 } }).start();
    for (let region = 0; region < 4; region += 1) await pair.write('alpha', region * regionBytes, pattern(block, 1));
    await pair.write('alpha', 3 * regionBytes, pattern(block, 2));
    const { activityLog } = pair.mirror('alpha').counters();
    expect(activityLog).to.include({ capacity: 2, misses: 4 });
    expect(activityLog.regions).to.be.at.most(2);
    expect(activityLog.checkpoints).to.be.at.least(1);
  });

  it('are plain data, and the same for the same run', async () => {
    const run = async (): Promise<MirrorCounters> => {
      const pair = await new MirrorPair({ seed: 7 }).start();
      await pair.write('alpha', 0, pattern(block, 1));
      await pair.read('alpha', 0, block);
      return pair.mirror('alpha').counters();
    };
    const counters = await run();
    expect(JSON.parse(JSON.stringify(counters))).to.deep.equal(counters);
    expect(await run()).to.deep.equal(counters);
  });
});
