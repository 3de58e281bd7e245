import { pullsAhead } from './complete-options.ts';
import { isDelivery } from './simulated-network.ts';
import type { NodeName } from './steps.ts';
import { nodeNames, otherNode } from './steps.ts';
import type { World } from './world.ts';

const roundMs = 200;
/** Converging may take several role changes and a resync, each a few deadlines. */
const deadlinesToConverge = 40;
const leastToConvergeMs = 30_000;
const idleDeadlines = 1.5;
const deadlinesForTakeover = 10;
const deadlinesForCopy = 20;

/**
 * Faults stop, operators replace broken disks and start what is down: the pair must become whole by itself, and then every watcher has its last word.
 * Throws `InvariantError`.
 */
export async function settle(world: World, explain: () => readonly string[]): Promise<void> {
  const { clock, workload, options } = world;
  endFaults(world);
  const repair = new Repair(world);
  const idleMs = idleDeadlines * options.times.deadlineMs;
  const limitMs = clock.nowMs() + leastToConvergeMs + deadlinesToConverge * options.times.deadlineMs;
  if ((options.links.lostPerMillion ?? 0) > 0) {
    // Among losses it becomes whole, but none can promise to stay so: three in a row are a silence beyond a short deadline.
    await becomeWhole(world, repair, limitMs, explain);
    world.network.setConditions('all', { ...options.links, lostPerMillion: 0 });
  }
  // What was slow on its way before may still end a connection by its arrival, and a silence that began before by a deadline and an interval, which is half a
  // deadline at most; what follows from that may still be under way when the pair seems whole. So only a rest that begins later counts.
  const excusedUntilMs = lastArrivalMs(world) + idleMs;
  for (let stays = false; !stays;) {
    if (workload) workload.on = true;
    await becomeWhole(world, repair, limitMs, explain);
    // Nor while a dial is under way that began before the pair was whole: its connection may replace the one in use.
    const unsettled = [...world.network.links.values()].some((link) => link.unsettled) && clock.nowMs() <= limitMs;
    const excused = unsettled || clock.nowMs() < excusedUntilMs;
    if (workload) workload.on = false;
    await clock.runFor(idleMs);
    // Over the last that was issued a source may have gone ahead (rule write.congested); now nothing keeps it from coming back to its target.
    if (options.mirrors.some(pullsAhead)) {
      await become(world, repair, limitMs, explain, () => world.converged);
      await clock.runFor(idleMs);
    }
    // A verify that ended just now may have found something.
    const found = hasFindings(world);
    if (found) await repair.round();
    stays = world.converged && !excused && !found;
    if (!stays && !excused && (!found || clock.nowMs() > limitMs))
      world.broken('convergence', `the pair did not stay whole: ${explain().join('; ')}`);
  }
  world.conclude();
  world.network.setConditions('all', options.links);
  if (workload) workload.on = true;
}

/** Waits until the pair is whole and serves the application. */
async function becomeWhole(world: World, repair: Repair, limitMs: number, explain: () => readonly string[]): Promise<void> {
  const { application, workload, options } = world;
  const before = application.acknowledged;
  const served = (): boolean => workload === null || application.acknowledged > before;
  // Several mirrors that each go ahead under this load are hardly ever caught up at one moment (rule write.congested): it pauses once it was served.
  if (workload && options.mirrors.filter(pullsAhead).length > 1) {
    await become(world, repair, limitMs, explain, served);
    workload.on = false;
  }
  await become(world, repair, limitMs, explain, () => world.converged && served());
}

async function become(
  world: World,
  repair: Repair,
  limitMs: number,
  explain: () => readonly string[],
  reached: () => boolean,
): Promise<void> {
  const { clock } = world;
  while (!reached()) {
    if (clock.nowMs() > limitMs) world.broken('convergence', `the pair does not become whole: ${explain().join('; ')}`);
    await repair.round();
    await clock.runFor(roundMs);
  }
}

function hasFindings({ nodes }: World): boolean {
  return nodeNames.some(
    (node) =>
      nodes[node].process?.ready === true && [...nodes[node].process.mirrors.values()].some((link) => link.state().findingBytes > 0),
  );
}

/** When everything will have arrived that is on its way now. */
function lastArrivalMs({ clock }: World): number {
  const arrivals = clock.waiting().filter(isDelivery);
  return Math.max(clock.nowMs(), ...arrivals.map(({ dueMs }) => dueMs));
}

function endFaults({ nodes, network, arbiter, options, log }: World): void {
  log.note({ node: 'world', event: 'faults:ended', class: 0, text: 'faults stop' });
  network.setConditions('all', options.links);
  network.heal('all');
  arbiter.mend();
  for (const node of nodeNames) {
    nodes[node].process?.gate.spare();
    // What kept it from starting may be over; an operator tries again before disks are replaced.
    nodes[node].startError = null;
    for (const disk of nodes[node].disks.all) disk.mend();
  }
}

