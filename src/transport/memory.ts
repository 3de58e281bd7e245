import type { Clock } from '../clock/clock.ts';
import { randomHex } from '../clock/random.ts';
import type { Random } from '../clock/random.ts';
import { HotMirrorError } from '../errors.ts';
import { transportLimits } from './limits.ts';
import type { TransportLimits } from './limits.ts';
import type { LinkConditions } from './link-conditions.ts';
import { FramePool } from './frame-pool.ts';
import { LinkWay } from './link-way.ts';
import { MemoryConnection, joinConnections } from './memory-connection.ts';
import { MemoryTransport } from './memory-transport.ts';
import type { Transport } from './transport.ts';

export type { LinkConditions } from './link-conditions.ts';
export type { TransportLimits } from './limits.ts';

const connectionIdBytes = 8;
const endsOfConnection = 2;

/** What a network is made of. */
export interface MemoryNetworkOptions {
  readonly clock: Clock;
  readonly random: Random;
}

/** What a link is like. */
export interface MemoryLinkOptions {
  /** The two nodes that it joins. */
  readonly nodes: readonly [string, string];
  /** What it is like both ways, until {@link MemoryLink.setConditions}. By default everything arrives in the next timer turn. */
  readonly conditions?: LinkConditions;
  /** For a link whose timers are to be told from those of others. Default the network's. */
  readonly clock?: Clock;
  readonly limits?: Partial<TransportLimits>;
  /** Overwrites each frame once its receiver returned, and may use its memory again, so that a receiver that kept the bytes is found out. Default true. */
  readonly poison?: boolean;
}

/**
 * A deterministic network between named nodes, in one process: for tests, simulations and embedding both nodes in one program.
 * Frames travel by the clock's timers; connections behave as over TCP between two machines.
 */
export class MemoryNetwork {
  readonly #options: MemoryNetworkOptions;
  readonly #links = new Map<string, MemoryLink>();

  constructor(options: MemoryNetworkOptions) {
    this.#options = options;
  }

