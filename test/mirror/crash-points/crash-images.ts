import type { Random } from '../../../src/clock/random.ts';
import type { DeviceEntry } from '../../../src/testing/recording-device.ts';
import { sectorBytes } from './crash-disk.ts';
import type { CrashDisk } from './crash-disk.ts';

/** Every place of a tear up to this many sectors; of a longer write the first and last ones, and some between. */
const tearsAtEnds = 4;
const tearsBetween = 3;
const mostTears = 16;
/** So many changes at risk are each lost, and each kept, alone; of more, the last ones. */
const mostAlone = 6;
const randomSubsets = 3;

/** What a crash at one write leaves on the disks of its node. */
export interface CrashImage {
  readonly name: string;
  /** The write itself takes no part: it did not begin, or was over. */
  readonly kind: 'before' | 'after' | 'torn' | 'cache';
  /** Earlier changes that were not durable are lost: the machine lost its power. */
  readonly losesCache: boolean;
  readonly contents: readonly Uint8Array[];
}

type Survives = (change: DeviceEntry, block: number) => boolean;

interface Way {
  readonly name: string;
  readonly kind: CrashImage['kind'];
  readonly survives: Survives;
}

/**
 * The images that a crash at a write of a node may leave, that write being the newest change at risk of one of its disks. Bounded, and in this order:
 *
 * - *before* it and *after* it, with all that was written earlier;
 * - with a volatile cache that is lost, where there is anything in it: nothing that is not durable; the write alone;
 * - *torn*: its first sectors alone, and its last ones alone, for every sector up to {@link mostTears} of them, else for some;
 * - of such a cache each other change alone missing, and each alone surviving, up to {@link mostAlone} of them; some subsets of sectors drawn from a seed.
 */
export function crashWays(disks: readonly CrashDisk[], write: DeviceEntry, random: Random): readonly Way[] {
  const sectors = write.lengthBytes / sectorBytes;
  const others = disks.flatMap((disk) => disk.recording?.atRisk ?? []).filter(({ at }) => at !== write.at);
  const isWrite = ({ at }: DeviceEntry): boolean => at === write.at;
  const ways: Way[] = [
    { name: 'before', kind: 'before', survives: (change) => !isWrite(change) },
    { name: 'after', kind: 'after', survives: () => true },
  ];
  if (others.length > 0) {
    ways.push({ name: 'nothing at risk', kind: 'cache', survives: () => false });
    ways.push({ name: 'the write alone', kind: 'cache', survives: isWrite });
  }
  for (const cut of tears(sectors)) {
    ways.push({ name: `first ${String(cut)} sectors`, kind: 'torn', survives: (change, block) => !isWrite(change) || block < cut });
    ways.push({ name: `all but ${String(cut)} sectors`, kind: 'torn', survives: (change, block) => !isWrite(change) || block >= cut });
  }
  if (others.length > 0) {
    for (const one of others.slice(-mostAlone)) {
      ways.push({ name: `all but change ${String(one.at)}`, kind: 'cache', survives: ({ at }) => at !== one.at });
      ways.push({ name: `change ${String(one.at)} alone`, kind: 'cache', survives: ({ at }) => at === one.at });
    }
    for (let left = randomSubsets; left > 0; left -= 1) {
      const survive = new Map<string, boolean>();
      ways.push({
        name: `subset ${String(left)}`,
        kind: 'cache',
        survives: ({ at }, block) => remembered(survive, `${String(at)} ${String(block)}`, random),
      });
    }
  }
  return ways;
}

/** The image that a way leaves. */
export function crashImage(disks: readonly CrashDisk[], write: DeviceEntry, { name, kind, survives }: Way): CrashImage {
  let losesCache = false;
  const contents = disks.map((disk) => {
    const { recording } = disk;
    if (!recording) return disk.contents.slice();
    return recording.imageOf((change, block) => {
      const survived = survives(change, block);
      if (!survived && change.at !== write.at) losesCache = true;
      return survived;
    });
  });
  return { name, kind, losesCache, contents };
}

function tears(sectors: number): readonly number[] {
  const all = Array.from({ length: Math.max(0, sectors - 1) }, (_, at) => at + 1);
  if (all.length <= mostTears) return all;
  const between = Array.from({ length: tearsBetween }, (_, at) => Math.floor((sectors * (at + 1)) / (tearsBetween + 1)));
  return [...all.slice(0, tearsAtEnds), ...between, ...all.slice(-tearsAtEnds)];
}

function remembered(survive: Map<string, boolean>, key: string, random: Random): boolean {
  const known = survive.get(key) ?? random.fraction() < 0.5;
  survive.set(key, known);
  return known;
}
