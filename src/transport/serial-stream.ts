import { Duplex } from 'node:stream';

import type { Clock } from '../clock/clock.ts';
import { maxPayloadBytes } from './serial-packet.ts';
import type { Packet, PacketKind } from './serial-packet.ts';
import { acknowledgeDelayMs, RepeatTimer } from './serial-pace.ts';
import { ReceiveWindow, SendWindow } from './serial-windows.ts';
import type { SentPacket } from './serial-windows.ts';

/** Packets that may come before they are confirmed at once. */
const packetsPerAcknowledgement = 4;
/** Bytes that wait for a reader beside those of the window. */
const readAheadBytes = 4_096;
/** The format of packets, said by the end that opens. */
const formatVersion = 1;

/** Which connection of a line, and who is told what it does. */
export interface SerialStreamSetup {
  readonly connection: number;
  readonly opened: boolean;
  readonly baudRate: number;
  readonly clock: Clock;
  /** There may be something to send. */
  readonly wake: () => void;
  /** This end is over. */
  readonly over: (stream: SerialStream) => void;
}

/** Whether an `open` speaks the format that this version does. */
export function speaksFormat({ payload }: Packet): boolean {
  return payload[0] === formatVersion;
}

/** One connection of a serial line as a stream of bytes, in order and without a gap. The line asks it for packets whenever there is room, and gives it those that come. */
export class SerialStream extends Duplex {
  readonly connection: number;
  /** This end opened it. */
  readonly opened: boolean;
  readonly #setup: SerialStreamSetup;
  readonly #sending = new SendWindow();
  readonly #receiving = new ReceiveWindow();
  readonly #repeat: RepeatTimer;
  #state: 'opening' | 'open' | 'left';
  /** What was written and is in no packet yet. */
  #written: Uint8Array[] = [];
  #writtenCallback: (() => void) | null = null;
  #finish: 'no' | 'wanted' | 'sent' = 'no';
  #finishCallback: (() => void) | null = null;
  #readerWaits = false;
  #ended = false;
  /** When the other end is asked (again) to open, or for room. */
  #askMs: number;
  #acknowledgeMs: number | null = null;
  #unacknowledged = 0;

  constructor(setup: SerialStreamSetup) {
    super({ allowHalfOpen: true, readableHighWaterMark: readAheadBytes });
    this.#setup = setup;
    this.connection = setup.connection;
    this.opened = setup.opened;
    this.#repeat = new RepeatTimer(setup.baudRate);
    this.#state = setup.opened ? 'opening' : 'open';
    this.#askMs = setup.clock.nowMs();
    // Who opened hears by that that there is someone.
    if (!setup.opened) this.#acknowledgeMs = this.#askMs;
  }

