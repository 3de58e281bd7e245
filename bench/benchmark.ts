/** One thing whose speed is told. A file `*.bench.ts` in this folder exports `benchmarks`, a list of them. */
export interface Benchmark {
  readonly name: string;
  /** What is counted. */
  readonly unit: string;
  /** Makes what a round needs; a round gives how many of the unit it did. */
  prepare(): Promise<() => Promise<number>>;
}

/** What the command line asks of a report; null: the report's own default. */
export interface ReportWishes {
  readonly rounds: number | null;
  readonly seconds: number | null;
  /** The form for continuous integration. */
  readonly short: boolean;
  /** A folder on the disk that is measured. */
  readonly disk: string | null;
  /** Where a chart goes. */
  readonly svg: string | null;
  /** The command line itself, for the report to tell. */
  readonly command: string;
}

/** Measurements that are more than one number each. A file `NAME.report.ts` in this folder exports `report`, whose name is `NAME`. */
export interface Report {
  readonly name: string;
  /** Measures, and prints Markdown. */
  print(wishes: ReportWishes): Promise<void>;
}
