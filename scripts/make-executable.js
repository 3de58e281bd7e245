import { chmodSync, readFileSync } from 'node:fs';

/** Makes every command of the package executable; the compiler does not. */
const { bin } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8'));

for (const file of Object.values(bin)) chmodSync(new URL(`../${file}`, import.meta.url), 0o755);
