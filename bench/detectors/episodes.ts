import type { SeededRandom } from '../../src/testing/seeded-random.ts';

/** A stretch of time in which something is otherwise. */
export interface Episode {
  readonly fromMs: number;
  readonly toMs: number;
}

/** How often something happens, and how long it lasts. */
export interface Habit {
  /** Mean time between the end of one and the beginning of the next. */
  readonly everyMs: number;
  /** How long one lasts. */
  readonly lastsMs: (random: SeededRandom) => number;
}

/** From an exponential distribution. */
export function exponential(meanMs: number): (random: SeededRandom) => number {
  return (random) => -meanMs * Math.log(1 - random.fraction());
}

/** Between both, each order of magnitude as likely as another. */
export function anyLength(leastMs: number, mostMs: number): (random: SeededRandom) => number {
  return (random) => leastMs * (mostMs / leastMs) ** random.fraction();
}

/** Episodes that happen by chance, from 0 to `untilMs`. */
export function episodes({ everyMs, lastsMs }: Habit, random: SeededRandom, untilMs: number): readonly Episode[] {
  const all: Episode[] = [];
  const gapMs = exponential(everyMs);
  for (let atMs = gapMs(random); atMs < untilMs; atMs += gapMs(random)) {
    const toMs = atMs + lastsMs(random);
    all.push({ fromMs: atMs, toMs });
    atMs = toMs;
  }
  return all;
}

/** Several kinds of them as one, in order and without overlap. */
export function merged(lists: readonly (readonly Episode[])[]): readonly Episode[] {
  const all: Episode[] = [];
  for (const episode of lists.flat().sort((one, other) => one.fromMs - other.fromMs)) {
    const last = all.at(-1);
    if (last && episode.fromMs <= last.toMs) all[all.length - 1] = { fromMs: last.fromMs, toMs: Math.max(last.toMs, episode.toMs) };
    else all.push(episode);
  }
  return all;
}

/** The episode that has begun and not ended at `atMs`, of those in order; null where there is none. */
export function during(ordered: readonly Episode[], atMs: number): Episode | null {
  let [low, high] = [0, ordered.length];
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (ordered[middle]!.fromMs <= atMs) low = middle + 1;
    else high = middle;
  }
  const last = ordered[low - 1];
  return last && atMs < last.toMs ? last : null;
}
