import type { Clock, Timer } from '../clock/clock.ts';
import { randomHex } from '../clock/random.ts';
import type { Random } from '../clock/random.ts';
import { HotMirrorError } from '../errors.ts';
import { transportLimits } from './limits.ts';
import type { TransportLimits } from './limits.ts';
import { MemoryConnection, joinConnections } from './memory-connection.ts';
import type { Connection, Listener, ListenHandlers, Transport, TransportCapabilities } from './transport.ts';

export type { TransportLimits } from './limits.ts';

const connectionIdBytes = 8;

/** What a network is made of. */
export interface MemoryNetworkOptions {
  readonly clock: Clock;
  readonly random: Random;
}

/** What a link is like. */
export interface MemoryLinkOptions {
  /** The two nodes that it joins. */
  readonly nodes: readonly [string, string];
  /** Time that a frame takes one way, in ms. At 0 it arrives in the next timer turn, never inside `send`. Default 0. */
  readonly delayMs?: number;
  readonly limits?: Partial<TransportLimits>;
  /** Overwrites each frame once its receiver returned, so that a receiver that kept the bytes is found out. Default true. */
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

  /** Lays a link. Throws `RangeError` where one of that name exists. */
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
  readonly #network: MemoryNetworkOptions;
  readonly #delayMs: number;
  readonly #poison: boolean;
  readonly #limits: TransportLimits;
  readonly #living = new Map<string, MemoryTransport>();
  readonly #cutFrom = new Set<string>();
  readonly #ends = new Set<{ readonly owner: MemoryTransport; readonly connection: MemoryConnection }>();
  readonly #held = new Set<() => void>();

  /** @internal */
  constructor(name: string, network: MemoryNetworkOptions, options: MemoryLinkOptions) {
    this.name = name;
    this.#network = network;
    this.#nodes = options.nodes;
    this.#delayMs = options.delayMs ?? 0;
    this.#poison = options.poison ?? true;
    this.#limits = transportLimits(options.limits);
  }

