import { expect } from 'chai';

import { defaultExtentBytes } from '../../src/mirror/metadata.ts';
import type { MirrorLink } from '../../src/mirror/mirror-link.ts';
import type { MirrorPort, OutdateOrder } from '../../src/failover/ports.ts';
import type { ErrorCode, HotMirrorError } from '../../src/errors.ts';
import { messageTypes } from '../../src/mirror/wire.ts';
import { frameOf, readFrame } from './support/frame-fuzz.ts';
import { tamperFrames } from './support/frame-tap.ts';
import { MirrorPair, pattern } from './support/mirror-pair.ts';

const block = 4096;

/** Compiles only while a `MirrorLink` is a `MirrorPort` as it stands. */
export const asPort = (mirror: MirrorLink): MirrorPort => mirror;

const ending = (start: (done: (error: HotMirrorError | null) => void) => void): Promise<ErrorCode | 'done'> =>
  new Promise((resolve) => {
    start((error) => {
      resolve(error?.code ?? 'done');
    });
  });

const rejection = (promise: Promise<unknown>): Promise<ErrorCode | 'done'> =>
  promise.then(
    () => 'done',
    (error: unknown) => (error as HotMirrorError).code,
  );

describe('MirrorLink with bad input', () => {
  it('refuses a standby that is smaller, on both nodes, and writes nothing (lineage.size)', async () => {
    const pair = new MirrorPair({ betaBytes: 2 * defaultExtentBytes });
    await pair.init();
    await pair.open('alpha');
    await pair.open('beta');
    await pair.until(
      () => pair.names('alpha').includes('lineage:decided') && pair.names('beta').includes('lineage:decided'),
      'the refusal',
    );
    for (const node of ['alpha', 'beta'] as const) {
      const told = pair.told.find((entry) => entry.node === node && entry.name === 'lineage:decided');
      expect(told?.event.rule).to.equal('lineage.size');
      expect(told?.event.evidence?.['code']).to.equal('HM_ELEMENT_TOO_SMALL');
    }
    expect(pair.disks.beta.contents.every((byte) => byte === 0)).to.equal(true);
  });

  it('never copies one mirror over another (lineage.unrelated)', async () => {
    const pair = new MirrorPair();
    pair.disks.alpha.contents.fill(1);
    pair.disks.beta.contents.fill(2);
    await pair.initNode('alpha', 'data');
    await pair.initNode('beta', 'data');
    await pair.open('alpha');
    await pair.open('beta');
    await pair.until(
      () => pair.mirror('alpha').state().connection === 'unrelated' && pair.mirror('beta').state().connection === 'unrelated',
      'the refusal',
    );
    await pair.clock.runFor(10_000);
    expect(pair.disks.alpha.contents.every((byte) => byte === 1)).to.equal(true);
    expect(pair.disks.beta.contents.every((byte) => byte === 2)).to.equal(true);
  });

  it('refuses two blank elements (lineage.blank)', async () => {
    const pair = new MirrorPair();
    await pair.initNode('alpha', 'blank');
    await pair.initNode('beta', 'blank');
    await pair.open('alpha');
    await pair.open('beta');
    await pair.until(() => pair.names('alpha').includes('lineage:decided'), 'the refusal');
    expect(pair.told.find(({ name }) => name === 'lineage:decided')?.event.evidence?.['code']).to.equal('HM_BOTH_BLANK');
  });

  it('agrees with a peer that decides the same for reasons in other words, and with no other (lineage.decide)', async () => {
    const run = async (change: (decision: Record<string, unknown>) => object): Promise<MirrorPair> => {
      const pair = await new MirrorPair({
        wrapTransport: (transport, node) =>
          tamperFrames(transport, (frame, deliver, { id }) => {
            const messages = readFrame(frame, id) ?? [];
            const said = messages.map((message) => {
              if (node !== 'alpha' || message.number !== messageTypes.decide) return message;
              const decision = JSON.parse(Buffer.from(message.body).toString('utf8')) as Record<string, unknown>;
              return { ...message, body: new Uint8Array(Buffer.from(JSON.stringify(change(decision)))) };
            });
            deliver(frameOf(frame, said));
          }),
      }).init();
      await pair.open('alpha');
      await pair.open('beta');
      await pair.clock.runFor(3_000);
      return pair;
    };
    const reworded = await run((decision) => ({ ...decision, because: 'it seems right', later: 'a field of another version' }));
    expect(reworded.mirror('alpha').state().peerElement).to.equal('uptodate');
    const contrary = await run((decision) => ({ ...decision, source: 'beta', target: 'alpha' }));
    expect(contrary.names('alpha')).to.not.include('lineage:decided');
    expect(contrary.told.some(({ name, event }) => name === 'link:refused' && event.evidence?.['code'] === 'HM_PROTOCOL')).to.equal(true);
  });

  it('opens neither without metadata nor with both copies damaged, and with one damaged copy says so', async () => {
    const missing = new MirrorPair();
    expect(await rejection(missing.open('alpha'))).to.equal('HM_METADATA_MISSING');
    const damaged = new MirrorPair();
    await damaged.init();
    damaged.metadata.alpha.contents[100]! ^= 1;
    await damaged.open('alpha');
    expect(damaged.names('alpha')).to.include('metadata:repaired');
    damaged.kill('alpha');
    damaged.metadata.alpha.contents.fill(0x55, 0, 32_768);
    expect(await rejection(damaged.open('alpha'))).to.equal('HM_METADATA_CORRUPT');
    expect(await rejection(damaged.initNode('alpha', 'data'))).to.equal('HM_METADATA_EXISTS');
  });

  it('refuses requests that no disk could carry out, without a crash', async () => {
    const pair = await new MirrorPair().start();
    const mirror = pair.mirror('alpha');
    const size = mirror.sizeBytes;
    const bytes = pattern(block, 1);
    expect(await ending((done) => mirror.write(size, bytes, {}, done))).to.equal('HM_OUT_OF_RANGE');
    expect(await ending((done) => mirror.write(-block, bytes, {}, done))).to.equal('HM_OUT_OF_RANGE');
    expect(await ending((done) => mirror.read(NaN, bytes, done))).to.equal('HM_OUT_OF_RANGE');
    expect(await ending((done) => mirror.write(1, bytes, {}, done))).to.equal('HM_UNALIGNED');
    expect(await ending((done) => mirror.read(0, new Uint8Array(5), done))).to.equal('HM_UNALIGNED');
    expect(await ending((done) => mirror.writeZeroes(0, -block, {}, done))).to.equal('HM_OUT_OF_RANGE');
    expect(await ending((done) => mirror.write(0, new Uint8Array(0), {}, done))).to.equal('done');
    expect(await ending((done) => mirror.trim(0, block, done))).to.equal('HM_NOT_SUPPORTED');
    expect(pair.disks.beta.contents.every((byte) => byte === 0)).to.equal(true);
  });

  it('refuses requests before promote, on the target, and after close', async () => {
    const pair = await new MirrorPair().start();
    expect(await ending((done) => pair.mirror('beta').read(0, pattern(block, 0), done))).to.equal('HM_NOT_SERVING');
    expect(await ending((done) => pair.mirror('beta').write(0, pattern(block, 0), {}, done))).to.equal('HM_NOT_SERVING');
    const mirror = pair.mirror('alpha');
    await pair.clock.settled(mirror.close(), 5_000);
    expect(await ending((done) => mirror.flush(done))).to.equal('HM_CLOSED');
    expect(await rejection(mirror.promote({ epoch: { number: 9, owner: 'alpha' }, alone: true }))).to.equal('HM_CLOSED');
  });

  it('refuses to promote, seal or outdate what is not in the state for it', async () => {
    const pair = await new MirrorPair().start();
    const [alpha, beta] = [pair.mirror('alpha'), pair.mirror('beta')];
    expect(await pair.clock.settled(rejection(alpha.seal()), 1_000)).to.equal('HM_REFUSED');
    const { currentId, connectionId } = alpha.state();
    const order = { epoch: { number: 1, owner: 'alpha' }, currentId, connectionId, nonce: 'n' };
    expect(await pair.clock.settled(rejection(alpha.outdate(order)), 1_000)).to.equal('HM_REFUSED');
    expect(await pair.clock.settled(rejection(beta.outdate({ ...order, connectionId: '0123456789abcdef' })), 1_000)).to.equal('HM_REFUSED');
    expect(await pair.clock.settled(rejection(beta.outdate({ ...order, currentId: 'other' })), 1_000)).to.equal('HM_REFUSED');
    await pair.clock.settled(beta.outdate(order), 1_000);
    expect(await pair.clock.settled(rejection(beta.promote({ epoch: { number: 2, owner: 'beta' }, alone: true })), 5_000)).to.equal(
      'HM_REFUSED',
    );
  });

  it('outdate: an order about another connection is refused by the name of the latest, and taken once it names that too', async () => {
    const pair = await new MirrorPair().start();
    const beta = pair.mirror('beta');
    const { currentId, connectionId } = beta.state();
    const order = { epoch: { number: 1, owner: 'alpha' }, currentId, connectionId: '0123456789abcdef', nonce: 'n' };
    const detailsOf = (given: OutdateOrder): Promise<unknown> =>
      pair.clock.settled(
        beta.outdate(given).catch((error: unknown) => (error as HotMirrorError).details),
        1_000,
      );
    const named = { ...order, peerConnectionId: connectionId ?? '' };
    expect(await detailsOf(named), 'both ends know of this one').to.deep.equal({ connectionId });
    pair.link.break();
    pair.link.cut();
    await pair.until(() => beta.state().connection !== 'connected', 'the loss');
    expect(await detailsOf(order)).to.deep.equal({ connectionId });
    // It was named before there was a newer connection.
    expect(await detailsOf({ ...order, peerConnectionId: 'fedcba9876543210' })).to.deep.equal({ connectionId });
    expect(beta.state().element).to.equal('uptodate');
    await pair.clock.settled(beta.outdate(named), 1_000);
    expect(beta.snapshot().metadata.state).to.equal('outdated');
  });

  it('alone: what is left of a connection that the peer has ended is ended by the hold, a newer one is not', async () => {
    const pair = await new MirrorPair().start();
    const mirror = pair.mirror('alpha');
    const { connectionId } = mirror.state();
    pair.link.cut();
    await pair.clock.settled(mirror.seal({ connectionId, endedByPeer: true }), 1_000);
    expect(mirror.state()).to.include({ connection: 'standalone', serving: 'parked', connectionId });
    pair.link.heal();
    await pair.clock.settled(mirror.unseal(), 1_000);
    await pair.until(() => mirror.state().connection === 'connected', 'the way back');
    expect(await pair.clock.settled(rejection(mirror.seal({ connectionId, endedByPeer: true })), 1_000)).to.equal('HM_REFUSED');
    expect(mirror.state().connection).to.equal('connected');
  });

  it('alone: a mirror that was connected since the loss that was judged is not held', async () => {
    const pair = await new MirrorPair().start();
    const mirror = pair.mirror('alpha');
    const { connectionId } = mirror.state();
    expect(await pair.clock.settled(rejection(mirror.seal({ connectionId })), 1_000)).to.equal('HM_REFUSED');
    pair.link.break();
    await pair.until(() => mirror.state().connection === 'connected' && mirror.state().connectionId !== connectionId, 'the way back');
    expect(await pair.clock.settled(rejection(mirror.seal({ connectionId })), 1_000)).to.equal('HM_REFUSED');
    await pair.write('alpha', 0, pattern(block, 4));
    expect(pair.identical).to.equal(true);
  });
});
