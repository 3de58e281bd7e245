import { expect } from 'chai';

import { MemoryDevice } from '../../src/device/memory.ts';
import type { BlockDevice } from '../../src/device/block-device.ts';
import type { HotMirrorError } from '../../src/errors.ts';
import { regionBytes } from '../../src/mirror/activity-log.ts';
import { Recording, RecordingDevice } from '../../src/testing/recording-device.ts';
import type { DeviceEntry } from '../../src/testing/recording-device.ts';
import { Endings } from './support/endings.ts';
import { MirrorPair, pattern } from './support/mirror-pair.ts';

const block = 4096;

async function recordedPair(
  sizeBytes: number,
  activeRegions: number,
): Promise<{ readonly pair: MirrorPair; readonly recording: Recording }> {
  const recording = new Recording();
  const wrapped = new Map<BlockDevice, RecordingDevice>();
  const pair = new MirrorPair({ sizeBytes, limits: { activeRegions }, wrap: (device) => wrapped.get(device) ?? device });
  for (const node of ['alpha', 'beta'] as const) {
    for (const [what, device] of [
      ['disk', pair.disks[node]],
      ['metadata', pair.metadata[node]],
    ] as const) {
      // Alike for both: the pair wraps a view of the device, so the recording is put beneath it.
      const beneath = new MemoryDevice({ sizeBytes: device.sizeBytes, contents: device.contents });
      const recorded = await RecordingDevice.wrap(beneath, `${node}:${what}`, recording);
      for (const method of ['read', 'write', 'flush', 'writeZeroes'] as const) {
        (device as unknown as Record<string, unknown>)[method] = (recorded[method] as (...request: unknown[]) => void).bind(recorded);
      }
    }
  }
  await pair.start();
  return { pair, recording };
}

const ofDevice = (recording: Recording, device: string, kind: DeviceEntry['kind']): readonly DeviceEntry[] =>
  recording.entries.filter((entry): entry is DeviceEntry => entry.kind === kind && entry.device === device);

