import { HotMirrorError } from '../../errors.ts';
import type { DiskBadBlocks } from './disk-bad-blocks.ts';
import type { DiskFault } from './disk-faults.ts';

/** A fault of a disk that has nothing to do with time. */
export type LastingFault = Exclude<DiskFault, { readonly kind: 'stall' | 'slow' }>;

/** What a disk does wrong now: which requests fail and with what. */
export class DiskAilments {
  readonly #badBlocks: DiskBadBlocks;
  #full = false;
  #writesToFail = 0;
  #flushesToFail = 0;

  constructor(badBlocks: DiskBadBlocks) {
    this.#badBlocks = badBlocks;
  }

  /** Nothing that is written has room. */
  get full(): boolean {
    return this.#full;
  }

  inject(fault: LastingFault): void {
    switch (fault.kind) {
      case 'unreadable':
        this.#badBlocks.mark(fault.offsetBytes, fault.lengthBytes);
        return;
      case 'write-error':
        this.#writesToFail += fault.count;
        return;
      case 'flush-error':
        this.#flushesToFail += fault.count;
        return;
      case 'full':
        this.#full = true;
    }
  }

  /** Nothing is wrong any more, but blocks that cannot be read stay so. */
  mend(): void {
    this.#full = false;
    this.#writesToFail = 0;
    this.#flushesToFail = 0;
  }

  /** How a read of this range fails, or null. */
  failRead(offsetBytes: number, lengthBytes: number): HotMirrorError | null {
    if (!this.#badBlocks.spoil(offsetBytes, lengthBytes)) return null;
    return new HotMirrorError(
      'HM_IO_READ',
      `the simulated disk cannot read all of ${String(lengthBytes)} bytes at ${String(offsetBytes)}`,
      {
        details: { offsetBytes, lengthBytes },
      },
    );
  }

  /** How the next write fails, or null; counts it. `HM_IO_WRITE`: any part of it happens. */
  failWrite(): HotMirrorError | null {
    if (this.#full) return new HotMirrorError('HM_NO_SPACE', 'the simulated disk is full');
    if (this.#writesToFail === 0) return null;
    this.#writesToFail -= 1;
    return new HotMirrorError('HM_IO_WRITE', 'the simulated disk failed to write');
  }

  /** How the next flush fails, or null; counts it. */
  failFlush(): HotMirrorError | null {
    if (this.#flushesToFail === 0) return null;
    this.#flushesToFail -= 1;
    return new HotMirrorError('HM_IO_FLUSH', 'the simulated disk failed to flush');
  }

  /** In words, for people. */
  describe(): string[] {
    const told: string[] = [];
    if (this.#badBlocks.count > 0) told.push(`blocks that cannot be read: ${String(this.#badBlocks.count)}`);
    if (this.#writesToFail > 0) told.push(`writes that will fail: ${String(this.#writesToFail)}`);
    if (this.#flushesToFail > 0) told.push(`flushes that will fail: ${String(this.#flushesToFail)}`);
    if (this.#full) told.push('full');
    return told;
  }
}
