import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** A new folder that the caller removes. */
export async function temporaryFolder(parent: string = tmpdir()): Promise<{ readonly path: string; readonly remove: () => Promise<void> }> {
  const path = await mkdtemp(join(parent, 'hotmirror-device-'));
  return { path, remove: () => rm(path, { recursive: true, force: true }) };
}
