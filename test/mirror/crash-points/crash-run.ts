import { SeededRandom } from '../../../src/testing/seeded-random.ts';
import type { DeviceEntry } from '../../../src/testing/recording-device.ts';
import type { MirrorState } from '../../../src/mirror/state.ts';
import { other } from '../support/mirror-pair.ts';
import type { NodeName } from '../support/mirror-pair.ts';
import type { WritePoint } from './crash-disk.ts';
import { crashImage, crashWays } from './crash-images.ts';
import type { CrashImage } from './crash-images.ts';
import { Crashed, nodes } from './crash-nodes.ts';
import { CrashRecovery, stateOf } from './crash-recovery.ts';
import type { Recovery } from './crash-recovery.ts';
import type { CrashStory } from './crash-story.ts';
import { CrashWorld, codeOf, holdsAlone } from './crash-world.ts';
import { isMixture, isUnsaidBehind, unsaidDifference } from './unsaid-difference.ts';

/** Runs a story to its end; gives every write that reached a disk in it, and tells of each when it is made. Throws where the story itself does not hold. */
export async function tellStory(story: CrashStory, writes: (point: WritePoint) => void = () => undefined): Promise<readonly WritePoint[]> {
  const points: WritePoint[] = [];
  const world = new CrashWorld(story.options, (point) => {
    points.push(point);
    writes(point);
  });
  await world.prepare();
  await story.tell(world);
  const recorded = world.recording.entries.filter(({ kind }) => kind === 'write-issued' || kind === 'zeroes-issued').length;
  if (recorded !== points.length) throw new Error(`${String(recorded)} writes are recorded, ${String(points.length)} may be crash points`);
  return points;
}

/** What one crash came to. */
export interface CrashOutcome {
  readonly image: CrashImage;
  /** How many images the crash could have left. */
  readonly ways: number;
}

/** What to do at one crash point. */
export interface Crash {
  readonly story: CrashStory;
  /** The write, by its place in the story. */
  readonly at: number;
  /** What it is there, as an earlier run of the story found. */
  readonly point: WritePoint;
  readonly recovery: Recovery;
  /** Which of so many ways is taken, by number; of what lies beyond their end none. */
  readonly way: (ways: number) => number;
}

/** Runs a story up to a write, ends the node there with one of the images that this may leave, and lets the pair recover. Null: there is no such way. */
export async function crashAndRecover(crash: Crash): Promise<CrashOutcome | null> {
  const run = new CrashRun(crash);
  try {
    return await run.run();
  } catch (cause) {
    const { story, at, point, recovery } = crash;
    const where = `"${story.name}", write ${String(at)} (${point.node}:${point.disk}, ${String(point.lengthBytes)} bytes at ${String(point.offsetBytes)}), way ${run.image?.name ?? ''}, ${recovery}`;
    throw new Error(`${where}: ${(cause as Error).message}\n${run.log.slice(-60).join('\n')}`, { cause });
  }
}

class CrashRun {
  image: CrashImage | null = null;
  readonly #crash: Crash;
  readonly #world: CrashWorld;
  #writes = 0;
  #ways = 0;
  #wrong: Error | null = null;
  #unsaidTarget: string | null = null;

