import { access } from 'node:fs/promises';
import path from 'node:path';

import { repositoryRoot } from '../../support/repository.ts';

/** The installed binary of a major version, or this process's own; null where there is none. */
export async function findNode(major: number): Promise<string | null> {
  const installed = path.join(repositoryRoot, '.nodes', 'node_modules', `node-${major}`, 'bin', 'node');
  const found = await access(installed).then(
    () => installed,
    () => null,
  );
  return found ?? (process.versions.node.startsWith(`${major}.`) ? process.execPath : null);
}
