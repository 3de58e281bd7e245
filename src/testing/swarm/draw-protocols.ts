import type { PairSimulationOptions } from '../simulation/options.ts';
import { streamOf } from '../simulation/streams.ts';
import { chance, oneOf } from './chance.ts';

/** Windows that a few writes fill, so that much waits for room; else it is the default, which none of these pairs ever fills. */
const smallWindows: readonly number[] = [512, 4_096, 16_384, 65_536];
const smallWindowPercent = 50;
const pullAheadPercent = 50;
/** Windows that hold a write of most of these pairs, which is at most 8,192 bytes long, and soon no other: one that is longer than its window is no reason to go ahead. */
const congestedWindows: readonly number[] = [4_096, 8_192, 16_384];

/**
 * The same pair with a protocol for each mirror and, in half of the cases, a small window. Half of those by async pull ahead, with a window that is soon full. Both have a stream of chance of their
 * own, so that whatever else a seed draws is the same with and without them.
 */
export function withProtocols(seed: number, options: PairSimulationOptions): PairSimulationOptions {
  const random = streamOf(seed, 'protocols');
  const congestion = streamOf(seed, 'congestion');
  const mirrors = options.mirrors?.map((mirror) => {
    const protocol = oneOf(random, ['sync', 'sync', 'memsync', 'async', 'async'] as const);
    const windowBytes = oneOf(random, smallWindows);
    const small = chance(random, smallWindowPercent);
    const pullsAhead = chance(congestion, pullAheadPercent) && protocol === 'async';
    const congested = { whenCongested: 'pull-ahead', windowBytes: oneOf(congestion, congestedWindows) } as const;
    return { ...mirror, ...(protocol === 'sync' ? {} : { protocol }), ...(small ? { windowBytes } : {}), ...(pullsAhead ? congested : {}) };
  });
  return mirrors ? { ...options, mirrors } : options;
}
