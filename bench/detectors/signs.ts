import { lateAfterIntervals } from '../../src/heartbeat/options.ts';
import { SeededRandom } from '../../src/testing/seeded-random.ts';
import { peer, watcher } from './weather.ts';
import type { End, Weather } from './weather.ts';

/** Who sends what on a link. */
export interface Protocol {
  readonly intervalMs: number;
  /** The watched node sends of itself. */
  readonly peerSends: boolean;
  /** The watcher asks. */
  readonly watcherAsks: boolean;
  /** What arrives is answered. */
  readonly answers: boolean;
  /** Time between two messages of either where it has heard nothing for one and a half intervals; null: as ever. */
  readonly lateProbeMs: number | null;
}

/** Which stretch of time is played. */
export interface Stretch {
  readonly seed: number;
  readonly untilMs: number;
  /** When the watched node dies. */
  readonly crashMs: number;
}

interface Message {
  readonly atMs: number;
  readonly to: End;
  readonly isToken: boolean;
}

/** The monitor notices that a link is late by so much. */
const noticesAfterMs = 1;

/** Plays one link, and gives when the watcher hears something, in order. */
export function signsOfLife(weather: Weather, link: number, protocol: Protocol, stretch: Stretch): readonly number[] {
  return new LinkPlay(weather, link, protocol, stretch).run();
}

class LinkPlay {
  readonly #weather: Weather;
  readonly #link: number;
  readonly #protocol: Protocol;
  readonly #stretch: Stretch;
  /** By end. */
  readonly #sends: readonly [boolean, boolean];
  readonly #sentMs: [number, number];
  readonly #heardMs: [number, number] = [0, 0];
  /** Under way, the next to arrive last. */
  readonly #underWay: Message[] = [];
  readonly #signs: number[] = [];

  constructor(weather: Weather, link: number, protocol: Protocol, stretch: Stretch) {
    const random = new SeededRandom(stretch.seed * 2 + link);
    this.#weather = weather;
    this.#link = link;
    this.#protocol = protocol;
    this.#stretch = stretch;
    this.#sends = [protocol.watcherAsks, protocol.peerSends];
    this.#sentMs = [-protocol.intervalMs * random.fraction(), -protocol.intervalMs * random.fraction()];
  }

  run(): readonly number[] {
    for (;;) {
      const [asksMs, beatsMs] = [this.#dueMs(watcher), this.#dueMs(peer)];
      const arrivesMs = this.#underWay.at(-1)?.atMs ?? Infinity;
      const nowMs = Math.min(asksMs, beatsMs, arrivesMs);
      if (nowMs > this.#stretch.untilMs || nowMs === Infinity) return this.#signs;
      if (nowMs === arrivesMs) this.#arrive(this.#underWay.pop()!);
      else this.#sendToken(nowMs === asksMs ? watcher : peer, nowMs);
    }
  }

  /** When an end sends its next token. From the crash on nothing sent can bring a sign of life. */
  #dueMs(end: End): number {
    if (!this.#sends[end]) return Infinity;
    const { intervalMs, lateProbeMs } = this.#protocol;
    const regularMs = this.#sentMs[end] + intervalMs;
    const lateMs = this.#heardMs[end] + lateAfterIntervals * intervalMs + noticesAfterMs;
    const dueMs = lateProbeMs === null ? regularMs : Math.min(regularMs, Math.max(this.#sentMs[end] + lateProbeMs, lateMs));
    const runsMs = this.#weather.runsMs(end, dueMs);
    return runsMs < this.#stretch.crashMs ? runsMs : Infinity;
  }

  #sendToken(from: End, nowMs: number): void {
    this.#sentMs[from] = nowMs;
    this.#send(from, nowMs, true);
  }

  #send(from: End, nowMs: number, isToken: boolean): void {
    const livesMs = from === peer ? this.#stretch.crashMs : Infinity;
    const atMs = this.#weather.arrivesMs(this.#link, from, nowMs, livesMs);
    if (atMs !== null) this.#put({ atMs, to: from === watcher ? peer : watcher, isToken });
  }

  /** Behind those that arrive earlier or at the same time. */
  #put(message: Message): void {
    let at = this.#underWay.length;
    while (at > 0 && this.#underWay[at - 1]!.atMs <= message.atMs) at -= 1;
    this.#underWay.splice(at, 0, message);
  }

  #arrive(message: Message): void {
    const { atMs, to, isToken } = message;
    const runsMs = this.#weather.runsMs(to, atMs);
    if (to === peer && runsMs >= this.#stretch.crashMs) return;
    if (runsMs > atMs) {
      this.#put({ ...message, atMs: runsMs });
      return;
    }
    this.#heardMs[to] = atMs;
    if (to === watcher) this.#signs.push(atMs);
    if (isToken && this.#protocol.answers) this.#send(to, atMs, false);
  }
}
