import { expect } from 'chai';

import { MemoryDevice } from '../../src/device/memory.ts';
import type { PreImageLog } from '../../src/mirror/pre-image-log.ts';
import { PreImages } from '../../src/mirror/pre-images.ts';

const extentBytes = 65_536;

describe('PreImages', () => {
  it('lets what only reads pass in its place: behind a write that waits for its pre-image, and before the next (write.order)', async () => {
    let saved = (): void => undefined;
    const held = new Set<number>();
    const log = {
      has: (extent: number) => held.has(extent),
      extentLength: () => extentBytes,
      add: (images: readonly { readonly extent: number }[]) =>
        new Promise<void>((resolve) => {
          saved = () => {
            for (const { extent } of images) held.add(extent);
            resolve();
          };
        }),
    } as unknown as PreImageLog;
    const device = new MemoryDevice({ sizeBytes: 2 * extentBytes });
    const keepers = [{ log, whole: true, failed: () => Promise.resolve(false) }];
    const images = new PreImages({ device, sizeBytes: device.sizeBytes, extentBytes, keepers });
    const order: string[] = [];
    images.before(0, 512, () => void order.push('write'));
    images.inOrder(() => void order.push('comparison'));
    images.before(0, 512, () => void order.push('later write'));
    await Promise.resolve();
    expect(order).to.deep.equal([]);
    await new Promise<void>((resolve) => setImmediate(resolve));
    saved();
    await new Promise<void>((resolve) => setImmediate(resolve));
    expect(order).to.deep.equal(['write', 'comparison', 'later write']);
  });
});
