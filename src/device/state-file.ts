import { constants } from 'node:fs';
import { link, open, unlink } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';

import { HotMirrorError } from '../errors.ts';
import type { BlockDevice } from './block-device.ts';
import { errnoOf } from './file-errors.ts';
import { makeFolder, syncFolder } from './folder.ts';
import { openExclusively } from './open-file.ts';
import type { OpenFile } from './open-file.ts';
import { PoolDevice } from './pool-device.ts';

const fileMode = 0o600;
const blockSizeBytes = 512;

/** How a state file that exists is taken. */
export interface StateFileOptions {
  /** At least so long; then all of it is the device, however long. Default: as long as a new one, and only so much of a longer one. */
  readonly leastBytes?: number;
}

/**
 * Opens a small file of state (pair record, metadata) of `sizeBytes`, creating it and its folder durably where they are absent: all zeroes,
 * space allocated, for its owner only. A new file appears under its name when it is whole, so one that is too short has been damaged
 * and is never extended. Symbolic links are not followed.
 *
 * Its requests run in libuv's pool, so the main thread does no blocking disk I/O. The file is locked as an element is.
 *
 * Rejects with `HM_STATE_UNWRITABLE`, `HM_DEVICE_IN_USE`, or `HM_METADATA_CORRUPT` for a file that is too short.
 */
export async function openStateFile(path: string, sizeBytes: number, { leastBytes }: StateFileOptions = {}): Promise<BlockDevice> {
  if (!Number.isSafeInteger(sizeBytes) || sizeBytes <= 0 || sizeBytes % blockSizeBytes !== 0) {
    throw new RangeError(`sizeBytes must be a multiple of ${String(blockSizeBytes)}, not ${String(sizeBytes)}`);
  }
  const absolute = resolve(path);
  const file = await openOrCreate(absolute, sizeBytes);
  const neededBytes = leastBytes ?? sizeBytes;
  if (file.sizeBytes < neededBytes) {
    await file.close();
    throw new HotMirrorError(
      'HM_METADATA_CORRUPT',
      `${absolute} was truncated to ${String(file.sizeBytes)} of ${String(neededBytes)} bytes`,
      {
        details: { path: absolute, foundBytes: file.sizeBytes, sizeBytes: neededBytes },
      },
    );
  }
  const takenBytes = leastBytes === undefined ? sizeBytes : file.sizeBytes - (file.sizeBytes % blockSizeBytes);
  return new PoolDevice({ path: absolute, file, sizeBytes: takenBytes, blockSizeBytes });
}

async function openOrCreate(path: string, sizeBytes: number): Promise<OpenFile> {
  try {
    try {
      return await openExclusively(path, constants.O_NOFOLLOW);
    } catch (error) {
      if (!(error instanceof HotMirrorError && error.code === 'HM_DEVICE_NOT_FOUND')) throw error;
    }
    await makeFolder(dirname(path));
    await createFile(path, sizeBytes);
    return await openExclusively(path, constants.O_NOFOLLOW);
  } catch (error) {
    if (error instanceof HotMirrorError && error.code === 'HM_DEVICE_IN_USE') throw error;
    const reason = error instanceof Error ? error.message : String(error);
    throw new HotMirrorError('HM_STATE_UNWRITABLE', `${path}: ${reason}`, { cause: error });
  }
}

/** Made under another name and linked when whole and durable; a name that appears meanwhile is left alone. */
async function createFile(path: string, sizeBytes: number): Promise<void> {
  const unfinished = `${path}.${String(process.pid)}.new`;
  await unlinkIfThere(unfinished);
  const handle = await open(unfinished, 'wx', fileMode);
  try {
    // Written rather than left a hole: a file system that fills up later must not stop a write.
    await handle.writeFile(new Uint8Array(sizeBytes));
    await handle.sync();
    await link(unfinished, path).catch((error: unknown) => {
      if (errnoOf(error) !== 'EEXIST') throw error;
    });
  } finally {
    await handle.close();
    await unlinkIfThere(unfinished);
  }
  await syncFolder(dirname(path));
}

async function unlinkIfThere(path: string): Promise<void> {
  await unlink(path).catch((error: unknown) => {
    if (errnoOf(error) !== 'ENOENT') throw error;
  });
}
