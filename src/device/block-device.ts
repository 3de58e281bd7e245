import type { HotMirrorError } from '../errors.ts';

/** Called exactly once when a request has ended; possibly before the call that made the request returns. Must not throw. */
export type Done = (error: HotMirrorError | null) => void;

/** How a write is to be carried out. */
export interface WriteOptions {
  /** Force unit access: complete only when this write itself is durable. Says nothing about other writes. */
  readonly fua?: boolean;
}

/** How zeroes are to be written. */
export interface ZeroesOptions extends WriteOptions {
  /** The range must keep its space: no holes, whatever `capabilities.punchHole` says. */
  readonly noHole?: boolean;
}

/** A part of a device, as `allocation` tells it. */
export interface AllocationPiece {
  /** Whole blocks, at least one. */
  readonly lengthBytes: number;
  /** It reads as zeroes and takes no space; else it may hold data. */
  readonly hole: boolean;
}

/** What a device can do; callers look here before they ask. */
export interface DeviceCapabilities {
  /** Every write completes before its call returns, and so do zeroes and trims, unless they are `fua`. A read may take longer. */
  readonly synchronous: boolean;
  /** `trim` is carried out; otherwise it completes with `HM_NOT_SUPPORTED`. */
  readonly trim: boolean;
  /** Zeroes written by `writeZeroes` may become holes that take no space. */
  readonly punchHole: boolean;
  /** No second process can open the same element while this one is open. */
  readonly exclusive: boolean;
}

/**
 * A disk: a number of bytes, read and written in blocks.
 *
 * Contract, proven for any implementation by `deviceConformance` of `hotmirror/testing`:
 *
 * - **Completion**: each request ends by one call of its `done`, with null or a typed error. Many requests may be under way; a caller that
 *   issues many in a loop hands over a batch. Nothing is promised about the order of completions.
 * - **Order**: requests whose ranges overlap take effect in the order they were issued, reads included.
 * - **Buffers**: the caller's buffer belongs to the device from the call until `done`. The device neither keeps it longer nor writes beyond it.
 * - **Durability**: a completed write may be lost in a crash until a `flush` that was issued after the completion has completed, or unless it was `fua`.
 *   A flush covers every write completed before it was issued, whoever issued it. After a failed flush nothing is known to be durable.
 * - **Refusals**: a range outside the device completes with `HM_OUT_OF_RANGE`, one not in whole blocks with `HM_UNALIGNED`, without touching the device.
 *   A length of 0 within the device succeeds and does nothing.
 * - **Failure**: `HM_IO_READ`, `HM_IO_WRITE`, `HM_IO_FLUSH`, `HM_NO_SPACE`. After a failed write the range holds old or new bytes, block by block.
 * - **After `close`**: requests complete with `HM_CLOSED`. Those under way when it is called end first; then it resolves. It does not flush.
 *   Closing again resolves too.
 */
export interface BlockDevice {
  /** Size in bytes, a multiple of {@link BlockDevice.blockSizeBytes}. */
  readonly sizeBytes: number;
  /** Alignment of offsets and lengths, a power of two. */
  readonly blockSizeBytes: number;
  readonly capabilities: DeviceCapabilities;

  /** Fills `into` from `offsetBytes`. On an error its content is undefined. */
  read(offsetBytes: number, into: Uint8Array, done: Done): void;
  /** Writes all of `from` at `offsetBytes`. */
  write(offsetBytes: number, from: Uint8Array, options: WriteOptions, done: Done): void;
  /** Makes every write completed so far durable. */
  flush(done: Done): void;
  /** Tells that the content of the range is no longer needed. Afterwards it reads as anything until written. */
  trim(offsetBytes: number, lengthBytes: number, done: Done): void;
  /** Makes the range read as zeroes. */
  writeZeroes(offsetBytes: number, lengthBytes: number, options: ZeroesOptions, done: Done): void;
  /**
   * Tells what of a range is a hole, at once: piece by piece from its beginning, at most `mostPieces` of them (at least 1), which need not reach its end and never reach beyond. What a request under way
   * touches, what cannot be told and a range that is refused is data: nothing that may hold some is called a hole. Absent where nothing is known.
   */
  allocation?(offsetBytes: number, lengthBytes: number, mostPieces: number): readonly AllocationPiece[];
  /**
   * Looks again how large the device is: one that was enlarged meanwhile has its new {@link BlockDevice.sizeBytes} when this resolves; it never becomes smaller.
   * Absent where the size is fixed.
   */
  refreshSize?(): Promise<void>;
  /** Makes the device itself at least so large, durably and with zeroes. Absent where that cannot be. */
  enlarge?(sizeBytes: number): Promise<void>;
  /** Lets requests under way end, then lets go of the device. Does not flush. */
  close(): Promise<void>;
}
