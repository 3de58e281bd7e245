import type { SeededRandom } from '../seeded-random.ts';

const percent = 100;

/** One of these, each as likely as any other. Throws `RangeError` where there is none. */
export function oneOf<T>(random: SeededRandom, choices: readonly T[]): T {
  if (choices.length === 0) throw new RangeError('nothing to choose from');
  return choices[random.below(choices.length)] as T;
}

/** True this often of a hundred times. */
export function chance(random: SeededRandom, ofHundred: number): boolean {
  return random.below(percent) < ofHundred;
}

/** A whole number from `least` to `most`, both included. */
export function within(random: SeededRandom, least: number, most: number): number {
  return least + random.below(most - least + 1);
}
