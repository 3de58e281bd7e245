import createDebug from 'debug';

import { sleep } from '../clock/clock.ts';
import { randomHex } from '../clock/random.ts';
import { within } from '../clock/within.ts';
import type { AllocationPiece } from '../device/block-device.ts';
import { allData } from '../device/requests.ts';
import { compareEpochs, formatEpoch, highestEpoch } from '../epoch.ts';
import type { Epoch } from '../epoch.ts';
import { HotMirrorError } from '../errors.ts';
import { ActivityLog } from './activity-log.ts';
import type { Announcer } from './announcer.ts';
import { Counters } from './counters.ts';
import type { MirrorCounters } from './counters.ts';
import { describeMirror, snapshotMirror } from './describe.ts';
import type { MirrorSnapshot } from './describe.ts';
import type { ElementStore } from './element-store.ts';
import { Findings } from './findings.ts';
import { KnownEpoch } from './known-epoch.ts';
import { Lease } from './lease.ts';
import { failedBy } from './metadata.ts';
import type { MirrorEventName } from './mirror-events.ts';
import type { MirrorLimits, MirrorLinkOptions } from './options.ts';
import type { OrderContext } from './orders.ts';
import { Preservation } from './preservation.ts';
import { ProtocolInForce } from './protocol.ts';
import type { ReplicationHost } from './replication-options.ts';
import { RepairNews } from './repair-news.ts';
import { Replication } from './replication.ts';
import { ResyncControl } from './resync-control.ts';
import type { ResyncRateLimits } from './resync-rate.ts';
import { Serving } from './serving.ts';
import type { MirrorState } from './state.ts';

const debug = createDebug('hotmirror:mirror');

const generationBytes = 8;
/** How often it is tried to record that an element failed, and how long is waited between. */
const recordAttempts = 5;
const recordRetryMs = 100;

/** What the core of a mirror is made of. */
export interface MirrorCoreOptions {
  readonly options: MirrorLinkOptions;
  readonly limits: MirrorLimits;
  readonly store: ElementStore;
  readonly announcer: Announcer;
  /** How fast resyncs go at first. */
  readonly resync: ResyncRateLimits;
  /** What this node durably knows of the pair's epoch. */
  readonly epoch: Epoch;
}

/**
 * The parts of a mirror whose metadata is loaded, and what they have to tell each other: a failed element, a higher epoch, a change to be announced.
 */
export class MirrorCore {
  readonly store: ElementStore;
  readonly lease: Lease;
  readonly counters: Counters;
  readonly protocol: ProtocolInForce;
  readonly serving: Serving;
  readonly preservation: Preservation;
  readonly replication: Replication;
  readonly control: ResyncControl;
  readonly findings: Findings;
  readonly known: KnownEpoch;
  readonly #options: MirrorLinkOptions;
  readonly #limits: MirrorLimits;
  readonly #announcer: Announcer;
  readonly #repairs: RepairNews;
  readonly #activity: ActivityLog;

  constructor({ options, limits, store, announcer, resync, epoch }: MirrorCoreOptions) {
    this.#options = options;
    this.#limits = limits;
    this.#announcer = announcer;
    this.#repairs = new RepairNews(announcer, options.clock);
    this.store = store;
    this.known = new KnownEpoch(highestEpoch([store.metadata.epoch, epoch]));
    this.protocol = new ProtocolInForce(options.protocol ?? 'sync');
    this.lease = new Lease(options.clock, limits.leaseMs, limits.deadlineMs);
    this.counters = new Counters(options.clock);
    this.#activity = new ActivityLog(limits.activeRegions);
    this.control = new ResyncControl(options.clock, resync, options.digest ?? 'sha256');
    this.findings = new Findings(store);
    this.serving = this.#makeServing();
    this.preservation = this.#makePreservation();
    this.replication = this.#makeReplication();
  }

  /** Size of the mirror; of the device while the element is blank. */
  get sizeBytes(): number {
    const { metadata } = this.store;
    return metadata.current ? metadata.sizeBytes : this.#options.device.sizeBytes;
  }

