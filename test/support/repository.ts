import { existsSync } from 'node:fs';
import path from 'node:path';

/** The folder of the package, from wherever this file was compiled to. */
export const repositoryRoot: string = findRoot(import.meta.dirname);

function findRoot(folder: string): string {
  return existsSync(path.join(folder, 'package.json')) ? folder : findRoot(path.dirname(folder));
}
