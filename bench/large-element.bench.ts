import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

import type { Benchmark } from './benchmark.ts';

const program = fileURLToPath(new URL('./large-element.js', import.meta.url));

export const benchmarks: readonly Benchmark[] = [
  {
    name: 'the first copy of a sparse element of 1 TiB, begun',
    unit: 'pairs of mirrors, each in a process of its own',
    prepare(): ReturnType<Benchmark['prepare']> {
      return Promise.resolve(async () => {
        // What it prints is the point: its memory and its times.
        const { stdout } = await promisify(execFile)(process.execPath, ['--enable-source-maps', program]);
        process.stdout.write(stdout);
        return 1;
      });
    },
  },
];
