import { createDetector } from '../../src/heartbeat/detector.ts';
import type { DetectorOptions } from '../../src/heartbeat/detector.ts';
import { watchTimes } from '../../src/heartbeat/options.ts';
import { AkkaDetector, CassandraDetector } from './peers.ts';
import type { Subject } from './quality.ts';
import type { Protocol } from './signs.ts';

const times = watchTimes({});
const { deadlineMs, intervalMs, lateProbeMs } = times;
const maxDeadlineMs = 3 * deadlineMs;
/** As the monitor has it: a wake-up later than half an interval. */
const ownPausesMs = intervalMs / 2;

/** Both nodes send tokens and answer them; a late link is probed faster. */
const tokens: Protocol = { intervalMs, peerSends: true, watcherAsks: true, answers: true, lateProbeMs };

function ours(name: string, links: number, options: DetectorOptions, protocol: Protocol = tokens): Subject {
  return {
    name: `${name}, ${links === 1 ? '1 link' : `${String(links)} links`}`,
    links,
    protocol,
    detector: () => createDetector(options),
    ownPausesMs,
  };
}

const deadline: DetectorOptions = { kind: 'deadline', deadlineMs };
const accrual: DetectorOptions = { kind: 'phi-accrual', deadlineMs, maxDeadlineMs };
const chen: DetectorOptions = { kind: 'chen', deadlineMs, maxDeadlineMs };

/** The detectors of this package, at the default times. */
export const ownSubjects: readonly Subject[] = [1, 2].flatMap((links) => [
  ours('deadline', links, deadline),
  ours('deadline, no fast probes', links, deadline, { ...tokens, lateProbeMs: null }),
  ours('φ accrual', links, accrual),
  ours('Chen', links, chen),
]);

const beats = (everyMs: number): Protocol => ({
  intervalMs: everyMs,
  peerSends: true,
  watcherAsks: false,
  answers: false,
  lateProbeMs: null,
});
const asks = (everyMs: number): Protocol => ({
  intervalMs: everyMs,
  peerSends: false,
  watcherAsks: true,
  answers: true,
  lateProbeMs: null,
});

function fixed(name: string, protocol: Protocol, silenceMs: number): Subject {
  return { name, links: 1, protocol, detector: () => createDetector({ kind: 'deadline', deadlineMs: silenceMs }), ownPausesMs: null };
}

/** Heartbeat: `keepalive 2`, `deadtime 30`. */
const heartbeat = { keepaliveMs: 2_000, deadtimeMs: 30_000 };
/** keepalived: `advert_int 1`, `priority 100`, which makes a skew of 156 parts in 256 of an interval. */
const keepalived = { advertMs: 1_000, downMs: 3_000 + (1_000 * 156) / 256 };
/** Corosync sends its token again until it hears of it, 4.2 times in `token`. */
const tokenRetransmits = 4.2;
const corosync = (tokenMs: number): Subject => fixed(`Corosync, token ${String(tokenMs)} ms`, beats(tokenMs / tokenRetransmits), tokenMs);
/** Akka Cluster: `heartbeat-interval`, `acceptable-heartbeat-pause`; each is answered, and the answer counts. */
const akka = { intervalMs: 1_000, acceptablePauseMs: 3_000 };
/** DRBD: `ping-int 10`, `ping-timeout 5` (in tenths of a second). */
const drbd = { pingMs: 10_000, timeoutMs: 500 };
/** Cassandra: gossip each second, `phi_convict_threshold 8`. */
const cassandra = { gossipMs: 1_000, threshold: 8 };

function akkaSubject(threshold: number): Subject {
  return {
    name: `Akka, φ ${String(threshold)}`,
    links: 1,
    protocol: asks(akka.intervalMs),
    detector: () => new AkkaDetector(threshold, akka.acceptablePauseMs, akka.intervalMs),
    ownPausesMs: null,
  };
}

/** What others do at their defaults, on one link each, as far as it can be told in these terms. */
export const peerSubjects: readonly Subject[] = [
  fixed('Heartbeat, deadtime 30 s', beats(heartbeat.keepaliveMs), heartbeat.deadtimeMs),
  corosync(1_000),
  corosync(3_000),
  fixed('keepalived, advert 1 s', beats(keepalived.advertMs), keepalived.downMs),
  akkaSubject(8),
  akkaSubject(12),
  {
    name: 'Cassandra, φ 8',
    links: 1,
    protocol: { ...beats(cassandra.gossipMs), watcherAsks: true, answers: true },
    detector: () => new CassandraDetector(cassandra.threshold),
    ownPausesMs: null,
  },
  fixed('DRBD, ping', asks(drbd.pingMs), drbd.pingMs + drbd.timeoutMs),
];
