import type { Clock } from '../../clock/clock.ts';
import type { BlockDevice } from '../../device/block-device.ts';
import { assertBlockSize } from '../../device/requests.ts';
import { HotMirrorError } from '../../errors.ts';
import type { SeededRandom } from '../seeded-random.ts';
import { DiskAilments } from './disk-ailments.ts';
import { DiskBadBlocks } from './disk-bad-blocks.ts';
import { DiskCache } from './disk-cache.ts';
import { DiskDevice } from './disk-device.ts';
import type { DiskFault } from './disk-faults.ts';
import { DiskRequests } from './disk-requests.ts';
import type { DiskRequest } from './disk-requests.ts';
import type { DiskView } from './watcher.ts';

/** What a failed read leaves in the buffer, so that whoever uses it is found out. */
const garbage = 0xa5;

/** What a {@link SimulatedDisk} is made of. */
export interface SimulatedDiskOptions {
  /** A multiple of the block size. */
  readonly sizeBytes: number;
  /** A power of two. */
  readonly blockSizeBytes: number;
  /** A power cut leaves of a write any set of units of this size: 512 for a disk of whole sectors, 1 where the reader has checksums. */
  readonly tornUnitBytes: number;
  /** Used for this disk alone. */
  readonly random: SeededRandom;
  /** Longest time of a request, drawn evenly from 0. 0: it completes before its call returns, unless a fault holds it up. */
  readonly latencyMs: number;
  /**
   * What its device says of itself. True needs a `latencyMs` of 0, and the disk keeps to it: stalls and slowness, which would stop the whole thread
   * of a process that uses such a device, do nothing. Default false.
   */
  readonly synchronous?: boolean;
  /** As its device says: then a resync's zeroes are written there without a look, and it tells which of its blocks are zero. Default false. */
  readonly punchHole?: boolean;
  /** Called after each change of `contents`. */
  readonly changed: (offsetBytes: number, lengthBytes: number) => void;
}

/** The process that has the disk open. */
interface Attachment {
  readonly device: DiskDevice;
  readonly requests: DiskRequests;
}

/**
 * A disk of a machine: what it holds outlives processes, and what its cache holds outlives them too, but not a power cut. What a power cut may leave is
 * what the contract of `BlockDevice` allows, read as strictly as it can be:
 *
 * - a write is durable once a flush *issued after its completion* has succeeded, whichever process issued it, or it was `fua` and has succeeded;
 * - until then it survives wholly, in any of its torn units, or not at all, whatever becomes of others; of overlapping writes later ones lie on top;
 * - after a failed flush everything that was in the cache stays in doubt, whatever later flushes say, until it is durably overwritten. So does a failed write.
 *
 * Requests that do not overlap may complete in any order; each takes effect when it completes. Chance is drawn only where something depends on it.
 */
export class SimulatedDisk implements DiskView {
  readonly #options: SimulatedDiskOptions;
  readonly #synchronous: boolean;
  readonly #cache: DiskCache;
  readonly #badBlocks: DiskBadBlocks;
  readonly #ailments: DiskAilments;
  #attached: Attachment | null = null;
  #slowMs = 0;
  /** What is left of a stall for the next process that opens the disk. */
  #stallLeftMs = 0;

  /** Throws `RangeError` for a size that is not whole blocks, for a torn unit that is not a positive whole number, and for a synchronous disk with latency. */
  constructor(options: SimulatedDiskOptions) {
    const { sizeBytes, blockSizeBytes, tornUnitBytes, latencyMs, synchronous = false } = options;
    assertBlockSize(blockSizeBytes);
    if (!Number.isSafeInteger(sizeBytes) || sizeBytes < 0 || sizeBytes % blockSizeBytes !== 0)
      throw new RangeError(`sizeBytes must be a multiple of ${String(blockSizeBytes)}, not ${String(sizeBytes)}`);
    if (!Number.isSafeInteger(tornUnitBytes) || tornUnitBytes < 1)
      throw new RangeError(`tornUnitBytes must be a whole number above 0, not ${String(tornUnitBytes)}`);
    if (synchronous && latencyMs > 0) throw new RangeError('a synchronous disk has no latency');
    this.#options = options;
    this.#synchronous = synchronous;
    this.#badBlocks = new DiskBadBlocks(blockSizeBytes);
    this.#ailments = new DiskAilments(this.#badBlocks);
    this.#cache = new DiskCache({ ...options, badBlocks: this.#badBlocks });
  }

  get contents(): Uint8Array {
    return this.#cache.contents;
  }

  get version(): number {
    return this.#cache.version;
  }

  /** Whether it loses data or refuses it, now or at the next request. */
  get fails(): boolean {
    return this.#ailments.describe().length > 0;
  }

