import type { Clock, Timer } from '../clock/clock.ts';
import type { EventBase } from '../events.ts';
import type { NetDiskServerNews } from '../net-disk/net-disk-device.ts';

/** What became of the NBD server behind an element of this node; plain data, for it comes from a thread. */
export interface ElementServer {
  readonly uri: string;
  readonly state: NetDiskServerNews['state'];
  /** Null where it returned. */
  readonly because: string | null;
  readonly code: string | null;
}

/** What a {@link ServerNews} tells. */
export type ServerEventName = 'server:lost' | 'server:returned' | 'server:failed';

/** What a {@link ServerNews} needs. */
export interface ServerNewsOptions {
  readonly clock: Clock;
  /** Whether this node serves the mirror: then its requests wait for the server. */
  readonly serving: () => boolean;
  readonly tell: (name: ServerEventName, news: Omit<EventBase, 'atMs'>) => void;
}

/** After a loss was told nothing more is for so long; twice as long each time, while losses go on, up to the longest. */
const firstQuietMs = 5_000;
const longestQuietMs = 60_000;

/**
 * Makes events of what becomes of the server behind an element. A loss is told at once, and so is the return after it. A server that comes and goes is told of with a count, twice in a quiet time at
 * most; one that stays away is told of when that ends. That it failed for good is always told.
 */
export class ServerNews {
  readonly #options: ServerNewsOptions;
  #now: ElementServer | null = null;
  /** Since when it is away, be it told or not. */
  #awaySinceMs: number | null = null;
  #toldAway = false;
  /** Losses that no event has counted. */
  #losses = 0;
  /** Since when they count. */
  #countedFromMs = 0;
  #quietMs = firstQuietMs;
  #quietUntilMs = -Infinity;
  #timer: Timer | null = null;

  constructor(options: ServerNewsOptions) {
    this.#options = options;
  }

  /** Takes what the thread tells, in its order. */
  heard(news: ElementServer): void {
    const nowMs = this.#options.clock.nowMs();
    this.#now = news;
    if (news.state === 'lost') this.#lost(nowMs);
    else if (news.state === 'returned') this.#returned(nowMs);
    else this.#failed(news);
  }

  /** Tells nothing more. */
  close(): void {
    this.#timer?.cancel();
    this.#timer = null;
  }

  #lost(nowMs: number): void {
    this.#awaySinceMs ??= nowMs;
    this.#losses += 1;
    if (nowMs >= this.#quietUntilMs) this.#tell(nowMs);
    else this.#timer ??= this.#options.clock.timer(this.#quietUntilMs - nowMs, () => this.#quietEnds());
  }

  #returned(nowMs: number): void {
    const awayMs = nowMs - (this.#awaySinceMs ?? nowMs);
    this.#awaySinceMs = null;
    if (this.#toldAway) this.#tellReturn(`is back after ${seconds(awayMs)}`, { awayMs });
  }

  #failed({ uri, because, code }: ElementServer): void {
    this.close();
    const text = `the NBD server of this node's element, ${uri}, is given up: ${because ?? ''}; the element fails for good, and is filled anew after hotmirror init --force --blank`;
    this.#options.tell('server:failed', { class: 1, text, evidence: { uri, code } });
  }

  #quietEnds(): void {
    this.#timer = null;
    this.#tell(this.#options.clock.nowMs());
  }

  /** Tells of every loss since the last event of one. */
  #tell(nowMs: number): void {
    // It may be late, and what it was to tell of is told now.
    this.close();
    const losses = this.#losses;
    const duringMs = nowMs - this.#countedFromMs;
    const calm = nowMs - this.#quietUntilMs >= this.#quietMs;
    this.#quietMs = calm ? firstQuietMs : Math.min(longestQuietMs, 2 * this.#quietMs);
    this.#quietUntilMs = nowMs + this.#quietMs;
    this.#countedFromMs = nowMs;
    this.#losses = 0;
    const often = losses === 1 ? '' : `, ${String(losses)} times in ${seconds(duringMs)}`;
    if (this.#awaySinceMs === null) {
      this.#tellReturn(`is back; it was lost${often === '' ? ' once more' : often}`, { losses });
      return;
    }
    this.#toldAway = true;
    const { uri = '', because = '', code = null } = this.#now ?? {};
    const text = `the NBD server of this node's element, ${uri}, is lost${often}: ${because ?? ''}; what is asked of the element waits`;
    this.#options.tell('server:lost', { class: this.#options.serving() ? 3 : 1, text, evidence: { uri, code, losses } });
  }

  #tellReturn(how: string, evidence: Readonly<Record<string, number>>): void {
    this.#toldAway = false;
    const uri = this.#now?.uri ?? '';
    this.#options.tell('server:returned', {
      class: 0,
      text: `the NBD server of this node's element, ${uri}, ${how}`,
      evidence: { uri, ...evidence },
    });
  }
}

function seconds(durationMs: number): string {
  return `${(durationMs / 1_000).toFixed(1)} s`;
}
