import { SeededRandom } from '../../src/testing/seeded-random.ts';
import { exportedPair } from '../e2e/support/exported-pair.ts';
import { killRound } from '../e2e/support/kill-round.ts';

export const name = 'kill-nine';
export const unit = 'kills of the serving process in the middle of writes by NBD, between real processes';
export const target = 50;

export async function run(seed: number): Promise<void> {
  const pair = await exportedPair();
  try {
    const { lost } = await killRound(pair, 'alpha', new SeededRandom(seed));
    if (lost.length > 0) throw new Error(`acknowledged writes were lost: ${lost.join(', ')}`);
  } finally {
    await pair.end();
  }
}