  /** Lays a link. Throws `RangeError` where one of that name exists, and for conditions or limits that are none. */
  link(name: string, options: MemoryLinkOptions): MemoryLink {
    if (this.#links.has(name)) throw new RangeError(`a link ${name} already exists`);
    const link = new MemoryLink(name, this.#options, options);
    this.#links.set(name, link);
    return link;
  }

  /**
   * The process of this node dies: its connections and listeners are gone, its peers see `HM_CONNECTION_LOST` as far as their link still works.
   * The transports that it held are dead: they call nobody back, and their dials wait for ever. Restart the node with fresh ones from `link.transport`.
   */
  kill(node: string): void {
    for (const link of this.#links.values()) link.kill(node);
  }
}

/** A link between two nodes, with the faults that it can have. */
export class MemoryLink {
  readonly name: string;
  readonly #nodes: readonly [string, string];
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #pool = new FramePool();
  readonly #poison: boolean;
  readonly #limits: TransportLimits;
  readonly #living = new Map<string, MemoryTransport>();
  /** By the node that sends. */
  readonly #ways: ReadonlyMap<string, LinkWay>;
  readonly #ends = new Map<MemoryConnection, MemoryTransport>();
  readonly #held = new Set<() => void>();

  /** @internal */
  constructor(name: string, network: MemoryNetworkOptions, options: MemoryLinkOptions) {
    this.name = name;
    this.#clock = options.clock ?? network.clock;
    this.#random = network.random;
    this.#nodes = options.nodes;
    this.#ways = new Map(options.nodes.map((node) => [node, new LinkWay(this.#clock, this.#random, options.conditions)]));
    this.#poison = options.poison ?? true;
    this.#limits = transportLimits(options.limits);
  }

  /** The node's way to the other one; the same until the node is killed. Throws `RangeError` for a node that is not on this link. */
  transport(node: string): Transport {
    let transport = this.#living.get(node);
    if (!transport) {
      transport = new MemoryTransport(this, node, this.#peerOf(node), this.#clock, this.#limits);
      this.#living.set(node, transport);
    }
    return transport;
  }

  /** Whether it is not yet said which connection will be in use: a dial is under way, or there are two at once. */
  get unsettled(): boolean {
    return this.#ends.size > endsOfConnection || [...this.#living.values()].some(({ dialling }) => dialling);
  }

  /**
   * The link is like this from now on, or with `from` what this node sends; what is absent is no more. Frames on their way keep the time they were given.
   * Throws `RangeError` for conditions that are none, and for a node that is not on this link.
   */
  setConditions(conditions: LinkConditions, from?: string): void {
    for (const way of this.#waysOf(from)) way.set(conditions);
  }

  /**
   * Pulls the cable: what is sent waits, as TCP would send it again, and arrives after `heal` where both ends still want it; dials wait.
   * With `from`, only what this node sends is held. Throws `RangeError` for a node that is not on this link.
   */
  cut(from?: string): void {
    for (const way of this.#waysOf(from)) way.isCut = true;
  }

  /** Mends the cable. */
  heal(): void {
    for (const way of this.#waysOf()) way.isCut = false;
    for (const connection of [...this.#ends.keys()]) connection.mend();
    const held = [...this.#held];
    this.#held.clear();
    for (const go of held) this.#clock.timer(0, go);
  }

  /** Every connection ends at once, at both ends, with `HM_CONNECTION_LOST`. New ones may be made. */
  break(): void {
    for (const connection of [...this.#ends.keys()]) connection.end(connectionLost(this.name, 'the link broke'));
  }

  /**
   * See {@link MemoryNetwork.kill}. `keeps` says how many of the frames that a connection has under way from this node still arrive, the oldest first:
   * what a kernel has taken from a process it sends, and what is on the wire arrives. Default none.
   */
  kill(node: string, keeps: (underWay: number) => number = () => 0): void {
    const transport = this.#living.get(node);
    if (!transport) return;
    this.#living.delete(node);
    transport.die();
    for (const [connection, owner] of [...this.#ends]) if (owner === transport) connection.vanish(keeps);
  }

  /** @internal Calls `arrive` when what this node sends now arrives, or once the link is mended. Returns how to give that up. */
  travel(from: string, arrive: () => void): () => void {
    const way = this.#wayFrom(from);
    let wanted = true;
    const go = (): void => {
      if (!wanted) return;
      if (way.isCut) this.#held.add(go);
      else arrive();
    };
    const timer = this.#clock.timer(way.arrivalMs() - this.#clock.nowMs(), go);
    return () => {
      wanted = false;
      this.#held.delete(go);
      timer.cancel();
    };
  }

  /** @internal Whether the request that this node dials with now comes twice. */
  duplicates(from: string): boolean {
    return this.#wayFrom(from).duplicates();
  }

  /** @internal Who answers a dial of this node. */
  answering(dialler: string): MemoryTransport | undefined {
    const transport = this.#living.get(this.#peerOf(dialler));
    return transport?.handlers ? transport : undefined;
  }

  /** @internal Makes a connection between the two transports; `over` is told of the end of the listener's side. */
  join(dialler: MemoryTransport, listener: MemoryTransport, over?: () => void): readonly [MemoryConnection, MemoryConnection] {
    const id = randomHex(this.#random, connectionIdBytes);
    const end = (owner: MemoryTransport, dialled: boolean): MemoryConnection => {
      const connection = new MemoryConnection({
        id,
        dialled,
        peer: this.#peerOf(owner.node),
        description: owner.description,
        clock: this.#clock,
        way: this.#wayFrom(owner.node),
        limits: this.#limits,
        pool: this.#pool,
        poison: this.#poison,
        gone: () => {
          this.#ends.delete(connection);
          if (!dialled) over?.();
        },
      });
      this.#ends.set(connection, owner);
      return connection;
    };
    const ends = [end(dialler, true), end(listener, false)] as const;
    joinConnections(...ends);
    return ends;
  }

  /** @internal The listener's side of a connection that the dialler knows nothing of: nobody is at the other end, until the deadline of handshakes. */
  joinDuplicate(dialler: MemoryTransport, listener: MemoryTransport): MemoryConnection {
    const ends = this.join(dialler, listener, () => {
      deadline.cancel();
      ends[0].end(null);
    });
    const deadline = this.#clock.timer(this.#limits.handshakeDeadlineMs, () => {
      for (const end of ends) end.end(connectionLost(this.name, 'nobody is at the other end'));
    });
    return ends[1];
  }

  #waysOf(from?: string): Iterable<LinkWay> {
    return from === undefined ? this.#ways.values() : [this.#wayFrom(from)];
  }

  #wayFrom(node: string): LinkWay {
    const way = this.#ways.get(node);
    if (!way) throw this.#stranger(node);
    return way;
  }

  #peerOf(node: string): string {
    const [a, b] = this.#nodes;
    if (node !== a && node !== b) throw this.#stranger(node);
    return node === a ? b : a;
  }

  #stranger(node: string): RangeError {
    return new RangeError(`${node} is not on the link ${this.name}`);
  }
}

function connectionLost(link: string, why: string): HotMirrorError {
  return new HotMirrorError('HM_CONNECTION_LOST', `memory:${link}: ${why}`);
}
