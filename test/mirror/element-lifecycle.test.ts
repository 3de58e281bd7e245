import { expect } from 'chai';

import { MemoryDevice } from '../../src/device/memory.ts';
import type { Done } from '../../src/device/block-device.ts';
import { HotMirrorError } from '../../src/errors.ts';
import { createElement, elementMetadataBytes } from '../../src/mirror/create-element.ts';
import { flushOrFail, recoverElement } from '../../src/mirror/element-lifecycle.ts';
import { ElementStore } from '../../src/mirror/element-store.ts';
import { SeededRandom } from '../../src/testing/seeded-random.ts';

const sizeBytes = 1_048_576;

class WithoutFlush extends MemoryDevice {
  override flush(done: Done): void {
    done(new HotMirrorError('HM_IO_FLUSH', 'the disk failed to flush'));
  }
}

async function metadataInUse(): Promise<MemoryDevice> {
  const metadata = new MemoryDevice({ sizeBytes: elementMetadataBytes(sizeBytes) });
  await createElement({ kind: 'data', sizeBytes, metadata, random: new SeededRandom(1) });
  await (await ElementStore.load(metadata)).update(() => ({ inUse: true }));
  return metadata;
}

const codeOf = (promise: Promise<unknown>): Promise<string> =>
  promise.then(
    () => 'none',
    (error: unknown) => (error instanceof HotMirrorError ? error.code : String(error)),
  );

describe('an element whose flush fails has failed (write.error)', () => {
  it('while it is used: that is told before the error is', async () => {
    const told: string[] = [];
    const failed = (error: HotMirrorError): Promise<void> => Promise.resolve(void told.push(error.code));
    expect(await codeOf(flushOrFail(new WithoutFlush({ sizeBytes }), failed))).to.equal('HM_IO_FLUSH');
    expect(told).to.deep.equal(['HM_IO_FLUSH']);
    await flushOrFail(new MemoryDevice({ sizeBytes }), failed);
    expect(told.length).to.equal(1);
  });

  it('at the start after a crash: durably, for a second try may say that all is well', async () => {
    const metadata = await metadataInUse();
    expect(await codeOf(recoverElement(new WithoutFlush({ sizeBytes }), await ElementStore.load(metadata)))).to.equal('HM_IO_FLUSH');
    const again = await ElementStore.load(metadata);
    expect(again.metadata).to.include({ state: 'failed', note: 'the disk failed to flush' });
    await recoverElement(new MemoryDevice({ sizeBytes }), again);
    expect(again.metadata).to.include({ state: 'failed', crashed: true, inUse: false });
  });
});
