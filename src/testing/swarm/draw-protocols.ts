import type { PairSimulationOptions } from '../simulation/options.ts';
import { streamOf } from '../simulation/streams.ts';
import { chance, oneOf } from './chance.ts';

/** Windows that a few writes fill, so that much waits for room; else it is the default, which none of these pairs ever fills. */
const smallWindows: readonly number[] = [512, 4_096, 16_384, 65_536];
const smallWindowPercent = 50;
const pullAheadPercent = 50;

/**
 * The same pair with a protocol for each mirror and, in half of the cases, a small window; half of those by async pull ahead when it is full. They have streams of chance of their own, so that whatever else a seed draws
 * is the same with and without them.
 */
export function withProtocols(seed: number, options: PairSimulationOptions): PairSimulationOptions {
  const random = streamOf(seed, 'protocols');
  const congestion = streamOf(seed, 'congestion');
  const mirrors = options.mirrors?.map((mirror) => {
    const protocol = oneOf(random, ['sync', 'sync', 'memsync', 'async', 'async'] as const);
    const windowBytes = oneOf(random, smallWindows);
    const small = chance(random, smallWindowPercent);
    const pullsAhead = chance(congestion, pullAheadPercent) && protocol === 'async';
    const whenCongested = pullsAhead ? { whenCongested: 'pull-ahead' as const } : {};
    return { ...mirror, ...whenCongested, ...(protocol === 'sync' ? {} : { protocol }), ...(small ? { windowBytes } : {}) };
  });
  return mirrors ? { ...options, mirrors } : options;
}
