import { createServer } from 'node:net';
import type { AddressInfo, Server, Socket } from 'node:net';

import createDebug from 'debug';

import type { Clock } from '../clock/clock.ts';
import { closedError } from '../device/requests.ts';
import { HotMirrorError } from '../errors.ts';
import { ChunkPool } from './chunk-pool.ts';
import type { HagglingHost } from './haggling.ts';
import { netDiskLimits } from './limits.ts';
import type { NetDiskLimits } from './limits.ts';
import { listenAt } from './listening.ts';
import { formatAddress } from './net-disk-address.ts';
import type { NetDiskAddress } from './net-disk-address.ts';
import { assertExport } from './net-disk-export.ts';
import type { NetDiskExport } from './net-disk-export.ts';
import { assertCredentials, beginTls, exposureProblem, provesClients } from './net-disk-tls.ts';
import type { NetDiskTls } from './net-disk-tls.ts';
import { assertServerOptions } from './given-options.ts';
import { Session } from './session.ts';
import { copiedInto, readInto } from './socket-intake.ts';
import type { IntakeSink } from './socket-intake.ts';
import { SocketWire } from './socket-wire.ts';
import type { Secure } from './socket-wire.ts';

const debug = createDebug('hotmirror:net-disk');

/** What a {@link NetDiskServer} is made from. */
export interface NetDiskServerOptions {
  /** A unix socket, made with mode 0600, or a TCP port: of a loopback address, unless TLS is required of clients that prove who they are. */
  readonly listen: NetDiskAddress;
  /** Absent: it speaks none. */
  readonly tls?: NetDiskTls;
  readonly clock: Clock;
  readonly limits?: Partial<NetDiskLimits>;
  /** Called whenever bytes of a client come. */
  readonly onBytes?: () => void;
}

/** Memory that connections read into and reply from is used again, up to so much of it. */
const keptBytes = 32 * 2 ** 20;
/** Room for the largest request that is usual, 1 MiB, and what goes with it. */
const chunkBytes = 2 ** 20 + 2 ** 12;

/** A TCP connection on which nothing comes for that long is probed by the system, so that a client whose machine is gone does not keep its place for ever. */
const keepAliveMs = 60_000;

/** A connection and what it uses. */
interface Client {
  readonly session: Session;
  readonly wire: SocketWire;
  exported: NetDiskExport | null;
}

/**
 * An NBD server: hands devices to the operating system and to whoever speaks the protocol. Each connection is bounded in what it may have under way; a client that misbehaves
 * loses its own connection and nothing else.
 */
export class NetDiskServer {
  readonly #server: Server;
  readonly #listen: NetDiskAddress;
  /** Takes the socket file away. */
  readonly #takeAway: () => Promise<void>;
  readonly #tls: NetDiskTls | null;
  readonly #limits: NetDiskLimits;
  readonly #clock: Clock;
  readonly #onBytes: (() => void) | null;
  readonly #pool: ChunkPool = new ChunkPool({ chunkBytes, keptBytes });
  readonly #exports = new Map<string, NetDiskExport>();
  readonly #clients = new Set<Client>();
  /** Those that use no export yet, the oldest first. */
  readonly #newcomers = new Set<Client>();
  readonly #host: HagglingHost;
  #whenEmpty: (() => void)[] = [];
  #closing = false;

  private constructor(server: Server, takeAway: () => Promise<void>, { listen, tls, clock, limits, onBytes }: NetDiskServerOptions) {
    this.#server = server;
    this.#listen = listen;
    this.#takeAway = takeAway;
    this.#tls = tls ?? null;
    this.#clock = clock;
    this.#onBytes = onBytes ?? null;
    this.#limits = netDiskLimits(limits);
    this.#host = {
      exports: () => this.#exports.values(),
      find: (name) => this.#exports.get(name) ?? null,
      closing: () => this.#closing,
      full: () => this.#full,
      tls: tls?.mode ?? 'none',
      limits: this.#limits,
    };
    server.on('connection', (socket) => this.#accept(socket));
    server.on('error', (error) => debug('a connection could not be accepted: %O', error));
  }

  /**
   * Listens. A socket file of a server that is gone is replaced. Rejects with `HM_ADDRESS_IN_USE`, `HM_ADDRESS`, `HM_TLS_KEYS` for a key and certificates that cannot be used, or
   * `HM_UNAUTHENTICATED_BIND` for an address beyond loopback without TLS that lets only known clients in (rule trust); with `RangeError` for a limit, a port or a mode that cannot be, and `TypeError` for what is of
   * another type: no clock, keys that are no `Map` of `Uint8Array`.
   */
  static async listen(options: NetDiskServerOptions): Promise<NetDiskServer> {
    assertServerOptions(options);
    const { listen, tls } = options;
    netDiskLimits(options.limits);
    const exposed = exposureProblem(listen, tls ? { mode: tls.mode, clientsProven: provesClients(tls.credentials) } : null);
    if (exposed !== null) throw new HotMirrorError('HM_UNAUTHENTICATED_BIND', `${formatAddress(listen)}: ${exposed}`, { rule: 'trust' });
    if (tls) assertCredentials(tls.credentials);
    const server = createServer({ allowHalfOpen: true, pauseOnConnect: true, keepAlive: true, keepAliveInitialDelay: keepAliveMs });
    return new NetDiskServer(server, await listenAt(server, listen), options);
  }

