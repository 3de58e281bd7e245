import { randomFillSync } from 'node:crypto';
import { copyFile, open } from 'node:fs/promises';

import type { Workplace } from '../support/processes.ts';

const chunkBytes = 8 * 2 ** 20;

/** Writes bytes that are nowhere zero for long, in place where the file exists, and makes them durable. */
export async function fillImage(file: string, sizeBytes: number): Promise<void> {
  const chunk = randomFillSync(new Uint8Array(Math.min(chunkBytes, sizeBytes)));
  // One that exists is somebody's open disk: it must stay the same file.
  const handle = await open(file, 'r+').catch(() => open(file, 'w'));
  try {
    for (let at = 0; at < sizeBytes; at += chunk.length) await handle.write(chunk, 0, Math.min(chunk.length, sizeBytes - at), at);
    await handle.datasync();
  } finally {
    await handle.close();
  }
}

/** Copies of one disk that hold the same. */
export async function makeImages(files: readonly string[], sizeBytes: number): Promise<void> {
  const [first, ...others] = files as readonly [string, ...string[]];
  await fillImage(first, sizeBytes);
  for (const file of others) await copyFile(first, file);
}

/** Nothing of these files is in memory afterwards; what others have in memory stays, unlike by `/proc/sys/vm/drop_caches`. */
export async function forgetImages(place: Workplace, files: readonly string[]): Promise<void> {
  for (const file of files) {
    const handle = await open(file, 'r+');
    await handle.datasync();
    await handle.close();
    await place.run('dd', [`if=${file}`, 'iflag=nocache', 'count=0', 'status=none']);
  }
}
