import { createServer } from 'node:net';
import type { Socket } from 'node:net';

import createDebug from 'debug';

import type { Clock, Timer } from '../../clock/clock.ts';
import { HotMirrorError } from '../../errors.ts';
import { listenAtFile } from '../unix-socket.ts';
import type { ScsiBus } from './bus.ts';
import type { ScsiAttachment } from './port.ts';
import { BusWire, parseToBus } from './wire.ts';
import type { ToBus } from './wire.ts';

const debug = createDebug('hotmirror:scsi-sim');

/** Processes that may be connected at once. */
const mostClients = 32;
/** Commands of one process under way at once; one more ends its connection. */
const mostCommands = 64;
/** Messages that a process may leave untaken; until it takes some, others get BUSY. */
const mostUntaken = 64;
/** A process that takes no place on the bus for so long is cut off. */
const attachDeadlineMs = 5_000;

/** A bus for other processes. */
export interface ServeScsiBusOptions {
  /** Path of the unix socket, mode 0600. A socket at which nobody answers is replaced. */
  readonly path: string;
  readonly bus: ScsiBus;
  readonly clock: Clock;
}

/** A bus that is served. */
export interface ScsiBusServer {
  readonly path: string;
  /** Cuts off all hosts and removes the socket. */
  close(): Promise<void>;
}

/** Serves a bus over a unix socket. Rejects with `HM_ADDRESS_IN_USE` where somebody does already, `HM_ADDRESS` where no socket can be made there. */
export async function serveScsiBus({ path, bus, clock }: ServeScsiBusOptions): Promise<ScsiBusServer> {
  const clients = new Set<Socket>();
  const server = createServer((socket) => {
    socket.on('error', (error) => debug('a host was cut off: %s', error.message));
    if (clients.size >= mostClients) {
      socket.destroy();
      return;
    }
    clients.add(socket);
    socket.once('close', () => clients.delete(socket));
    new Client(socket, bus, clock);
  });
  const takeAway = await listenAtFile(server, path, 'no SCSI bus');
  server.on('error', (error) => debug('%s: %s', path, error.message));
  return {
    path,
    async close() {
      await takeAway();
      for (const socket of clients) socket.destroy();
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
}

/** One process: it takes one place on the bus and leaves it when its socket ends, however that comes about. */
class Client {
  readonly #socket: Socket;
  readonly #bus: ScsiBus;
  readonly #wire: BusWire;
  readonly #deadline: Timer;
  #attachment: ScsiAttachment | null = null;
  #commands = 0;
  #untaken = 0;

  constructor(socket: Socket, bus: ScsiBus, clock: Clock) {
    this.#socket = socket;
    this.#bus = bus;
    this.#wire = new BusWire(socket, (text) => this.#said(parseToBus(text)));
    this.#deadline = clock.timer(attachDeadlineMs, () => socket.destroy());
    socket.once('close', () => {
      this.#deadline.cancel();
      this.#attachment?.detach();
    });
  }

  #said(message: ToBus): void {
    if (message.say === 'attach') {
      this.#attach(message.id);
      return;
    }
    const attachment = this.#attachment;
    if (!attachment) throw new HotMirrorError('HM_PROTOCOL', 'a host without a place on the bus spoke');
    switch (message.say) {
      case 'run':
        this.#run(attachment, message);
        break;
      case 'notice':
        attachment.setNotice(message.data);
        break;
      case 'took':
        this.#untaken = Math.max(0, this.#untaken - 1);
        break;
    }
  }

  #attach(id: number): void {
    if (this.#attachment) throw new HotMirrorError('HM_PROTOCOL', 'a host took a second place');
    try {
      this.#attachment = this.#bus.attach(id, {
        received: (from, data) => this.#received(from, data),
        detached: (reason) => {
          this.#wire.send({ say: 'detached', reason });
          this.#socket.end();
        },
      });
    } catch (error) {
      debug('id %d: %s', id, String(error));
      this.#wire.send({ say: 'taken' });
      this.#socket.end();
      return;
    }
    this.#deadline.cancel();
    this.#wire.send({ say: 'attached' });
  }

  #run(attachment: ScsiAttachment, { tag, target, command }: Extract<ToBus, { say: 'run' }>): void {
    if (this.#commands >= mostCommands) throw new HotMirrorError('HM_BUSY', 'a host has too many commands under way');
    this.#commands += 1;
    void attachment.execute(target, command).then((result) => {
      this.#commands -= 1;
      this.#wire.send({ say: 'done', tag, result });
    });
  }

  #received(from: number, data: Uint8Array): boolean {
    if (this.#untaken >= mostUntaken) return false;
    this.#untaken += 1;
    this.#wire.send({ say: 'message', from, data });
    return true;
  }
}
