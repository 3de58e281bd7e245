import { HotMirrorError } from '../../../src/errors.ts';
import type { MirrorLink } from '../../../src/mirror/mirror-link.ts';
import type { MirrorState } from '../../../src/mirror/state.ts';
import { other } from '../support/mirror-pair.ts';
import type { NodeName } from '../support/mirror-pair.ts';
import { nodes } from './crash-nodes.ts';
import type { CrashStory } from './crash-story.ts';
import type { CrashWorld } from './crash-world.ts';

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

/** What the pair recovers from. */
export interface RecoveryOptions {
  /** Who crashed. */
  readonly node: NodeName;
  /** With what no flush covers. */
  readonly losesCache: boolean;
  readonly recovery: Recovery;
}

/** Ticks of the orchestrator that lead to equal elements, at most. */
const mostTicks = 600;
const tickMs = 100;
const betweenStartsMs = 1_500;
/** Longer than the deadline of the data link. */
const silenceMs = 2_000;
/** Longer than between two tries of a resync to read what cannot be read; then an operator does something. */
const patienceTicks = 100;
const lastBlock = 4_096;

/** What orchestrator, operator and application do after a crash, until both elements hold the same and nothing that was acknowledged is missing. */
export class CrashRecovery {
  readonly #world: CrashWorld;
  readonly #story: CrashStory;
  readonly #node: NodeName;
  readonly #losesCache: boolean;
  readonly #recovery: Recovery;

  constructor(world: CrashWorld, story: CrashStory, { node, losesCache, recovery }: RecoveryOptions) {
    this.#world = world;
    this.#story = story;
    this.#node = node;
    this.#losesCache = losesCache;
    this.#recovery = recovery;
  }

