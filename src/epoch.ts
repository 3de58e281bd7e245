/**
 * The pair's epoch: raised whenever the serving node changes or begins to serve alone (semantics 1).
 * Two epochs with the same number and different owners are a split brain.
 */
export interface Epoch {
  /** Counts up from 1; 0 means "none yet". */
  readonly number: number;
  /** The node that serves in this epoch; empty for epoch 0. */
  readonly owner: string;
}

/** The epoch of a node that knows of none. */
export const noEpoch: Epoch = Object.freeze({ number: 0, owner: '' });

/** How two epochs relate. */
export type EpochOrder = 'equal' | 'lower' | 'higher' | 'conflict';

/** Compares `a` to `b`: `higher` means that `a` is the later one, `conflict` that two owners hold one number. */
export function compareEpochs(a: Epoch, b: Epoch): EpochOrder {
  if (a.number !== b.number) return a.number > b.number ? 'higher' : 'lower';
  return a.owner === b.owner ? 'equal' : 'conflict';
}

/** The highest of the given epochs; {@link noEpoch} for none. Of two that conflict, the first stays. */
export function highestEpoch(epochs: Iterable<Epoch | null | undefined>): Epoch {
  let highest = noEpoch;
  for (const epoch of epochs) if (epoch && epoch.number > highest.number) highest = epoch;
  return highest;
}

/** `3/alpha`, for messages. */
export function formatEpoch(epoch: Epoch): string {
  return epoch.number === 0 ? 'none' : `${String(epoch.number)}/${epoch.owner}`;
}
