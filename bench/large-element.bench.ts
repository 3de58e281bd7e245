import type { Benchmark } from './benchmark.ts';
import { measureLargeElement } from './measure-large-element.ts';

const gibibytesPerTebibyte = 1_024;

export const benchmarks: readonly Benchmark[] = [
  {
    name: 'the first copy of a sparse element of 1 TiB, begun',
    unit: 'pairs of mirrors, each in a process of its own',
    prepare(): ReturnType<Benchmark['prepare']> {
      return Promise.resolve(async () => {
        // What it tells is the point: its memory and its times.
        const { createdMs, loadedMs, markedMs, stoppedMs, dirtyBytes, peakMebibytes } = await measureLargeElement(gibibytesPerTebibyte);
        const created = createdMs.map((ms) => `${String(ms)} ms`).join(' and ');
        console.log(
          `two mirrors of 1 TiB: at most ${String(peakMebibytes)} MiB in memory; created in ${created}; metadata loaded in ${String(loadedMs)} ms; ` +
            `everything marked and durable in ${String(markedMs)} ms; stopped in ${String(stoppedMs)} ms; ${String(dirtyBytes)} bytes were left to copy`,
        );
        return 1;
      });
    },
  },
];