  /** What the mirror is now; plain data. */
  state(): MirrorState {
    return describeMirror(this.#options.name, this.sizeBytes, this.known, this);
  }

  /** All that a later step depends on, but for what is on its way. */
  snapshot(): MirrorSnapshot {
    return snapshotMirror(this.state(), this.known.epoch, this);
  }

  /** What it has done and what waits in it; plain data. */
  countersNow(): MirrorCounters {
    const { windowBytes = 0, resyncWindowBytes = 0 } = this.replication.stream ?? {};
    const unconfirmedMs = this.replication.source?.unconfirmedMs ?? 0;
    const lagBytes = windowBytes + this.state().dirtyBytes;
    const { capacity, free } = this.#activity;
    return this.counters.summary({
      queues: { inside: this.serving.inside, windowBytes, resyncWindowBytes, lagBytes, unconfirmedMs },
      activityLog: { regions: capacity - free, capacity },
    });
  }

  /** What an order works on. */
  orderContext(): OrderContext {
    const { name, node, peer, clock, device } = this.#options;
    const { store, serving, replication, preservation, known, protocol } = this;
    const announce: OrderContext['announce'] = (event, eventClass, text) =>
      this.#announcer.emit(event, eventClass, text, { rule: 'element.off' });
    const told = {
      announce,
      emit: this.#announcer.emit.bind(this.#announcer),
      changed: (): void => this.changed(),
      failed: (error: HotMirrorError): Promise<void> => this.failed(error),
    };
    return { name, node, peer, clock, device, store, serving, replication, preservation, known, protocol, ...told };
  }

  /** What of a range within the mirror is a hole: only while it is served from this node's own element, which holds everything. */
  allocation(offsetBytes: number, lengthBytes: number, mostPieces: number): readonly AllocationPiece[] {
    const { serving, replication } = this;
    const known = serving.state !== 'no' && replication.element === 'uptodate';
    return known ? serving.reads.allocation(offsetBytes, lengthBytes, mostPieces) : allData(lengthBytes);
  }

  /** Ends serving at once, with an error for every request inside. */
  endServing(error: HotMirrorError): void {
    if (this.serving.state === 'no') return;
    this.#stopServing(error);
  }

  /** Nothing that waited for the peer may complete by its loss. The connection ends first: what it has not sent yet are buffers that the callers get back now. */
  #stopServing(error: HotMirrorError): void {
    this.serving.cease();
    this.replication.reconnect();
    this.serving.stop(error);
    this.replication.leaveBehind(this.serving.aftermath());
  }

  /** Tells listeners. */
  tell(name: MirrorEventName, eventClass: 0 | 1, text: string, extra: Record<string, unknown>): void {
    this.#announcer.emit(name, eventClass, text, extra);
  }

  /** Something of the state changed. */
  changed(): void {
    this.#announcer.changed(this.state());
  }

  /**
   * Rule lineage.epoch: a higher epoch of another owner, or the same number of another owner, ends serving at once. Its owner may complete
   * alone what this element lacks, unless they are connected (rule element.start).
   */
  heardEpoch(epoch: Epoch): void {
    const order = compareEpochs(epoch, this.known.epoch);
    if (order === 'equal' || order === 'lower' || (order === 'higher' && epoch.owner === this.#options.node)) return;
    const known = this.known.epoch;
    const { serving, replication } = this;
    const served = serving.state !== 'no';
    const news = order === 'higher' || !this.known.disputed;
    if (order === 'higher') this.known.epoch = epoch;
    else this.known.rival = epoch;
    if (served || !replication.connected) replication.doubt();
    if (!served && news) this.changed();
    if (!served) return;
    const text = `epoch ${formatEpoch(epoch)} was heard of while serving in ${formatEpoch(known)}`;
    this.#stopServing(new HotMirrorError('HM_STALE_EPOCH', text, { rule: 'lineage.epoch' }));
    this.#announcer.emit('epoch:refused', 3, text, { rule: 'lineage.epoch', evidence: { heard: epoch, known } });
    this.changed();
  }

  /**
   * Rule write.error: a failed element is given up, and what it served goes on through the peer, or ends with errors. Resolves when the failure is durable, or cannot be.
   */
  async failed(error: HotMirrorError): Promise<void> {
    const { serving, replication } = this;
    if (replication.element === 'failed') return;
    replication.element = 'failed';
    const recorded = this.#record(error);
    const served = serving.state !== 'no';
    const through = served && serving.detach(error, recorded);
    // Whoever noticed it, be it the end of an earlier role: the source must not count on this element.
    if (replication.role === 'target') replication.refuse(error);
    else if (!through) this.#stopServing(error);
    const text = `the element failed: ${error.message}${through ? '; the service goes on through the peer' : ''}`;
    this.#announcer.emit('element:failed', served && !through ? 3 : 1, text, {
      rule: 'write.error',
      evidence: { code: error.code, through },
    });
    this.changed();
    await recorded;
  }

