import createDebug from 'debug';

import type { Clock, Timer } from '../clock/clock.ts';
import type { Random } from '../clock/random.ts';
import { SerialDevice } from './serial-device.ts';
import { decodePacket, encodePacket, maxPacketBytes } from './serial-packet.ts';
import type { Packet } from './serial-packet.ts';
import { lineMs, RepeatTimer } from './serial-pace.ts';
import type { OpenPort } from './serial-port.ts';
import { SerialStream, speaksFormat } from './serial-stream.ts';
import type { SerialAddress } from './serial-url.ts';
import { SlipDecoder } from './slip.ts';

const debug = createDebug('hotmirror:transport');

/** Connections of one line at once; one more is turned away. */
const mostConnections = 16;
/** Answers to packets of connections that are no more; of more, the oldest is forgotten. */
const mostAnswers = 16;
/** Ends that are remembered, so that an `open` that comes late opens nothing again. */
const mostEnds = 64;
/** How often the other end is told at most that a connection is over. */
const resets = 6;
/** How long a line that nobody uses any more is kept open at most, to say so to the other end. */
export const farewellMs = 5_000;
/** How far ahead of the line its packets are handed to the operating system: what lies there cannot be overtaken. */
const aheadMs = 10;
const connectionBytes = 4;

/** What a line has seen since it was made. */
export interface SerialCounters {
  /** Whole packets that came, and packets that were sent. */
  readonly packetsReceived: number;
  readonly packetsSent: number;
  /** Bytes that came and belong to no packet: noise, damage, or another baud rate. */
  readonly noiseBytes: number;
}

/** What a line is made of. */
export interface SerialLineSetup {
  readonly address: SerialAddress;
  readonly openPort: OpenPort;
  readonly clock: Clock;
  readonly random: Random;
}

/** A connection that is over at this end, which the other end is yet to know. */
interface Ending {
  readonly packet: Packet;
  left: number;
  dueMs: number;
}

/** One end of a serial line: several connections share it, packet by packet. */
export class SerialLine {
  readonly #setup: SerialLineSetup;
  readonly #device: SerialDevice;
  readonly #decoder: SlipDecoder;
  readonly #streams = new Map<string, SerialStream>();
  readonly #endings = new Map<string, Ending>();
  readonly #ended = new Set<string>();
  readonly #answers: Packet[] = [];
  #accept: ((stream: SerialStream) => void) | null = null;
  #dials = 0;
  /** When all that was written has left, at the line's rate. */
  #freeMs = 0;
  #wake: Timer | null = null;
  /** Runs while all that is left to do is to tell the other end. */
  #farewell: Timer | null = null;
  #pumps = false;
  #packetsReceived = 0;
  #packetsSent = 0;
  #noiseBytes = 0;