  async run(): Promise<void> {
    const world = this.#world;
    const [it, peer] = [this.#node, other(this.#node)];
    world.recovering = true;
    world.link.heal();
    // Of equal generations the one that did not crash is the source, whatever a verify has found (rule lineage.equal).
    if (!this.#recovery.startsWith('both')) world.isTheCopy(peer);
    if (this.#recovery === 'the peer goes on without it') await this.#goOn(peer);
    const first = this.#recovery === 'both start again, the peer first' ? peer : it;
    await this.#start(first);
    if (this.#recovery.startsWith('both')) await world.pass(betweenStartsMs);
    await this.#start(other(first));
    await this.#becomeWhole();
    const writer = world.epoch.owner as NodeName;
    const last = [world.write(writer, 0, lastBlock), world.flush(writer)];
    await world.pass(tickMs);
    // The write may have found out that a disk has failed.
    await this.#becomeWhole();
    await world.all(last);
    const owner = world.epoch.owner as NodeName;
    // That they differ where a disk has lost something nobody knows but by a verify.
    if (world.forgotten.length > 0) await world.verify(owner, true);
    await world.pass(tickMs);
    await this.#judge(owner);
  }

  async #becomeWhole(): Promise<void> {
    const world = this.#world;
    for (let tick = 0; !this.#isWhole(); tick += 1) {
      if (tick > mostTicks) throw new Error(`no way to equal elements: ${this.#states()}`);
      await this.#orchestrate(tick);
      await world.pass(tickMs);
      world.noteDivergence();
      this.#watch();
    }
  }

  async #judge(owner: NodeName): Promise<void> {
    const world = this.#world;
    const sizeBytes = world.stored(owner)?.metadata.sizeBytes;
    const [one, two] = nodes.map((node) => world.disk(node, 'element').contents.subarray(0, sizeBytes)) as [Uint8Array, Uint8Array];
    if (Buffer.compare(one, two) !== 0) throw new Error('the elements differ after the resync');
    const wrong = world.judge(one);
    if (wrong !== null) throw new Error(wrong);
    const [survivor] = world.survivors;
    if (!this.#story.options.salvage || !survivor || world.survivors.size > 1) return;
    const loser = other(survivor);
    const lacking = await world.kept.judgeSalvage(loser, world.disk(loser, 'salvage').contents);
    if (lacking !== null) throw new Error(lacking);
  }

  /** Starts a node that does not run; where its `init` or a new disk was cut short, or its disk fails at once, that is done first. */
  async #start(node: NodeName): Promise<void> {
    const world = this.#world;
    if (world.processes[node]) return;
    try {
      await world.boot(node);
    } catch (error) {
      const { code } = HotMirrorError.from(error, 'HM_INTERNAL', '');
      const unfinished = this.#story.options.prepared === false && code === 'HM_METADATA_MISSING';
      const unreplaced = code === 'HM_IO_FLUSH' || (world.replaced.has(node) && code.startsWith('HM_METADATA_'));
      if (!unfinished && !unreplaced) throw error;
      world.end(node);
      if (unreplaced) await world.replaceDisk(node);
      else await world.initNode(node, node === 'alpha' ? 'data' : 'blank');
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
    const { serving, element, canRollBack, findingBytes } = mirror.state();
    if (canRollBack) await world.rollBack(peer);
    else if (serving === 'parked' && element !== 'failed') await world.goAlone(peer);
    else if (serving === 'no' && element === 'uptodate' && findingBytes === 0) await world.takeOver(peer);
    if (mirror.state().serving !== 'alone') return;
    await world.all([world.write(peer, lastBlock, lastBlock), world.write(peer, 0, lastBlock / 2)]);
  }

  /** What the orchestrator does by itself, and what an operator may do now. */
  async #orchestrate(tick: number): Promise<void> {
    const world = this.#world;
    const owner = world.epoch.owner as NodeName;
    const { serving, element, peerBehind } = world.mirror(owner).state();
    try {
      if (nodes.some((node) => world.mirror(node).state().split !== null)) await this.#resolve(owner);
      else if (element === 'failed') await this.#leaveFailed(owner);
      else if (world.mirror(other(owner)).state().element === 'failed') await this.#replace(other(owner));
      else if (serving === 'no' && element === 'uptodate') await world.promote(owner);
      else if (serving === 'parked' && peerBehind) await world.goAlone(owner);
      for (const node of nodes) if (world.mirror(node).state().element === 'off') await world.setElement(node, 'on');
    } catch (error) {
      if (!(error instanceof HotMirrorError)) throw error;
      world.log.push(`  refused: ${error.code} ${error.message}`);
    }
    if (tick === 0 || tick % patienceTicks !== 0) return;
    await this.#rewriteUnreadable(owner);
    if (serving === 'alone') await this.#restart(owner);
  }

  /** Rule lineage.resolve: the one that owns the service survives. A salvage file that a crash has kept from being one is moved away. */
  async #resolve(owner: NodeName): Promise<void> {
    const world = this.#world;
    const salvage = this.#story.options.salvage === true;
    try {
      await world.resolve(owner, { salvage });
    } catch (error) {
      if (!(error instanceof HotMirrorError && error.message.includes('no salvage file'))) throw error;
      world.removeSalvage(other(owner));
      await world.resolve(owner, { salvage });
    }
  }

  /** Rule write.error: the way out is a switchover, or where the service has ended a takeover by the word of an operator. */
  async #leaveFailed(owner: NodeName): Promise<void> {
    const world = this.#world;
    const peer = other(owner);
    const { serving } = world.mirror(owner).state();
    if (serving === 'yes') await world.handOver(owner);
    if (serving !== 'no') return;
    // The element that is left may be one that has lost its cache: what no flush covers went with the disk that failed (rule write.error, class 3).
    if (peer === this.#node && this.#losesCache) world.cachesLost(nodes);
    await world.takeOver(peer, { force: world.mirror(peer).state().element !== 'uptodate' });
  }

  async #replace(node: NodeName): Promise<void> {
    const world = this.#world;
    world.end(node);
    await world.replaceDisk(node);
    await world.boot(node);
  }

  /** What neither element can be read from the application writes anew, as it would after an error. */
  async #rewriteUnreadable(owner: NodeName): Promise<void> {
    const world = this.#world;
    for (const at of world.disk(owner, 'element').bad) await world.all([world.write(owner, at, lastBlock)]);
  }

  /** Rule lineage.serving: what would be the target stops serving first. */
  async #restart(node: NodeName): Promise<void> {
    this.#world.end(node);
    await this.#world.boot(node);
  }

  #isWhole(): boolean {
    const world = this.#world;
    return world.isInSync() && stateOf(world.processes[world.epoch.owner as NodeName]?.mirror)?.serving === 'yes';
  }

  #watch(): void {
    const world = this.#world;
    const states = nodes.map((node) => stateOf(world.processes[node]?.mirror));
    const serving = states.filter((state) => state?.serving === 'yes' || state?.serving === 'alone');
    if (serving.length > 1 && !world.forked) throw new Error('two owners');
    const split = states.find((state) => state?.connection === 'unrelated' || (state?.connection === 'split-brain' && !world.forked));
    if (split) throw new Error(`the elements are ${split.connection}`);
  }

  #states(): string {
    return JSON.stringify(nodes.map((node) => stateOf(this.#world.processes[node]?.mirror)));
  }
}

/** Null for a mirror that is not open yet. */
export function stateOf(mirror: MirrorLink | undefined): MirrorState | null {
  try {
    return mirror?.state() ?? null;
  } catch {
    return null;
  }
}
