import { readFileSync, writeFileSync } from 'node:fs';
import { format } from 'prettier';

/** Lists what each entry point of the built package exports, for a reviewer of the difference to see. */
const { name, exports } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8'));
const list = {};

for (const [subpath, target] of Object.entries(exports)) {
  if (typeof target === 'object') list[subpath] = Object.keys(await import(name + subpath.slice(1))).sort();
}

const text = await format(JSON.stringify(list), { parser: 'json', printWidth: 140 });
writeFileSync(new URL('../test/package/exports.json', import.meta.url), text);
