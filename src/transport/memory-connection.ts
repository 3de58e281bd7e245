import type { Clock, Timer } from '../clock/clock.ts';
import { HotMirrorError } from '../errors.ts';
import { checkFrameLength, joined, totalLength } from './frame-bytes.ts';
import type { TransportLimits } from './limits.ts';
import type { Connection, Receiver } from './transport.ts';

/** What a frame costs beside its bytes, so that empty frames are bounded too. */
const frameOverheadBytes = 16;
const poisonByte = 0xa5;

/** The identity and the bounds of one end. */
export interface MemoryLine {
  readonly id: string;
  readonly dialled: boolean;
  readonly peer: string;
  readonly description: string;
  readonly clock: Clock;
  readonly delayMs: number;
  readonly limits: TransportLimits;
}

/** What the link does to what this end sends, and wants to know of it. */
export interface MemoryLineHooks {
  readonly poison: boolean;
  readonly isCut: () => boolean;
  readonly gone: () => void;
}

/** What travels: a frame, the news of an end in order, or of one that was not. */
type Parcel =
  | { readonly kind: 'frame'; readonly dueMs: number; readonly bytes: Uint8Array }
  | { readonly kind: 'goodbye'; readonly dueMs: number }
  | { readonly kind: 'lost'; readonly dueMs: number };

/** One direction of a connection: parcels on their way, in order. */
class Lane {
  readonly #line: MemoryLine;
  readonly #isCut: () => boolean;
  #parcels: Parcel[] = [];
  #timer: Timer | null = null;
  #to: MemoryConnection | null = null;
  pendingBytes = 0;

  constructor(line: MemoryLine, isCut: () => boolean) {
    this.#line = line;
    this.#isCut = isCut;
  }

  lead(to: MemoryConnection): void {
    this.#to = to;
  }

  frame(bytes: Uint8Array): void {
    this.pendingBytes += bytes.length + frameOverheadBytes;
    this.#push({ kind: 'frame', bytes, dueMs: this.#dueMs() });
  }

  goodbye(): void {
    this.#push({ kind: 'goodbye', dueMs: this.#dueMs() });
  }

  /** What was on its way is lost, and the other end learns that this one is gone. */
  lost(): void {
    this.#parcels = [];
    this.pendingBytes = 0;
    this.#push({ kind: 'lost', dueMs: this.#dueMs() });
  }

  /** Sets what is due in motion, unless something holds it. */
  flow(): void {
    const first = this.#parcels[0];
    if (this.#timer || !first || !this.#to || this.#isCut() || !this.#to.takes(first)) return;
    this.#timer = this.#line.clock.timer(first.dueMs - this.#line.clock.nowMs(), () => {
      this.#timer = null;
      this.#deliver();
      this.flow();
    });
  }

  #push(parcel: Parcel): void {
    this.#parcels.push(parcel);
    this.flow();
  }

  #dueMs(): number {
    return this.#line.clock.nowMs() + this.#line.delayMs;
  }

  #deliver(): void {
    const to = this.#to;
    const nowMs = this.#line.clock.nowMs();
    for (let left = this.#parcels.length; to && left > 0; left -= 1) {
      const parcel = this.#parcels[0];
      if (!parcel || parcel.dueMs > nowMs || this.#isCut() || !to.takes(parcel)) break;
      this.#parcels.shift();
      if (parcel.kind === 'frame') this.pendingBytes -= parcel.bytes.length + frameOverheadBytes;
      to.take(parcel);
    }
    to?.batchEnd();
  }
}

/** One end of an in-memory connection. */
export class MemoryConnection implements Connection {
  readonly id: string;
  readonly dialled: boolean;
  readonly peer: string;
  readonly description: string;
  readonly maxFrameBytes: number;
  /** @internal */
  readonly outgoing: Lane;
  readonly #line: MemoryLine;
  readonly #hooks: MemoryLineHooks;
  #other: MemoryConnection | null = null;
  #receiver: Receiver | null = null;
  #paused = false;
  #closing: { readonly deadline: Timer; readonly resolvers: (() => void)[] } | null = null;
  #wantsDrain = false;
  #delivered = false;
  #end: { readonly error: HotMirrorError | null; reported: boolean } | null = null;

  constructor(line: MemoryLine, hooks: MemoryLineHooks) {
    this.id = line.id;
    this.dialled = line.dialled;
    this.peer = line.peer;
    this.description = line.description;
    this.maxFrameBytes = line.limits.maxFrameBytes;
    this.#line = line;
    this.#hooks = hooks;
    this.outgoing = new Lane(line, hooks.isCut);
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
    this.outgoing.frame(joined(parts));
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
    this.outgoing.lost();
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
    this.#hooks.gone();
  }

  /** @internal The process of this end died: nobody is there to be told. */
  vanish(): void {
    this.outgoing.lost();
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
    this.#delivered = true;
    this.#receiver?.frame(parcel.bytes);
    if (this.#hooks.poison) parcel.bytes.fill(poisonByte);
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
