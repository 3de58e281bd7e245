import type { Clock, Timer } from '../../clock/clock.ts';
import type { Done } from '../../device/block-device.ts';
import type { DiskBytes } from './disk-cache.ts';

/** A request that a disk has accepted. A flush has no bytes. */
export interface DiskRequest extends DiskBytes {
  readonly kind: 'read' | 'write' | 'flush';
  readonly fua: boolean;
  /** Position of the cache when it was issued. */
  readonly position: number;
  readonly done: Done;
}

/** A request under way. */
interface Waiting {
  readonly request: DiskRequest;
  /** Its time has come. */
  due: boolean;
  /** Earlier requests that must be carried out before it. */
  blockers: number;
  /** Later requests that wait for it. */
  readonly followers: Waiting[];
  timer: Timer | null;
}

/** The requests of one process that are under way: each is carried out when its time has come, after the earlier ones that it overlaps, and not while the disk stalls. */
export class DiskRequests {
  readonly #clock: Clock;
  readonly #carryOut: (request: DiskRequest) => void;
  /** In the order issued. */
  readonly #waiting = new Set<Waiting>();
  #stall: { readonly untilMs: number; readonly timer: Timer } | null = null;
  #whenIdle: (() => void)[] = [];

  constructor(clock: Clock, carryOut: (request: DiskRequest) => void) {
    this.#clock = clock;
    this.#carryOut = carryOut;
  }

  /** What is left of the stall, in ms; 0 without one. */
  get stallLeftMs(): number {
    return this.#stall ? Math.max(0, this.#stall.untilMs - this.#clock.nowMs()) : 0;
  }

  /** Whether a request under way may change the range. */
  changes(offsetBytes: number, lengthBytes: number): boolean {
    for (const { request } of this.#waiting) if (request.kind === 'write' && overlaps(request, offsetBytes, lengthBytes)) return true;
    return false;
  }

  /** Takes a request, to be carried out after this time; null: before this returns, if nothing holds it up. */
  submit(request: DiskRequest, delayMs: number | null): void {
    if (delayMs === null && this.#waiting.size === 0 && !this.#stall) {
      this.#carryOut(request);
      return;
    }
    const waiting: Waiting = { request, due: delayMs === null, blockers: 0, followers: [], timer: null };
    for (const earlier of this.#waiting) {
      if (!mustPrecede(earlier.request, request)) continue;
      earlier.followers.push(waiting);
      waiting.blockers += 1;
    }
    this.#waiting.add(waiting);
    if (delayMs === null) {
      this.#advance([waiting]);
      return;
    }
    waiting.timer = this.#clock.timer(delayMs, () => {
      waiting.due = true;
      this.#advance([waiting]);
    });
  }

  /** Nothing is carried out for this long, or for what is left of the present stall if that is longer. */
  stall(forMs: number): void {
    if (forMs <= this.stallLeftMs) return;
    this.#stall?.timer.cancel();
    this.#stall = {
      untilMs: this.#clock.nowMs() + forMs,
      timer: this.#clock.timer(forMs, this.#stallEnds),
    };
  }

  /** Everything that is due is carried out, as soon as the process runs. */
  endStall(): void {
    if (!this.#stall) return;
    this.#stall.timer.cancel();
    this.#stall = { untilMs: this.#clock.nowMs(), timer: this.#clock.timer(0, this.#stallEnds) };
  }

  readonly #stallEnds = (): void => {
    this.#stall = null;
    this.#advance([...this.#waiting]);
  };

  /** Calls back when nothing is under way; now, if that is so. */
  whenIdle(callback: () => void): void {
    this.#whenIdle.push(callback);
    this.#tellIdle();
  }

  /** Forgets everything, so that nothing is carried out any more. Gives the writes that were under way, in the order issued. */
  abandon(): DiskRequest[] {
    const requests = [...this.#waiting];
    for (const { timer } of requests) timer?.cancel();
    this.#waiting.clear();
    this.#whenIdle = [];
    this.#stall?.timer.cancel();
    this.#stall = null;
    return requests.map(({ request }) => request).filter(({ kind }) => kind === 'write');
  }

  /** Carries out those of these that can be, and then what waited for them. A completion may do anything meanwhile, also abandon all. */
  #advance(ready: Waiting[]): void {
    for (let next = ready.shift(); next; next = ready.shift()) {
      if (!next.due || next.blockers > 0 || this.#stall || !this.#waiting.delete(next)) continue;
      this.#carryOut(next.request);
      for (const follower of next.followers) follower.blockers -= 1;
      ready.push(...next.followers);
    }
    this.#tellIdle();
  }

  #tellIdle(): void {
    if (this.#waiting.size > 0) return;
    for (const callback of this.#whenIdle.splice(0)) callback();
  }
}

/** Requests that overlap take effect in the order issued; two reads have no effect on each other. */
function mustPrecede(earlier: DiskRequest, later: DiskRequest): boolean {
  if (earlier.kind === 'read' && later.kind === 'read') return false;
  return overlaps(earlier, later.offsetBytes, later.bytes.byteLength);
}

function overlaps({ offsetBytes: at, bytes }: DiskRequest, offsetBytes: number, lengthBytes: number): boolean {
  return at < offsetBytes + lengthBytes && offsetBytes < at + bytes.byteLength;
}
