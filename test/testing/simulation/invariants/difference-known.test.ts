import { expect } from 'chai';

import { MemoryDevice } from '../../../../src/device/memory.ts';
import { elementMetadataBytes } from '../../../../src/mirror/create-element.ts';
import { ElementStore } from '../../../../src/mirror/element-store.ts';
import type { ElementMetadata } from '../../../../src/mirror/metadata.ts';
import { defaultExtentBytes } from '../../../../src/mirror/metadata.ts';
import { differenceKnown } from '../../../../src/testing/simulation/invariants/difference-known.ts';
import type { NodeName } from '../../../../src/testing/simulation/steps.ts';
import { sizeBytes, Story } from './story.ts';

const generation = (digit: string): string => digit.repeat(16);
const secondRegionBlock = 4_194_304 / 512;

const metadata: ElementMetadata = {
  mirrorId: generation('f'),
  sizeBytes,
  extentBytes: defaultExtentBytes,
  state: 'consistent',
  note: '',
  offInconsistent: false,
  epoch: { number: 1, owner: 'alpha' },
  servedEpoch: 1,
  current: generation('1'),
  base: null,
  history: [],
  offered: false,
  resyncId: null,
  unchanged: false,
  gaveWay: null,
  inUse: true,
  mayBeAhead: false,
  crashed: false,
  activeRegions: [],
};

/** Both nodes hold metadata that says this. */
async function pair(alpha: Partial<ElementMetadata> = {}, beta: Partial<ElementMetadata> = {}): Promise<Story> {
  const story = new Story(differenceKnown);
  await store(story, 'alpha', alpha);
  await store(story, 'beta', beta);
  return story;
}

/** The metadata of a node becomes this, with these extents dirty. */
async function store(story: Story, node: NodeName, change: Partial<ElementMetadata>, dirty: readonly number[] = []): Promise<void> {
  const device = new MemoryDevice({ sizeBytes: elementMetadataBytes(sizeBytes) });
  await ElementStore.create(device, { ...metadata, ...change }, true);
  const elements = await ElementStore.load(device);
  for (const extent of dirty) elements.dirty.mark(extent);
  await elements.persistDirty();
  const disk = story[node].side.metadata;
  disk.contents = device.contents;
  disk.durable = device.contents.slice();
  disk.version += 1;
}

describe('invariant difference-known', () => {
  it('holds while the elements are the same', async () => {
    const story = await pair();
    story.put('alpha', 0, 1);
    story.put('beta', 0, 1);
    expect(story.check()).to.equal(null);
  });

  it('catches a difference that nobody knows, also one that was there from the beginning', async () => {
    const story = await pair();
    story.put('alpha', 3, 1);
    expect(story.check()).to.match(/the elements of m0 differ at byte 1536, and no dirty bit or activity log says so durably/u);
    expect((await pair()).check()).to.equal(null);
    const late = await pair();
    late.beta.side.element.contents[4_096] = 1;
    expect(late.check()).to.match(/byte 4096/u);
  });

  for (const node of ['alpha', 'beta'] as const) {
    it(`is content with an entry in the activity log of ${node}`, async () => {
      const story = await pair();
      await store(story, node, { activeRegions: [1] });
      story.put('alpha', secondRegionBlock, 1);
      expect(story.check()).to.equal(null);
      story.put('alpha', 0, 1);
      expect(story.check()).to.match(/byte 0/u);
    });

    it(`is content with a dirty bit of ${node}`, async () => {
      const story = await pair();
      await store(story, node, {}, [0]);
      story.put('beta', 127, 1);
      expect(story.check()).to.equal(null);
      story.put('beta', 128, 1);
      expect(story.check()).to.match(/byte 65536/u);
    });
  }

  it('catches a bit that is cleared before the elements are the same', async () => {
    const story = await pair();
    await store(story, 'alpha', {}, [0]);
    story.put('alpha', 0, 1);
    expect(story.check()).to.equal(null);
    await store(story, 'alpha', {}, []);
    expect(story.check()).to.match(/byte 0/u);
  });

  it('believes only what is durable', async () => {
    const story = await pair();
    const { durable } = story.alpha.side.metadata;
    await store(story, 'alpha', { activeRegions: [0] });
    story.alpha.side.metadata.durable = durable;
    story.put('alpha', 0, 1);
    expect(story.check()).to.match(/byte 0/u);
  });

  it('binds where the one descends from the other, and where a full copy goes on from the map', async () => {
    const minted = await pair({ current: generation('2'), base: generation('1') });
    minted.put('alpha', 0, 1);
    expect(minted.check()).to.match(/byte 0/u);
    const copying = await pair(
      { resyncId: generation('9') },
      { current: generation('3'), state: 'inconsistent', resyncId: generation('9') },
    );
    copying.put('alpha', 0, 1);
    expect(copying.check()).to.match(/byte 0/u);
  });

  it('does not bind where everything or nothing is copied', async () => {
    const exempt: readonly Partial<ElementMetadata>[] = [
      { current: null, mirrorId: null, state: 'inconsistent' },
      { current: generation('3'), history: [generation('4')] },
      { state: 'failed' },
      { state: 'off' },
      { resyncId: generation('8'), state: 'inconsistent' },
    ];
    for (const beta of exempt) {
      const story = await pair({}, beta);
      story.put('alpha', 0, 1);
      expect(story.check()).to.equal(null);
    }
  });

  it('looks at everything again after a power cut', async () => {
    const story = await pair();
    story.put('alpha', 0, 1);
    story.put('beta', 0, 1);
    expect(story.check()).to.equal(null);
    story.crash('beta', 'power');
    story.beta.side.element.contents[0] = 0;
    expect(story.check()).to.match(/byte 0/u);
  });
});
