import { HotMirrorError } from '../errors.ts';
import { AckWatch } from './ack-watch.ts';
import type { DataConnection } from './data-connection.ts';
import type { ElementLineage } from './element-lineage.ts';
import type { ReplicationOptions } from './replication-options.ts';
import { PullAhead } from './pull-ahead.ts';
import { Resync } from './resync.ts';
import { SourceSession } from './source.ts';
import type { ResyncProgress } from './state.ts';
import { StreamReads } from './stream-reads.ts';
import type { StreamWork } from './stream-work.ts';
import { Verify } from './verify.ts';
import type { VerifyReport } from './verify.ts';
import { malformed } from './wire.ts';

/** What the source's end tells of its peer. */
export interface SourceEndHandlers {
  /** The lineage is about to be offered: from now on the peer may be as good as this element. */
  offered(): void;
  /** The peer has recorded that it is behind (rule write.congested). */
  behind(): void;
  /** A handshake is to follow, which copies what differs. */
  reconnect(): void;
  /** The peer holds everything durably, in the same generation, and this is durable here. */
  settled(): void;
}

/**
 * The source's end of one connection: the stream of writes, the resync in it, and at its end the offer of the lineage (rule lineage.adopt).
 */
export class SourceEnd {
  readonly session: SourceSession;
  /** What the serving side must know of the resync. */
  readonly work: StreamWork;
  readonly #ahead: PullAhead;
  readonly #options: ReplicationOptions;
  readonly #reads: StreamReads;
  readonly #lineage: ElementLineage;
  readonly #handlers: SourceEndHandlers;
  #resync: Resync | null = null;
  #verify: Verify | null = null;
  #offering = false;
  #settled = false;
  #ended = false;
  readonly #acks: AckWatch;
  readonly #answers: AckWatch;
  readonly #flushWaiters = new Set<(flushed: boolean) => void>();

