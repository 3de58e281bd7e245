import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';

/**
 * Runs mocha under c8. Modules that hold nothing but types are left out of the count: nothing ever loads them,
 * and they would stand there as uncovered.
 */
const compiled = '.build/src';

function isOnlyTypes(file) {
  return /^\s*export \{\};\s*(\/\/# sourceMappingURL=\S+\s*)?$/.test(readFileSync(file, 'utf8'));
}

const files = readdirSync(compiled, { recursive: true }).map((file) => path.join(compiled, file));
const typesOnly = files.filter((file) => file.endsWith('.js') && isOnlyTypes(file));
const args = ['exec', '--', 'c8', ...typesOnly.flatMap((file) => ['--exclude', file]), 'mocha'];
const { status } = spawnSync('npm', args, { stdio: 'inherit' });
process.exitCode = status ?? 1;
