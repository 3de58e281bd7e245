import { SeededRandom } from '../../src/testing/seeded-random.ts';
import { during, episodes, exponential, merged } from './episodes.ts';
import type { Episode, Habit } from './episodes.ts';
import type { Recording } from './recording.ts';

/** The watcher, and the node that it watches. */
export type End = 0 | 1;
export const watcher = 0;
export const peer = 1;

/** What links and nodes are like. Everything absent is 0, or does not happen. */
export interface Conditions {
  readonly name: string;
  readonly about: string;
  /** Shortest time one way, in ms; up to `jitterMs` more, evenly spread; and an exponential tail with the mean `tailMs`. */
  readonly delayMs?: number;
  readonly jitterMs?: number;
  readonly tailMs?: number;
  /** Share of messages that are lost, each by itself. */
  readonly lost?: number;
  /** Times when more are lost, on each link by itself (Gilbert and Elliott). */
  readonly bursts?: Habit & { readonly lost: number };
  /**
   * The connection is TCP: what is lost is sent again after so long, then after twice as long, and so on; what is sent meanwhile goes with it. There is no fast retransmit
   * in it, which real TCP has where enough is under way.
   */
  readonly retransmitMs?: number;
  /** Times when the watched node stands still, for all links: it sends, receives and answers nothing. */
  readonly peerPauses?: readonly Habit[];
  /** Times when the watcher does. */
  readonly watcherPauses?: readonly Habit[];
  /** Delays that were measured, in place of those above, from a moment by chance on and round. */
  readonly recording?: Recording;
}

const links = 2;
/** As in Linux. */
const mostRetransmits = 15;
const largeStride = 7_919;

/** One day, or moment, of the conditions: the same seed gives the same. A pure function of what it is asked, and in which order. */
export class Weather {
  readonly #conditions: Conditions;
  readonly #random: SeededRandom;
  readonly #pauses: readonly [readonly Episode[], readonly Episode[]];
  readonly #bursts: readonly (readonly Episode[])[];
  readonly #recordedFrom: number;
  /** Of each link and way, when what was lost last was sent again and got through, and when it arrived. */
  readonly #againMs = new Float64Array(2 * links);
  readonly #arrivedMs = new Float64Array(2 * links);

  constructor(conditions: Conditions, seed: number, untilMs: number) {
    this.#conditions = conditions;
    this.#random = new SeededRandom(seed * largeStride);
    const { watcherPauses = [], peerPauses = [], bursts, recording } = conditions;
    const happen = (habits: readonly Habit[]): readonly Episode[] => merged(habits.map((each) => episodes(each, this.#random, untilMs)));
    this.#pauses = [happen(watcherPauses), happen(peerPauses)];
    this.#bursts = Array.from({ length: links }, () => happen(bursts ? [bursts] : []));
    this.#recordedFrom = recording ? this.#random.below(recording.delaysMs.length) : 0;
  }

  /** When a message that `from` sends at `sentMs` arrives, if `from` lives until `livesMs`; null: never. To be asked in order of time, for each link and end. */
  arrivesMs(link: number, from: End, sentMs: number, livesMs: number): number | null {
    const { retransmitMs } = this.#conditions;
    if (retransmitMs === undefined) return this.#lost(link, sentMs) ? null : sentMs + this.#delayMs(sentMs);
    const way = 2 * link + from;
    if (sentMs > this.#againMs[way]!) {
      let againMs = sentMs;
      for (let times = 0; times < mostRetransmits && this.#lost(link, againMs); times += 1) againMs += retransmitMs * 2 ** times;
      this.#againMs[way] = againMs;
      this.#arrivedMs[way] = Math.max(this.#arrivedMs[way]!, againMs + this.#delayMs(againMs));
    }
    return this.#againMs[way]! < livesMs ? this.#arrivedMs[way]! : null;
  }

  /** When a node that would act at `atMs` does. */
  runsMs(end: End, atMs: number): number {
    return during(this.#pauses[end], atMs)?.toMs ?? atMs;
  }

  /** When a node stands still. */
  pauses(end: End): readonly Episode[] {
    return this.#pauses[end];
  }

  #lost(link: number, atMs: number): boolean {
    const { lost = 0, bursts } = this.#conditions;
    const share = bursts && during(this.#bursts[link]!, atMs) ? bursts.lost : lost;
    return share > 0 && this.#random.fraction() < share;
  }

  #delayMs(atMs: number): number {
    const { delayMs = 0, jitterMs = 0, tailMs = 0, recording } = this.#conditions;
    if (recording) {
      const at = (this.#recordedFrom + Math.floor(atMs / recording.intervalMs)) % recording.delaysMs.length;
      return recording.delaysMs[at]!;
    }
    const tail = tailMs > 0 ? exponential(tailMs)(this.#random) : 0;
    return delayMs + jitterMs * this.#random.fraction() + tail;
  }
}
