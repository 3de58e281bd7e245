import { createHash } from 'node:crypto';
import { lstat, rename, stat, unlink } from 'node:fs/promises';
import type { Server, Socket } from 'node:net';
import { connect, createServer } from 'node:net';
import path from 'node:path';

import createDebug from 'debug';

import { makeFolder } from '../device/folder.ts';
import { HotMirrorError } from '../errors.ts';
import type { Json } from '../failover/ports.ts';
import { bound, listenStaged, longestSocketPathBytes } from '../transport/unix-socket.ts';
import type { ControlHandlers, ControlReply, ControlRequest, ControlStream } from './control-protocol.ts';
import { maxLineBytes, parseRequest } from './control-protocol.ts';
import { LineSplitter } from './lines.ts';

/** How much a control socket takes. */
export interface ControlSocketLimits {
  /** More clients are turned away. Default 32. */
  readonly connections: number;
  /** Requests of one client that run at a time; one more ends its connection. Default 8. */
  readonly requestsPerClient: number;
  /** Bytes that a client may leave unread before it is cut off. Default 4 MiB. */
  readonly unsentBytes: number;
}

/** What a control socket needs. */
export interface ControlSocketOptions {
  /** Path of the unix socket. */
  readonly path: string;
  readonly handlers: ControlHandlers;
  readonly limits?: Partial<ControlSocketLimits>;
}

/** A control socket that is open. */
export interface ControlSocket {
  readonly path: string;
  /** Cuts off all clients and removes the socket. */
  close(): Promise<void>;
}

const debug = createDebug('hotmirror:control');
const defaultLimits: ControlSocketLimits = { connections: 32, requestsPerClient: 8, unsentBytes: 4 * 2 ** 20 };
/** Progress waits while this much is unsent. */
const progressMarkBytes = 65_536;

/** Throws `HM_CONFIG` where a unix socket cannot have this path. */
export function assertSocketPath(socketPath: string): void {
  const bytes = Buffer.byteLength(socketPath);
  if (bytes <= longestSocketPathBytes) return;
  throw new HotMirrorError(
    'HM_CONFIG',
    `controlSocket: ${socketPath} has ${String(bytes)} bytes; a unix socket's path holds ${String(longestSocketPathBytes)} at most`,
  );
}

/**
 * Opens the control socket, mode 0600. Its folder is made (0700) where absent. A socket at which nobody answers is replaced.
 * Rejects with `HM_NODE_RUNNING` where somebody does, `HM_CONFIG` for a path that is too long, `HM_STATE_UNWRITABLE`.
 */
export async function openControlSocket(options: ControlSocketOptions): Promise<ControlSocket> {
  const folder = path.dirname(options.path);
  assertSocketPath(options.path);
  const clients = new Set<Client>();
  const limits = { ...defaultLimits, ...options.limits };
  const server = createServer((socket) => {
    if (clients.size >= limits.connections) socket.destroy();
    else {
      const client = new Client(socket, options.handlers, limits);
      clients.add(client);
      socket.once('close', () => clients.delete(client));
    }
  });
  let holder: Server | null = null;
  try {
    await makeFolder(path.resolve(folder));
    holder = await holdName(options.path);
    await assertReplaceable(options.path);
    await listenStaged(server, options.path, (staged) => rename(staged, options.path));
    server.on('error', (error) => debug('control socket: %s', error.message));
  } catch (error) {
    await Promise.all([closeServer(server), closeServer(holder)]);
    throw HotMirrorError.from(error, 'HM_STATE_UNWRITABLE', `the control socket ${options.path} cannot be made`);
  }
  return {
    path: options.path,
    async close() {
      await unlink(options.path).catch(() => undefined);
      for (const client of clients) client.end();
      await Promise.all([closeServer(server), closeServer(holder)]);
    },
  };
}

function closeServer(server: Server | null): Promise<void> {
  return new Promise((resolve) => {
    if (server?.listening === true) server.close(() => resolve());
    else resolve();
  });
}

/**
 * Holds a name that the kernel gives to one process at a time and takes back when that process ends, however it ends: an abstract unix socket.
 * So of several nodes that start at once exactly one may replace a dead socket. The name is seen within one network namespace; only Linux has such names.
 */
