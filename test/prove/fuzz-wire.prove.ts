import { watchUncaught } from '../../src/node/simulate/watch-uncaught.ts';
import { FuzzRound } from '../mirror/support/wire-fuzz.ts';
import { fuzzByteStreams } from '../transport/byte-stream-fuzz.ts';

const framesEach = 1_000;
const bytesStreamsEach = 20;
const roundsPerSeed = 1_000;

export const name = 'fuzz-wire';
export const unit = `times ${framesEach.toLocaleString('en')} frames at two mirrors by an attacker who holds the key, and ${String(bytesStreamsEach)} byte streams at the transport`;
/** A million frames. */
export const target = 1_000;
export const parallel = true;

export async function run(seed: number): Promise<void> {
  const uncaught: unknown[] = [];
  const unwatch = watchUncaught((error) => uncaught.push(error));
  try {
    for (let frames = 0, round = 0; frames < framesEach; round += 1)
      frames += (await new FuzzRound(seed * roundsPerSeed + round).run()).frames;
    await fuzzByteStreams(seed, bytesStreamsEach);
  } finally {
    unwatch();
  }
  if (uncaught.length > 0) throw new Error('something was not caught', { cause: uncaught[0] });
}