  /** Makes it durable that the element failed; false where that cannot be done in time. A metadata device that fails once is asked again. */
  #record(error: HotMirrorError): Promise<boolean> {
    const { clock } = this.#options;
    const limit = { deadlineMs: this.#limits.ackDeadlineMs, code: 'HM_STATE_UNWRITABLE', what: 'the record of the failure' } as const;
    const record = async (): Promise<true> => {
      for (let left = recordAttempts; ; left -= 1) {
        try {
          await this.store.update(() => failedBy(error));
          return true;
        } catch (cause) {
          if (left <= 1) throw cause;
        }
        await sleep(clock, recordRetryMs);
      }
    };
    return within(clock, limit, record).catch((cause: unknown) => {
      debug('%s: the failure could not be recorded: %O', this.#options.name, cause);
      return false;
    });
  }

  /** Rule write.error: there is nothing left to serve from. */
  bereft(error: HotMirrorError, because: string): void {
    this.#announcer.emit('element:failed', 3, `the service ends, for ${because}: ${error.message}`, {
      rule: 'write.error',
      evidence: { code: error.code, through: false },
    });
    this.endServing(error);
    this.changed();
  }

  #makeServing(): Serving {
    const { device, random } = this.#options;
    const { store, lease, counters } = this;
    return new Serving({
      device,
      store,
      lease,
      counters,
      activity: this.#activity,
      hasFailed: () => this.replication.element === 'failed',
      queuedRequests: this.#limits.queuedRequests,
      newGeneration: () => randomHex(random, generationBytes),
      handlers: {
        changed: () => this.changed(),
        minted: (generation) => {
          this.#announcer.emit('lineage:minted', 0, `a new generation: ${generation}`, { rule: 'lineage.mint', evidence: { generation } });
          this.changed();
        },
        differing: () => this.replication.reconnect(),
        repaired: (offsetBytes, lengthBytes) => this.#repairs.repaired(offsetBytes, lengthBytes),
        bereft: (error, because) => this.bereft(error, because),
        failed: (error) => void this.failed(error),
      },
    });
  }

  #makePreservation(): Preservation {
    const { undoJournal = null, openSalvage = null } = this.#options;
    return new Preservation({ ...this.#options, undoJournal, openSalvage, store: this.store, host: this.#host() });
  }

  #makeReplication(): Replication {
    const { store, lease, counters, serving, preservation, control, findings } = this;
    return new Replication({
      ...this.#options,
      protocol: this.protocol,
      whenCongested: this.#options.whenCongested ?? 'block',
      whenSplit: this.#options.whenSplit ?? 'ask',
      limits: this.#limits,
      store,
      control,
      findings,
      lease,
      counters,
      serving,
      preservation,
      host: this.#host(),
    });
  }

  #host(): ReplicationHost {
    return {
      epoch: () => this.known.epoch,
      heardEpoch: (epoch) => this.heardEpoch(epoch),
      heard: () => this.#announcer.heard(),
      emit: (name, eventClass, text, extra) => {
        this.counters.told(name);
        this.#announcer.emit(name, eventClass, text, extra);
      },
      changed: () => this.changed(),
      failed: (error) => this.failed(error),
    };
  }
}
