import { HotMirrorError } from '../../../src/errors.ts';
import { SeededRandom } from '../../../src/testing/seeded-random.ts';
import type { DeviceEntry } from '../../../src/testing/recording-device.ts';
import type { MirrorLink } from '../../../src/mirror/mirror-link.ts';
import type { MirrorState } from '../../../src/mirror/state.ts';
import { other } from '../support/mirror-pair.ts';
import type { NodeName } from '../support/mirror-pair.ts';
import type { WritePoint } from './crash-disk.ts';
import { crashImage, crashWays } from './crash-images.ts';
import type { CrashImage } from './crash-images.ts';
import { Crashed, CrashWorld, codeOf, nodes } from './crash-world.ts';
import type { CrashStory } from './crash-stories.ts';
import { isMixture, unsaidDifference } from './unsaid-difference.ts';

/** How the pair goes on after the crash of a node. */
export const recoveries = [
  'the peer waits for it',
  'the peer goes on without it',
  'both start again, it first',
  'both start again, the peer first',
  'both have lost their power',
] as const;
/** One of them. */
export type Recovery = (typeof recoveries)[number];

/** Ticks of the orchestrator that lead to equal elements, at most. */
const mostTicks = 600;
const tickMs = 100;
const betweenStartsMs = 1_500;
/** Longer than the deadline of the data link. */
const silenceMs = 2_000;
const lastBlock = 4_096;

/** Runs a story to its end; gives every write that reached a disk in it. Throws where the story itself does not hold. */
export async function tellStory(story: CrashStory): Promise<readonly WritePoint[]> {
  const points: WritePoint[] = [];
  const world = new CrashWorld(story.options, (point) => void points.push(point));
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
  /** Which of the ways is taken, by number; of what lies beyond their end none. */
  readonly way: number;
}