describe('Serving', () => {
  it('has the activity log durable before a region is written on either element, and makes room in a full log (write.intent)', async () => {
    const { pair, recording } = await recordedPair(3 * regionBytes, 2);
    const from = recording.entries.length;
    for (const region of [0, 1, 2, 0]) {
      const before = recording.entries.length;
      await pair.write('alpha', region * regionBytes, pattern(block, region + 1));
      const logged = ofDevice(recording, 'alpha:metadata', 'durable').filter(({ at }) => at >= before);
      const written = [...ofDevice(recording, 'alpha:disk', 'write-issued'), ...ofDevice(recording, 'beta:disk', 'write-issued')].filter(
        ({ at }) => at >= before,
      );
      expect(logged.length).to.be.above(0);
      expect(written.length).to.equal(2);
      expect(Math.max(...logged.map(({ at }) => at))).to.be.below(Math.min(...written.map(({ at }) => at)));
    }
    expect(recording.entries.length).to.be.above(from);
    expect(pair.identical).to.equal(true);
  });

  it('lets no two waiting writes push the regions of each other out of a full log (write.intent)', async () => {
    const pair = await new MirrorPair({ sizeBytes: 3 * regionBytes, limits: { activeRegions: 2, windowBytes: block } }).start();
    const endings = new Endings();
    for (const region of [0, 1, 2]) pair.mirror('alpha').write(region * regionBytes, pattern(block, 1), {}, endings.next());
    await pair.clock.runFor(100);
    expect(endings.codes).to.deep.equal(['done', 'done', 'done']);
  });

  it('completes a flush and a FUA write only when both elements hold it durably (write.flush)', async () => {
    const { pair, recording } = await recordedPair(regionBytes, 4);
    for (const fua of [true, false]) {
      const before = recording.entries.length;
      await pair.write('alpha', 0, pattern(block, 9), fua);
      if (!fua) await pair.flush('alpha');
      const acknowledged = recording.mark('acknowledged');
      for (const device of ['alpha:disk', 'beta:disk']) {
        const durable = ofDevice(recording, device, 'durable').filter(({ at }) => at > before && at < acknowledged.at);
        expect(durable.map(({ offsetBytes, lengthBytes }) => [offsetBytes, lengthBytes])).to.deep.include([0, block]);
      }
    }
  });

  it('has made its own element durable when a resync has cleared what it wrote alone (write.intent)', async () => {
    const { pair, recording } = await recordedPair(regionBytes, 4);
    pair.kill('beta');
    await pair.until(() => pair.mirror('alpha').state().serving === 'parked', 'the loss');
    await pair.clock.settled(
      pair
        .mirror('alpha')
        .goAlone({ epoch: { number: 2, owner: 'alpha' }, rule: 'alone', connectionId: pair.mirror('alpha').state().connectionId }),
      1_000,
    );
    const before = recording.entries.length;
    await pair.write('alpha', 0, pattern(block, 4));
    await pair.open('beta');
    await pair.until(() => pair.mirror('alpha').state().peerElement === 'uptodate', 'the resync');
    expect(pair.mirror('alpha').state().dirtyBytes).to.equal(0);
    for (const device of ['alpha:disk', 'beta:disk']) {
      expect(ofDevice(recording, device, 'durable').filter(({ at }) => at > before)).to.have.length(1);
    }
  });

  it('ends every request exactly once when a higher epoch is heard, also replies that waited for the lease (serve.lease)', async () => {
    const pair = await new MirrorPair().start();
    const mirror = pair.mirror('alpha');
    const endings = new Endings();
    pair.link.cut();
    await pair.clock.runFor(800);
    mirror.read(0, new Uint8Array(block), endings.next());
    mirror.write(0, pattern(block, 1), {}, endings.next());
    mirror.read(0, new Uint8Array(block), endings.next());
    mirror.flush(endings.next());
    await pair.clock.runFor(3_000);
    expect(endings.codes).to.deep.equal([null, null, null, null]);
    await pair.clock.settled(mirror.raiseEpoch({ number: 2, owner: 'beta' }), 1_000);
    expect(endings.codes).to.deep.equal(Array.from({ length: 4 }, () => 'HM_STALE_EPOCH'));
    expect(mirror.state().element).to.equal('consistent');
  });

  it('tells what waited for the lease when it may go alone (alone)', async () => {
    const pair = await new MirrorPair().start();
    const endings = new Endings();
    pair.kill('beta');
    await pair.clock.runFor(5_000);
    pair.mirror('alpha').read(0, new Uint8Array(block), endings.next());
    await pair.clock.runFor(5_000);
    expect(endings.codes).to.deep.equal([null]);
    await pair.clock.settled(
      pair
        .mirror('alpha')
        .goAlone({ epoch: { number: 2, owner: 'alpha' }, rule: 'alone', connectionId: pair.mirror('alpha').state().connectionId }),
      1_000,
    );
    await pair.clock.runFor(10);
    expect(endings.codes).to.deep.equal(['done']);
  });

  it('mints before a reader sees what this element may hold alone (lineage.mint)', async () => {
    const pair = await new MirrorPair().start();
    pair.kill('alpha');
    await pair.until(() => pair.mirror('beta').state().connection === 'connecting', 'the loss');
    const beta = pair.mirror('beta');
    const generation = beta.state().currentId;
    await pair.clock.settled(beta.promote({ epoch: { number: 2, owner: 'beta' }, alone: true }), 1_000);
    await pair.read('beta', 0, block);
    expect(beta.state().currentId).not.to.equal(generation);
  });

  it('fails what is inside with HM_CLOSED at close, once', async () => {
    const pair = await new MirrorPair().start();
    const endings = new Endings();
    pair.mirror('alpha').write(0, pattern(block, 1), {}, endings.next());
    pair.mirror('alpha').read(0, new Uint8Array(block), endings.next());
    pair.mirror('alpha').flush(endings.next());
    await pair.clock.settled(pair.mirror('alpha').close(), 5_000);
    expect(endings.codes).to.deep.equal(['HM_CLOSED', 'HM_CLOSED', 'HM_CLOSED']);
  });

  it('refuses more than its queue holds with HM_BUSY', async () => {
    const pair = await new MirrorPair({ limits: { queuedRequests: 2 } }).start();
    const endings = new Endings();
    pair.kill('beta');
    await pair.until(() => pair.mirror('alpha').state().serving === 'parked', 'the loss');
    for (let request = 0; request < 3; request += 1) pair.mirror('alpha').write(0, pattern(block, 1), {}, endings.next());
    expect(endings.codes).to.deep.equal([null, null, 'HM_BUSY']);
  });

  it('is demoted only when the peer holds everything, and takes requests again otherwise (handover)', async () => {
    const pair = await new MirrorPair().start();
    pair.link.cut();
    pair.mirror('alpha').write(0, pattern(block, 1), {}, () => undefined);
    const { handedOver } = await pair.clock.settled(pair.mirror('alpha').demote(), 5_000);
    expect(handedOver).to.equal(false);
    expect(pair.mirror('alpha').state().serving).to.equal('parked');
    pair.link.heal();
    await pair.until(() => pair.mirror('alpha').state().peerElement === 'uptodate', 'the resync');
    await pair.write('alpha', 0, pattern(block, 2));
    expect((await pair.clock.settled(pair.mirror('alpha').demote(), 5_000)).handedOver).to.equal(true);
  });

  it('refuses to serve in an epoch that another node owns, or below the known one (lineage.epoch)', async () => {
    const pair = await new MirrorPair().start();
    const alpha = pair.mirror('alpha');
    await pair.clock.settled(alpha.raiseEpoch({ number: 2, owner: 'beta' }), 1_000);
    for (const epoch of [
      { number: 2, owner: 'alpha' },
      { number: 1, owner: 'alpha' },
      { number: 3, owner: 'beta' },
    ]) {
      const refusal = await pair.clock.settled(
        alpha.promote({ epoch, alone: true, force: true }).then(
          () => null,
          (error: unknown) => error as HotMirrorError,
        ),
        1_000,
      );
      expect(refusal?.code).to.equal('HM_STALE_EPOCH');
    }
    expect(alpha.state().serving).to.equal('no');
  });
});
