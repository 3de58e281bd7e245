import { sleep } from '../../../src/clock/clock.ts';
import { systemClock } from '../../../src/clock/system-clock.ts';
import type { SeededRandom } from '../../../src/testing/seeded-random.ts';
import { AcknowledgedWrites } from './acknowledged-writes.ts';
import { elementBytes } from './command-pair.ts';
import type { CommandPair, NodeName } from './command-pair.ts';
import { socketOf, untilExported } from './exported-pair.ts';

const longestMs = 700;

/** Writes to the serving node's net disk, kills the node at a random moment, and reads at the other what was acknowledged; then the pair is whole again, and the other serves. */
export async function killRound(
  pair: CommandPair,
  serving: NodeName,
  random: SeededRandom,
): Promise<{ readonly acknowledged: number; readonly lost: readonly string[] }> {
  const other = serving === 'alpha' ? 'beta' : 'alpha';
  const writes = new AcknowledgedWrites(random, elementBytes);
  const { ended } = await writes.begin(socketOf(pair, serving));
  await sleep(systemClock, random.below(longestMs));
  await pair.kill(serving);
  await ended;
  await untilExported(pair, other);
  const lost = await writes.lost(socketOf(pair, other));
  await pair.run(serving);
  await pair.health(other);
  return { acknowledged: writes.acknowledged, lost };
}
