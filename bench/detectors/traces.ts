import { anyLength, exponential } from './episodes.ts';
import type { Recording } from './recording.ts';
import type { Conditions } from './weather.ts';

const second = 1_000;
const minute = 60 * second;
const hour = 60 * minute;

const lossy = { delayMs: 0, jitterMs: second, lost: 0.3 } as const;

/** The conditions that are made up. */
export const syntheticTraces: readonly Conditions[] = [
  { name: 'LAN', about: '0.1 to 0.3 ms one way, nothing lost', delayMs: 0.1, jitterMs: 0.2 },
  {
    name: 'WAN',
    about:
      '40 to 50 ms one way with an exponential tail of 8 ms; 0.5 % lost; about once an hour, on each link by itself, nothing passes for 3 s on average',
    ...{ delayMs: 40, jitterMs: 10, tailMs: 8, lost: 0.005 },
    bursts: { everyMs: hour, lastsMs: exponential(3 * second), lost: 1 },
  },
  { name: 'lossy', about: '30 % lost, each message by itself; up to 1 s one way, evenly spread', ...lossy },
  {
    name: 'lossy, TCP',
    about: 'the same, but a lost segment is sent again after 200 ms, 400 ms, and so on, and holds up those behind it',
    ...lossy,
    retransmitMs: 200,
  },
  {
    name: 'bursts',
    about: '1 ms one way, 0.1 % lost; about twice a minute, on each link by itself, 80 % are lost for 3 s on average',
    ...{ delayMs: 0.5, jitterMs: 1, lost: 0.001 },
    bursts: { everyMs: 30 * second, lastsMs: exponential(3 * second), lost: 0.8 },
  },
  {
    name: 'pauses',
    about: 'a LAN; the watched node collects garbage: each minute for 50 to 500 ms, each half hour for 1 to 8 s',
    ...{ delayMs: 0.1, jitterMs: 0.2 },
    peerPauses: [
      { everyMs: minute, lastsMs: anyLength(50, 500) },
      { everyMs: 30 * minute, lastsMs: anyLength(second, 8 * second) },
    ],
  },
  {
    name: 'loaded hosts',
    about:
      'a LAN with an exponential tail of 5 ms; both nodes stand still: each two seconds for 10 to 300 ms, each five minutes for 0.5 to 6 s',
    ...{ delayMs: 0.1, jitterMs: 0.2, tailMs: 5 },
    peerPauses: [
      { everyMs: 2 * second, lastsMs: anyLength(10, 300) },
      { everyMs: 5 * minute, lastsMs: anyLength(500, 6 * second) },
    ],
    watcherPauses: [
      { everyMs: 2 * second, lastsMs: anyLength(10, 300) },
      { everyMs: 5 * minute, lastsMs: anyLength(500, 6 * second) },
    ],
  },
];

/** The conditions of a recording. */
export function recordedTrace(recording: Recording): Conditions {
  return { name: `recorded: ${recording.name}`, about: recording.about, recording };
}
