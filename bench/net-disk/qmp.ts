import { connect } from 'node:net';
import type { Socket } from 'node:net';
import { createInterface } from 'node:readline';

interface QmpLine {
  readonly return?: unknown;
  readonly error?: { readonly desc: string };
  readonly event?: string;
}

interface Waiter {
  readonly fits: (line: QmpLine) => boolean;
  readonly resolve: () => void;
  readonly reject: (error: Error) => void;
}

/** Orders qemu about. An event can only be waited for by who begins to wait before it comes. */
export class Qmp {
  readonly #socket: Socket;
  readonly #waiters = new Set<Waiter>();

  private constructor(socket: Socket) {
    this.#socket = socket;
    createInterface({ input: socket }).on('line', (text) => this.#heard(JSON.parse(text) as QmpLine));
    socket.on('error', () => undefined);
    socket.on('close', () => this.#fail(new Error('qemu has left its monitor')));
  }

  static async connect(socketPath: string): Promise<Qmp> {
    const qmp = new Qmp(connect(socketPath));
    await qmp.execute('qmp_capabilities');
    return qmp;
  }

  /** Resolves when the order is taken; rejects where it is refused. */
  execute(order: string, parameters: Readonly<Record<string, unknown>> = {}): Promise<void> {
    const answered = this.#wait((line) => 'return' in line);
    this.#socket.write(`${JSON.stringify({ execute: order, arguments: parameters })}\n`);
    return answered;
  }

  /** Resolves at the next such event. */
  event(name: string): Promise<void> {
    return this.#wait(({ event }) => event === name);
  }

  close(): void {
    this.#socket.destroy();
  }

  #wait(fits: Waiter['fits']): Promise<void> {
    return new Promise((resolve, reject) => this.#waiters.add({ fits, resolve, reject }));
  }

  #heard(line: QmpLine): void {
    if (line.error) this.#fail(new Error(`qemu: ${line.error.desc}`));
    for (const waiter of this.#waiters) {
      if (!waiter.fits(line)) continue;
      this.#waiters.delete(waiter);
      waiter.resolve();
    }
  }

  #fail(error: Error): void {
    for (const { reject } of this.#waiters) reject(error);
    this.#waiters.clear();
  }
}
