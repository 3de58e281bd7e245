import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { DirectDevice } from '../../src/device/direct.ts';
import { skipBecause } from '../support/skip.ts';
import { temporaryFolder } from './temporary-folder.ts';

/** Not every file system has a way past the page cache. */
export async function skipWithoutDirectIo(context: Mocha.Context): Promise<void> {
  const { path, remove } = await temporaryFolder();
  try {
    const file = join(path, 'element');
    await writeFile(file, new Uint8Array(4096));
    const reason = await DirectDevice.open(file).then(
      (device) => device.close().then(() => null),
      (error: unknown) => (error as Error).message,
    );
    if (reason !== null) skipBecause(context, `there is no way past the page cache here: ${reason}`);
  } finally {
    await remove();
  }
}
