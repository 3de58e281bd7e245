import { SeededRandom } from '../seeded-random.ts';

const fnvOffset = 0x811c9dc5;
const fnvPrime = 0x01000193;

/**
 * The stream of chance of one part of a simulation. Each part has its own, so that a step left out of a schedule does not change what chance
 * decides elsewhere.
 */
export function streamOf(seed: number, part: string): SeededRandom {
  let hash = fnvOffset;
  for (const byte of Buffer.from(`${String(seed)} ${part}`, 'utf8')) hash = Math.imul(hash ^ byte, fnvPrime) >>> 0;
  return new SeededRandom(hash);
}