  /** What is wrong with it now, in words; empty for a healthy disk. */
  get ailments(): readonly string[] {
    const told = this.#ailments.describe();
    if (this.#slowMs > 0) told.push(`slower by up to ${String(this.#slowMs)} ms`);
    if ((this.#attached?.requests.stallLeftMs ?? this.#stallLeftMs) > 0) told.push('stalled');
    return told;
  }

  /** Whether a read of this range finds what the contents say. */
  readable(offsetBytes: number, lengthBytes: number): boolean {
    return !this.#badBlocks.spoil(offsetBytes, lengthBytes);
  }

  durableImage(): Uint8Array {
    return this.#cache.durableImage();
  }

  /** As a process opens it, with that process's clock. Throws `HM_DEVICE_IN_USE` while another has it open, or until its close resolves. */
  open(clock: Clock): BlockDevice {
    if (this.#attached) throw new HotMirrorError('HM_DEVICE_IN_USE', 'the simulated disk is open elsewhere');
    const requests = new DiskRequests(clock, (request) => {
      const error = this.#carryOut(request);
      if (!device.dead) request.done(error);
    });
    const device = new DiskDevice({
      sizeBytes: this.#options.sizeBytes,
      blockSizeBytes: this.#options.blockSizeBytes,
      synchronous: this.#synchronous,
      punchHole: this.#options.punchHole ?? false,
      position: () => this.#cache.position,
      submit: (request) => {
        requests.submit(request, this.#delayMs());
      },
      isHole: (offsetBytes) => this.#isHole(requests, offsetBytes),
      close: () =>
        new Promise<void>((resolve) => {
          requests.whenIdle(() => {
            this.#letGo();
            resolve();
          });
        }),
    });
    this.#attached = { device, requests };
    requests.stall(this.#stallLeftMs);
    return device;
  }

  /** The process died: it reaches the disk no more, nor the disk it. Writes under way have happened or not, block by block, but only in the cache. */
  detach(): void {
    for (const { offsetBytes, bytes } of this.#sever()) this.#cache.writeInPart(offsetBytes, bytes, this.#options.blockSizeBytes, false);
  }

  /** The machine lost power, whether or not a process had the disk open: of what was under way or not durable any part survives. */
  cutPower(): void {
    this.#cache.losePower(this.#sever());
  }

  /**
   * Something goes wrong from now on. Counts add up; of two delays the longer counts. A stall lasts that long of the time in which a process
   * has the disk open, by that process's clock.
   */
  inject(fault: DiskFault): void {
    if (fault.kind === 'stall') {
      if (this.#synchronous) return;
      if (this.#attached) this.#attached.requests.stall(fault.forMs);
      else this.#stallLeftMs = Math.max(this.#stallLeftMs, fault.forMs);
    } else if (fault.kind === 'slow') {
      if (!this.#synchronous) this.#slowMs = Math.max(this.#slowMs, fault.addMs);
    } else {
      this.#ailments.inject(fault);
    }
  }

  /** The disk works again, at once. Blocks that cannot be read stay so until they are written. */
  mend(): void {
    this.#ailments.mend();
    this.#slowMs = 0;
    this.#stallLeftMs = 0;
    this.#attached?.requests.endStall();
  }

  /** Nothing is wrong with it any more; blocks that could not be read hold what they held. */
  heal(): void {
    this.mend();
    this.#badBlocks.clear();
  }

  /** A new and healthy disk of the same size in its place, blank or with these bytes at its start. Throws while a process has it open. */
  replace(contents?: Uint8Array): void {
    if (this.#attached) throw new HotMirrorError('HM_DEVICE_IN_USE', 'the simulated disk is replaced only while nobody has it open');
    this.heal();
    this.#cache.blank();
    if (contents) this.#cache.write(0, contents, true);
  }

  /** Zeroes that can be read, and that nothing under way changes. */
  #isHole(requests: DiskRequests, offsetBytes: number): boolean {
    const { blockSizeBytes } = this.#options;
    if (requests.changes(offsetBytes, blockSizeBytes) || !this.readable(offsetBytes, blockSizeBytes)) return false;
    return this.contents.subarray(offsetBytes, offsetBytes + blockSizeBytes).every((byte) => byte === 0);
  }

  /** Cuts off the process that has it open, if any. Gives the writes that were under way and have room. */
  #sever(): DiskRequest[] {
    this.#attached?.device.kill();
    const writes = this.#letGo();
    return this.#ailments.full ? [] : writes;
  }

  #letGo(): DiskRequest[] {
    if (!this.#attached) return [];
    const { requests } = this.#attached;
    this.#attached = null;
    this.#stallLeftMs = requests.stallLeftMs;
    return requests.abandon();
  }

  /** Null: nothing delays the next request. */
  #delayMs(): number | null {
    const longestMs = this.#options.latencyMs + this.#slowMs;
    return longestMs === 0 ? null : this.#options.random.fraction() * longestMs;
  }

  #carryOut({ kind, offsetBytes, bytes, fua, position }: DiskRequest): HotMirrorError | null {
    if (kind === 'flush') return this.#flush(position);
    if (bytes.byteLength === 0) return null;
    return kind === 'read' ? this.#read(offsetBytes, bytes) : this.#write(offsetBytes, bytes, fua);
  }

  #read(offsetBytes: number, into: Uint8Array): HotMirrorError | null {
    const failure = this.#ailments.failRead(offsetBytes, into.byteLength);
    if (failure) into.fill(garbage);
    else into.set(this.contents.subarray(offsetBytes, offsetBytes + into.byteLength));
    return failure;
  }

  #write(offsetBytes: number, from: Uint8Array, fua: boolean): HotMirrorError | null {
    const failure = this.#ailments.failWrite();
    if (!failure) this.#cache.write(offsetBytes, from, fua);
    else if (failure.code === 'HM_IO_WRITE') this.#cache.writeInPart(offsetBytes, from, this.#options.blockSizeBytes, true);
    return failure;
  }

  #flush(position: number): HotMirrorError | null {
    const failure = this.#ailments.failFlush();
    if (failure) this.#cache.doubt();
    else this.#cache.harden(position);
    return failure;
  }
}
