import { close, constants, fstat, open, read, stat } from 'node:fs';
import type { BigIntStats } from 'node:fs';
import { promisify } from 'node:util';

import { HotMirrorError } from '../errors.ts';
import { lockFile } from './element-lock.ts';
import type { ElementLock } from './element-lock.ts';
import { errnoOf, openError } from './file-errors.ts';

const openAsync = promisify(open);
const closeAsync = promisify(close);
const readAsync = promisify(read);
const statAsync: (path: string, options: { bigint: true }) => Promise<BigIntStats> = promisify(stat);
const fstatAsync: (fd: number, options: { bigint: true }) => Promise<BigIntStats> = promisify(fstat);

/** No device holds more: positions stay exact integers. */
const largestSizeBytes = Number.MAX_SAFE_INTEGER;
/** Every block device has sectors of at least this. */
const sectorBytes = 512;

/** By which the kernel knows a block device. */
export interface DeviceNumber {
  readonly major: number;
  readonly minor: number;
}

/** A regular file or block device, open for reading and writing, that no second process can open this way. */
export interface OpenFile {
  readonly fd: number;
  /** Null: it is a regular file. */
  readonly blockDevice: DeviceNumber | null;
  /** Its size in bytes, as it is. */
  readonly sizeBytes: number;
  /** Its size now. */
  measure(): Promise<number>;
  /** Closes it, then lets go of the lock. */
  close(): Promise<void>;
}

/**
 * Opens an existing file or block device with its lock: `O_EXCL` for a block device (it also refuses a mounted one), an abstract socket for a file.
 * `extraFlags` go to `open(2)`. Rejects with `HM_DEVICE_NOT_FOUND`, `HM_DEVICE_ACCESS`, `HM_DEVICE_IN_USE` or `HM_IO_READ`.
 */
export async function openExclusively(path: string, extraFlags = 0): Promise<OpenFile> {
  const { fd, stats } = await openKnown(path, extraFlags);
  let lock: ElementLock | null = null;
  try {
    lock = stats.isFile() ? await lockFile(stats, path) : null;
    const measure = async (): Promise<number> => {
      if (stats.isFile()) return Number((await fstatAsync(fd, { bigint: true })).size);
      return extraFlags === 0 ? measureByReading(fd, path) : measureOpenedPlainly(fd, path);
    };
    const blockDevice = stats.isFile() ? null : deviceNumber(stats.rdev);
    return { fd, blockDevice, sizeBytes: await measure(), measure, close: () => closeBoth(fd, lock) };
  } catch (error) {
    await closeBoth(fd, lock);
    throw error;
  }
}

/** Opens and makes sure that what was opened is what was looked at: the flags depend on its kind. */
async function openKnown(path: string, extraFlags: number): Promise<{ fd: number; stats: BigIntStats }> {
  let fd: number | null = null;
  try {
    const before = await statAsync(path, { bigint: true });
    assertKind(before, path);
    const exclusive = before.isBlockDevice() ? constants.O_EXCL : 0;
    fd = await openAsync(path, constants.O_RDWR | exclusive | extraFlags);
    const stats = await fstatAsync(fd, { bigint: true });
    assertKind(stats, path);
    if (stats.isBlockDevice() !== before.isBlockDevice())
      throw new HotMirrorError('HM_DEVICE_ACCESS', `${path} was replaced while it was opened`);
    return { fd, stats };
  } catch (error) {
    if (fd !== null) await closeBoth(fd, null);
    throw openError(error, path);
  }
}

function assertKind(stats: BigIntStats, path: string): void {
  if (stats.isFile() || stats.isBlockDevice()) return;
  throw new HotMirrorError('HM_DEVICE_ACCESS', `${path} is neither a file nor a block device`);
}

/** Linux packs both into 64 bits, the low 8 bits of the minor number first. */
function deviceNumber(rdev: bigint): DeviceNumber {
  const major = ((rdev >> 8n) & 0xfffn) | ((rdev >> 32n) & 0xfffff000n);
  const minor = (rdev & 0xffn) | ((rdev >> 12n) & 0xffffff00n);
  return { major: Number(major), minor: Number(minor) };
}

/** Closing reports at most what a flush would have; nobody is left who could act on it. */
async function closeBoth(fd: number, lock: ElementLock | null): Promise<void> {
  await closeAsync(fd).catch(() => undefined);
  await lock?.release();
}

/** Past the page cache no single byte can be read. */
async function measureOpenedPlainly(fd: number, path: string): Promise<number> {
  const plain = await openAsync(`/proc/self/fd/${String(fd)}`, constants.O_RDONLY).catch((cause: unknown) => {
    throw HotMirrorError.from(cause, 'HM_IO_READ', `cannot find the size of ${path}`);
  });
  try {
    return await measureByReading(plain, path);
  } finally {
    await closeBoth(plain, null);
  }
}

/**
 * The size of a block device, which `fstat` does not tell: the end is where a read gives nothing. Some fifty reads of one byte, and unlike
 * /sys it works in every container. A bad sector (EIO) lies within the device.
 */
export async function measureByReading(fd: number, path: string): Promise<number> {
  const byte = new Uint8Array(1);
  const within = async (sector: number): Promise<boolean> => {
    try {
      const { bytesRead } = await readAsync(fd, byte, 0, 1, sector * sectorBytes);
      return bytesRead === 1;
    } catch (error) {
      if (errnoOf(error) === 'EIO') return true;
      if (errnoOf(error) === 'EINVAL') return false;
      throw HotMirrorError.from(error, 'HM_IO_READ', `cannot find the size of ${path}`);
    }
  };
  let beyond = 1;
  while (beyond * sectorBytes < largestSizeBytes && (await within(beyond - 1))) beyond *= 2;
  // Every sector below `inside` is within, sector `beyond - 1` is not.
  let inside = 0;
  let outside = beyond - 1;
  while (inside < outside) {
    const middle = Math.floor((inside + outside) / 2);
    if (await within(middle)) inside = middle + 1;
    else outside = middle;
  }
  return inside * sectorBytes;
}
