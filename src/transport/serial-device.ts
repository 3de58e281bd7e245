import createDebug from 'debug';

import type { Clock, Timer } from '../clock/clock.ts';
import { within } from '../clock/within.ts';
import type { OpenPort, OpenSerialPort } from './serial-port.ts';
import type { SerialAddress } from './serial-url.ts';

const debug = createDebug('hotmirror:transport');

/** How long a device that went away, or cannot be opened, is left alone before it is tried again. */
const reopenMs = 500;
/** Writes that the operating system has yet to take; with more, such as while CTS says no, nothing is handed to it. */
const mostWrites = 2;
/** A driver may hang in opening or closing; nobody who closes waits for longer than this. */
const longestTurnMs = 5_000;

/** What a device needs and tells. */
export interface SerialDeviceSetup {
  readonly address: SerialAddress;
  readonly openPort: OpenPort;
  readonly clock: Clock;
  /** Bytes came. They are valid during the call only. */
  readonly arrived: (bytes: Uint8Array) => void;
  /** It may be able to write again, or has gone. */
  readonly changed: () => void;
}

/** The device of a serial line: open while somebody uses it, and opened again after it was away. */
export class SerialDevice {
  readonly #setup: SerialDeviceSetup;
  #port: OpenSerialPort | null = null;
  /** An opening or a closing that is under way. */
  #turning: Promise<void> | null = null;
  #wanted = false;
  #writes = 0;
  #again: Timer | null = null;
  #opened: (() => void)[] = [];
  #failed: ((cause: unknown) => void)[] = [];

  constructor(setup: SerialDeviceSetup) {
    this.#setup = setup;
  }

  get isOpen(): boolean {
    return this.#port !== null;
  }

  /** Bytes can be written now. */
  get isReady(): boolean {
    return this.#port !== null && this.#writes < mostWrites;
  }

  /** Has it open from now on, until `release`. Resolves when it is; rejects when the next attempt to open it fails, and goes on trying. */
  use(): Promise<void> {
    this.#wanted = true;
    if (this.#port) return Promise.resolve();
    return new Promise((resolve, reject) => {
      this.#opened.push(resolve);
      this.#failed.push(reject);
      this.#again?.cancel();
      this.#again = null;
      this.#turn();
    });
  }

  /** Lets go of it. */
  release(): void {
    this.#wanted = false;
    this.#again?.cancel();
    this.#again = null;
    this.#turn();
  }

  /** Resolves when no opening or closing is under way, or when it hangs. */
  async settled(): Promise<void> {
    const { clock, address } = this.#setup;
    const turned = async (): Promise<void> => {
      while (this.#turning) await this.#turning;
    };
    const limit = { deadlineMs: longestTurnMs, code: 'HM_CLOSED', what: `opening or closing ${address.path}` } as const;
    await within(clock, limit, turned).catch((error: unknown) => debug('%s', (error as Error).message));
  }

  /** Writes; to be called only while it is ready. */
  write(bytes: Uint8Array): void {
    const port = this.#port;
    if (!port) return;
    this.#writes += 1;
    port.write(bytes, () => {
      if (port !== this.#port) return;
      this.#writes -= 1;
      this.#setup.changed();
    });
  }

  /** Brings about what is wanted, one step after the other. */
  #turn(): void {
    if (this.#turning || this.#again || this.#wanted === (this.#port !== null)) return;
    this.#turning = (this.#wanted ? this.#open() : this.#close()).finally(() => {
      this.#turning = null;
      this.#turn();
    });
  }

  async #open(): Promise<void> {
    const { address, openPort } = this.#setup;
    try {
      this.#attach(await openPort(address));
    } catch (cause) {
      debug('%s cannot be opened: %s', address.path, (cause as Error).message);
      this.#tell(this.#failed, cause);
      this.#retry();
      return;
    }
    this.#tell(this.#opened, undefined);
    this.#setup.changed();
  }

  #attach(port: OpenSerialPort): void {
    this.#port = port;
    this.#writes = 0;
    port.on('data', (bytes) => {
      if (port === this.#port) this.#setup.arrived(bytes);
    });
    port.on('error', (error) => {
      debug('%s: %s', this.#setup.address.path, error?.message);
    });
    port.on('close', (error) => {
      if (port !== this.#port) return;
      debug('%s is gone: %s', this.#setup.address.path, error?.message);
      this.#port = null;
      this.#retry();
      this.#setup.changed();
    });
  }

  #close(): Promise<void> {
    const port = this.#port;
    this.#port = null;
    return new Promise((resolve) => {
      if (!port) resolve();
      else
        port.close(() => {
          resolve();
        });
    });
  }

  #retry(): void {
    if (!this.#wanted || this.#again) return;
    this.#again = this.#setup.clock.timer(reopenMs, () => {
      this.#again = null;
      this.#turn();
    });
  }

  #tell<T>(waiting: ((what: T) => void)[], what: T): void {
    const told = [...waiting];
    this.#opened = [];
    this.#failed = [];
    for (const tell of told) tell(what);
  }
}
