/**
 * What this version can do on a data link beyond its first version, by names that never change their meaning. Each side says its list in the `hello`;
 * what both said is in force on that connection, and neither sends what belongs to any other.
 */
export const dataLinkFeatures = [
  /** Message `zeroes`: a range of zeroes travels without its bytes. */
  'zeroes',
  /** Messages `protocol`, `received` and `barrier`: the protocols memsync and async. */
  'protocols',
  /** Messages `fetch` and `fetched`: the source reads what the target holds. */
  'fetch',
  /** Messages `detach` and `detached`: the source serves through the target's element alone. */
  'diskless',
  /** The `hello` tells who gives way in a split brain, and the decision heeds it. */
  'giveWay',
  /** Message `hole`: extents of zeroes in a resync travel without their bytes. */
  'holes',
  /** Messages `compare`, `compared` and `waived`: the target compares its extents with digests of the source, by SHA-256. */
  'compare',
  /** Comparisons may be by SHA-512. */
  'sha512',
  /** Comparisons may be by BLAKE2b, 512 bits. */
  'blake2b512',
  /** Messages `ahead` and `behind`: a source whose queue is full goes on without the target (rule write.congested). */
  'pull-ahead',
] as const;

/** The name of a feature. */
export type DataLinkFeature = (typeof dataLinkFeatures)[number];

/** What both sides can do. Names that this version does not know are the peer's own affair. */
export function commonFeatures(theirs: readonly string[]): ReadonlySet<DataLinkFeature> {
  return new Set(dataLinkFeatures.filter((feature) => theirs.includes(feature)));
}
