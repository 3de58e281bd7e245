/** What some rounds came to. */
export interface Estimate {
  readonly median: number;
  readonly min: number;
  readonly max: number;
}

/** Throws `RangeError` where there is nothing to estimate from. */
export function estimate(values: readonly number[]): Estimate {
  if (values.length === 0) throw new RangeError('no values');
  const sorted = [...values].sort((one, other) => one - other);
  const middle = Math.floor(sorted.length / 2);
  const median = sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
  return { median, min: sorted[0]!, max: sorted.at(-1)! };
}

/** Round by round, for what disturbs one subject in a round disturbs the other too. */
export function ratioOf(ours: readonly number[], theirs: readonly number[]): Estimate {
  if (ours.length !== theirs.length) throw new RangeError('not the same rounds');
  return estimate(ours.map((value, round) => value / theirs[round]!));
}
