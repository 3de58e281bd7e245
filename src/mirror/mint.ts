import { HotMirrorError } from '../errors.ts';
import type { ElementStore } from './element-store.ts';
import { isMinted, mintedFrom } from './metadata.ts';

/** What the minting of generations is made of. */
export interface MintOptions {
  readonly store: ElementStore;
  readonly newGeneration: () => string;
  /** This node serves: what it holds alone is asked for only then. */
  readonly serves: () => boolean;
  readonly minted: (generation: string) => void;
  readonly failed: (error: HotMirrorError) => void;
}

/**
 * The generation that an element holds alone (rule lineage.mint), and whether it still holds what it held before (rule lineage.unchanged). One change of the
 * metadata at a time.
 */
export class Mint {
  readonly #options: MintOptions;
  #changing = false;
  /** The generation under way is one of an unchanged element. */
  #unchanged = false;

  constructor(options: MintOptions) {
    this.#options = options;
  }

  /** The peer cannot hold the current generation. */
  get done(): boolean {
    return isMinted(this.#options.store.metadata);
  }

  /** Makes a new generation durable, then calls back; not while a change is under way. `untouched`: nothing was issued so far that the peer may lack. */
  mint(untouched: boolean, then: () => void): void {
    if (this.#changing) return;
    const { store, newGeneration, serves, minted } = this.#options;
    const generation = newGeneration();
    this.#unchanged = untouched && store.dirty.count === 0;
    const unchanged = this.#unchanged;
    this.#change(
      // The service may have ended while it waited for its turn.
      () => store.update((metadata) => (serves() ? mintedFrom(metadata, generation, unchanged) : {})),
      () => {
        if (store.metadata.current === generation) minted(generation);
        then();
      },
    );
  }

  /** Whether something may be issued alone now; before the first, it is made durable that the element is not what it was, and called back. */
  mayChange(then: () => void): boolean {
    const { store } = this.#options;
    if (!store.metadata.unchanged && !this.#unchanged) return true;
    if (!this.#changing) this.#change(() => store.update(() => ({ unchanged: false })), then);
    return false;
  }

  #change(update: () => Promise<void>, then: () => void): void {
    this.#changing = true;
    update().then(
      () => {
        this.#changing = false;
        this.#unchanged = false;
        then();
      },
      (error: unknown) => {
        this.#changing = false;
        this.#unchanged = false;
        const { serves, failed } = this.#options;
        if (serves()) failed(HotMirrorError.from(error, 'HM_STATE_UNWRITABLE', 'a new generation could not be made durable'));
      },
    );
  }
}
