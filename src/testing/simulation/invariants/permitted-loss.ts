import type { Epoch } from '../../../epoch.ts';
import type { MirrorState } from '../../../mirror/state.ts';
import type { SimulationEntry } from '../entry.ts';
import { nodeNames, otherNode } from '../steps.ts';
import type { NodeName } from '../steps.ts';
import type { ApplicationRequest, PairView, WatcherFactory } from '../watcher.ts';

/** What a watcher of content does when something may be lost. */
export interface PermittedLossHandlers {
  /** Every element that held what no flush covers may have lost its cache: of this mirror only what is durable is promised. */
  cachesLost(mirror: string): void;
  /** A takeover may have lost of this mirror, whose protocol is not `sync`, the last acknowledged writes that fit into its window. Absent: as `cachesLost`. */
  tailLost?(mirror: string): void;
  /** A mirror by `async` completes by a stronger protocol from now on, and all that it completed before is on both elements; or by `async` again. */
  drained?(mirror: string, yes: boolean): void;
  /** Nothing that was promised before counts any more. */
  reset(): void;
}

/**
 * What the pair may lose without breaking a promise:
 *
 * - what no flush covers, when each element that held it lost power. A cut of one node forgives nothing while the other runs and holds everything, unless the
 *   node that lost it serves again without having been regenerated, as the last owner may (rule boot.alone);
 * - by `async`, at a takeover, the end of what was acknowledged and no flush covers, as much as fits into the window; and whatever no flush covers where the source loses
 *   power and is the source again, for the one served last stays it;
 * - by `memsync`, at a takeover by a node whose process died since both held the same and the other node completed nothing alone, as much as fits into the window: that died with what it had received, and the source is lost too;
 * - whatever an operator risks who forces a takeover, and whatever two owners risk where the policy does not exclude them. From then on nothing is
 *   judged until the pair is whole again.
 */
export class PermittedLoss {
  readonly #mirrors: readonly string[];
  readonly #handlers: PermittedLossHandlers;
  readonly #oneOwner: boolean;
  readonly #async: ReadonlySet<string>;
  /** By mirror with protocol `memsync`: nodes whose process died with what it had received and not applied, and that were not made whole since. */
  readonly #receiptsLost: ReadonlyMap<string, Set<NodeName>>;
  /** An operator gave an order that may make two owners. */
  #operatorSpoke = false;
  #suspended = false;
  /** Nodes that were about to take over: one that dies at its commit may serve by it after its next start. */
  readonly #takers = new Set<NodeName>();
  /** Of each order under way to complete by the configured protocol again: its node. */
  #relaxing: NodeName[] = [];
  /** Nodes with an order under way that accepts what may be lost. */
  readonly #forcing = new Set<NodeName>();
  /** By mirror: nodes that lost their cache and were not regenerated since. */
  readonly #powerLost = new Map<string, Set<NodeName>>();
  /** By mirror: nodes whose process died while it completed alone, and that were not made whole since. */
  readonly #diedAlone = new Map<string, Set<NodeName>>();
  /** By epoch number: who served in it first. */
  readonly #owners = new Map<number, string>();
  /** By mirror: the serving node that an operator had complete by a stronger protocol. */
  readonly #drained = new Map<string, NodeName>();
  /** Where a protocol has just been changed. */
  readonly #changed: { readonly mirror: string; readonly node: NodeName }[] = [];
  #highestReplied = 0;
  #lastOrder = 0;
  #resetAt = -1;
  #told = false;

  constructor(
    context: Pick<Parameters<WatcherFactory>[0], 'promises' | 'mirrors' | 'asyncWindows' | 'memsyncWindows'>,
    handlers: PermittedLossHandlers,
  ) {
    this.#async = new Set(context.asyncWindows?.keys());
    this.#receiptsLost = new Map([...(context.memsyncWindows?.keys() ?? [])].map((mirror) => [mirror, new Set()]));
    this.#oneOwner = context.promises.oneOwner;
    this.#mirrors = context.mirrors;
    this.#handlers = handlers;
  }

  /** Nothing is judged now. */
  get suspended(): boolean {
    return this.#suspended;
  }

  /** Since an operator's order to go on alone or to force a takeover the pair was not whole: two owners are that operator's doing. */
  get operatorSpoke(): boolean {
    return this.#operatorSpoke;
  }

