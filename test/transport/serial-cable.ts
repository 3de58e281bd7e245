import type { Clock } from '../../src/clock/clock.ts';
import type { Random } from '../../src/clock/random.ts';
import type { OpenPort, OpenSerialPort, SerialAddress } from '../../src/transport/serial.ts';

/** What a cable does to each byte, by chance. */
export interface CableFaults {
  readonly lostPerMillion?: number;
  readonly flippedPerMillion?: number;
  readonly duplicatedPerMillion?: number;
}

const million = 1_000_000;
const bitsOfCharacter = 10;

/** A serial cable in virtual time: what is written at one end arrives at the other, at the rate of the line. */
export class SerialCable {
  readonly clock: Clock;
  readonly random: Random;
  faults: CableFaults;
  /** Nothing arrives. */
  isCut = false;
  /** What is written arrives at once, as between pseudo-terminals, which know no rate. */
  isInstant = false;
  /** Ends whose device is not there. */
  readonly absent = new Set<string>();
  /** Ports take bytes and never say that they have, as where CTS stays off. */
  isStuck = false;
  /** Ports that are closed never say that they are. */
  hangsInClosing = false;
  /** Bytes that were written at each end. */
  readonly written = new Map<string, number>();
  /** What arrived at each end, where a test wants to keep it. */
  tap: ((at: string, bytes: Buffer) => void) | null = null;
  readonly #ends = new Map<string, VirtualPort>();

  constructor(clock: Clock, random: Random, faults: CableFaults = {}) {
    this.clock = clock;
    this.random = random;
    this.faults = faults;
  }

  /** Opens an end; the names are `a` and `b`. */
  readonly open: OpenPort = (address) => {
    const name = address.path;
    if (this.absent.has(name)) return Promise.reject(new Error('No such file or directory, cannot open'));
    if (this.#ends.has(name)) return Promise.reject(new Error('Cannot lock port'));
    const port = new VirtualPort(this, address);
    this.#ends.set(name, port);
    return Promise.resolve(port);
  };

  /** The device goes away, as an adapter that is pulled out. */
  pull(name: string): void {
    this.#ends.get(name)?.gone(new Error('disconnected'));
  }

  /** Puts bytes on the line that nobody wrote. */
  inject(at: string, bytes: Buffer): void {
    this.#ends.get(at)?.arrived(bytes);
  }

  carry(from: SerialAddress, bytes: Buffer): void {
    this.written.set(from.path, (this.written.get(from.path) ?? 0) + bytes.length);
    if (this.isCut) return;
    const to = this.#ends.get(from.path === 'a' ? 'b' : 'a');
    const arriving = to?.address.baudRate === from.baudRate ? this.#damaged(bytes) : this.#garbled(bytes);
    if (!to || arriving.length === 0) return;
    this.tap?.(to.address.path, arriving);
    to.arrived(arriving);
  }

  closed(port: VirtualPort): void {
    if (this.#ends.get(port.address.path) === port) this.#ends.delete(port.address.path);
  }

  #damaged(bytes: Buffer): Buffer {
    const { lostPerMillion = 0, flippedPerMillion = 0, duplicatedPerMillion = 0 } = this.faults;
    if (lostPerMillion + flippedPerMillion + duplicatedPerMillion === 0) return bytes;
    const arriving: number[] = [];
    for (const byte of bytes) {
      if (this.#happens(lostPerMillion)) continue;
      const flipped = this.#happens(flippedPerMillion) ? byte ^ (1 << Math.floor(this.random.fraction() * 8)) : byte;
      arriving.push(flipped);
      if (this.#happens(duplicatedPerMillion)) arriving.push(flipped);
    }
    return Buffer.from(arriving);
  }

  #garbled(bytes: Buffer): Buffer {
    return Buffer.from(this.random.bytes(Math.ceil(bytes.length / 3)));
  }

  #happens(perMillion: number): boolean {
    return perMillion > 0 && this.random.fraction() * million < perMillion;
  }
}

class VirtualPort implements OpenSerialPort {
  readonly address: SerialAddress;
  readonly #cable: SerialCable;
  readonly #data: ((bytes: Uint8Array) => void)[] = [];
  readonly #close: ((error?: Error | null) => void)[] = [];
  #isOpen = true;
  #freeMs = 0;

  constructor(cable: SerialCable, address: SerialAddress) {
    this.#cable = cable;
    this.address = address;
  }

  on(event: 'data' | 'close' | 'error', listener: ((bytes: Uint8Array) => void) & ((error?: Error | null) => void)): this {
    if (event === 'data') this.#data.push(listener);
    if (event === 'close') this.#close.push(listener);
    return this;
  }

  write(bytes: Uint8Array, written: () => void): void {
    const { clock } = this.#cable;
    if (this.#cable.isStuck) return;
    const copy = Buffer.from(bytes);
    this.#freeMs = Math.max(this.#freeMs, clock.nowMs()) + (copy.length * bitsOfCharacter * 1_000) / this.address.baudRate;
    clock.timer(0, written);
    clock.timer(this.#cable.isInstant ? 0 : this.#freeMs - clock.nowMs(), () => {
      if (this.#isOpen) this.#cable.carry(this.address, copy);
    });
  }

  close(closed: () => void): void {
    this.gone(null);
    if (!this.#cable.hangsInClosing) this.#cable.clock.timer(0, closed);
  }

  arrived(bytes: Buffer): void {
    if (this.#isOpen) for (const listener of this.#data) listener(bytes);
  }

  gone(error: Error | null): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    this.#cable.closed(this);
    for (const listener of this.#close) listener(error);
  }
}