  constructor(setup: SerialLineSetup) {
    this.#setup = setup;
    this.#device = new SerialDevice({
      address: setup.address,
      openPort: setup.openPort,
      clock: setup.clock,
      arrived: (bytes) => {
        this.#decoder.take(bytes);
        this.#pumpSoon();
      },
      changed: this.#pumpSoon,
    });
    this.#decoder = new SlipDecoder(maxPacketBytes, {
      packet: (bytes) => {
        this.#arrived(bytes);
      },
      dropped: (bytes) => {
        this.#noiseBytes += bytes;
      },
    });
  }

  get counters(): SerialCounters {
    return { packetsReceived: this.#packetsReceived, packetsSent: this.#packetsSent, noiseBytes: this.#noiseBytes };
  }

  get isListening(): boolean {
    return this.#accept !== null;
  }

  /** Lets the other end open connections, until `deaf`. A device that is away is opened once it comes. Rejects where it cannot be opened otherwise. */
  async listen(accept: (stream: SerialStream) => void): Promise<void> {
    this.#accept = accept;
    try {
      await this.#device.use();
    } catch (error) {
      if (isAway(error)) return;
      await this.deaf();
      throw error;
    }
  }

  /** Turns away what the other end opens from now on. Resolves when the device is free, where nothing else uses it. */
  async deaf(): Promise<void> {
    this.#accept = null;
    this.#releaseIfIdle();
    await this.#device.settled();
  }

  /** Opens a connection: resolves when the device is open, with a stream that tells `open` when the other end has answered. Rejects where the device cannot be opened. */
  async open(): Promise<SerialStream> {
    this.#dials += 1;
    try {
      await this.#device.use();
      const connection = Buffer.from(this.#setup.random.bytes(connectionBytes)).readUInt32LE(0);
      return this.#add(connection, true);
    } finally {
      this.#dials -= 1;
      this.#releaseIfIdle();
    }
  }

  #add(connection: number, opened: boolean): SerialStream {
    const stream = new SerialStream({
      connection,
      opened,
      baudRate: this.#setup.address.baudRate,
      clock: this.#setup.clock,
      wake: this.#pumpSoon,
      over: (over) => {
        this.#over(over);
      },
    });
    this.#streams.set(keyOf(connection, opened), stream);
    this.#pumpSoon();
    return stream;
  }

  #over(stream: SerialStream): void {
    const key = keyOf(stream.connection, stream.opened);
    this.#streams.delete(key);
    this.#remember(key);
    if (!stream.leftByPeer) this.#endings.set(key, { packet: stream.resetPacket, left: resets, dueMs: this.#setup.clock.nowMs() });
    if (this.#endings.size > mostEnds) this.#endings.delete(first(this.#endings.keys()));
    this.#pumpSoon();
  }

  #remember(key: string): void {
    this.#ended.add(key);
    if (this.#ended.size > mostEnds) this.#ended.delete(first(this.#ended));
  }

  #arrived(bytes: Uint8Array): void {
    const packet = decodePacket(bytes);
    if (!packet) {
      this.#noiseBytes += bytes.length;
      return;
    }
    this.#packetsReceived += 1;
    const key = keyOf(packet.connection, !packet.fromOpener);
    const ending = this.#endings.get(key);
    if (packet.kind === 'gone' || packet.kind === 'reset') this.#endings.delete(key);
    else if (ending) ending.dueMs = this.#setup.clock.nowMs();
    if (packet.kind === 'reset') this.#answer(packet);
    const stream = this.#streams.get(key);
    if (stream) stream.arrived(packet);
    else if (!ending && packet.kind !== 'gone' && packet.kind !== 'reset') this.#stranger(packet, key);
    this.#releaseIfIdle();
  }

  /** A packet of a connection that is not known here. */
  #stranger(packet: Packet, key: string): void {
    const opens = packet.kind === 'open' && packet.fromOpener && speaksFormat(packet);
    if (opens && this.#accept && !this.#ended.has(key) && this.#streams.size < mostConnections)
      this.#accept(this.#add(packet.connection, false));
    else this.#answer(packet);
  }

  /** Says that the connection of a packet is no more. */
  #answer({ connection, fromOpener }: Packet): void {
    const nothing = { sequence: 0, acknowledged: 0, credit: 0, beyond: 0, payload: new Uint8Array(0) };
    this.#answers.push({ kind: 'gone', connection, fromOpener: !fromOpener, ...nothing });
    if (this.#answers.length > mostAnswers) this.#answers.shift();
  }

  /** Once what is under way has run: what comes together is answered together. */
  readonly #pumpSoon = (): void => {
    if (this.#pumps) return;
    this.#pumps = true;
    queueMicrotask(() => {
      this.#pumps = false;
      this.#pump();
    });
  };

  /** Writes packets as long as the line is free, then waits until it is, or until something is due. */
  #pump(): void {
    const { clock, address } = this.#setup;
    const nowMs = clock.nowMs();
    this.#wake?.cancel();
    this.#wake = null;
    let mayHaveMore = true;
    while (this.#device.isReady && this.#freeMs <= nowMs + aheadMs) {
      const packet = this.#next(nowMs);
      mayHaveMore = packet !== null;
      if (!packet) break;
      const bytes = encodePacket(packet);
      this.#packetsSent += 1;
      this.#freeMs = Math.max(this.#freeMs, nowMs) + lineMs(bytes.length, address.baudRate);
      this.#device.write(bytes);
    }
    this.#releaseIfIdle();
    if (!this.#device.isReady) return;
    // Nothing else wakes a line that had more to send and waits only until it is free: all that was sent may be confirmed by then.
    const dueMs = Math.max(mayHaveMore ? nowMs : this.#dueMs(), this.#freeMs - aheadMs);
    if (dueMs < Infinity) this.#wake = clock.timer(dueMs - nowMs, this.#pumpSoon);
  }

  /** The next packet: answers and ends first, for they are short; then the connections in turn. */
  #next(nowMs: number): Packet | null {
    const answer = this.#answers.shift();
    if (answer) return answer;
    for (const [key, ending] of this.#endings) {
      if (ending.dueMs > nowMs) continue;
      ending.left -= 1;
      ending.dueMs = nowMs + new RepeatTimer(this.#setup.address.baudRate).waitMs;
      if (ending.left === 0) this.#endings.delete(key);
      return ending.packet;
    }
    for (const [key, stream] of this.#streams) {
      const packet = stream.nextPacket(nowMs);
      if (!packet) continue;
      this.#streams.delete(key);
      this.#streams.set(key, stream);
      return packet;
    }
    return null;
  }

  #dueMs(): number {
    const streams = [...this.#streams.values()].map(({ dueMs }) => dueMs ?? Infinity);
    const endings = [...this.#endings.values()].map(({ dueMs }) => dueMs);
    return Math.min(...streams, ...endings, this.#answers.length > 0 ? 0 : Infinity);
  }

  #releaseIfIdle(): void {
    const used = this.#accept !== null || this.#dials > 0 || this.#streams.size > 0;
    const owes = this.#endings.size > 0 || this.#answers.length > 0;
    if (used) this.#endFarewell();
    else if (!owes || !this.#device.isOpen) this.#release();
    else this.#farewell ??= this.#setup.clock.timer(farewellMs, () => this.#release());
  }

  #release(): void {
    this.#endFarewell();
    this.#wake?.cancel();
    this.#wake = null;
    this.#endings.clear();
    this.#answers.length = 0;
    debug('%s: nobody uses the line', this.#setup.address.path);
    this.#device.release();
  }

  #endFarewell(): void {
    this.#farewell?.cancel();
    this.#farewell = null;
  }
}

/** The device is not there, as an adapter that is found late or was pulled out. */
function isAway(cause: unknown): boolean {
  return cause instanceof Error && /no such (file|device)/iu.test(cause.message);
}

function keyOf(connection: number, opened: boolean): string {
  return `${String(connection)}${opened ? ' opened here' : ' opened there'}`;
}

function first<Key>(keys: Iterable<Key>): Key {
  const [key] = keys;
  return key as Key;
}
