/** One thing whose speed is told. A file `*.bench.ts` in this folder exports `benchmarks`, a list of them. */
export interface Benchmark {
  readonly name: string;
  /** What is counted. */
  readonly unit: string;
  /** Makes what a round needs; a round gives how many of the unit it did. */
  prepare(): Promise<() => Promise<number>>;
}