  /** The next packet to send now; null where there is none. */
  nextPacket(nowMs: number): Packet | null {
    if (this.#state === 'left') return null;
    if (this.#state === 'opening') return this.#askAgain(nowMs) ? this.#packet('open', Uint8Array.of(formatVersion)) : null;
    const sent = this.#nextSent(nowMs);
    if (sent) return this.#packet(sent.kind, sent.payload, sent.sequence);
    if (this.#wantsRoom && this.#askAgain(nowMs)) return this.#packet('ask');
    return this.#acknowledgeMs !== null && this.#acknowledgeMs <= nowMs ? this.#packet('acknowledge') : null;
  }

  /** When there will be something to send, whatever comes until then; null for never. */
  get dueMs(): number | null {
    if (this.#state === 'left') return null;
    if (this.#state === 'opening') return this.#askMs;
    const { oldest } = this.#sending;
    const dues = [
      ...(oldest ? [oldest.sentMs + this.#repeat.waitMs] : []),
      ...(this.#wantsRoom ? [this.#askMs] : []),
      ...(this.#acknowledgeMs === null ? [] : [this.#acknowledgeMs]),
    ];
    return dues.length > 0 ? Math.min(...dues) : null;
  }

  /** The other end has said that it is over. */
  get leftByPeer(): boolean {
    return this.#state === 'left';
  }

  /** A packet that says: this end of the connection is over. */
  get resetPacket(): Packet {
    return this.#packet('reset');
  }

  /** Takes a packet of this connection that the other end sent. */
  arrived(packet: Packet): void {
    if (this.destroyed || this.#state === 'left') return;
    const nowMs = this.#setup.clock.nowMs();
    if (packet.kind === 'gone') {
      const unanswered = this.#state === 'opening';
      this.#state = 'left';
      this.destroy(new Error(unanswered ? 'nobody listens at the other end' : 'the other end does not know the connection'));
      return;
    }
    if (this.#state === 'opening') {
      this.#state = 'open';
      this.emit('open');
    }
    this.#hear(packet, nowMs);
    if (packet.kind === 'reset') this.#leave();
    else if (packet.kind === 'data' || packet.kind === 'finish') this.#takeData(packet, nowMs);
    else if (packet.kind === 'ask' || packet.kind === 'open') this.#acknowledgeMs = nowMs;
    this.#setup.wake();
  }

  override _read(): void {
    this.#readerWaits = true;
    this.#give();
  }

  override _write(chunk: Uint8Array, _encoding: string, written: (error?: Error) => void): void {
    this.#take([chunk], written);
  }

  override _writev(chunks: { chunk: Uint8Array }[], written: (error?: Error) => void): void {
    this.#take(
      chunks.map(({ chunk }) => chunk),
      written,
    );
  }

  override _final(finished: (error?: Error) => void): void {
    if (this.#state === 'left') {
      finished();
      return;
    }
    this.#finish = 'wanted';
    this.#finishCallback = finished;
    this.#setup.wake();
  }

  override _destroy(error: Error | null, destroyed: (error?: Error | null) => void): void {
    this.#setup.over(this);
    this.#state = 'left';
    this.#written = [];
    destroyed(error);
  }

  #take(chunks: readonly Uint8Array[], written: (error?: Error) => void): void {
    if (this.#state === 'left') {
      written(new Error('the other end is gone'));
      return;
    }
    this.#written = chunks.filter(({ length }) => length > 0);
    if (this.#written.length === 0) {
      written();
      return;
    }
    this.#writtenCallback = written;
    this.#setup.wake();
  }

  get #wantsRoom(): boolean {
    const waits = this.#written.length > 0 || this.#finish === 'wanted';
    return waits && this.#sending.isEmpty && !this.#sending.hasRoom;
  }

  #nextSent(nowMs: number): SentPacket | null {
    const { oldest } = this.#sending;
    if (oldest && !oldest.lost && oldest.sentMs + this.#repeat.waitMs <= nowMs) {
      oldest.lost = true;
      this.#repeat.expired();
    }
    const again = this.#sending.resend(nowMs);
    if (again || !this.#sending.hasRoom) return again;
    if (this.#written.length > 0) return this.#sending.add('data', this.#cut(), nowMs);
    if (this.#finish !== 'wanted') return null;
    this.#finish = 'sent';
    return this.#sending.add('finish', new Uint8Array(0), nowMs);
  }

  /** Whether it is time to ask; if so, the next time is later. */
  #askAgain(nowMs: number): boolean {
    if (this.#askMs > nowMs) return false;
    this.#askMs = nowMs + this.#repeat.waitMs;
    this.#repeat.expired();
    return true;
  }

  /** Makes a payload, a copy, of what was written; once all of it is in packets, more may be written. */
  #cut(): Uint8Array {
    const payload = new Uint8Array(maxPayloadBytes);
    let filled = 0;
    while (filled < maxPayloadBytes) {
      const [first] = this.#written;
      if (!first) break;
      const part = first.subarray(0, maxPayloadBytes - filled);
      payload.set(part, filled);
      filled += part.length;
      if (part.length === first.length) this.#written.shift();
      else this.#written[0] = first.subarray(part.length);
    }
    if (this.#written.length === 0) queueMicrotask(this.#allWritten);
    return payload.subarray(0, filled);
  }

  readonly #allWritten = (): void => {
    const callback = this.#writtenCallback;
    this.#writtenCallback = null;
    callback?.();
  };

  #packet(kind: PacketKind, payload: Uint8Array = new Uint8Array(0), sequence = 0): Packet {
    this.#acknowledgeMs = null;
    this.#unacknowledged = 0;
    return {
      kind,
      connection: this.connection,
      fromOpener: this.opened,
      sequence,
      acknowledged: this.#receiving.next,
      credit: this.#receiving.tellCredit(),
      beyond: this.#receiving.beyond,
      payload,
    };
  }

  #hear(packet: Packet, nowMs: number): void {
    const tripMs = this.#sending.hear(packet, nowMs);
    if (tripMs !== undefined) this.#repeat.confirmed(tripMs);
    if (!this.#sending.hasRoom) this.#askMs = Math.max(this.#askMs, nowMs + this.#repeat.waitMs);
    if (this.#finish === 'sent' && this.#sending.isEmpty) this.#finished();
  }

  #finished(): void {
    const callback = this.#finishCallback;
    this.#finishCallback = null;
    callback?.();
  }

  #takeData(packet: Packet, nowMs: number): void {
    const inOrder = this.#receiving.take(packet);
    this.#unacknowledged += 1;
    const atOnce = !inOrder || packet.kind === 'finish' || this.#unacknowledged >= packetsPerAcknowledgement;
    this.#acknowledgeMs = Math.min(this.#acknowledgeMs ?? Infinity, atOnce ? nowMs : nowMs + acknowledgeDelayMs);
    this.#give();
  }

  /** Gives the reader what it wants and what is there. */
  #give(): void {
    while (this.#readerWaits && !this.#ended) {
      const packet = this.#receiving.shift();
      if (packet) {
        this.#ended = packet.kind === 'finish';
        this.#readerWaits = this.push(this.#ended ? null : packet.payload);
      } else if (this.#state === 'left') {
        this.#ended = true;
        this.push(null);
      } else break;
    }
    if (this.#state === 'left' || !this.#receiving.isRoomier) return;
    this.#acknowledgeMs = this.#setup.clock.nowMs();
    this.#setup.wake();
  }

  /** The other end is over. What it sent before can still be read; what it did not take is lost. */
  #leave(): void {
    const delivered = this.#sending.hasDelivered && this.#written.length === 0;
    this.#state = 'left';
    if (!delivered) this.destroy(new Error('the other end is gone'));
    else this.#give();
  }
}
