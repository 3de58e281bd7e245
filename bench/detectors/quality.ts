import type { Detector } from '../../src/heartbeat/detector.ts';
import type { Episode } from './episodes.ts';
import { signsOfLife } from './signs.ts';
import type { Protocol } from './signs.ts';
import { Weather, watcher } from './weather.ts';
import type { Conditions } from './weather.ts';

/** A way to watch a node. */
export interface Subject {
  readonly name: string;
  readonly links: number;
  readonly protocol: Protocol;
  /** Makes the detector of one link; the node is dead when all of them say so. */
  readonly detector: () => Watcher;
  /** Notices its own pauses, those of more than so long, and counts anew after them; null: does not. */
  readonly ownPausesMs: number | null;
}

/** What a detector is asked here. */
export type Watcher = Pick<Detector, 'heard' | 'freshen' | 'deadAfterMs'>;

/** What watching came to. */
export interface Watched {
  readonly mistakes: number;
  /** How long they lasted, together. */
  readonly mistakenMs: number;
  /** From when on the node is dead, if nothing more is heard. */
  readonly deadAfterMs: number;
}

/** Has detectors, one for each link, watch signs of life. The node is dead when every link is. */
export function watch(detectors: readonly Watcher[], signs: readonly (readonly number[])[], pauses: readonly Episode[]): Watched {
  const places = signs.map(() => 0);
  let [pause, mistakes, mistakenMs, deadAfterMs] = [0, 0, 0, Infinity];
  for (;;) {
    const link = nextLink(signs, places);
    const nowMs = signs[link]![places[link]!] ?? Infinity;
    const own = pauses[pause];
    if (own && own.toMs <= nowMs) {
      for (const detector of detectors) detector.freshen(own.toMs, own.fromMs);
      pause += 1;
    } else if (nowMs === Infinity) {
      return { mistakes, mistakenMs, deadAfterMs };
    } else {
      if (nowMs > deadAfterMs) {
        mistakes += 1;
        mistakenMs += nowMs - deadAfterMs;
      }
      detectors[link]!.heard(nowMs);
      places[link]! += 1;
    }
    deadAfterMs = 0;
    for (const detector of detectors) deadAfterMs = Math.max(deadAfterMs, detector.deadAfterMs() ?? Infinity);
  }
}

/** The link that is heard next. */
function nextLink(signs: readonly (readonly number[])[], places: readonly number[]): number {
  let next = 0;
  for (let link = 1; link < signs.length; link += 1) {
    if ((signs[link]![places[link]!] ?? Infinity) < (signs[next]![places[next]!] ?? Infinity)) next = link;
  }
  return next;
}

/** How good a way to watch is under some conditions. */
export interface Quality {
  readonly detectionMs: { readonly mean: number; readonly p99: number; readonly worst: number };
  readonly mistakes: number;
  readonly days: number;
  /** Null where there was no mistake. */
  readonly mistakeMs: number | null;
}

/** How much is played. */
export interface Extent {
  readonly crashes: number;
  readonly days: number;
}

const dayMs = 86_400_000;
/** What is played before a crash, so that detectors have learnt. */
const beforeCrashMs = 120_000;
/** The crash comes by chance in this stretch of time, more than the longest interval. */
const crashWithinMs = 60_000;
/** What is under way at a crash has arrived by then. */
const afterCrashMs = 60_000;
const percentile = 0.99;

/** Plays the conditions: days without a crash, to count mistakes, and crashes at moments by chance, to time their detection. */
export function measureQuality(subject: Subject, conditions: Conditions, { crashes, days }: Extent): Quality {
  const detections: number[] = [];
  for (let seed = 1; seed <= crashes; seed += 1) {
    const crashMs = beforeCrashMs + crashWithinMs * ((seed * goldenRatio) % 1);
    const { deadAfterMs } = play(subject, conditions, seed, crashMs + afterCrashMs, crashMs);
    detections.push(Math.max(0, deadAfterMs - crashMs));
  }
  detections.sort((one, other) => one - other);
  let [mistakes, mistakenMs] = [0, 0];
  for (let seed = 1; seed <= Math.ceil(days); seed += 1) {
    const watched = play(subject, conditions, crashes + seed, Math.min(1, days) * dayMs, Infinity);
    mistakes += watched.mistakes;
    mistakenMs += watched.mistakenMs;
  }
  const mean = detections.reduce((sum, each) => sum + each, 0) / detections.length;
  const p99 = detections[Math.ceil(percentile * detections.length) - 1]!;
  return {
    detectionMs: { mean, p99, worst: detections.at(-1)! },
    mistakes,
    days,
    mistakeMs: mistakes === 0 ? null : mistakenMs / mistakes,
  };
}

/** Spreads moments evenly, however many there are. */
const goldenRatio = (Math.sqrt(5) - 1) / 2;

function play(subject: Subject, conditions: Conditions, seed: number, untilMs: number, crashMs: number): Watched {
  const weather = new Weather(conditions, seed, untilMs);
  const links = Array.from({ length: subject.links }, (_, link) => link);
  const signs = links.map((link) => signsOfLife(weather, link, subject.protocol, { seed, untilMs, crashMs }));
  const { ownPausesMs } = subject;
  const noticed = (episode: Episode): boolean => ownPausesMs !== null && episode.toMs - episode.fromMs > ownPausesMs;
  return watch(
    links.map(() => subject.detector()),
    signs,
    weather.pauses(watcher).filter(noticed),
  );
}
