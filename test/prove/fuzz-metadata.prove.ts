import { fuzzMetadata, fuzzPairRecord } from '../mirror/support/metadata-fuzz.ts';

const each = 100;

export const name = 'fuzz-metadata';
export const unit = `times ${String(each)} damaged metadata and as many damaged pair records`;
export const target = 2_000;
export const parallel = true;

export async function run(seed: number): Promise<void> {
  for (let at = 0; at < each; at += 1) {
    await fuzzMetadata(seed * each + at);
    await fuzzPairRecord(seed * each + at);
  }
}
