import PQueue from 'p-queue';
import createDebug from 'debug';

import { randomHex } from '../clock/random.ts';
import type { BlockDevice, DeviceCapabilities, Done, WriteOptions } from '../device/block-device.ts';
import { compareEpochs, formatEpoch, highestEpoch, noEpoch } from '../epoch.ts';
import type { Epoch } from '../epoch.ts';
import type { Emitter } from '../events.ts';
import { HotMirrorError } from '../errors.ts';
import { Announcer } from './announcer.ts';
import { ActivityLog } from './activity-log.ts';
import { createElement } from './create-element.ts';
import type { CreateElementOptions } from './create-element.ts';
import { describeMirror, snapshotMirror } from './describe.ts';
import type { MirrorSnapshot } from './describe.ts';
import { recoverElement, settleElement } from './element-lifecycle.ts';
import { ElementStore } from './element-store.ts';
import { Lease } from './lease.ts';
import { failedBy } from './metadata.ts';
import type { MirrorEventName, MirrorEvents } from './mirror-events.ts';
import { mirrorLimits } from './options.ts';
import type { MirrorLimits, MirrorLinkOptions } from './options.ts';
import { demote, doubt, goAlone, leave, outdate, promote } from './orders.ts';
import type { GoAloneOrder, OrderContext, PromoteOrder } from './orders.ts';
import { Replication } from './replication.ts';
import { Serving } from './serving.ts';
import type { MirrorState } from './state.ts';
import type { OutdateOrder } from '../vocabulary.ts';
import { refuseRange } from './request-range.ts';
import { splitWrite, splitZeroes } from './split-request.ts';

const debug = createDebug('hotmirror:mirror');

const generationBytes = 8;

/** The parts that exist once the metadata is loaded. */
interface Opened {
  readonly store: ElementStore;
  readonly serving: Serving;
  readonly replication: Replication;
  readonly lease: Lease;
}

/**
 * Keeps one disk the same on two nodes. On the serving node it is a {@link BlockDevice} whose writes reach both elements;
 * on the other it applies what the source sends. It decides nothing about who serves: that is ordered by `promote`, `demote`, `goAlone` and their like.
 *
 * @see `docs/api.md` for options, states and events.
 */
export class MirrorLink implements BlockDevice {
  readonly name: string;
  readonly blockSizeBytes: number;
  readonly capabilities: DeviceCapabilities;
  readonly #options: MirrorLinkOptions;
  readonly #limits: MirrorLimits;
  readonly #announcer: Announcer;
  /** Orders that change durable state run one at a time. */
  readonly #orders = new PQueue({ concurrency: 1 });
  #opened: Opened | null = null;
  /** The pair's epoch as this node knows it. */
  readonly #known: { epoch: Epoch } = { epoch: noEpoch };
  #closing: Promise<void> | null = null;

  /** Throws `RangeError` on limits that make no sense and `HM_NOT_SUPPORTED` on a protocol that is not built. */
  constructor(options: MirrorLinkOptions) {
    this.#options = options;
    this.#limits = mirrorLimits(options);
    this.name = options.name;
    this.blockSizeBytes = options.device.blockSizeBytes;
    this.capabilities = { synchronous: false, trim: false, punchHole: false, exclusive: options.device.capabilities.exclusive };
    this.#announcer = new Announcer(options.name, options.clock);
  }

  /**
   * Writes the metadata of a new element: `data` makes what the device holds the data of a new mirror, `blank` waits to be filled.
   * Rejects with `HM_METADATA_EXISTS` where there is some, unless `replace`.
   */
  static create(options: CreateElementOptions): Promise<void> {
    return createElement(options);
  }

  /** What happens, as typed events. */
  get events(): Emitter<MirrorEvents> {
    return this.#announcer.events;
  }

  /** Calls back after each change of `state()`; returns how to stop that. */
  onChange(listener: () => void): () => void {
    return this.#announcer.onChange(listener);
  }

  /** Calls back with the time of each probe or answer of the peer on the data link (rule watch.all); returns how to stop that. */
  onHeard(listener: (atMs: number) => void): () => void {
    return this.#announcer.onHeard(listener);
  }

  /** Size of the mirror; of the device while it is blank or not open. */
  get sizeBytes(): number {
    const metadata = this.#opened?.store.metadata;
    return metadata?.current ? metadata.sizeBytes : this.#options.device.sizeBytes;
  }

