import { DirtyMap } from './dirty-map.ts';
import type { ElementStore } from './element-store.ts';

/**
 * What a verify found different and nobody has repaired or waived (rules verify, takeover.verified). Both ends keep them, in memory: each is marked dirty as well, so that the next
 * handshake has it copied, and an element that forgets them by a restart is no longer `uptodate`.
 */
export class Findings {
  readonly #store: ElementStore;
  #map: DirtyMap | null = null;

  constructor(store: ElementStore) {
    this.#store = store;
  }

  get bytes(): number {
    const { sizeBytes } = this.#store.metadata;
    return this.#map ? Math.min(sizeBytes, this.#map.count * this.#map.extentBytes) : 0;
  }

  /** The extent differs: it is dirty from now on. Returns false where it was before, so that it is no news. */
  add(extent: number): boolean {
    const { dirty, metadata } = this.#store;
    if (!dirty.mark(extent)) return false;
    this.#map ??= new DirtyMap(metadata.sizeBytes, metadata.extentBytes);
    this.#map.mark(extent);
    return true;
  }

  /** They are repaired, or waived. */
  clear(): void {
    this.#map = null;
  }
}
