import { createRequire } from 'node:module';
import { isMainThread } from 'node:worker_threads';

import { HotMirrorError } from '../errors.ts';
import type { SerialAddress } from './serial-url.ts';

/** A port that is open; `SerialPort` and `SerialPortMock` of the package `serialport` are such. */
export interface OpenSerialPort {
  /** `data`: bytes came. */
  on(event: 'data', listener: (bytes: Uint8Array) => void): unknown;
  /** `close`: the port was closed, or its device is gone. `error`: something went wrong; where that ends the port, `close` follows. */
  on(event: 'close' | 'error', listener: (error?: Error | null) => void): unknown;
  /** Calls back when the operating system has taken the bytes. */
  write(bytes: Uint8Array, written: (error?: Error | null) => void): unknown;
  /** Calls back when the device is free again. */
  close(closed: (error?: Error | null) => void): unknown;
}

/** Opens a port. Rejects where that fails. */
export type OpenPort = (address: SerialAddress) => Promise<OpenSerialPort>;

/** What is used of `serialport`. Its own types are not: who does without it could not compile what imports them. */
interface SerialPortPackage {
  readonly SerialPort: new (options: {
    readonly path: string;
    readonly baudRate: number;
    readonly rtscts: boolean;
    readonly autoOpen: false;
  }) => OpenSerialPort & { open(opened: (error?: Error | null) => void): void };
}

/**
 * Opens a port of this machine by the optional package `serialport`. Rejects with `HM_PACKAGE_MISSING` where that is not installed, and with `HM_NOT_SUPPORTED` outside of the main thread:
 * the package calls back on the loop of that thread, and the process would abort.
 */
export async function openSystemPort({ path, baudRate, rtscts }: SerialAddress): Promise<OpenSerialPort> {
  if (!isMainThread) throw notHere();
  const { SerialPort } = serialportPackage();
  return await new Promise((resolve, reject) => {
    const port = new SerialPort({ path, baudRate, rtscts, autoOpen: false });
    port.open((error) => {
      if (error) reject(error);
      else resolve(port);
    });
  });
}

function notHere(): HotMirrorError {
  const remedy = 'Make the transport in the main thread, or give it an `openPort` that has the port opened there.';
  return new HotMirrorError('HM_NOT_SUPPORTED', 'the package serialport works in the main thread only', { details: { remedy } });
}

function serialportPackage(): SerialPortPackage {
  try {
    return createRequire(import.meta.url)('serialport') as SerialPortPackage;
  } catch (cause) {
    throw new HotMirrorError('HM_PACKAGE_MISSING', 'a serial line needs the package serialport: npm install serialport', { cause });
  }
}
