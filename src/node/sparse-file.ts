import { constants } from 'node:fs';
import { open } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';

import type { BlockDevice } from '../device/block-device.ts';
import { errnoOf } from '../device/file-errors.ts';
import { makeFolder, syncFolder } from '../device/folder.ts';
import { openExclusively } from '../device/open-file.ts';
import { PoolDevice } from '../device/pool-device.ts';
import { HotMirrorError } from '../errors.ts';

const fileMode = 0o600;
const blockSizeBytes = 512;

/**
 * Opens a file that grows with what is kept in it: an existing one as it is, else a new one of this size that takes no space yet, durably there, for its owner
 * only. Symbolic links are not followed. Rejects with `HM_STATE_UNWRITABLE`, or `HM_DEVICE_IN_USE` where another process has it open.
 */
export async function openSparseFile(
  file: string,
  sizeBytes: number,
): Promise<{ readonly device: BlockDevice; readonly created: boolean }> {
  const path = resolve(file);
  try {
    const created = await create(path, sizeBytes);
    const opened = await openExclusively(path, constants.O_NOFOLLOW);
    const wholeBytes = opened.sizeBytes - (opened.sizeBytes % blockSizeBytes);
    return { device: new PoolDevice({ path, file: opened, sizeBytes: wholeBytes, blockSizeBytes }), created };
  } catch (cause) {
    if (cause instanceof HotMirrorError && cause.code === 'HM_DEVICE_IN_USE') throw cause;
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new HotMirrorError('HM_STATE_UNWRITABLE', `${path}: ${reason}`, { cause });
  }
}

/** Whether it was not there. */
async function create(path: string, sizeBytes: number): Promise<boolean> {
  await makeFolder(dirname(path));
  const handle = await open(path, 'wx', fileMode).catch((error: unknown) => {
    if (errnoOf(error) === 'EEXIST') return null;
    throw error;
  });
  if (!handle) return false;
  try {
    await handle.truncate(sizeBytes);
    await handle.sync();
  } finally {
    await handle.close();
  }
  await syncFolder(dirname(path));
  return true;
}
