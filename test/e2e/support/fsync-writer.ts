import { createHash, randomBytes } from 'node:crypto';
import { closeSync, fsyncSync, mkdirSync, openSync, writeSync } from 'node:fs';
import path from 'node:path';

const filesPerFolder = 8;
const largestBytes = 30_000;

/**
 * As a program: writes file after file below a folder until that fails, and prints of each a line for `sha256sum --check` once the file and its folders are durable. It is
 * a process of its own, for one that writes to a disk whose server hangs cannot even be killed.
 */
function main(top: string): void {
  process.chdir(top);
  for (let number = 0; ; number += 1) {
    const folder = `folder-${String(Math.floor(number / filesPerFolder))}`;
    if (number % filesPerFolder === 0) {
      mkdirSync(folder);
      sync('.');
    }
    const file = path.join(folder, `file-${String(number)}`);
    const bytes = randomBytes(1 + ((number * 7_919) % largestBytes));
    const opened = openSync(file, 'wx');
    writeSync(opened, bytes);
    fsyncSync(opened);
    closeSync(opened);
    sync(folder);
    writeSync(1, `${createHash('sha256').update(bytes).digest('hex')}  ${file}\n`);
  }
}

function sync(folder: string): void {
  const opened = openSync(folder, 'r');
  fsyncSync(opened);
  closeSync(opened);
}

main(process.argv[2]!);
