import { expect } from 'chai';

import type { BlockDevice } from '../../src/device/block-device.ts';
import { HotMirrorError } from '../../src/errors.ts';
import { regionBytes } from '../../src/mirror/activity-log.ts';
import { Counters } from '../../src/mirror/counters.ts';
import type { DataConnection } from '../../src/mirror/data-connection.ts';
import { commonFeatures, dataLinkFeatures } from '../../src/mirror/features.ts';
import { ProtocolInForce } from '../../src/mirror/protocol.ts';
import { ResyncRate, defaultResyncRate } from '../../src/mirror/resync-rate.ts';
import { SourceSession } from '../../src/mirror/source.ts';
import { decodeZeroes, encodeZeroes, maxBodyBytes, maxZeroesBytes } from '../../src/mirror/wire.ts';
import type { MessageName } from '../../src/mirror/wire.ts';
import { VirtualClock } from '../../src/testing/virtual-clock.ts';
import { MirrorPair, pattern } from './support/mirror-pair.ts';

const block = 4096;

interface Zeroed {
  readonly device: string;
  readonly offsetBytes: number;
  readonly lengthBytes: number;
  readonly noHole: boolean;
}

/** A pair whose elements can punch holes, or not, and note what they are asked to make zero. */
async function pairOf(punchHole: boolean, zeroed: Zeroed[], sizeBytes = 2 * regionBytes): Promise<MirrorPair> {
  const wrap = (device: BlockDevice, name: string): BlockDevice => ({
    ...device,
    capabilities: { ...device.capabilities, punchHole },
    writeZeroes: (offsetBytes, lengthBytes, options, done) => {
      zeroed.push({ device: name, offsetBytes, lengthBytes, noHole: options.noHole === true });
      device.writeZeroes(offsetBytes, lengthBytes, options, done);
    },
  });
  const pair = await new MirrorPair({ sizeBytes, wrap }).start();
  zeroed.length = 0;
  return pair;
}

function ending(request: (done: (error: HotMirrorError | null) => void) => void): Promise<string> {
  return new Promise((resolve) => request((error) => resolve(error?.code ?? 'done')));
}

describe('Zeroes', () => {
  it('reach both elements as zeroes, in one piece for each region, whatever was there before (write.both)', async () => {
    const zeroed: Zeroed[] = [];
    const pair = await pairOf(false, zeroed);
    await pair.write('alpha', regionBytes, pattern(block, 7));
    const code = ending((done) => pair.mirror('alpha').writeZeroes(0, 2 * regionBytes, { noHole: true }, done));
    expect(await pair.clock.settled(code, 1_000)).to.equal('done');
    for (const device of ['alpha:disk', 'beta:disk']) {
      const asked = zeroed.filter((one) => one.device === device);
      expect(asked).to.deep.equal([
        { device, offsetBytes: 0, lengthBytes: regionBytes, noHole: true },
        { device, offsetBytes: regionBytes, lengthBytes: regionBytes, noHole: true },
      ]);
    }
    expect(pair.identical).to.equal(true);
    expect(pair.disks.beta.contents.every((byte) => byte === 0)).to.equal(true);
  });

  it('are dirty when the link drops before they are durable on the target (write.inflight)', async () => {
    const pair = await pairOf(false, []);
    pair.mirror('alpha').writeZeroes(regionBytes, regionBytes, {}, () => undefined);
    await pair.clock.runFor(1);
    pair.kill('beta');
    await pair.until(() => pair.mirror('alpha').state().serving === 'parked', 'the loss');
    expect(pair.mirror('alpha').state().dirtyBytes).to.equal(regionBytes);
  });

  it('stand for a trim where the element can punch holes, so that both elements stay the same; elsewhere it is refused', async () => {
    const zeroed: Zeroed[] = [];
    const pair = await pairOf(true, zeroed);
    expect(pair.mirror('alpha').capabilities).to.include({ trim: true, punchHole: true });
    await pair.write('alpha', 0, pattern(block, 7));
    expect(
      await pair.clock.settled(
        ending((done) => pair.mirror('alpha').trim(0, block, done)),
        1_000,
      ),
    ).to.equal('done');
    expect(zeroed.map(({ device }) => device)).to.have.members(['alpha:disk', 'beta:disk']);
    expect(pair.identical).to.equal(true);

    const incapable = await pairOf(false, []);
    expect(await ending((done) => incapable.mirror('alpha').trim(0, block, done))).to.equal('HM_NOT_SUPPORTED');
    expect(await ending((done) => incapable.mirror('alpha').trim(0, 1, done))).to.equal('HM_UNALIGNED');
  });

  it('travel as bytes to a peer that has no message for them, and are acknowledged with the last piece', () => {
    const sent: { readonly name: MessageName; readonly a: number; readonly bytes: number }[] = [];
    const data = {
      features: commonFeatures([]),
      writable: true,
      send: (name: MessageName, a: number, _b: number, body: Uint8Array) => void sent.push({ name, a, bytes: body.byteLength }),
    } as unknown as DataConnection;
    const options = {
      extentBytes: 65_536,
      windowBytes: maxBodyBytes,
      resyncWindowBytes: maxBodyBytes,
      digest: 'sha256' as const,
      rate: new ResyncRate(new VirtualClock(), defaultResyncRate),
      counters: new Counters(new VirtualClock()),
      protocol: new ProtocolInForce('sync'),
      whenCongested: 'block' as const,
    };
    const session = new SourceSession({ data, ...options, room: () => undefined, adopted: () => undefined });
    let acknowledged = 0;
    session.zeroes({ offsetBytes: 0, lengthBytes: maxBodyBytes + block, noHole: false }, () => (acknowledged += 1));
    expect(sent).to.deep.equal([
      { name: 'write', a: 1, bytes: maxBodyBytes },
      { name: 'write', a: 2, bytes: block },
    ]);
    session.message({ name: 'ack', a: 1, b: 0, body: new Uint8Array(0) });
    expect(acknowledged).to.equal(0);
    session.message({ name: 'ack', a: 2, b: 0, body: new Uint8Array(0) });
    expect(acknowledged).to.equal(1);
  });

  it('are refused with HM_PROTOCOL when their message makes no sense (trust)', () => {
    expect(decodeZeroes(encodeZeroes({ lengthBytes: block, noHole: true }))).to.deep.equal({ lengthBytes: block, noHole: true });
    const unknownFlag = Buffer.from(encodeZeroes({ lengthBytes: block, noHole: true }));
    unknownFlag.writeUInt32LE(2, 4);
    for (const body of [new Uint8Array(7), unknownFlag, encodeZeroes({ lengthBytes: maxZeroesBytes + block, noHole: false })])
      expect(() => decodeZeroes(body))
        .to.throw(HotMirrorError)
        .with.property('code', 'HM_PROTOCOL');
  });
});

describe('The features of a data link', () => {
  it('are those that both sides know; names of later versions are passed over', () => {
    expect([...commonFeatures([...dataLinkFeatures, 'of a later version'])]).to.deep.equal([...dataLinkFeatures]);
    expect([...commonFeatures([])]).to.deep.equal([]);
  });
});
