import { truncate, writeFile } from 'node:fs/promises';

import { sleep } from '../../src/clock/clock.ts';
import { systemClock } from '../../src/clock/system-clock.ts';
import { fioArguments, parseFio } from '../net-disk/fio.ts';
import type { FioResult, FioRun } from '../net-disk/fio.ts';
import { startPair } from '../net-disk/hotmirror.ts';
import type { RunningPair } from '../net-disk/hotmirror.ts';
import { workload } from '../net-disk/workload.ts';
import { cpuSecondsOf, peakMebibytesOf } from '../support/proc.ts';
import { Workplace } from '../support/processes.ts';

const parent = '/dev/shm';
const sizeBytes = 64 * 2 ** 20;
/** CPU time is told in hundredths of a second: idle ones are few. */
const idleFactor = 5;
const writes = workload({ name: '4 KiB random write, depth 8', rw: 'randwrite', kibibytes: 4, depth: 8 });

/** What a pair did under writes to all its mirrors, by all connections. */
export interface PairCost extends FioResult {
  /** How many mirrors, or connections. */
  readonly count: number;
  /** Of both nodes, doing nothing, in seconds a second. */
  readonly idleCpu: number;
  readonly cpuMicrosecondsPerWrite: number;
  /** Of both nodes. */
  readonly peakMebibytes: number;
}

/** Pairs of so many mirrors each, one connection to each mirror. */
export async function measureMirrors(counts: readonly number[], seconds: number): Promise<readonly PairCost[]> {
  const costs: PairCost[] = [];
  for (const count of counts) {
    costs.push(await withPair(count, (place, pair) => costOf(place, pair, { count, uris: pair.uris, sizeBytes, seconds })));
  }
  return costs;
}

/** So many connections to the one mirror of a pair. */
export async function measureConnections(counts: readonly number[], seconds: number): Promise<readonly PairCost[]> {
  return withPair(1, async (place, pair) => {
    const costs: PairCost[] = [];
    for (const count of counts) costs.push(await costOf(place, pair, { count, uris: pair.uris, sizeBytes, seconds, connections: count }));
    return costs;
  });
}

async function withPair<Told>(mirrors: number, run: (place: Workplace, pair: RunningPair) => Promise<Told>): Promise<Told> {
  const place = new Workplace(parent);
  try {
    const pair = await startPair(place, { mirrors, sizeBytes, hasty: true, makeDisks });
    // What is new in a process is slow.
    await place.run('fio', fioArguments(writes, { uris: pair.uris, sizeBytes, seconds: 1 }));
    return await run(place, pair);
  } finally {
    await place.end();
  }
}

async function makeDisks(files: readonly string[]): Promise<void> {
  for (const file of files) {
    await writeFile(file, '');
    await truncate(file, sizeBytes);
  }
}

async function costOf(place: Workplace, { pids }: RunningPair, { count, ...run }: FioRun & { readonly count: number }): Promise<PairCost> {
  const idleSeconds = idleFactor * run.seconds;
  const beforeIdle = cpuSecondsOf(pids);
  await sleep(systemClock, idleSeconds * 1e3);
  const before = cpuSecondsOf(pids);
  const result = parseFio(await place.run('fio', fioArguments(writes, run)), writes);
  const cpuSeconds = cpuSecondsOf(pids) - before;
  return {
    ...{ ...result, count },
    idleCpu: (before - beforeIdle) / idleSeconds,
    cpuMicrosecondsPerWrite: (1e6 * cpuSeconds) / result.requests,
    peakMebibytes: peakMebibytesOf(pids),
  };
}
