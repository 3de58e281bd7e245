import { createHistogram } from 'node:perf_hooks';
import type { RecordableHistogram } from 'node:perf_hooks';

import type { Clock } from '../clock/clock.ts';
import type { MirrorEventName } from './mirror-events.ts';

/** What the application asked for. */
export type RequestKind = 'read' | 'write' | 'zeroes' | 'trim' | 'flush';

const requestKinds: readonly RequestKind[] = ['read', 'write', 'zeroes', 'trim', 'flush'];

/** How long requests took from the call to the answer, in ms. Percentiles are exact to one in a hundred. */
export interface LatencyMs {
  readonly mean: number;
  readonly p50: number;
  readonly p90: number;
  readonly p99: number;
  readonly p999: number;
  readonly max: number;
}

/** The requests of one kind. A long one counts once a piece: 256 KiB of a write, 4 MiB of zeroes. */
export interface RequestCounters {
  /** Completed without error. */
  readonly requests: number;
  /** Of those. */
  readonly bytes: number;
  /** Ended with an error. */
  readonly errors: number;
  /** Of those without error; null before the first. */
  readonly latencyMs: LatencyMs | null;
}

/** Plain data: what one mirror has done since it was opened, and what waits in it now. */
export interface MirrorCounters {
  /** How long it has been counting. */
  readonly countedMs: number;
  readonly requests: Readonly<Record<RequestKind, RequestCounters>>;
  /** Requests that were not taken, because too many wait or this node stops serving. */
  readonly refusedRequests: number;
  /** What waits now. */
  readonly queues: {
    /** Requests of the application that have no answer yet. */
    readonly inside: number;
    /** Bytes of writes that are sent and not acknowledged; at most `limits.windowBytes`, or one write. */
    readonly windowBytes: number;
    /** Bytes of resync writes that are sent and not acknowledged; at most `limits.resyncWindowBytes`, or one write. */
    readonly resyncWindowBytes: number;
    /** By how much the peer's element may be behind: in the window, or dirty. */
    readonly lagBytes: number;
    /** How long the peer has confirmed nothing of what was sent; looked at as often as the data link is probed. 0: nothing waits. */
    readonly unconfirmedMs: number;
  };
  /** The stream of writes: as source, and as target. */
  readonly replication: {
    readonly sentWrites: number;
    readonly sentBytes: number;
    readonly receivedWrites: number;
    readonly receivedBytes: number;
  };
  /** As a source that goes on without a target that cannot keep up (rule write.congested). */
  readonly ahead: {
    readonly times: number;
    /** Of requests that went to this node's element alone meanwhile. */
    readonly bytes: number;
  };
  readonly resync: {
    /** As source. */
    readonly started: number;
    /** As source: those after which both elements were the same. */
    readonly finished: number;
    readonly sentExtents: number;
    readonly sentBytes: number;
    readonly receivedBytes: number;
  };
  readonly link: {
    /** Connections to the peer. */
    readonly connections: number;
    /** Handshakes in which both agreed. */
    readonly agreed: number;
    /** What was turned away, here or by the peer: connections, handshakes, frames. */
    readonly refused: number;
    /** Agreed connections that have ended. */
    readonly lost: number;
  };
  readonly activityLog: {
    /** In the log now. */
    readonly regions: number;
    readonly capacity: number;
    /** Regions that writes had to wait for. */
    readonly misses: number;
    /** How often both elements were flushed to make room. */
    readonly checkpoints: number;
  };
}

/** What only a look at the parts of a mirror tells. */
export type MirrorGauges = Pick<MirrorCounters, 'queues'> & {
  readonly activityLog: Pick<MirrorCounters['activityLog'], 'regions' | 'capacity'>;
};

/** A request as the counters see it. */
export interface CountedRequest {
  readonly counts: RequestKind;
  readonly lengthBytes: number;
  /** When it came in, by the mirror's clock. */
  readonly startedMs: number;
}

const usPerMs = 1_000;
/** Longer ones count as this long: one hour. */
const longestUs = 3_600_000_000;
/** Two figures: some 28 KiB a kind of request. */
const histogram = { lowest: 1, highest: longestUs, figures: 2 } as const;

/** Counts what one mirror does. Counting is an addition; nothing is allocated but a histogram at the first request of a kind. */
export class Counters {
  readonly replication = { sentWrites: 0, sentBytes: 0, receivedWrites: 0, receivedBytes: 0 };
  readonly ahead = { times: 0, bytes: 0 };
  readonly resync = { started: 0, finished: 0, sentExtents: 0, sentBytes: 0, receivedBytes: 0 };
  readonly link = { connections: 0, agreed: 0, refused: 0, lost: 0 };
  readonly activityLog = { misses: 0, checkpoints: 0 };
  refusedRequests = 0;
  readonly #clock: Clock;
  readonly #sinceMs: number;
  readonly #requests = Object.fromEntries(requestKinds.map((kind) => [kind, new RequestCounter()])) as Record<RequestKind, RequestCounter>;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#sinceMs = clock.nowMs();
  }

  /** The time by which requests are measured. */
  nowMs(): number {
    return this.#clock.nowMs();
  }

  /** A request gets its answer now. */
  finished({ counts, lengthBytes, startedMs }: CountedRequest, failed: boolean): void {
    if (failed) this.#requests[counts].errors += 1;
    else this.#requests[counts].completed(lengthBytes, this.#clock.nowMs() - startedMs);
  }

  /** What replication tells is counted as it is told. */
  told(event: MirrorEventName): void {
    if (event === 'link:connected') this.link.connections += 1;
    else if (event === 'link:refused') this.link.refused += 1;
    else if (event === 'link:lost') this.link.lost += 1;
    else if (event === 'resync:started') this.resync.started += 1;
  }

  /** All of it as plain data. */
  summary({ queues, activityLog }: MirrorGauges): MirrorCounters {
    return {
      countedMs: this.#clock.nowMs() - this.#sinceMs,
      requests: Object.fromEntries(requestKinds.map((kind) => [kind, this.#requests[kind].summary()])) as Record<
        RequestKind,
        RequestCounters
      >,
      refusedRequests: this.refusedRequests,
      queues,
      replication: { ...this.replication },
      ahead: { ...this.ahead },
      resync: { ...this.resync },
      link: { ...this.link },
      activityLog: { ...activityLog, ...this.activityLog },
    };
  }
}

class RequestCounter {
  errors = 0;
  #requests = 0;
  #bytes = 0;
  #latencyUs: RecordableHistogram | null = null;

  completed(lengthBytes: number, tookMs: number): void {
    this.#requests += 1;
    this.#bytes += lengthBytes;
    this.#latencyUs ??= createHistogram(histogram);
    // What takes no measurable time counts as the shortest that can be recorded.
    this.#latencyUs.record(Math.min(longestUs, Math.max(1, Math.round(tookMs * usPerMs))));
  }

  summary(): RequestCounters {
    return { requests: this.#requests, bytes: this.#bytes, errors: this.errors, latencyMs: this.#latencyUs && latencyMs(this.#latencyUs) };
  }
}

function latencyMs(us: RecordableHistogram): LatencyMs {
  const at = (percentile: number): number => us.percentile(percentile) / usPerMs;
  return { mean: us.mean / usPerMs, p50: at(50), p90: at(90), p99: at(99), p999: at(99.9), max: us.max / usPerMs };
}
