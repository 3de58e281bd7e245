import type { Clock, Timer } from '../clock/clock.ts';
import type { LinkWay } from './link-way.ts';

/** What a frame costs beside its bytes, so that empty frames are bounded too. */
const frameOverheadBytes = 16;
const noBytes = new Uint8Array(0);

/** What travels: a frame, the news of an end in order, or of one that was not. */
export interface Parcel {
  readonly kind: 'frame' | 'goodbye' | 'lost';
  readonly dueMs: number;
  readonly bytes: Uint8Array;
  /** Of a frame, where the link turns bits. */
  readonly checksum: number | null;
  /** The one behind it. */
  next: Parcel | null;
}

/** Who stands at the end of a lane. */
export interface LaneEnd {
  /** Whether it takes the parcel now. */
  takes(parcel: Parcel): boolean;
  take(parcel: Parcel): void;
  /** What one turn brought is delivered. */
  batchEnd(): void;
}

/** One direction of a connection: parcels on their way, in order. */
export class Lane {
  readonly #clock: Clock;
  readonly #way: LinkWay;
  #first: Parcel | null = null;
  #last: Parcel | null = null;
  #lastDueMs = Number.NEGATIVE_INFINITY;
  #timer: Timer | null = null;
  #timerDueMs = 0;
  #to: LaneEnd | null = null;
  #pendingBytes = 0;

  constructor(clock: Clock, way: LinkWay) {
    this.#clock = clock;
    this.#way = way;
  }

  /** Of the frames on their way, in bytes. */
  get pendingBytes(): number {
    return this.#pendingBytes;
  }

  lead(to: LaneEnd): void {
    this.#to = to;
  }

  /** Sends a frame. */
  frame(bytes: Uint8Array): void {
    this.#pendingBytes += bytes.length + frameOverheadBytes;
    this.#push('frame', bytes, this.#way.checksum(bytes));
  }

  goodbye(): void {
    this.#push('goodbye', noBytes, null);
  }

  /** Of what was on its way the first parcels still arrive, as many as `keeps` says; then the other end learns that this one is gone. */
  lost(keeps: (underWay: number) => number): void {
    let underWay = 0;
    for (let parcel = this.#first; parcel; parcel = parcel.next) underWay += 1;
    this.#keep(underWay === 0 ? 0 : keeps(underWay));
    this.#push('lost', noBytes, null);
  }

  #keep(parcels: number): void {
    let last: Parcel | null = null;
    this.#pendingBytes = 0;
    for (let left = parcels, parcel = this.#first; left > 0 && parcel; left -= 1, parcel = parcel.next) {
      last = parcel;
      if (parcel.kind === 'frame') this.#pendingBytes += parcel.bytes.length + frameOverheadBytes;
    }
    if (last) last.next = null;
    else this.#first = null;
    this.#last = last;
    this.#lastDueMs = last?.dueMs ?? Number.NEGATIVE_INFINITY;
  }

  /** Sets what is due in motion, unless something holds it. */
  flow(): void {
    const first = this.#first;
    if (this.#timer || !first || this.#way.isCut || !this.#to?.takes(first)) return;
    this.#timerDueMs = first.dueMs;
    this.#timer = this.#clock.timer(first.dueMs - this.#clock.nowMs(), this.#arrive);
  }

  readonly #arrive = (): void => {
    this.#timer = null;
    this.#deliver();
    this.flow();
  };

  #push(kind: Parcel['kind'], bytes: Uint8Array, checksum: number | null): void {
    const dueMs = Math.max(this.#lastDueMs, this.#way.arrivalMs());
    const parcel: Parcel = { kind, dueMs, bytes, checksum, next: null };
    if (this.#last) this.#last.next = parcel;
    else this.#first = parcel;
    this.#last = parcel;
    this.#lastDueMs = dueMs;
    if (this.#timer && dueMs < this.#timerDueMs) this.#stopTimer(); // it was set for what is lost by now
    this.flow();
  }

  #stopTimer(): void {
    this.#timer?.cancel();
    this.#timer = null;
  }

  /** Delivers what is due, but nothing that is sent meanwhile. */
  #deliver(): void {
    const to = this.#to;
    const nowMs = this.#clock.nowMs();
    const last = this.#last;
    for (let parcel = this.#first; to && parcel; parcel = this.#first) {
      if (parcel.dueMs > nowMs || this.#way.isCut || !to.takes(parcel)) break;
      this.#first = parcel.next;
      if (!this.#first) this.#last = null;
      if (parcel.kind === 'frame') this.#pendingBytes -= parcel.bytes.length + frameOverheadBytes;
      to.take(parcel);
      if (parcel === last) break;
    }
    to?.batchEnd();
  }
}