/** Runs a story up to a write, ends the node there with one of the images that this may leave, and lets the pair recover. Null: there is no such way. */
export async function crashAndRecover(crash: Crash): Promise<CrashOutcome | null> {
  const run = new CrashRun(crash);
  try {
    return await run.run();
  } catch (cause) {
    const { story, at, point, recovery, way } = crash;
    const where = `"${story.name}", write ${String(at)} (${point.node}:${point.disk}, ${String(point.lengthBytes)} bytes at ${String(point.offsetBytes)}), way ${String(way)} ${run.image?.name ?? ''}, ${recovery}`;
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
    const { story, at } = this.#crash;
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
    await this.#recover();
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
    const chosen = ways[way];
    if (!chosen) return;
    const image = crashImage(disks, write, chosen);
    this.image = image;
    world.log.push(`crash of ${node}: ${image.name}`);
    if (this.#loses(node, image)) world.model.cachesLost();
    const peer = other(node);
    const targets = nodes.filter((one) => isBeingFilled(stateOf(world.processes[one]?.mirror)));
    const peerImages =
      recovery === 'both have lost their power' ? world.disks[peer].map((disk) => disk.recording?.durableImage() ?? null) : [];
    world.end(node);
    disks.forEach((disk, index) => disk.restore(image.contents[index] as Uint8Array));
    if (recovery.startsWith('both')) {
      world.end(peer);
      world.disks[peer].forEach((disk, index) => {
        const durable = peerImages[index];
        if (durable) disk.restore(durable);
      });
    }
    const mixture = targets.find((target) => isMixture(world, target));
    if (mixture) this.#unsaidTarget = `the target of a resync, ${mixture}, is not durably inconsistent (resync.begin)`;
  }

  /** Whether acknowledged writes that no flush covers may be lost by this: no element keeps all of them that may become the source. */
  #loses(node: NodeName, image: CrashImage): boolean {
    const { recovery } = this.#crash;
    if (recovery === 'both have lost their power') return true;
    if (!image.losesCache) return false;
    const mine = this.#world.processes[node]?.mirror;
    const peer = this.#world.processes[other(node)]?.mirror;
    const [own, theirs] = [stateOf(mine), stateOf(peer)];
    if (!theirs) return true;
    if (theirs.serving !== 'no') return false;
    if (recovery.startsWith('both')) return true;
    return !(theirs.element === 'uptodate' && theirs.role === 'target' && own?.serving !== 'alone');
  }

  async #recover(): Promise<void> {
    const world = this.#world;
    const { point, recovery } = this.#crash;
    world.recovering = true;
    world.link.heal();
    const [it, peer] = [point.node, other(point.node)];
    if (recovery === 'the peer goes on without it') await this.#goOn(peer);
    const first = recovery === 'both start again, the peer first' ? peer : it;
    await this.#start(first);
    if (recovery.startsWith('both')) await world.pass(betweenStartsMs);
    await this.#start(other(first));
    for (let tick = 0; !this.#isWhole(); tick += 1) {
      if (tick > mostTicks) throw new Error(`no way to equal elements: ${this.#states()}`);
      await this.#orchestrate();
      await world.pass(tickMs);
      this.#watch();
    }
    const owner = world.epoch.owner as NodeName;
    await world.all([world.write(owner, 0, lastBlock), world.flush(owner)]);
    await world.pass(tickMs);
    const [one, two] = nodes.map((node) => world.disk(node, 'element').contents) as [Uint8Array, Uint8Array];
    if (Buffer.compare(one, two) !== 0) throw new Error('the elements differ after the resync');
    const wrong = world.model.judge(one);
    if (wrong !== null) throw new Error(wrong);
  }

  /** Starts a node that does not run; where its `init` was cut short, that is done first. */
  async #start(node: NodeName): Promise<void> {
    const world = this.#world;
    if (world.processes[node]) return;
    try {
      await world.boot(node);
    } catch (error) {
      const unfinished =
        this.#crash.story.options.prepared === false && error instanceof HotMirrorError && error.code === 'HM_METADATA_MISSING';
      if (!unfinished) throw error;
      world.end(node);
      await world.initNode(node, node === 'alpha' ? 'data' : 'blank');
      world.end(node);
      await world.boot(node);
    }
  }

  /** The peer of the dead node takes over, or goes on alone, where the rules allow it; the application goes on there. */
  async #goOn(peer: NodeName): Promise<void> {
    const world = this.#world;
    if (!world.processes[peer]) return;
    await world.pass(silenceMs);
    const mirror = world.mirror(peer);
    if (mirror.state().serving === 'parked') await world.goAlone(peer);
    else if (mirror.state().serving === 'no' && mirror.state().element === 'uptodate') await world.takeOver(peer);
    if (mirror.state().serving !== 'alone') return;
    await world.all([world.write(peer, lastBlock, lastBlock), world.write(peer, 0, lastBlock / 2)]);
  }

  /** What the owner may do now. */
  async #orchestrate(): Promise<void> {
    const world = this.#world;
    const owner = world.epoch.owner as NodeName;
    const { serving, element, peerBehind } = world.mirror(owner).state();
    try {
      if (serving === 'no' && element === 'uptodate') await world.promote(owner);
      else if (serving === 'parked' && peerBehind) await world.goAlone(owner);
    } catch (error) {
      if (!(error instanceof HotMirrorError)) throw error;
      world.log.push(`  refused: ${error.code} ${error.message}`);
    }
  }

  #isWhole(): boolean {
    const world = this.#world;
    return world.isInSync() && stateOf(world.processes[world.epoch.owner as NodeName]?.mirror)?.serving === 'yes';
  }

  #watch(): void {
    const states = nodes.map((node) => stateOf(this.#world.processes[node]?.mirror));
    const serving = states.filter((state) => state?.serving === 'yes' || state?.serving === 'alone');
    if (serving.length > 1) throw new Error('two owners');
    const split = states.find((state) => state?.connection === 'split-brain' || state?.connection === 'unrelated');
    if (split) throw new Error(`the elements are ${split.connection}`);
  }

  #states(): string {
    return JSON.stringify(nodes.map((node) => stateOf(this.#world.processes[node]?.mirror)));
  }
}

/** Whether resync writes may have come to it. */
function isBeingFilled(state: MirrorState | null): boolean {
  return state?.role === 'target' && state.element === 'inconsistent';
}

/** Null for a mirror that is not open yet. */
function stateOf(mirror: MirrorLink | undefined): MirrorState | null {
  try {
    return mirror?.state() ?? null;
  } catch {
    return null;
  }
}
