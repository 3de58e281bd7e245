import { randomHex } from '../clock/random.ts';
import type { Random } from '../clock/random.ts';
import type { BlockDevice } from '../device/block-device.ts';
import { noEpoch } from '../epoch.ts';
import type { Epoch } from '../epoch.ts';
import { ElementStore, metadataBytes } from './element-store.ts';
import { defaultExtentBytes } from './metadata.ts';

/** How to make the metadata of a new element. */
export interface CreateElementOptions {
  /** `data`: what the device holds is the data of a new mirror. `blank`: it waits to be filled. */
  readonly kind: 'data' | 'blank';
  /** Size of the element's device. */
  readonly sizeBytes: number;
  /** Where the metadata goes; at least {@link elementMetadataBytes} large. The caller closes it. */
  readonly metadata: BlockDevice;
  readonly random: Random;
  /** The pair's first epoch, for `data`. */
  readonly epoch?: Epoch;
  /** Replaces metadata that is there; what it knew of the data is lost. */
  readonly replace?: boolean;
}

const generationBytes = 8;
const mirrorIdBytes = 16;

/** How many bytes of metadata an element of this size needs. */
export function elementMetadataBytes(sizeBytes: number): number {
  return metadataBytes(sizeBytes, defaultExtentBytes);
}

/** See `MirrorLink.create`. */
export async function createElement(options: CreateElementOptions): Promise<void> {
  const { kind, sizeBytes, metadata, random, replace = false } = options;
  const data = kind === 'data';
  await ElementStore.create(
    metadata,
    {
      mirrorId: data ? randomHex(random, mirrorIdBytes) : null,
      sizeBytes,
      extentBytes: defaultExtentBytes,
      state: data ? 'consistent' : 'inconsistent',
      note: '',
      offInconsistent: false,
      epoch: data ? (options.epoch ?? noEpoch) : noEpoch,
      servedEpoch: 0,
      mayBeAhead: false,
      current: data ? randomHex(random, generationBytes) : null,
      base: null,
      history: [],
      offered: false,
      unchanged: false,
      gaveWay: null,
      resyncId: null,
      inUse: false,
      crashed: false,
      activeRegions: [],
    },
    replace,
  );
}