/** What an operator does who finds the pair broken: starts nodes, replaces disks that failed, lets the other node take over first. */
class Repair {
  readonly #world: World;
  /** Since when the disks of a node wait to be replaced. */
  readonly #failedSinceMs = new Map<NodeName, number>();
  /** Since when a node is known to have disks that failed. */
  readonly #noticedMs = new Map<NodeName, number>();

  constructor(world: World) {
    this.#world = world;
  }

  async round(): Promise<void> {
    for (const node of nodeNames) {
      this.#world.resume(node);
      this.#notice(node);
      this.#restartFailedService(node);
      this.#bringBack(node);
      if (this.#failedSinceMs.has(node)) await this.#replace(node);
      else this.#world.boot(node);
    }
  }

  #notice(node: NodeName): void {
    const { process, startError, disks } = this.#world.nodes[node];
    const failed = process?.opened && [...process.mirrors.values()].some((mirror) => mirror.state().element === 'failed');
    const unreadable = startError !== null && disks.all.some(({ ailments }) => ailments.length > 0);
    if (this.#failedSinceMs.has(node) || !(failed || unreadable) || this.#holdsMore(node)) return;
    this.#world.kill(node, 'process');
    this.#failedSinceMs.set(node, this.#world.clock.nowMs());
  }

  /**
   * Whether the other node lacks, or is not known to hold, what a sound element of this node has: nobody takes the disks of a node away before that is
   * copied. Who waits too long goes on.
   */
  #holdsMore(node: NodeName): boolean {
    const { clock, nodes, options } = this.#world;
    const own = nodes[node].process;
    const sinceMs = this.#noticedMs.get(node) ?? clock.nowMs();
    this.#noticedMs.set(node, sinceMs);
    if (!own?.opened || clock.nowMs() - sinceMs > deadlinesForCopy * options.times.deadlineMs) return false;
    // The other node may take its element for uptodate until it hears what it missed; this node knows what it wrote alone.
    return [...own.mirrors.values()].some((mirror) => {
      const { element, connection, peerElement } = mirror.state();
      // One that was taken out, or is old, is complete all the same: the other node's may not be.
      return ['uptodate', 'consistent', 'outdated', 'off'].includes(element) && !(connection === 'connected' && peerElement === 'uptodate');
    });
  }

  /** A step of the platform failed for good: what its message said is mended, and the node goes on with its journal. */
  #restartFailedService(node: NodeName): void {
    const { process } = this.#world.nodes[node];
    if (process?.ready && process.orchestrator.status().service === 'failed') this.#world.kill(node, 'process');
  }

  /** An operator who took elements out brings them back, lets paused resyncs go on, and has repaired what a verify found. */
  #bringBack(node: NodeName): void {
    const { process } = this.#world.nodes[node];
    if (!process?.ready || process.stopping) return;
    for (const [mirror, link] of process.mirrors) {
      const { element, resyncPaused, findingBytes, serving } = link.state();
      if (findingBytes > 0 && serving === 'yes') link.regenerate().catch(() => undefined);
      if (resyncPaused !== null) link.resumeResync();
      if (element === 'off') process.orchestrator.setElement({ mirror, to: 'on' }).catch(() => undefined);
    }
  }

  /** Starts the node with blank disks, once the other one serves or owns the service; where it cannot take over by itself, it is told to. */
  async #replace(node: NodeName): Promise<void> {
    const { clock, nodes, options } = this.#world;
    const peer = nodes[otherNode(node)].process;
    if (!peer?.ready) return;
    const { serving, owner } = peer.orchestrator.status();
    const waitedMs = clock.nowMs() - (this.#failedSinceMs.get(node) ?? 0);
    if (serving || owner === otherNode(node)) {
      this.#failedSinceMs.delete(node);
      this.#noticedMs.delete(node);
      await this.#world.replaceDisks(node);
    } else if (waitedMs > deadlinesForTakeover * options.times.deadlineMs) {
      // Whichever home it has: the node that is up is to serve. The operator has switched the other one off, so not even what an arbiter granted it counts;
      // nothing that it completed alone is lost, for this waited until it held no more than the other.
      const { home } = peer.orchestrator.status();
      const order = { force: true, overrides: ['takeover.arbiter'], reason: 'an operator takes over from a node whose disks failed' };
      const taken = home === 'standby' ? peer.orchestrator.fallback(order) : peer.orchestrator.recover(order);
      taken.catch(() => undefined);
    }
  }
}