  /** Whether a request counts: it was issued after the last reset, and nothing is suspended. */
  counts(request: ApplicationRequest): boolean {
    return !this.#suspended && request.issuedAt > this.#resetAt;
  }

  issued(request: ApplicationRequest): void {
    if (this.#drained.get(request.mirror) !== request.node) this.#byAsync(request.mirror);
    this.#lastOrder = request.issuedAt;
  }

  /** To be told before the answer is judged: it may be the one that shows two owners. */
  ended(request: ApplicationRequest): void {
    this.#lastOrder = request.endedAt ?? this.#lastOrder;
    if (request.errorCode !== null || !request.epoch) return;
    if (request.epoch.number < this.#highestReplied) this.#fork();
    this.#highestReplied = Math.max(this.#highestReplied, request.epoch.number);
    this.#claim(request.epoch);
  }

  entry({ event, node, mirror, rule, evidence }: SimulationEntry): void {
    this.#told = true;
    if (node === 'world') return;
    if (event === 'protocol:changed' && mirror !== undefined) this.#protocolChanged(mirror, node, evidence?.['protocol'] === 'async');
    if (event === 'takeover:decided') this.#takers.add(node);
    if (event === 'takeover:aborted') this.#takers.delete(node);
    if (event === 'service:started' && (this.#takers.delete(node) || rule === 'takeover.commit')) this.#tailsLost(node);
    const order = evidence?.['order'];
    if (order === 'set-configured') this.#relaxed(node, event === 'operator:asked');
    if (event === 'operator:asked' && (order === 'force-fallback' || order === 'resume')) {
      this.#operatorSpoke = true;
      if (order === 'resume') return;
      this.#forcing.add(node);
      this.#suspended = true;
    } else if (event === 'operator:answered' && order === 'force-fallback') {
      this.#forcing.delete(node);
    }
  }

  died(node: NodeName, how: 'process' | 'power', view: PairView): void {
    this.#forcing.delete(node);
    this.#relaxing = this.#relaxing.filter((relaxing) => relaxing !== node);
    for (const [mirror, drained] of this.#drained) if (drained === node) this.#byAsync(mirror);
    this.#lookAtReceipts(view);
    for (const [mirror, lost] of this.#receiptsLost) if (stateOf(node, mirror, view)?.serving === 'no') lost.add(node);
    for (const mirror of this.#mirrors) {
      const lost = this.#powerLost.get(mirror) ?? new Set();
      const diedAlone = this.#diedAlone.get(mirror) ?? new Set();
      if (completesAlone(stateOf(node, mirror, view))) this.#diedAlone.set(mirror, diedAlone.add(node));
      if ((how === 'power' && (diedAlone.has(node) || !peerHolds(node, mirror, view))) || lost.has(otherNode(node)))
        this.#handlers.cachesLost(mirror);
      if (how === 'power') this.#powerLost.set(mirror, lost.add(node));
    }
  }

  /** To be asked after every event. */
  check(view: PairView): void {
    if (!this.#told) return;
    this.#told = false;
    for (const { mirror, node } of this.#changed.splice(0)) {
      if (!this.#relaxing.includes(node) && stateOf(node, mirror, view)?.serving === 'yes') this.#drain(mirror, node);
    }
    this.#lookAtReceipts(view);
    for (const mirror of this.#diedAlone.keys()) if (isWhole(mirror, view)) this.#diedAlone.delete(mirror);
    for (const [mirror, lost] of this.#powerLost) {
      if (isWhole(mirror, view)) this.#powerLost.delete(mirror);
      else for (const node of lost) this.#lookAtLoser(node, mirror, lost, view);
    }
    if (this.#mayFork) this.#look(view);
    if (!this.#suspended && !this.#operatorSpoke) return;
    if (this.#forcing.size > 0 || !this.#mirrors.every((mirror) => isWhole(mirror, view))) return;
    this.#operatorSpoke = false;
    if (!this.#suspended) return;
    this.#suspended = false;
    this.#resetAt = this.#lastOrder;
    this.#handlers.reset();
  }

  /** What was lost with a node's process is there again once the pair is whole. Of what the other node completes alone it had received nothing, and until then it must not take over. */
  #lookAtReceipts(view: PairView): void {
    for (const [mirror, lost] of this.#receiptsLost) {
      if (lost.size === 0) continue;
      if (isWhole(mirror, view)) lost.clear();
      for (const node of lost) if (stateOf(otherNode(node), mirror, view)?.serving === 'alone') lost.delete(node);
    }
  }

  #protocolChanged(mirror: string, node: NodeName, async: boolean): void {
    if (async) this.#byAsync(mirror);
    else this.#changed.push({ mirror, node });
  }

  /** From when an operator asks for it to its answer, requests may complete by async at any moment. */
  #relaxed(node: NodeName, asked: boolean): void {
    if (asked) {
      this.#relaxing.push(node);
      for (const mirror of this.#async) this.#byAsync(mirror);
    } else {
      const at = this.#relaxing.indexOf(node);
      this.#relaxing = this.#relaxing.filter((_, index) => index !== at);
    }
  }

  #drain(mirror: string, node: NodeName): void {
    if (!this.#async.has(mirror)) return;
    this.#drained.set(mirror, node);
    this.#handlers.drained?.(mirror, true);
  }

  #byAsync(mirror: string): void {
    if (this.#drained.delete(mirror)) this.#handlers.drained?.(mirror, false);
  }

  #lookAtLoser(node: NodeName, mirror: string, lost: Set<NodeName>, view: PairView): void {
    const state = stateOf(node, mirror, view);
    if (state?.role === 'target' && state.element === 'uptodate') lost.delete(node);
    else if (state && this.#servesAgain(state, mirror) && lost.delete(node)) this.#handlers.cachesLost(mirror);
  }

  #servesAgain({ serving, role }: MirrorState, mirror: string): boolean {
    return serving === 'alone' || (this.#async.has(mirror) && (role === 'source' || serving !== 'no'));
  }

  #tailsLost(taker: NodeName): void {
    const received = [...this.#receiptsLost].flatMap(([mirror, lost]) => (lost.has(taker) ? [mirror] : []));
    for (const mirror of [...this.#async, ...received]) {
      if (this.#handlers.tailLost) this.#handlers.tailLost(mirror);
      else this.#handlers.cachesLost(mirror);
    }
  }

  get #mayFork(): boolean {
    return this.#operatorSpoke || !this.#oneOwner;
  }

  /** Who serves in which epoch, also before the first reply. */
  #look(view: PairView): void {
    for (const node of nodeNames) {
      const failover = view.nodes[node].failover;
      if (!failover?.serving || failover.owner !== node) continue;
      const { epoch: number, owner } = failover;
      if (!this.#owners.has(number) && number < this.#highestReplied) this.#fork();
      this.#claim({ number, owner });
    }
  }

  #claim({ number, owner }: Epoch): void {
    const first = this.#owners.get(number);
    if (first === undefined) this.#owners.set(number, owner);
    else if (first !== owner) this.#fork();
  }

  #fork(): void {
    if (this.#mayFork) this.#suspended = true;
  }
}

function stateOf(node: NodeName, mirror: string, view: PairView): MirrorState | null {
  const { running, mirrors } = view.nodes[node];
  return running ? (mirrors.get(mirror)?.state ?? null) : null;
}

/** It completes what its peer lacks: without it, or ahead of it (rule write.congested). */
function completesAlone(state: MirrorState | null): boolean {
  return state?.serving === 'alone' || (state?.serving === 'yes' && state.peerElement === 'outdated');
}

/** Whether the other node runs and its element holds, be it in a cache, everything that was acknowledged. */
function peerHolds(node: NodeName, mirror: string, view: PairView): boolean {
  const peer = stateOf(otherNode(node), mirror, view);
  const mine = view.nodes[node].mirrors.get(mirror)?.state;
  // Of what a node completes alone the other one knows nothing, whatever it says of itself.
  if (!peer || completesAlone(mine ?? null)) return false;
  return peer.serving !== 'no' || (peer.element === 'uptodate' && peer.role === 'target' && mine !== undefined && mine !== null);
}

/** One node serves this mirror with the other as its target, and both elements hold the same. */
export function isWhole(mirror: string, view: PairView): boolean {
  return nodeNames.some((node) => {
    const source = stateOf(node, mirror, view);
    const target = stateOf(otherNode(node), mirror, view);
    if (source?.serving !== 'yes' || target?.serving !== 'no') return false;
    const equal = source.element === 'uptodate' && source.peerElement === 'uptodate' && target.element === 'uptodate';
    return equal && target.role === 'target' && source.dirtyBytes === 0 && source.resync === null;
  });
}
