import { expect } from 'chai';

import { watchUncaught } from '../../src/node/simulate/watch-uncaught.ts';
import { fuzzMetadata, fuzzPairRecord } from './support/metadata-fuzz.ts';
import type { MetadataOutcome } from './support/metadata-fuzz.ts';

const seeds = 800;

describe('Metadata and pair records of any bytes', () => {
  for (const [what, fuzz] of [
    ['metadata', fuzzMetadata],
    ['a pair record', fuzzPairRecord],
  ] as const) {
    it(`${what} is refused with a typed error or opened harmlessly, ${seeds.toLocaleString('en')} times`, async function () {
      this.timeout(120_000);
      const uncaught: unknown[] = [];
      const unwatch = watchUncaught((error) => uncaught.push(error));
      const outcomes = new Set<MetadataOutcome>();
      try {
        for (let seed = 1; seed <= seeds; seed += 1) {
          outcomes.add(
            await fuzz(seed).catch((cause: unknown) => {
              throw new Error(`seed ${String(seed)}: ${String(cause)}`, { cause });
            }),
          );
        }
      } finally {
        unwatch();
      }
      expect(uncaught).to.deep.equal([]);
      expect([...outcomes]).to.include.members(['opened', 'HM_METADATA_CORRUPT', 'HM_METADATA_VERSION']);
    });
  }
});
