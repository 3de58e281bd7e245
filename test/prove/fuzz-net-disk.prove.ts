import { fuzzSessions } from '../net-disk/support/fuzz.ts';

export const name = 'fuzz-net-disk';
export const unit = 'runs of 1,000 mutated sessions of a net disk';
export const target = 1_000;
export const parallel = true;

const sessions = 1_000;

export async function run(seed: number): Promise<void> {
  await fuzzSessions(seed, sessions);
}