  /** Where it listens; the port is the one that it was given where it asked for any. */
  get address(): NetDiskAddress {
    if ('path' in this.#listen) return this.#listen;
    const { address, port } = this.#server.address() as AddressInfo;
    return { host: address, port };
  }

  /** Connections there are. */
  get connections(): number {
    return this.#clients.size;
  }

  /** Lets clients use this disk from now on. Throws `RangeError` for a name that is taken or cannot travel, `TypeError` for what is no disk or no name, and `HM_CLOSED`. */
  add(exported: NetDiskExport): void {
    assertExport(exported);
    if (this.#closing) throw closedError('the net disk server');
    if (this.#exports.has(exported.name)) throw new RangeError(`there is an export "${exported.name}" already`);
    this.#exports.set(exported.name, exported);
  }

  /** Lets nobody use it any more: what its clients have asked is answered, then they are left; at the latest after `limits.closeDeadlineMs`, whatever the device still has of them. Resolves when their connections have ended. */
  async remove(name: string): Promise<void> {
    const exported = this.#exports.get(name);
    this.#exports.delete(name);
    await this.#leave([...this.#clients].filter((client) => client.exported !== null && client.exported === exported));
  }

  /** Listens no more, answers what was asked, and leaves. Resolves when every connection has ended; closing again resolves too. */
  async close(): Promise<void> {
    this.#closing = true;
    const left = this.#leave([...this.#clients]);
    // While it listens nobody takes its place, so this is the file that it made.
    await this.#takeAway();
    this.#server.close();
    await left;
  }

  async #leave(clients: readonly Client[]): Promise<void> {
    for (const { session } of clients) session.shutDown();
    while (clients.some((client) => this.#clients.has(client))) await new Promise<void>((resolve) => this.#whenEmpty.push(resolve));
  }

  #accept(socket: Socket): void {
    if (this.#closing || this.#full) {
      debug('a client was turned away: %d connections', this.#clients.size);
      socket.destroy();
      return;
    }
    this.#makeRoom();
    const tls = this.#tls;
    const secure: Secure = (clear, done) => {
      if (tls)
        beginTls(clear, tls.credentials, (outcome) => done('secured' in outcome ? { intake: copiedInto(outcome.secured, sink) } : outcome));
    };
    const wire: SocketWire = new SocketWire({ sent: () => session.sent(), closed: () => this.#gone(client) }, secure);
    const session = new Session({
      ...{ host: this.#host, limits: this.#limits, clock: this.#clock, pool: this.#pool, wire },
      ended: (because) => debug('a client leaves: %s', because ?? 'in order'),
      entered: (negotiated) => {
        client.exported = negotiated.export;
        this.#newcomers.delete(client);
      },
    });
    const sink = told(session, this.#onBytes);
    const client: Client = { session, wire, exported: null };
    this.#clients.add(client);
    this.#newcomers.add(client);
    // Node documents TLS over sockets that are read in the usual way.
    wire.over(tls ? copiedInto(socket, sink) : readInto(socket, sink));
    session.begin();
  }

  /** As many use an export as may. */
  get #full(): boolean {
    let users = 0;
    for (const { exported } of this.#clients) if (exported !== null) users += 1;
    return users >= this.#limits.connections;
  }

  /** Whoever says nothing keeps nobody else out: of those that use no export yet, the oldest gives way. */
  #makeRoom(): void {
    const [oldest] = this.#newcomers;
    if (!oldest || this.#newcomers.size < this.#limits.newcomers) return;
    debug('a client that used no export yet gave way to a newer one: %d of them', this.#newcomers.size);
    this.#newcomers.delete(oldest);
    oldest.wire.destroy();
  }

  #gone(client: Client): void {
    client.session.lost();
    this.#clients.delete(client);
    this.#newcomers.delete(client);
    for (const resolve of this.#whenEmpty.splice(0)) resolve();
  }
}

/** A session that tells of each time that bytes come, before it looks at them. */
function told(session: Session, onBytes: (() => void) | null): IntakeSink {
  if (!onBytes) return session;
  return {
    buffer: () => session.buffer(),
    filled: (lengthBytes) => {
      onBytes();
      return session.filled(lengthBytes);
    },
  };
}