  constructor(crash: Crash) {
    this.#crash = crash;
    this.#world = new CrashWorld(crash.story.options, (point) => {
      this.#write(point);
    });
  }

  get log(): readonly string[] {
    return this.#world.log;
  }

  async run(): Promise<CrashOutcome | null> {
    const { story, at, point, recovery } = this.#crash;
    const world = this.#world;
    await world.prepare();
    try {
      await story.tell(world);
    } catch (error) {
      if (!world.crashed) throw error;
      if (!(error instanceof Crashed)) world.log.push(`the story ended with ${codeOf(error)}`);
    }
    if (this.#wrong) throw this.#wrong;
    if (!world.crashed) throw new Error(`write ${String(at)} never came`);
    if (!this.image) return null;
    const unsaid = this.#unsaidTarget ?? unsaidDifference(world);
    if (unsaid !== null) throw new Error(unsaid);
    await new CrashRecovery(world, story, { node: point.node, losesCache: this.image.losesCache, recovery }).run();
    return { image: this.image, ways: this.#ways };
  }

  #write(point: WritePoint): void {
    const world = this.#world;
    if (world.crashed) return;
    const at = this.#writes;
    this.#writes += 1;
    if (at !== this.#crash.at) return;
    world.crashed = true;
    try {
      this.#end(point);
    } catch (error) {
      this.#wrong = error as Error;
    }
  }

  /** The node is dead at this write, and its disks hold what the chosen way left. */
  #end(point: WritePoint): void {
    const world = this.#world;
    const { point: expected, way, recovery, at } = this.#crash;
    if (JSON.stringify(point) !== JSON.stringify(expected)) throw new Error(`the story is another one: ${JSON.stringify(point)}`);
    const { node } = point;
    const disks = world.disks[node];
    const write = world.recording.entries.at(-1) as DeviceEntry;
    const ways = crashWays(disks, write, new SeededRandom(at + 1));
    this.#ways = ways.length;
    const chosen = ways[way(ways.length)];
    if (!chosen) return;
    const image = crashImage(disks, write, chosen);
    this.image = image;
    world.log.push(`crash of ${node}: ${image.name}`);
    const states = nodes.map((one) => stateOf(world.processes[one]?.mirror));
    const peer = other(node);
    const unsaid = nodes.find((one, index) => states[index] && isUnsaidBehind(world, one, states[index]));
    if (unsaid) this.#unsaidTarget = `${unsaid} goes on without ${other(unsaid)}, which does not durably say that it is behind`;
    const targets = nodes.filter((one) => isBeingFilled(stateOf(world.processes[one]?.mirror)));
    const peerImages =
      recovery === 'both have lost their power' ? world.disks[peer].map((disk) => disk.recording?.durableImage() ?? null) : [];
    world.end(node);
    disks.forEach((disk, index) => disk.restore(image.contents[index] as Uint8Array));
    if (image.kind === 'after') world.disk(node, point.disk).rewritten(point.offsetBytes, point.lengthBytes);
    const [own, theirs] = node === 'alpha' ? states : states.toReversed();
    world.cachesLost(this.#lost(node, image, own ?? null, theirs ?? null));
    if (recovery.startsWith('both')) {
      world.end(peer);
      world.disks[peer].forEach((disk, index) => {
        const durable = peerImages[index];
        if (durable) disk.restore(durable);
      });
    }
    world.noteDivergence();
    const mixture = targets.find((target) => isMixture(world, target));
    if (mixture) this.#unsaidTarget = `the target of a resync, ${mixture}, is not durably inconsistent (resync.begin)`;
  }

  /** Who may have lost acknowledged writes that no flush covers by this: no element keeps all of them that may become the source. */
  #lost(node: NodeName, image: CrashImage, own: MirrorState | null, theirs: MirrorState | null): readonly NodeName[] {
    const { recovery } = this.#crash;
    const world = this.#world;
    if (recovery === 'both have lost their power') return nodes;
    if (!image.losesCache) return [];
    // The only element may lose what no flush covers; one that is served through holds what completes durably, once it holds everything alone (rule write.error).
    if (theirs?.element === 'failed') return own?.serving === 'no' && holdsAlone(world, node) ? [] : nodes;
    if (theirs && theirs.serving !== 'no') return [];
    if (world.forked) return [node];
    if (!theirs || recovery.startsWith('both')) return nodes;
    const keeps = theirs.element === 'uptodate' && theirs.role === 'target' && own?.serving !== 'alone';
    if (!keeps) return nodes;
    // By async the one served last is the source when it is back, whichever crashed (rule lineage.equal).
    const comesBack = recovery === 'the peer waits for it' && world.stored(node)?.metadata.mayBeAhead === true;
    return comesBack && own?.serving === 'yes' ? nodes : [];
  }
}

/** Whether resync writes may have come to it. */
function isBeingFilled(state: MirrorState | null): boolean {
  return state?.role === 'target' && state.element === 'inconsistent';
}
