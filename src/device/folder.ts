import { mkdir, open, stat } from 'node:fs/promises';
import { dirname } from 'node:path';

import { errnoOf } from './file-errors.ts';

const folderMode = 0o700;

/**
 * Makes a folder for its owner only, and those above it that are absent, durably.
 * Not by `recursive`: where the system answers ENOENT although the parent is there, as in /proc, Node tries for ever.
 */
export async function makeFolder(folder: string): Promise<void> {
  if (await folderIsThere(folder)) return;
  const above = dirname(folder);
  await makeFolder(above);
  await mkdir(folder, folderMode).catch((error: unknown) => {
    if (errnoOf(error) !== 'EEXIST') throw error;
  });
  // The new name lives in the folder above.
  await syncFolder(above);
}

async function folderIsThere(folder: string): Promise<boolean> {
  try {
    return (await stat(folder)).isDirectory();
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return false;
    throw error;
  }
}

/** Makes the names in a folder durable. */
export async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
