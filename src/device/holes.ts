import { fstatSync } from 'node:fs';
import { readFile, statfs } from 'node:fs/promises';

import type { HotMirrorError } from '../errors.ts';
import type { AllocationPiece } from './block-device.ts';
import { errnoOf, punchError } from './file-errors.ts';
import type { DeviceNumber, OpenFile } from './open-file.ts';
import type { SystemCalls } from './system-calls.ts';

/**
 * File systems that are trusted to know where their holes are: what was written is data to them at once, flushed or not. Of others (ZFS, btrfs) some versions took for a hole what was
 * written a moment ago.
 */
const soundFileSystems: ReadonlySet<number> = new Set([0xef53 /* ext2 to ext4 */, 0x58465342 /* XFS */, 0x01021994 /* tmpfs */]);

/** What a {@link Holes} works on. */
export interface HolesOptions {
  readonly file: OpenFile;
  /** For messages. */
  readonly path: string;
  readonly blockSizeBytes: number;
  readonly calls: SystemCalls;
}

/** The holes of an open file or block device: ranges that read as zeroes and take no space. */
export class Holes {
  /** They can be punched. */
  readonly punches: boolean;
  /** It can be told where they are. */
  readonly tells: boolean;
  readonly #options: HolesOptions;
  /** What was found to be data last: only a punch makes a hole of any of it. Looking for its end takes a file system as long as it is, so each part of it that is asked for must not. */
  #data: { readonly from: number; readonly until: number } = { from: 0, until: 0 };

  private constructor(options: HolesOptions, punches: boolean, tells: boolean) {
    this.#options = options;
    this.punches = punches;
    this.tells = tells;
  }

  /** Finds out what can be done, and changes no byte for that. */
  static async of(options: HolesOptions): Promise<Holes> {
    const { file } = options;
    if (file.blockDevice) return new Holes(options, await punchesDevice(file.blockDevice, options.blockSizeBytes), false);
    return new Holes(options, punchesFile(options), await tellsSoundly(file.fd));
  }

  /** Makes a hole of the range, or zeroes of it where it has none. Returns why it could not. */
  punch(offsetBytes: number, lengthBytes: number): HotMirrorError | null {
    const { calls, file, path } = this.#options;
    this.#data = { from: 0, until: 0 };
    try {
      if (lengthBytes > 0) calls.punchHole(file.fd, offsetBytes, lengthBytes);
      return null;
    } catch (cause) {
      return punchError(cause, path);
    }
  }

  /** The same in libuv's pool. */
  async punchInPool(offsetBytes: number, lengthBytes: number): Promise<HotMirrorError | null> {
    const { calls, file, path } = this.#options;
    try {
      if (lengthBytes > 0) await calls.punchHoleInPool(file.fd, offsetBytes, lengthBytes);
      return null;
    } catch (cause) {
      return punchError(cause, path);
    } finally {
      this.#data = { from: 0, until: 0 };
    }
  }

  /** What of a range within the device is a hole, in whole blocks: from its beginning on, as far as so many pieces reach. What is not known counts as data. */
  allocation(offsetBytes: number, lengthBytes: number, mostPieces: number): AllocationPiece[] {
    const pieces: { lengthBytes: number; hole: boolean }[] = [];
    const end = offsetBytes + lengthBytes;
    // Each turn makes a piece, or a longer one of the last.
    for (let [at, turn] = [offsetBytes, 0]; at < end && turn < mostPieces; turn += 1) {
      const { until, hole } = this.#pieceAt(at, end);
      const last = pieces.at(-1);
      if (last?.hole === hole) last.lengthBytes += until - at;
      else pieces.push({ lengthBytes: until - at, hole });
      at = until;
    }
    return pieces;
  }

  #pieceAt(at: number, end: number): { readonly until: number; readonly hole: boolean } {
    const { blockSizeBytes } = this.#options;
    if (this.#data.from <= at && at < this.#data.until) return { until: Math.min(end, this.#data.until), hole: false };
    try {
      const data = this.#nextData(at, end);
      const holeEnd = data - (data % blockSizeBytes);
      if (holeEnd > at) return { until: holeEnd, hole: true };
      const hole = this.#options.calls.seekHole(this.#options.file.fd, data);
      const dataEnd = Math.ceil(hole / blockSizeBytes) * blockSizeBytes;
      if (dataEnd <= at) return { until: end, hole: false };
      this.#data = { from: at, until: dataEnd };
      return { until: Math.min(end, dataEnd), hole: false };
    } catch {
      return { until: end, hole: false };
    }
  }

  /** Where data begins, at most `end`. */
  #nextData(at: number, end: number): number {
    const { calls, file } = this.#options;
    try {
      return Math.min(end, calls.seekData(file.fd, at));
    } catch (error) {
      if (errnoOf(error) !== 'ENXIO') throw error;
      // Beyond the end of a file that was truncated there is no hole.
      return Math.min(end, fstatSync(file.fd).size);
    }
  }
}

/** A hole behind the end of a file changes nothing of it. */
function punchesFile({ calls, file, blockSizeBytes }: HolesOptions): boolean {
  try {
    calls.punchHole(file.fd, file.sizeBytes, blockSizeBytes);
    return true;
  } catch {
    return false;
  }
}

/** Whether the kernel has the device itself make zeroes: where it has not, it would have to write them. */
async function punchesDevice(device: DeviceNumber, blockSizeBytes: number): Promise<boolean> {
  const zeroesBytes = await queueLimit(device, 'write_zeroes_max_bytes');
  const deviceBlockBytes = await queueLimit(device, 'logical_block_size');
  return zeroesBytes > 0 && deviceBlockBytes > 0 && deviceBlockBytes <= blockSizeBytes;
}

/** What the kernel tells of a block device, or of the one that a partition belongs to; 0 where it tells nothing. */
async function queueLimit({ major, minor }: DeviceNumber, name: string): Promise<number> {
  const folder = `/sys/dev/block/${String(major)}:${String(minor)}`;
  for (const queue of [`${folder}/queue`, `${folder}/../queue`]) {
    const text = await readFile(`${queue}/${name}`, 'utf8').catch(() => null);
    if (text !== null) return Number(text.trim()) || 0;
  }
  return 0;
}

async function tellsSoundly(fd: number): Promise<boolean> {
  try {
    const { type } = await statfs(`/proc/self/fd/${String(fd)}`);
    return soundFileSystems.has(type);
  } catch {
    return false;
  }
}
