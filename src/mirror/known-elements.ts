import type { ElementState } from './state.ts';

/** What a node knows of both elements of a mirror, by its metadata and its last connection. */
export class KnownElements {
  peerElement: ElementState = 'absent';
  /** The peer durably recorded that it is behind (rule alone). */
  peerBehind = false;
  /** How large a mirror the target can hold. */
  peerRoomBytes = 0;
  /** The other node serves through this element, its own having failed; so it was at the end of the last connection, where there is none. */
  servedThrough = false;
  #element: ElementState;

  /** `element`: what this node's element is by its metadata. */
  constructor(element: ElementState) {
    this.#element = element;
  }

  /** What this node's element is worth. */
  get element(): ElementState {
    return this.#element;
  }

  /** One that has failed stays so, whatever was under way (rule write.error). */
  set element(state: ElementState) {
    if (this.#element !== 'failed') this.#element = state;
  }

  /** The peer's element is this, and durably known to be behind. */
  peerIsBehind(state: ElementState): void {
    this.peerElement = state;
    this.peerBehind = true;
  }

  /** It may not hold what was completed last, or that may be durably known: only a handshake can tell. */
  doubt(): void {
    if (this.#element === 'uptodate') this.#element = 'consistent';
  }
}