  /** The node's way to the other one; the same until the node is killed. Throws `RangeError` for a node that is not on this link. */
  transport(node: string): Transport {
    let transport = this.#living.get(node);
    if (!transport) {
      transport = new MemoryTransport(this, node, this.#peerOf(node), this.#network.clock, this.#limits);
      this.#living.set(node, transport);
    }
    return transport;
  }

  /**
   * Pulls the cable: what is sent waits, as TCP would send it again, and arrives after `heal` where both ends still want it; dials wait.
   * With `from`, only what this node sends is held.
   */
  cut(from?: string): void {
    for (const node of from === undefined ? this.#nodes : [from]) this.#cutFrom.add(node);
  }

  /** Mends the cable. */
  heal(): void {
    this.#cutFrom.clear();
    for (const { connection } of [...this.#ends]) connection.mend();
    for (const go of this.#held) this.#network.clock.timer(0, go);
  }

  /** Every connection ends at once, at both ends, with `HM_CONNECTION_LOST`. New ones may be made. */
  break(): void {
    for (const { connection } of [...this.#ends]) connection.end(connectionLost(this.name, 'the link broke'));
  }

  /** See {@link MemoryNetwork.kill}. */
  kill(node: string): void {
    const transport = this.#living.get(node);
    if (!transport) return;
    this.#living.delete(node);
    transport.die();
    for (const { owner, connection } of [...this.#ends]) if (owner === transport) connection.vanish();
  }

  /** @internal Calls `arrive` after the delay, or once the link is mended. Returns how to give that up. */
  travel(from: string, arrive: () => void): () => void {
    let wanted = true;
    const go = (): void => {
      this.#held.delete(go);
      if (!wanted) return;
      if (this.#cutFrom.has(from)) this.#held.add(go);
      else arrive();
    };
    const timer = this.#network.clock.timer(this.#delayMs, go);
    return () => {
      wanted = false;
      this.#held.delete(go);
      timer.cancel();
    };
  }

  /** @internal Who answers a dial of this node. */
  answering(dialler: string): MemoryTransport | undefined {
    const transport = this.#living.get(this.#peerOf(dialler));
    return transport?.handlers ? transport : undefined;
  }

  /** @internal Makes a connection between the two transports. */
  join(dialler: MemoryTransport, listener: MemoryTransport): readonly [MemoryConnection, MemoryConnection] {
    const id = randomHex(this.#network.random, connectionIdBytes);
    const end = (owner: MemoryTransport, dialled: boolean): MemoryConnection => {
      const peer = this.#peerOf(owner.node);
      const line = {
        id,
        dialled,
        peer,
        description: owner.description,
        clock: this.#network.clock,
        delayMs: this.#delayMs,
        limits: this.#limits,
      };
      const connection = new MemoryConnection(line, {
        poison: this.#poison,
        isCut: () => this.#cutFrom.has(owner.node),
        gone: () => void this.#ends.delete(entry),
      });
      const entry = { owner, connection };
      this.#ends.add(entry);
      return connection;
    };
    const ends = [end(dialler, true), end(listener, false)] as const;
    joinConnections(...ends);
    return ends;
  }

  #peerOf(node: string): string {
    const [a, b] = this.#nodes;
    if (node !== a && node !== b) throw new RangeError(`${node} is not on the link ${this.name}`);
    return node === a ? b : a;
  }
}

/** One node's end of a link, from its start to its death. */
class MemoryTransport implements Transport {
  readonly capabilities: TransportCapabilities;
  readonly description: string;
  readonly node: string;
  handlers: ListenHandlers | null = null;
  readonly #link: MemoryLink;
  readonly #peer: string;
  readonly #clock: Clock;
  readonly #handshakeDeadlineMs: number;
  readonly #dials = new Set<Dial>();
  #dead = false;

  constructor(link: MemoryLink, node: string, peer: string, clock: Clock, limits: TransportLimits) {
    this.#link = link;
    this.node = node;
    this.#peer = peer;
    this.#clock = clock;
    this.#handshakeDeadlineMs = limits.handshakeDeadlineMs;
    this.description = `memory:${link.name}`;
    this.capabilities = { maxFrameBytes: limits.maxFrameBytes, authenticated: true, encrypted: false, bulk: true };
  }

  dial(signal?: AbortSignal): Promise<Connection> {
    return new Promise((resolve, reject) => {
      const abort = (): void => {
        dial.fail(new HotMirrorError('HM_ABORTED', `dialling ${this.description} was given up`, { cause: signal?.reason }));
      };
      const dial = new Dial(this.#link, this, this.#peer, {
        resolve,
        reject,
        stopped: () => {
          this.#dials.delete(dial);
          signal?.removeEventListener('abort', abort);
        },
      });
      this.#dials.add(dial);
      signal?.addEventListener('abort', abort, { once: true });
      if (signal?.aborted) abort();
      else if (!this.#dead) dial.start(this.#clock, this.#handshakeDeadlineMs);
    });
  }

  listen(handlers: ListenHandlers): Promise<Listener> {
    if (this.#dead) return Promise.reject(new HotMirrorError('HM_CLOSED', `${this.node} was killed`));
    if (this.handlers)
      return Promise.reject(new HotMirrorError('HM_ADDRESS_IN_USE', `${this.node} already listens at ${this.description}`));
    this.handlers = handlers;
    const close = (): Promise<void> => {
      if (this.handlers === handlers) this.handlers = null;
      return Promise.resolve();
    };
    return Promise.resolve({ address: this.description, close });
  }

  die(): void {
    this.#dead = true;
    this.handlers = null;
    for (const dial of this.#dials) dial.stop();
  }
}

interface DialOutcome {
  readonly resolve: (connection: Connection) => void;
  readonly reject: (error: HotMirrorError) => void;
  readonly stopped: () => void;
}

/** One attempt: there, an answer, and back. */
class Dial {
  readonly #link: MemoryLink;
  readonly #from: MemoryTransport;
  readonly #to: string;
  readonly #outcome: DialOutcome;
  #connection: MemoryConnection | null = null;
  #giveUp: (() => void) | null = null;
  #deadline: Timer | null = null;
  #settled = false;

  constructor(link: MemoryLink, from: MemoryTransport, to: string, outcome: DialOutcome) {
    this.#link = link;
    this.#from = from;
    this.#to = to;
    this.#outcome = outcome;
  }

  start(clock: Clock, deadlineMs: number): void {
    this.#deadline = clock.timer(deadlineMs, () => {
      this.fail(new HotMirrorError('HM_CONNECT_FAILED', `${this.#to} did not answer at ${this.#from.description}`));
    });
    this.#giveUp = this.#link.travel(this.#from.node, () => {
      this.#arrive();
    });
  }

  fail(error: HotMirrorError): void {
    if (this.#settled) return;
    this.#settled = true;
    this.stop();
    this.#outcome.stopped();
    this.#connection?.destroy();
    this.#outcome.reject(error);
  }

  /** The packets of this attempt go nowhere from now on. */
  stop(): void {
    this.#giveUp?.();
    this.#deadline?.cancel();
  }

  #arrive(): void {
    const listener = this.#link.answering(this.#from.node);
    if (listener) {
      const [mine, theirs] = this.#link.join(this.#from, listener);
      this.#connection = mine;
      this.#giveUp = this.#link.travel(this.#to, () => {
        this.#succeed(mine);
      });
      listener.handlers?.accepted(theirs);
    } else {
      this.#giveUp = this.#link.travel(this.#to, () => {
        this.fail(new HotMirrorError('HM_CONNECT_FAILED', `${this.#to} does not listen at ${this.#from.description}`));
      });
    }
  }

  #succeed(connection: MemoryConnection): void {
    this.#settled = true;
    this.stop();
    this.#outcome.stopped();
    this.#outcome.resolve(connection);
  }
}

function connectionLost(link: string, why: string): HotMirrorError {
  return new HotMirrorError('HM_CONNECTION_LOST', `memory:${link}: ${why}`);
}
