import type { BlockDevice, Done } from '../../../src/device/block-device.ts';
import type { HotMirrorError } from '../../../src/errors.ts';

/** One request of a device that hangs, though later ones don't. */
export class HeldRequest {
  #wanted: 'write' | 'flush' | null = null;
  #held: { readonly start: (done: Done) => void; readonly done: Done } | null = null;

  /** The next one of this kind hangs. */
  hold(kind: 'write' | 'flush'): void {
    this.#wanted = kind;
  }

  get isHeld(): boolean {
    return this.#held !== null;
  }

  /** It is carried out now, or fails. */
  release(error: HotMirrorError | null = null): void {
    const held = this.#held;
    this.#held = null;
    if (error) held?.done(error);
    else held?.start(held.done);
  }

  around(device: BlockDevice): BlockDevice {
    const when = (kind: 'write' | 'flush', start: (done: Done) => void, done: Done): void => {
      if (this.#wanted !== kind) {
        start(done);
        return;
      }
      this.#wanted = null;
      this.#held = { start, done };
    };
    return {
      ...device,
      capabilities: { ...device.capabilities, synchronous: false },
      write: (offsetBytes, from, options, done) => when('write', (then) => device.write(offsetBytes, from, options, then), done),
      flush: (done) => when('flush', (then) => device.flush(then), done),
    };
  }
}