async function holdName(socketPath: string): Promise<Server | null> {
  if (process.platform !== 'linux') return null;
  const { dev, ino } = await stat(path.dirname(socketPath), { bigint: true });
  const digest = createHash('sha256')
    .update(`${String(dev)}:${String(ino)}:${path.basename(socketPath)}`)
    .digest('hex');
  const holder = createServer((socket) => socket.destroy());
  try {
    // Padded: versions of Node differ in whether they pad with zeroes themselves, and must exclude each other.
    await bound(holder, { path: `\0hotmirror:control:${digest}:`.padEnd(longestSocketPathBytes + 1, '-'), exclusive: true });
    holder.on('error', (error) => debug('control socket: %s', error.message));
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'EADDRINUSE') throw nodeRunning(socketPath);
    throw error;
  }
  return holder;
}

/** Throws unless the path is free or holds a socket at which nobody answers. */
async function assertReplaceable(socketPath: string): Promise<void> {
  const found = await lstat(socketPath).catch(() => null);
  if (!found) return;
  if (!found.isSocket()) throw new HotMirrorError('HM_STATE_UNWRITABLE', `${socketPath} is not a socket; it is left alone`);
  if (await answers(socketPath)) throw nodeRunning(socketPath);
}

function nodeRunning(socketPath: string): HotMirrorError {
  return new HotMirrorError('HM_NODE_RUNNING', `a node answers on ${socketPath}`);
}

function answers(socketPath: string): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = connect(socketPath);
    probe.once('connect', () => {
      probe.destroy();
      resolve(true);
    });
    probe.once('error', (error) => resolve('code' in error && error.code !== 'ECONNREFUSED' && error.code !== 'ENOENT'));
  });
}

/** One client: its requests run side by side, each ends with one reply. */
class Client {
  readonly #socket: Socket;
  readonly #handlers: ControlHandlers;
  readonly #limits: ControlSocketLimits;
  readonly #splitter: LineSplitter = new LineSplitter(maxLineBytes);
  readonly #gone: AbortController = new AbortController();
  #running = 0;

  constructor(socket: Socket, handlers: ControlHandlers, limits: ControlSocketLimits) {
    this.#socket = socket;
    this.#handlers = handlers;
    this.#limits = limits;
    socket.on('data', (chunk: Buffer) => this.#received(chunk));
    socket.on('error', (error) => debug('client: %s', error.message));
    socket.once('close', () => this.#gone.abort(new HotMirrorError('HM_ABORTED', 'the client has gone')));
  }

  /** Cuts the client off once it has got what was sent. */
  end(): void {
    this.#socket.end(() => this.#socket.destroy());
    this.#gone.abort(new HotMirrorError('HM_CLOSED', 'the node closes its control socket'));
  }

  #received(chunk: Buffer): void {
    try {
      for (const line of this.#splitter.push(chunk)) this.#request(parseRequest(line));
    } catch (error) {
      debug('client cut off: %s', String(error));
      this.#socket.destroy();
    }
  }

  #request(request: ControlRequest): void {
    if (this.#running >= this.#limits.requestsPerClient) throw new HotMirrorError('HM_BUSY', 'too many requests at a time');
    this.#running += 1;
    void this.#answer(request).then((reply) => {
      this.#running -= 1;
      this.#send(reply);
    });
  }

  async #answer({ id, command, params }: ControlRequest): Promise<ControlReply> {
    // The parameters were checked against the command's own schema.
    const handler = this.#handlers[command] as (params: Json, stream: ControlStream<unknown>) => Promise<unknown>;
    const stream: ControlStream<unknown> = {
      signal: this.#gone.signal,
      progress: (value) => this.#progress({ id, progress: value as Json }),
    };
    try {
      return { id, ok: true, result: (await handler(params, stream)) as Json };
    } catch (error) {
      return { id, ok: false, error: HotMirrorError.from(error, 'HM_INTERNAL', command).toJSON() };
    }
  }

  async #progress(reply: ControlReply): Promise<void> {
    this.#send(reply);
    if (this.#gone.signal.aborted || this.#socket.writableLength < progressMarkBytes) return;
    await new Promise<void>((resolve) => {
      const settle = (): void => {
        this.#socket.off('drain', settle);
        this.#gone.signal.removeEventListener('abort', settle);
        resolve();
      };
      this.#socket.on('drain', settle);
      this.#gone.signal.addEventListener('abort', settle, { once: true });
    });
  }

  #send(reply: ControlReply): void {
    if (this.#gone.signal.aborted || this.#socket.destroyed) return;
    this.#socket.write(`${JSON.stringify(reply)}\n`);
    if (this.#socket.writableLength > this.#limits.unsentBytes) this.#socket.destroy();
  }
}
