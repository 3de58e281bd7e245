import type { MessagePort } from 'node:worker_threads';

import type { OpenPort, OpenSerialPort } from '../transport/serial.ts';
import { sentError } from './serial-port-messages.ts';
import type { PortNews, PortOrder, PortRequest } from './serial-port-messages.ts';

/** Bytes that came and that the thread has yet to take: more than all connections of a line may have on their way. What comes beyond is dropped, as by a device that is read too late, and sent again. */
export const mostUntakenBytes: number = 2 ** 18;

/**
 * Opens serial ports in the main thread for another thread, which asks by `threadPorts`: the package `serialport` works in the main thread only.
 * When that thread ends, its ports are closed.
 */
export class SerialPortHost {
  readonly #orders: MessagePort;
  readonly #ports = new Set<HostedPort>();

  constructor(orders: MessagePort, openPort: OpenPort) {
    this.#orders = orders;
    orders.on('message', ({ address, channel }: PortOrder) => {
      const port = new HostedPort(channel, openPort(address));
      this.#ports.add(port);
      void port.freed.then(() => this.#ports.delete(port));
    });
  }

  /** Opens nothing more and closes what is open. Resolves when the devices are free. */
  async close(): Promise<void> {
    this.#orders.close();
    const ports = [...this.#ports];
    for (const port of ports) port.close();
    await Promise.all(ports.map(({ freed }) => freed));
  }
}

/** A port of this thread that another one uses. */
class HostedPort {
  /** Resolves when the device is free, or could not be opened. */
  readonly freed: Promise<void>;
  readonly #channel: MessagePort;
  #free: () => void = () => undefined;
  #port: OpenSerialPort | null = null;
  #wanted = true;
  #untakenBytes = 0;

  constructor(channel: MessagePort, opening: Promise<OpenSerialPort>) {
    this.#channel = channel;
    this.freed = new Promise((resolve) => (this.#free = resolve));
    channel.on('message', (request: PortRequest) => this.#asked(request));
    // Also when the thread has ended.
    channel.on('close', () => this.close());
    opening.then(
      (port) => this.#opened(port),
      (error: unknown) => this.#end(error as Error),
    );
  }

  close(): void {
    if (!this.#wanted) return;
    this.#wanted = false;
    this.#port?.close((error) => this.#end(error));
  }

  #opened(port: OpenSerialPort): void {
    this.#port = port;
    port.on('data', (bytes) => this.#arrived(bytes));
    port.on('error', (error) => this.#tell({ kind: 'error', error: sentError(error) }));
    port.on('close', (error) => this.#end(error));
    if (this.#wanted) this.#tell({ kind: 'opened' });
    else port.close((error) => this.#end(error));
  }

  #asked(request: PortRequest): void {
    switch (request.kind) {
      case 'write':
        this.#port?.write(request.bytes, (error) => this.#tell({ kind: 'written', error: sentError(error) }));
        return;
      case 'taken':
        this.#untakenBytes -= request.bytes;
        return;
      case 'close':
        this.close();
    }
  }

  #arrived(bytes: Uint8Array): void {
    if (this.#untakenBytes + bytes.length > mostUntakenBytes) return;
    this.#untakenBytes += bytes.length;
    const own = new Uint8Array(bytes);
    this.#channel.postMessage({ kind: 'data', bytes: own } satisfies PortNews, [own.buffer]);
  }

  #end(error?: Error | null): void {
    this.#port = null;
    this.#wanted = false;
    this.#tell({ kind: 'closed', error: sentError(error) });
    this.#channel.close();
    this.#free();
  }

  #tell(news: PortNews): void {
    this.#channel.postMessage(news);
  }
}
