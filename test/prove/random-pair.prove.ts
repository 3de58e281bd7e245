import { modes, runRandomPair } from '../pair/random-pair.ts';

export const name = 'random-pair';
export const unit = 'schedules of two whole nodes under random failures';
export const target = 2_000;

/** The policies take turns. */
export async function run(seed: number): Promise<void> {
  const mode = modes[seed % modes.length];
  if (mode) await runRandomPair(mode, seed);
}
