import type { Packet } from './serial-packet.ts';

/** Packets of one direction that may be on their way: what `beyond` has bits for. */
export const windowPackets = 32;

const halfRange = 0x8000;
const rangeMask = 0xffff;

/** The whole count that a number modulo 2^16 stands for: the one nearest to what is known. */
export function nearest(modulo: number, known: number): number {
  const ahead = (modulo - known) & rangeMask;
  return known + (ahead < halfRange ? ahead : ahead - (rangeMask + 1));
}

/** A packet that was sent and not confirmed yet. */
export interface SentPacket {
  readonly kind: 'data' | 'finish';
  readonly sequence: number;
  readonly payload: Uint8Array;
  /** When it was sent the last time. */
  sentMs: number;
  /** Which of all transmissions that was. */
  order: number;
  resent: boolean;
  /** It did not arrive, as far as is known. */
  lost: boolean;
}

/** What this end sends: which packets are on their way, and which of them were lost. Sans-io. */
export class SendWindow {
  readonly #sent = new Map<number, SentPacket>();
  #next = 0;
  #acknowledged = 0;
  #limit = windowPackets;
  #order = 0;

  /** Nothing is on its way. */
  get isEmpty(): boolean {
    return this.#sent.size === 0;
  }

  /** All bytes that were sent have arrived, if not their end. */
  get hasDelivered(): boolean {
    return [...this.#sent.values()].every(({ kind }) => kind === 'finish');
  }

  /** The other end has room for one more. */
  get hasRoom(): boolean {
    return this.#next < this.#limit && this.#next - this.#acknowledged < windowPackets;
  }

  /** The one that waits longest for its confirmation. */
  get oldest(): SentPacket | null {
    return this.#sent.values().next().value ?? null;
  }

  /** Numbers a packet that is sent now. */
  add(kind: 'data' | 'finish', payload: Uint8Array, nowMs: number): SentPacket {
    const packet: SentPacket = { kind, payload, sequence: this.#next, sentMs: nowMs, order: this.#order, resent: false, lost: false };
    this.#sent.set(this.#next, packet);
    this.#next += 1;
    this.#order += 1;
    return packet;
  }

  /** The next packet that was lost, as sent again now; null where none is known to be. */
  resend(nowMs: number): SentPacket | null {
    for (const packet of this.#sent.values()) {
      if (!packet.lost) continue;
      packet.lost = false;
      packet.resent = true;
      packet.sentMs = nowMs;
      packet.order = this.#order;
      this.#order += 1;
      return packet;
    }
    return null;
  }

  /**
   * Hears what a packet of the other end says. Gives how long the latest packet that it confirms took there and back, `null` where that cannot be known, or `undefined` where it
   * confirms nothing new. A line keeps the order: what was sent before something that arrived, and did not arrive itself, is lost.
   */
  hear({ acknowledged, credit, beyond }: Packet, nowMs: number): number | null | undefined {
    const upTo = nearest(acknowledged, this.#acknowledged);
    if (upTo < this.#acknowledged || upTo > this.#next) return undefined;
    let latest: SentPacket | null = null;
    for (const packet of this.#sent.values()) {
      const bit = packet.sequence - upTo - 1;
      const arrived = packet.sequence < upTo || (bit >= 0 && bit < windowPackets && ((beyond >>> bit) & 1) === 1);
      if (!arrived) continue;
      this.#sent.delete(packet.sequence);
      if (!latest || packet.order > latest.order) latest = packet;
    }
    this.#acknowledged = upTo;
    this.#limit = Math.max(this.#limit, upTo + Math.min(credit, windowPackets));
    if (!latest) return undefined;
    for (const packet of this.#sent.values()) packet.lost ||= packet.order < latest.order;
    return latest.resent ? null : nowMs - latest.sentMs;
  }
}

/** What this end receives: packets in order, those that came too early, and how many more there is room for. Sans-io. */
export class ReceiveWindow {
  readonly #early = new Map<number, Packet>();
  readonly #ready: Packet[] = [];
  #next = 0;
  #taken = 0;
  #told = windowPackets;

  /** All before this one came. */
  get next(): number {
    return this.#next;
  }

  /** Bit n: the packet n + 1 after `next` came. */
  get beyond(): number {
    let bits = 0;
    for (const sequence of this.#early.keys()) bits |= 1 << (sequence - this.#next - 1);
    return bits >>> 0;
  }

  /** There is much more room than the other end was told. */
  get isRoomier(): boolean {
    return this.#taken + windowPackets - this.#told >= windowPackets / 2;
  }

  /** How many packets from `next` on there is room for; the other end is about to be told. */
  tellCredit(): number {
    this.#told = this.#taken + windowPackets;
    return this.#told - this.#next;
  }

  /** Takes a packet. Gives whether it was the next one, and nothing is missing. */
  take(packet: Packet): boolean {
    const sequence = nearest(packet.sequence, this.#next);
    if (sequence < this.#next || sequence >= this.#taken + windowPackets) return false;
    this.#early.set(sequence, packet);
    for (let next = this.#early.get(this.#next); next; next = this.#early.get(this.#next)) {
      this.#early.delete(this.#next);
      this.#ready.push(next);
      this.#next += 1;
    }
    return sequence < this.#next && this.#early.size === 0;
  }

  /** The next packet in order; null where none is there. */
  shift(): Packet | null {
    const packet = this.#ready.shift();
    if (!packet) return null;
    this.#taken += 1;
    return packet;
  }
}