  constructor(options: ReplicationOptions, lineage: ElementLineage, data: DataConnection, handlers: SourceEndHandlers) {
    this.#options = options;
    this.#lineage = lineage;
    this.#handlers = handlers;
    const { store, limits, serving, device, control, counters, protocol, whenCongested } = options;
    this.#reads = new StreamReads({ device, unlocked: () => serving.resume() });
    this.work = this.#makeWork();
    this.#acks = new AckWatch(limits.ackDeadlineMs);
    this.#answers = new AckWatch(limits.ackDeadlineMs);
    this.session = new SourceSession({
      data,
      extentBytes: store.metadata.extentBytes,
      windowBytes: limits.windowBytes,
      resyncWindowBytes: limits.resyncWindowBytes,
      counters,
      rate: control.rate,
      protocol,
      whenCongested,
      digest: control.digest,
      room: () => {
        // The resync first: its rate gives way to the application, and an application that fills every gap would never let it end (rule resync.progress).
        this.work.pump();
        serving.resume();
      },
      adopted: () => {
        this.#adopted();
      },
    });
    this.#ahead = new PullAhead({
      ...options,
      session: this.session,
      settled: () => this.#settled,
      begun: () => {
        // What it compares from now on is not what the stream has brought to the target.
        this.#verify?.end(new HotMirrorError('HM_CONNECTION_LOST', 'the target fell behind during the verify'));
        handlers.behind();
      },
      reconnect: () => handlers.reconnect(),
    });
  }

  /** The target is `uptodate`: nothing is left to be copied or adopted on this connection. */
  get settled(): boolean {
    return this.#settled && this.#ahead.together;
  }

  /** The target is sent whatever completes, and was not asked to fall behind. */
  get together(): boolean {
    return this.#ahead.together;
  }

  /** How long the target had confirmed nothing of what was sent, when that was last looked at. */
  get unconfirmedMs(): number {
    return this.#acks.waitedMs;
  }

  /** Something is being compared, or the answer is on its way. */
  get comparing(): boolean {
    return this.#verify !== null || this.session.compares.outstanding > 0;
  }

  /** The resync under way, if there is one. */
  get resync(): Resync | null {
    return this.#resync;
  }

  /** The stream begins; what differs is copied, then the lineage is offered. */
  begin(): void {
    const { store, serving, host, peer, control } = this.#options;
    if (store.dirty.count > 0) {
      this.#resync = this.#makeResync();
      host.emit('resync:started', 0, `${String(store.dirty.count)} extents are copied to ${peer}`, { progress: this.#resync.progress });
    }
    control.pump = () => this.work.pump();
    this.session.announceProtocol();
    serving.connected(this.session, this.work);
    if (this.#resync) this.#resync.pump();
    else this.#offer();
  }

  /** All that arrived together is taken. */
  batchEnd(): void {
    this.#ahead.look();
  }

  /** Ends the connection to a target that has confirmed or answered nothing for too long. */
  watchTarget(late: boolean): void {
    const nowMs = this.#options.clock.nowMs();
    const unconfirmed = this.#acks.look(this.session.progress, nowMs, late);
    const unanswered = this.#answers.look(this.session.answers, nowMs, late);
    const stalled = unconfirmed ?? unanswered;
    if (stalled) this.session.refuse(stalled);
  }

  /** The stream begins, and the target's element alone is what it is about: nothing is copied, and no lineage is offered. */
  beginThrough(): void {
    const { serving } = this.#options;
    this.session.announceProtocol();
    serving.connected(this.session, this.work);
    serving.settled();
  }

  /** The connection is lost. */
  end(): void {
    this.#ended = true;
    this.#ahead.end();
    this.#resync?.stop();
    this.#verify?.end(new HotMirrorError('HM_CONNECTION_LOST', 'the data link was lost during the verify'));
    const { control } = this.#options;
    control.pump = () => undefined;
    control.rate.connectionLost();
    for (const resolve of this.#flushWaiters) resolve(false);
  }

  /**
   * Compares both elements (rule verify); the target must be `uptodate`. Resolves when what was found is durably dirty. Rejects with `HM_NOT_SUPPORTED`, `HM_BUSY`, `HM_ABORTED`,
   * `HM_CONNECTION_LOST`; what was found until then stays a finding.
   */
  async verify(signal: AbortSignal | undefined): Promise<VerifyReport> {
    const { store, control, clock, findings, host, name } = this.#options;
    if (this.#verify) throw new HotMirrorError('HM_BUSY', 'a verify runs already');
    if (!this.session.compares.supported) throw new HotMirrorError('HM_NOT_SUPPORTED', 'the peer runs a version that cannot compare');
    const abort = (): void => this.#verify?.end(new HotMirrorError('HM_ABORTED', 'the verify was given up'));
    signal?.addEventListener('abort', abort, { once: true });
    try {
      const { report, error } = await new Promise<{ report: VerifyReport; error: HotMirrorError | null }>((resolve) => {
        const ended = (report: VerifyReport, error: HotMirrorError | null): void => resolve({ report, error });
        const { sizeBytes } = store.metadata;
        const parts = { reads: this.#reads, compares: this.session.compares, dirty: store.dirty, sizeBytes };
        const progressed = (progress: ResyncProgress): void => {
          // What was found must not be forgotten by a crash.
          this.#durably(store.persistDirty());
          host.emit('verify:progressed', 0, `verify of ${name}`, { progress });
        };
        const foundLate = (): void => {
          this.#durably(store.persistDirty());
          host.changed();
        };
        this.#verify = new Verify({ ...parts, findings, control, clock, progressed, ended, foundLate });
        if (signal?.aborted) abort();
        this.#verify.pump();
      });
      if (report.differingBytes > 0) {
        await store.persistDirty();
        host.changed();
      }
      if (error) throw error;
      return report;
    } finally {
      this.#verify = null;
      signal?.removeEventListener('abort', abort);
    }
  }

  /** Makes the target durable. Resolves false when the connection ends first. */
  flush(): Promise<boolean> {
    return new Promise((resolve) => {
      this.#flushWaiters.add(resolve);
      this.session.flush(() => {
        this.#flushWaiters.delete(resolve);
        resolve(true);
      });
    });
  }

  #makeWork(): StreamWork {
    const resync = (): Resync | null => this.#resync;
    return {
      locks: (offsetBytes, lengthBytes) => this.#reads.locks(offsetBytes, lengthBytes),
      touched: (extent) => resync()?.touched(extent),
      detach: ({ message }) => {
        const because = `the element of this node has failed: ${message}`;
        this.#verify?.end(new HotMirrorError('HM_REFUSED', because, { rule: 'write.error' }));
      },
      congested: () => this.#ahead.congested(),
      get copying() {
        return resync()?.running === true;
      },
      pump: () => {
        resync()?.pump();
        this.#verify?.pump();
      },
    };
  }

  #makeResync(): Resync {
    const { store, clock, control, counters, host, name } = this.#options;
    const resync: Resync = new Resync({
      reads: this.#reads,
      dirty: store.dirty,
      sizeBytes: store.metadata.sizeBytes,
      session: this.session,
      counters,
      control,
      clock,
      progressed: () => {
        // What was copied need not be copied again after a crash (rule resync.progress).
        this.#durably(store.persistDirty());
        host.emit('resync:progressed', 0, `resync of ${name}`, { progress: resync.progress });
      },
      finished: () => {
        this.#offer();
      },
      unreadable: (extent, { code, message }) => {
        const text = `the resync of ${name} leaves out what cannot be read, and tries it again: ${message}`;
        host.emit('block:unreadable', 1, text, { rule: 'write.error', evidence: { extent, code } });
      },
    });
    return resync;
  }

  /** Everything is sent: when it is durable on the target, that may take over the lineage. */
  #offer(): void {
    const { serving, host } = this.#options;
    const offer = async (): Promise<void> => {
      const offered = await this.#lineage.offer(() => host.epoch());
      if (this.#ended) return;
      serving.offered();
      this.#handlers.offered();
      this.#offering = true;
      this.session.adopt(offered());
      host.changed();
    };
    this.#durably(offer());
  }

  #adopted(): void {
    if (!this.#offering) throw malformed('a lineage was adopted that was not offered');
    this.#offering = false;
    const settle = async (): Promise<void> => {
      await this.#lineage.settle();
      if (this.#ended) return;
      if (this.#resync) this.#options.counters.resync.finished += 1;
      this.#resync = null;
      this.#settled = true;
      this.#handlers.settled();
      this.#options.serving.settled();
    };
    this.#durably(settle());
  }

  #durably(change: Promise<void>): void {
    change.catch((error: unknown) => {
      void this.#options.host.failed(HotMirrorError.from(error, 'HM_STATE_UNWRITABLE', 'the metadata could not be written'));
    });
  }
}
