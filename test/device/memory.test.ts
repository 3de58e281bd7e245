import { expect } from 'chai';

import { systemClock } from '../../src/clock/system-clock.ts';
import { MemoryDevice } from '../../src/device/memory.ts';
import type { MemoryDeviceOptions } from '../../src/device/memory.ts';
import { deviceConformance } from '../../src/testing/device-conformance.ts';
import { VirtualClock } from '../../src/testing/virtual-clock.ts';

const sizeBytes = 256 * 1024;

function conforms(name: string, options: Omit<MemoryDeviceOptions, 'sizeBytes'>): void {
  deviceConformance(
    { describe, it },
    {
      name,
      create: () => {
        const device = new MemoryDevice({ sizeBytes, ...options });
        const reopen = (): Promise<MemoryDevice> => Promise.resolve(new MemoryDevice({ sizeBytes, ...options, contents: device.contents }));
        return Promise.resolve({ device, reopen, dispose: () => Promise.resolve() });
      },
    },
  );
}

conforms('MemoryDevice, synchronous', {});
conforms('MemoryDevice, by the clock', { completion: { clock: systemClock, delayMs: 0 } });
conforms('MemoryDevice, 4096-byte blocks', { blockSizeBytes: 4096 });

describe('MemoryDevice', () => {
  it('takes effect when it completes, delayMs after the request', async () => {
    const clock = new VirtualClock();
    const device = new MemoryDevice({ sizeBytes, completion: { clock, delayMs: 10 } });
    const ended: string[] = [];
    device.write(0, new Uint8Array(512).fill(7), {}, () => ended.push('write'));
    device.flush(() => ended.push('flush'));
    await clock.runFor(9.9);
    expect(ended).to.deep.equal([]);
    expect(device.contents[0]).to.equal(0);
    await clock.runFor(0.1);
    expect(ended).to.deep.equal(['write', 'flush']);
    expect(device.contents[0]).to.equal(7);
  });

  it('leaves no timer after close', async () => {
    const clock = new VirtualClock();
    const device = new MemoryDevice({ sizeBytes, completion: { clock, delayMs: 10 } });
    device.flush(() => undefined);
    await clock.settled(device.close(), 10);
    expect(clock.pendingTimers).to.equal(0);
  });

  it('throws RangeError for sizes that cannot be', () => {
    for (const wrong of [
      { sizeBytes: 100 },
      { sizeBytes: -512 },
      { sizeBytes: NaN },
      { sizeBytes: 512, blockSizeBytes: 3 },
      { sizeBytes: 0, blockSizeBytes: 0 },
    ]) {
      expect(() => new MemoryDevice(wrong), JSON.stringify(wrong)).to.throw(RangeError);
    }
    expect(() => new MemoryDevice({ sizeBytes: 512, contents: new Uint8Array(1024) })).to.throw(RangeError);
  });
});
