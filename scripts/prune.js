import { existsSync, readdirSync, rmSync } from 'node:fs';
import path from 'node:path';

/**
 * Removes compiled files whose source is gone, so that neither a deleted test nor a deleted module lives on.
 * Usage: node scripts/prune.js OUTPUT SOURCE
 */
const [output, source] = process.argv.slice(2);
const compiled = /(?:\.(c?)js|\.d\.(c?)ts)(?:\.map)?$/;

for (const entry of readdirSync(output, { recursive: true, withFileTypes: true })) {
  if (!entry.isFile() || !compiled.test(entry.name)) continue;
  const file = path.join(entry.parentPath, entry.name);
  const sourceName = path.relative(output, file).replace(compiled, (_, ofCode = '', ofTypes = '') => `.${ofCode}${ofTypes}ts`);
  if (!existsSync(path.join(source, sourceName))) rmSync(file);
}
