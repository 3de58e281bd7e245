import { crc32 } from 'node:zlib';

import type { Clock, Timer } from '../clock/clock.ts';
import { HotMirrorError } from '../errors.ts';
import { checkFrameLength, totalLength } from './frame-bytes.ts';
import type { FramePool } from './frame-pool.ts';
import type { TransportLimits } from './limits.ts';
import type { LinkWay } from './link-way.ts';
import { Lane } from './memory-lane.ts';
import type { LaneEnd, Parcel } from './memory-lane.ts';
import type { Connection, Receiver } from './transport.ts';

const poisonByte = 0xa5;

/** The identity and the bounds of one end. */
export interface MemoryLine {
  readonly id: string;
  readonly dialled: boolean;
  readonly peer: string;
  readonly description: string;
  readonly clock: Clock;
  /** What happens to what this end sends. */
  readonly way: LinkWay;
  readonly limits: TransportLimits;
  /** Where frames are copied to. */
  readonly pool: FramePool;
  /** Overwrites each frame once its receiver returned, and uses its memory again. */
  readonly poison: boolean;
  /** Told once this end is over. */
  readonly gone: () => void;
}

/** Nothing of what is under way arrives. */
const none = (): number => 0;

/** One end of an in-memory connection. */
export class MemoryConnection implements Connection, LaneEnd {
  readonly id: string;
  readonly dialled: boolean;
  readonly peer: string;
  readonly description: string;
  readonly maxFrameBytes: number;
  /** @internal */
  readonly outgoing: Lane;
  readonly #line: MemoryLine;
  #other: MemoryConnection | null = null;
  #receiver: Receiver | null = null;
  #paused = false;
  #closing: { readonly deadline: Timer; readonly resolvers: (() => void)[] } | null = null;
  #wantsDrain = false;
  #delivered = false;
  #end: { readonly error: HotMirrorError | null; reported: boolean } | null = null;

  constructor(line: MemoryLine) {
    this.id = line.id;
    this.dialled = line.dialled;
    this.peer = line.peer;
    this.description = line.description;
    this.maxFrameBytes = line.limits.maxFrameBytes;
    this.#line = line;
    this.outgoing = new Lane(line.clock, line.way);
  }

  get pendingBytes(): number {
    return this.outgoing.pendingBytes;
  }

  /** @internal */
  get ended(): boolean {
    return this.#end !== null;
  }

  /** @internal */
  attach(other: MemoryConnection): void {
    this.#other = other;
    this.outgoing.lead(other);
  }

  receive(receiver: Receiver): void {
    if (this.#receiver) throw new TypeError('receive() is to be called once');
    this.#receiver = receiver;
    if (this.#end)
      this.#line.clock.timer(0, () => {
        this.#report();
      });
    this.#other?.outgoing.flow();
  }

  send(parts: readonly Uint8Array[]): boolean {
    checkFrameLength(totalLength(parts), this.maxFrameBytes);
    if (this.#end || this.#closing) return false;
    this.outgoing.frame(this.#line.pool.joined(parts));
    const { highWaterBytes, pendingBytes } = this.#line.limits;
    if (this.pendingBytes > pendingBytes) {
      this.destroy(new HotMirrorError('HM_SEND_WINDOW', `${this.description}: more than ${String(pendingBytes)} bytes pending`));
      return false;
    }
    this.#wantsDrain ||= this.pendingBytes > highWaterBytes;
    return !this.#wantsDrain;
  }

  pause(): void {
    this.#paused = true;
  }

  resume(): void {
    this.#paused = false;
    this.#other?.outgoing.flow();
  }

  close(): Promise<void> {
    if (this.#end) return Promise.resolve();
    return new Promise((resolve) => {
      if (this.#closing) {
        this.#closing.resolvers.push(resolve);
        return;
      }
      const late = (): void => {
        this.destroy(this.#lost('what was pending could not be sent before the deadline'));
      };
      this.#closing = { deadline: this.#line.clock.timer(this.#line.limits.closeDeadlineMs, late), resolvers: [resolve] };
      this.outgoing.goodbye();
      this.#other?.outgoing.flow();
    });
  }

  destroy(error?: HotMirrorError): void {
    if (this.#end) return;
    this.outgoing.lost(none);
    this.end(error ?? null);
  }

  /** @internal The cable is mended. */
  mend(): void {
    this.outgoing.flow();
    this.#other?.outgoing.flow();
  }

  /** @internal This end is over; its receiver hears it in a turn of its own. */
  end(error: HotMirrorError | null): void {
    if (this.#end) return;
    this.#end = { error, reported: false };
    this.#closing?.deadline.cancel();
    this.#line.clock.timer(0, () => {
      this.#report();
      for (const resolve of this.#closing?.resolvers ?? []) resolve();
    });
    this.#other?.outgoing.flow();
    this.#line.gone();
  }

  /** @internal The process of this end died: nobody is there to be told. */
  vanish(keeps: (underWay: number) => number): void {
    this.outgoing.lost(keeps);
    this.end(null);
    if (this.#end) this.#end.reported = true;
  }

  /** @internal Whether this end takes the parcel now. What reaches an end that is over, or closing, is dropped. */
  takes(parcel: Parcel): boolean {
    return parcel.kind === 'lost' || this.#end !== null || this.#closing !== null || (this.#receiver !== null && !this.#paused);
  }

  /** @internal */
  take(parcel: Parcel): void {
    if (this.#end) return;
    if (parcel.kind === 'lost') {
      this.end(this.#lost('the other end is gone'));
      return;
    }
    if (parcel.kind === 'goodbye') {
      this.outgoing.goodbye();
      this.end(null);
      return;
    }
    if (this.#closing) return;
    if (parcel.checksum !== null && crc32(parcel.bytes) !== parcel.checksum) {
      this.destroy(new HotMirrorError('HM_BAD_CHECKSUM', `${this.description}: a frame arrived damaged`));
      return;
    }
    this.#delivered = true;
    this.#receiver?.frame(parcel.bytes);
    if (!this.#line.poison) return;
    parcel.bytes.fill(poisonByte);
    this.#line.pool.release(parcel.bytes);
  }

  /** @internal What one turn brought is delivered. */
  batchEnd(): void {
    if (this.#delivered && !this.#end) this.#receiver?.batchEnd?.();
    this.#delivered = false;
    this.#other?.drained();
  }

  /** @internal */
  drained(): void {
    if (!this.#wantsDrain || this.#end || this.pendingBytes > 0) return;
    this.#wantsDrain = false;
    this.#receiver?.drain?.();
  }

  #report(): void {
    if (!this.#receiver || !this.#end || this.#end.reported) return;
    this.#end.reported = true;
    this.#receiver.closed(this.#end.error);
  }

  #lost(why: string): HotMirrorError {
    return new HotMirrorError('HM_CONNECTION_LOST', `${this.description}: ${why}`);
  }
}

/** Makes two ends one connection. */
export function joinConnections(one: MemoryConnection, other: MemoryConnection): void {
  one.attach(other);
  other.attach(one);
}