  /**
   * Reads the metadata and starts the data link; the element is at most `consistent` (rule element.start). `epoch` is that of the pair record: said only
   * later, the peer could take what this node answers until then for evidence of its own ownership (rule serve.lease).
   * Rejects with `HM_METADATA_MISSING`, `HM_METADATA_CORRUPT`, `HM_METADATA_VERSION`, `HM_ELEMENT_TOO_SMALL`, or as `Transport.listen` does.
   */
  open({ epoch = noEpoch }: { readonly epoch?: Epoch } = {}): Promise<void> {
    return this.#orders.add(() => this.#open(epoch));
  }

  async #open(epoch: Epoch): Promise<void> {
    this.#assertUsable();
    if (this.#opened) throw new TypeError('open() is to be called once');
    const { device, metadata, clock } = this.#options;
    const store = await ElementStore.load(metadata);
    if (store.metadata.current !== null && device.sizeBytes < store.metadata.sizeBytes) {
      const sizes = `${String(device.sizeBytes)} bytes, the mirror ${String(store.metadata.sizeBytes)}`;
      throw new HotMirrorError('HM_ELEMENT_TOO_SMALL', `the element of ${this.name} has ${sizes}`, { rule: 'lineage.size' });
    }
    if (store.damagedCopies > 0) {
      this.#emit('metadata:repaired', 1, `${String(store.damagedCopies)} copies of the metadata were damaged; the others were used`);
    }
    await recoverElement(device, store);
    this.#known.epoch = highestEpoch([store.metadata.epoch, epoch]);
    const lease = new Lease(clock, this.#limits.leaseMs, this.#limits.deadlineMs);
    const serving = this.#makeServing(store, lease);
    this.#opened = { store, lease, serving, replication: this.#makeReplication(store, lease, serving) };
    await this.#opened.replication.start();
    this.#changed();
  }

  /**
   * Makes the epoch durable in the element, then serves. `alone`: a takeover, or a rule of **alone**, lets it complete without the peer.
   * `force`: serves an element that is `consistent` or `outdated`. Rejects with `HM_REFUSED` otherwise, `HM_STALE_EPOCH` for an epoch
   * that is not this node's or is below the known one.
   */
  promote(order: PromoteOrder): Promise<void> {
    return this.#order((context) => promote(context, order));
  }

  /**
   * Ends serving in order: takes no more requests, completes those inside, flushes both elements. `handedOver` tells that the peer's element durably holds
   * everything in the same generation; when it is false nothing has changed and this node still serves.
   */
  demote(): Promise<{ readonly handedOver: boolean }> {
    return this.#order(demote);
  }

  /** Target: stops receiving and applies what it confirmed (rule takeover.seal); resolves with the state to be judged. */
  seal(): Promise<MirrorState> {
    return this.#order(async ({ serving, replication }) => {
      if (serving.state !== 'no') throw new HotMirrorError('HM_REFUSED', `${this.name} is served here`, { rule: 'takeover.seal' });
      await replication.stop();
      return this.state();
    });
  }

  /** Undoes `seal`. */
  unseal(): Promise<void> {
    return this.#order(({ replication }) => replication.resume());
  }

  /** Serving without the peer: completes requests from now on, in this epoch and under a generation of its own (rules alone, lineage.mint). */
  goAlone(order: GoAloneOrder): Promise<void> {
    return this.#order((context) => goAlone(context, order));
  }

  /** The passive element durably records that it is old (rule outdate). Rejects with `HM_REFUSED` where the order does not fit this element. */
  outdate(order: OutdateOrder): Promise<void> {
    return this.#order((context) => outdate(context, order));
  }

  /**
   * A passive `uptodate` element becomes `consistent` (rule element.start), unless its data link proves the doubt wrong: it is connected, and the peer answers
   * on this connection a probe that is sent from now on. Resolves once either is so, after the silence that ends a data link at the latest.
   */
  async doubt(because: string): Promise<void> {
    debug('%s: %s', this.name, because);
    await this.#order(doubt);
    // What has been in the socket since before may still make the element seem uptodate. Without a connection there is no proof either.
    if ((await this.#opened?.replication.proof()) !== true) await this.#order(doubt);
  }

  /** The pair's epoch is now this. A higher one of another owner ends serving before this returns; the promise resolves when it is durable where it must be. */
  raiseEpoch(epoch: Epoch): Promise<void> {
    this.#heardEpoch(epoch);
    return this.#order(async ({ store, serving }) => {
      const { node } = this.#options;
      const order = compareEpochs(epoch, this.#known.epoch);
      if (epoch.owner !== node || order === 'lower' || order === 'conflict') return;
      this.#known.epoch = epoch;
      if (serving.state !== 'no') await store.update(() => ({ epoch, servedEpoch: epoch.number }));
    });
  }

  /** Fresh evidence of ownership (rule serve.lease): the peer answered a token sent then, by this machine's monotonic clock. */
  renewLease(evidence: { readonly probeSentMs: number }): void {
    if (this.#opened?.lease.renew(evidence.probeSentMs)) this.#opened.serving.resume();
  }

  /** Says goodbye on the data link (rule node.leave): a target is durably `outdated` first; a source has flushed both elements. */
  leave(): Promise<void> {
    return this.#order(leave);
  }

  read(offsetBytes: number, into: Uint8Array, done: Done): void {
    this.#admit(offsetBytes, into.byteLength, done)?.read(offsetBytes, into, done);
  }

  write(offsetBytes: number, from: Uint8Array, options: WriteOptions, done: Done): void {
    const serving = this.#admit(offsetBytes, from.byteLength, done);
    if (serving) splitWrite(serving, offsetBytes, from, options, done);
  }

  flush(done: Done): void {
    this.#admit(0, 0, done, true)?.flush(done);
  }

  trim(_offsetBytes: number, _lengthBytes: number, done: Done): void {
    done(new HotMirrorError('HM_NOT_SUPPORTED', 'a mirror does not trim in this version'));
  }

  writeZeroes(offsetBytes: number, lengthBytes: number, options: WriteOptions, done: Done): void {
    const serving = this.#admit(offsetBytes, lengthBytes, done);
    if (serving) splitZeroes(serving, offsetBytes, lengthBytes, options, done);
  }

  /** What it is now; plain data. */
  state(): MirrorState {
    const opened = this.#opened;
    if (!opened) throw new HotMirrorError('HM_CLOSED', `${this.name} is not open`);
    return describeMirror(this.name, this.sizeBytes, this.#known.epoch, opened);
  }

  /** All that a later step depends on, but for what is on its way: `state()`, the durable metadata, and what waits inside. For simulators and post-mortems. */
  snapshot(): MirrorSnapshot {
    const state = this.state();
    return snapshotMirror(state, this.#known.epoch, this.#opened as Opened);
  }

  /** Leaves in order: says goodbye, flushes, clears the crashed mark, lets go of device and metadata. Requests inside fail with `HM_CLOSED`. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  /** The same as `close`, for `await using`. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #close(): Promise<void> {
    const { device, metadata } = this.#options;
    // An order under way may wait for requests inside, or may just have begun to serve.
    this.#endServing();
    await this.#orders.add(async () => {
      this.#endServing();
      if (!this.#opened) return;
      await this.#opened.replication.stop();
      await settleElement(device, this.#opened.store);
    });
    await device.close();
    await metadata.close();
    this.#announcer.end();
  }

  #endServing(): void {
    const opened = this.#opened;
    if (!opened || opened.serving.state === 'no') return;
    // The connection ends first: what it has not sent yet are buffers that the callers get back now.
    opened.replication.reconnect();
    opened.serving.stop(new HotMirrorError('HM_CLOSED', `${this.name} is closing`));
  }

  #makeServing(store: ElementStore, lease: Lease): Serving {
    const { device, random } = this.#options;
    return new Serving({
      device,
      store,
      lease,
      activity: new ActivityLog(this.#limits.activeRegions),
      queuedRequests: this.#limits.queuedRequests,
      newGeneration: () => randomHex(random, generationBytes),
      handlers: {
        changed: () => this.#changed(),
        minted: (generation) => {
          this.#emit('lineage:minted', 0, `a new generation: ${generation}`, { rule: 'lineage.mint', evidence: { generation } });
          this.#changed();
        },
        differing: () => this.#opened?.replication.reconnect(),
        failed: (error) => void this.#failed(error),
      },
    });
  }

  #makeReplication(store: ElementStore, lease: Lease, serving: Serving): Replication {
    return new Replication({
      ...this.#options,
      protocol: this.#options.protocol ?? 'sync',
      limits: this.#limits,
      store,
      lease,
      serving,
      host: {
        epoch: () => this.#known.epoch,
        heardEpoch: (epoch) => this.#heardEpoch(epoch),
        heard: () => this.#announcer.heard(),
        emit: (name, eventClass, text, extra) => this.#emit(name, eventClass, text, extra),
        changed: () => this.#changed(),
        failed: (error) => this.#failed(error),
      },
    });
  }

  /**
   * Rule lineage.epoch: a higher epoch of another owner, or the same number of another owner, ends serving at once. Its owner may complete
   * alone what this element lacks, unless they are connected (rule element.start).
   */
  #heardEpoch(epoch: Epoch): void {
    const opened = this.#opened;
    const order = compareEpochs(epoch, this.#known.epoch);
    if (!opened || order === 'equal' || order === 'lower' || (order === 'higher' && epoch.owner === this.#options.node)) return;
    const known = this.#known.epoch;
    const { serving, replication } = opened;
    const served = serving.state !== 'no';
    const news = order === 'higher' || replication.connection !== 'split-brain';
    if (order === 'higher') this.#known.epoch = epoch;
    else replication.connection = 'split-brain';
    if (replication.element === 'uptodate' && (served || !replication.connected)) replication.element = 'consistent';
    if (!served && news) this.#changed();
    if (!served) return;
    const text = `epoch ${formatEpoch(epoch)} was heard of while serving in ${formatEpoch(known)}`;
    replication.reconnect();
    serving.stop(new HotMirrorError('HM_STALE_EPOCH', text, { rule: 'lineage.epoch' }));
    this.#emit('epoch:refused', 3, text, { rule: 'lineage.epoch', evidence: { heard: epoch, known } });
    this.#changed();
  }

  /** Rule write.error, as far as this version goes: a failed element is detached, and what it served ends with errors. */
  async #failed(error: HotMirrorError): Promise<void> {
    const opened = this.#opened;
    if (!opened || opened.replication.element === 'failed') return;
    const { store, serving, replication } = opened;
    replication.element = 'failed';
    const served = serving.state !== 'no';
    const wasSource = replication.role === 'source';
    serving.stop(error);
    this.#emit('element:failed', served ? 3 : 1, `the element failed: ${error.message}`, {
      rule: 'write.error',
      evidence: { code: error.code },
    });
    this.#changed();
    try {
      await store.update(() => failedBy(error));
    } catch (cause) {
      debug('%s: the failure could not be recorded: %O', this.name, cause);
    }
    if (served || wasSource) replication.reconnect();
  }

  #order<T>(run: (context: OrderContext) => Promise<T>): Promise<T> {
    return this.#orders.add(() => {
      this.#assertUsable();
      if (!this.#opened) throw new HotMirrorError('HM_CLOSED', `${this.name} is not open`);
      const { node, clock, device } = this.#options;
      const told = { changed: (): void => this.#changed(), failed: (error: HotMirrorError): Promise<void> => this.#failed(error) };
      return run({ name: this.name, node, clock, device, known: this.#known, ...told, ...this.#opened });
    });
  }

  #assertUsable(): void {
    if (this.#closing) throw new HotMirrorError('HM_CLOSED', `${this.name} is closed`);
  }

  #admit(offsetBytes: number, lengthBytes: number, done: Done, empty = false): Serving | null {
    const serving = this.#opened?.serving;
    const refusal = refuseRange(this, offsetBytes, lengthBytes);
    if (this.#closing || !serving) {
      done(new HotMirrorError('HM_CLOSED', `${this.name} is closed`));
    } else if (refusal) {
      done(refusal);
    } else if (serving.state === 'no') {
      done(new HotMirrorError('HM_NOT_SERVING', `${this.name} is not served by this node`));
    } else if (lengthBytes === 0 && !empty) {
      done(null);
    } else {
      return serving;
    }
    return null;
  }

  #emit(name: MirrorEventName, eventClass: 0 | 1 | 2 | 3, text: string, extra?: Record<string, unknown>): void {
    this.#announcer.emit(name, eventClass, text, extra);
  }

  #changed(): void {
    if (this.#opened) this.#announcer.changed(this.state());
  }
}
