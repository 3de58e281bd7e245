import { expect } from 'chai';

import type { BlockDevice, Done } from '../../src/device/block-device.ts';
import type { ErrorCode } from '../../src/errors.ts';
import { maxHeldBytes } from '../../src/mirror/target.ts';
import { maxBodyBytes } from '../../src/mirror/wire.ts';
import { defaultTransportLimits } from '../../src/transport/limits.ts';
import { MirrorPair, pattern } from './support/mirror-pair.ts';

const writes = 90;

describe('A target that is flooded', () => {
  it('reads no more than it can hold while its disk takes nothing, keeps the connection, and goes on (trust)', async function () {
    this.timeout(60_000);
    const held: (() => void)[] = [];
    let stalled = false;
    let [underWay, most] = [0, 0];
    const stalling = (device: BlockDevice): BlockDevice => ({
      sizeBytes: device.sizeBytes,
      blockSizeBytes: device.blockSizeBytes,
      capabilities: { ...device.capabilities, synchronous: false },
      read: (offsetBytes, into, done) => device.read(offsetBytes, into, done),
      flush: (done) => device.flush(done),
      trim: (offsetBytes, lengthBytes, done) => device.trim(offsetBytes, lengthBytes, done),
      writeZeroes: (offsetBytes, lengthBytes, options, done) => device.writeZeroes(offsetBytes, lengthBytes, options, done),
      write: (offsetBytes, from, options, done: Done) => {
        underWay += from.byteLength;
        most = Math.max(most, underWay);
        const go = (): void => {
          underWay -= from.byteLength;
          device.write(offsetBytes, from, options, done);
        };
        if (stalled) held.push(go);
        else go();
      },
      close: () => device.close(),
    });
    const pair = new MirrorPair({
      sizeBytes: 4 * maxBodyBytes,
      limits: { windowBytes: 2 * writes * maxBodyBytes },
      wrap: (device, what) => (what === 'beta:disk' ? stalling(device) : device),
    });
    await pair.start();
    const { connectionId } = pair.mirror('alpha').state();
    stalled = true;
    const endings: (ErrorCode | null)[] = [];
    for (let at = 0; at < writes; at += 1) {
      pair.mirror('alpha').write((at % 4) * maxBodyBytes, pattern(maxBodyBytes, at + 1), {}, (error) => endings.push(error?.code ?? null));
    }
    await pair.clock.runFor(10_000);
    expect(endings).to.deep.equal([]);
    expect(most).to.be.within(maxHeldBytes, maxHeldBytes + defaultTransportLimits.maxFrameBytes);
    expect(pair.mirror('alpha').state().connectionId).to.equal(connectionId);
    expect(pair.mirror('beta').state().connection).to.equal('connected');
    stalled = false;
    for (const go of held.splice(0)) go();
    await pair.until(() => endings.length === writes, 'the writes');
    expect(endings.every((code) => code === null)).to.equal(true);
    expect(pair.identical).to.equal(true);
    expect(pair.mirror('alpha').state().connectionId).to.equal(connectionId);
  });
});
