import { modes, runRandomPair } from './random-pair.ts';

const firstSeed = Number(process.env['HOTMIRROR_PAIR_SEED'] ?? 1);
const seedsPerMode = 6;

describe('a pair under random failures has one owner, loses nothing acknowledged and becomes whole again', function () {
  this.timeout(60_000);

  for (const mode of modes)
    it(`${mode.title} (handover, takeover.commit, alone, serve.lease, write.both, lineage.decide)`, async () => {
      for (let seed = firstSeed; seed < firstSeed + seedsPerMode; seed += 1) await runRandomPair(mode, seed);
    });
});
