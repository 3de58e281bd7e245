import type { Clock } from '../clock/clock.ts';
import type { Counters } from './counters.ts';
import type { MirrorLimits } from './options.ts';
import type { ProtocolInForce } from './protocol.ts';
import type { ReplicationHost } from './replication-options.ts';
import type { Serving } from './serving.ts';
import type { SourceSession } from './source.ts';
import type { SourceSessionOptions } from './source-options.ts';

/** What pulling ahead is made of. */
export interface PullAheadOptions {
  readonly name: string;
  readonly peer: string;
  readonly counters: Counters;
  readonly clock: Clock;
  readonly limits: Pick<MirrorLimits, 'handshakeDeadlineMs'>;
  readonly protocol: ProtocolInForce;
  readonly serving: Pick<Serving, 'pulledAhead' | 'apart' | 'ahead'>;
  readonly host: Pick<ReplicationHost, 'emit' | 'changed'>;
  readonly session: Pick<SourceSession, 'sayAhead' | 'progress'>;
  /** The target is `uptodate`. */
  readonly settled: () => boolean;
  /** The peer has recorded that it is behind; serving is about to go on without it. */
  readonly begun: () => void;
  /** The connection is to be replaced by one whose handshake copies what the target missed. */
  readonly reconnect: () => void;
}

/** Whether a source may ever pull ahead on this connection. */
export function mayPullAhead({
  whenCongested,
  protocol,
  data,
}: Pick<SourceSessionOptions, 'whenCongested' | 'protocol' | 'data'>): boolean {
  return whenCongested === 'pull-ahead' && protocol.current === 'async' && data.features.has('pull-ahead');
}

/**
 * The source's side of rule write.congested on one connection. The queue is full: the target is asked to record that it is behind, and everything waits as by
 * `block` until it has. Then nothing more is sent, and what was sent is still applied. Once all of that is acknowledged the pair comes back by a handshake.
 * It goes ahead again only after the resync of that handshake, and only over a full queue: between a full queue and an empty one it cannot flap.
 */
export class PullAhead {
  readonly #options: PullAheadOptions;
  #phase: 'together' | 'asking' | 'ahead' | 'ended' = 'together';

  constructor(options: PullAheadOptions) {
    this.#options = options;
  }

  /** Whatever completes goes to the target too, and nobody has asked it to fall behind. */
  get together(): boolean {
    return this.#phase === 'together';
  }

  /**
   * A request found the queue full. A target that a resync has yet to make `uptodate` is not left: the resync would never end, and the
   * request waits (rule resync.progress).
   */
  congested(): void {
    if (this.#phase !== 'together' || !this.#options.settled()) return;
    this.#phase = 'asking';
    this.#options.session.sayAhead(() => this.#confirmed());
  }

  /** To be asked when something was confirmed, outside of any message: the connection may end by it. */
  look(): void {
    const { session, serving, clock, limits, reconnect } = this.#options;
    if (this.#phase !== 'ahead' || session.progress.outstanding) return;
    // Requests go on meanwhile: it is no loss that rule alone would have to judge, unless the next connection does not come.
    serving.ahead.rejoin(clock, limits.handshakeDeadlineMs, () => serving.apart());
    reconnect();
  }

  /** The connection has ended. */
  end(): void {
    const { host, peer } = this.#options;
    const wasAhead = this.#phase === 'ahead';
    this.#phase = 'ended';
    if (!wasAhead) return;
    const { outstanding } = this.#options.session.progress;
    const text = outstanding ? `the data link was lost while ${peer} was behind` : `the queue is empty, and ${peer} is to catch up`;
    host.emit('ahead:ended', 0, text, { rule: 'write.congested', evidence: { drained: !outstanding } });
  }

  #confirmed(): void {
    if (this.#phase !== 'asking') return;
    this.#phase = 'ahead';
    const { counters, host, name, peer, begun, serving, protocol, reconnect } = this.#options;
    begun();
    // An operator had requests wait for the target meanwhile: it is brought back at once.
    if (protocol.current !== 'async') {
      this.#phase = 'ended';
      reconnect();
      return;
    }
    counters.ahead.times += 1;
    host.emit('ahead:begun', 1, `${peer} cannot keep up with ${name}, which goes on without it`, { rule: 'write.congested' });
    serving.pulledAhead();
  }
}
