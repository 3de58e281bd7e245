import PQueue from 'p-queue';
import createDebug from 'debug';

import type { AllocationPiece, BlockDevice, DeviceCapabilities, Done, WriteOptions, ZeroesOptions } from '../device/block-device.ts';
import { allData } from '../device/requests.ts';
import { noEpoch } from '../epoch.ts';
import type { Epoch } from '../epoch.ts';
import type { Emitter } from '../events.ts';
import { HotMirrorError } from '../errors.ts';
import { Announcer } from './announcer.ts';
import { createElement } from './create-element.ts';
import type { CreateElementOptions } from './create-element.ts';
import type { MirrorCounters } from './counters.ts';
import type { MirrorSnapshot } from './describe.ts';
import { recoverElement, settleElement } from './element-lifecycle.ts';
import { setElement } from './element-orders.ts';
import type { ElementWish } from './element-orders.ts';
import { ElementStore } from './element-store.ts';
import { MirrorCore } from './mirror-core.ts';
import { growByOrder } from './grow.ts';
import type { Growth } from './grow.ts';
import type { MirrorEvents } from './mirror-events.ts';
import { mirrorLimits } from './options.ts';
import type { MirrorLimits, MirrorLinkOptions, MirrorProtocol } from './options.ts';
import { demote, doubt, goAlone, leave, outdate, promote, raiseEpoch, rollBack, seal } from './orders.ts';
import type { GoAloneOrder, OrderContext, PromoteOrder } from './orders.ts';
import type { Serving } from './serving.ts';
import { setProtocol } from './set-protocol.ts';
import type { MirrorState } from './state.ts';
import type { OutdateOrder, ParkedOn, ResolveOrder } from '../vocabulary.ts';
import { resolveSplit } from './resolve.ts';
import { regenerate, verify, waiveFindings } from './regenerate.ts';
import type { RegenerateOrder, VerifyOrder, VerifyOutcome } from './regenerate.ts';
import { checkedRate, defaultResyncRate } from './resync-rate.ts';
import type { ResyncRateLimits } from './resync-rate.ts';
import { admitted, refuseRange } from './request-range.ts';
import { splitTrim, splitWrite, splitZeroes } from './split-request.ts';

const debug = createDebug('hotmirror:mirror');

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
  #resync: ResyncRateLimits;
  /** Orders that change durable state run one at a time. */
  readonly #orders = new PQueue({ concurrency: 1 });
  /** Exists once the metadata is loaded. */
  #core: MirrorCore | null = null;
  #closing: Promise<void> | null = null;

  /** Throws `RangeError` on limits that make no sense. */
  constructor(options: MirrorLinkOptions) {
    this.#options = options;
    this.#limits = mirrorLimits(options);
    this.#resync = checkedRate({ ...defaultResyncRate, ...options.resync });
    this.name = options.name;
    this.blockSizeBytes = options.device.blockSizeBytes;
    const { punchHole, exclusive } = options.device.capabilities;
    this.capabilities = { synchronous: false, trim: punchHole, punchHole, exclusive };
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
    return this.#core?.sizeBytes ?? this.#options.device.sizeBytes;
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
    if (this.#core) throw new TypeError('open() is to be called once');
    const { device, metadata } = this.#options;
    const store = await ElementStore.load(metadata);
    if (store.metadata.current !== null && device.sizeBytes < store.metadata.sizeBytes) {
      const sizes = `${String(device.sizeBytes)} bytes, the mirror ${String(store.metadata.sizeBytes)}`;
      throw new HotMirrorError('HM_ELEMENT_TOO_SMALL', `the element of ${this.name} has ${sizes}`, { rule: 'lineage.size' });
    }
    if (store.damagedCopies > 0) {
      this.#announcer.emit(
        'metadata:repaired',
        1,
        `${String(store.damagedCopies)} copies of the metadata were damaged; the others were used`,
      );
    }
    await recoverElement(device, store);
    const core = new MirrorCore({
      options: this.#options,
      limits: this.#limits,
      store,
      announcer: this.#announcer,
      resync: this.#resync,
      epoch,
    });
    this.#core = core;
    await core.preservation.load();
    await core.replication.start();
    core.changed();
  }

  /**
   * Makes the epoch durable in the element, then serves. `alone`: a takeover, or a rule of **alone**, lets it complete without the peer.
   * `force`: serves an element that is `consistent` or `outdated`, or that can be rolled back. Rejects with `HM_REFUSED` otherwise, `HM_STALE_EPOCH` for an epoch
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

  /** Target: stops receiving and applies what it confirmed (rule takeover.seal); gives the state to be judged. With `parked`, serving: nobody is whole before `unseal` (rule alone); `HM_REFUSED` once connected again. */
  seal(parked: ParkedOn | null = null): Promise<MirrorState> {
    return this.#order(async (context) => {
      await seal(context, parked);
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

  /** An operator ends a split brain (rule lineage.resolve): durably, the survivor's peer gives way. `HM_REFUSED`: another generation than was judged, or served. */
  resolve(order: ResolveOrder): Promise<void> {
    return this.#order((context) => resolveSplit(context, order));
  }

  /** The target of an unfinished resync becomes what it was before, `outdated` (rule resync.undo). `HM_REFUSED`: served, or no journal; `HM_METADATA_CORRUPT`. */
  rollBack(): Promise<void> {
    return this.#order(rollBack);
  }

  /** A passive `uptodate` element becomes `consistent` (rule element.start), unless its data link proves the doubt wrong: the peer answers a probe sent from now on. */
  async doubt(because: string): Promise<void> {
    debug('%s: %s', this.name, because);
    await this.#order(doubt);
    // What has been in the socket since before may still make the element seem uptodate. Without a connection there is no proof either.
    if ((await this.#core?.replication.proof()) !== true) await this.#order(doubt);
  }

  /** The pair's epoch is now this. A higher one of another owner ends serving before this returns; the promise resolves when it is durable where it must be. */
  raiseEpoch(epoch: Epoch): Promise<void> {
    this.#core?.heardEpoch(epoch);
    return this.#order((context) => raiseEpoch(context, epoch));
  }

  /**
   * Completes requests by another protocol from now on (rule write.both); resolves when its promise holds for everything that was acknowledged. From
   * `async` that takes until what is queued is durable on both elements. It lasts until this mirror is closed; the configuration is not changed.
   * Rejects with `HM_REFUSED` where it serves by `async` and the peer's element is not `uptodate` or is lost meanwhile, after which `async` stays in force, or while it serves through the peer, and
   * with `HM_NOT_SUPPORTED` where the peer's version knows `sync` alone. Emits `protocol:changed`.
   */
  setProtocol(protocol: MirrorProtocol): Promise<void> {
    return this.#order((context) => setProtocol(context, protocol));
  }

  /** Fresh evidence of ownership (rule serve.lease): the peer answered a token sent then, by this machine's monotonic clock. */
  renewLease(evidence: { readonly probeSentMs: number }): void {
    if (this.#core?.lease.renew(evidence.probeSentMs)) this.#core.serving.resume();
  }

  /**
   * An operator takes this node's element out, or brings it back (rule element.off). `off` is durable, survives a restart, and the source is told, so that it goes on alone;
   * `on` connects again, and what differs is copied. Resolves at once where it is so already. Rejects with `HM_REFUSED` while this node serves or copies from it,
   * the other serves through it, or where it has failed.
   */
  setElement(wish: ElementWish): Promise<void> {
    return this.#order((context) => setElement(context, wish));
  }

  /** Changes how fast resyncs go, also one that runs; what is absent stays as it is. Throws `RangeError` on limits that make no sense. */
  configureResync(limits: Partial<ResyncRateLimits>): void {
    this.#resync = checkedRate({ ...this.#resync, ...limits });
    this.#core?.control.configure(this.#resync);
  }

  /**
   * Resyncs from this node stand still until `resumeResync`, on every connection, and `state().resyncPaused` says why. Writes go on to both elements.
   * The target stays `inconsistent` meanwhile (rule resync.target). A restart of the node forgets it.
   */
  pauseResync(because: string): void {
    const core = this.#opened();
    core.control.pause(because);
    core.changed();
  }

  /** Undoes `pauseResync`. */
  resumeResync(): void {
    const core = this.#opened();
    core.control.resume();
    core.changed();
  }

  /**
   * Copies now what is known to differ, or with `full` everything, from this node's element to the peer's (rules resync.begin, resync.progress). Resolves when both are the same, over losses of the
   * link, to whether there was anything to copy. Rejects with `HM_NOT_SERVING` where this node is not the source, `HM_REFUSED` where no peer is connected or this node's element has failed, `HM_ABORTED`.
   */
  regenerate(order: RegenerateOrder = {}): Promise<boolean> {
    return this.#asking((core) => regenerate(core, (listener) => this.onChange(listener), order));
  }

  /**
   * Compares both elements while writes go on (rule verify). What differs is marked dirty, told and counted in `state().findingBytes` on both nodes, which bars automatic takeover (rule
   * takeover.verified) until it is copied, by `repair` or the next resync, or waived. Rejects with `HM_NOT_SERVING`, `HM_REFUSED` and `HM_ABORTED` as `regenerate` does, `HM_BUSY` while another
   * runs, `HM_CONNECTION_LOST`, `HM_NOT_SUPPORTED` where the peer cannot compare.
   */
  verify(order: VerifyOrder = {}): Promise<VerifyOutcome> {
    return this.#asking((core) => verify(core, (listener) => this.onChange(listener), order));
  }

  /** An operator accepts what the last verify found: it bars automatic takeover no longer, and stays dirty until the next resync. Throws as `regenerate` rejects. */
  waiveFindings(because: string): void {
    waiveFindings(this.#opened(), because);
  }

  /** As large as both devices are by now, while it is served (rule lineage.grow). Rejects with `HM_NOT_SERVING`, and `HM_REFUSED` unless both elements are `uptodate`. */
  grow(): Promise<Growth> {
    const mirror = { core: () => this.#opened(), announcer: this.#announcer, limits: this.#limits };
    return growByOrder(mirror, this.#options.clock, (run) => this.#order(run));
  }

  /** Says goodbye on the data link (rule node.leave): a target is durably `outdated` first; a source has flushed both elements. */
  leave(): Promise<void> {
    return this.#order(leave);
  }

  read(offsetBytes: number, into: Uint8Array, done: Done): void {
    this.#admit(offsetBytes, into.byteLength, done)?.intake.read(offsetBytes, into, done);
  }

  write(offsetBytes: number, from: Uint8Array, options: WriteOptions, done: Done): void {
    const serving = this.#admitWrite(offsetBytes, from.byteLength, done);
    if (serving) splitWrite(serving.intake, offsetBytes, from, options, done);
  }

  flush(done: Done): void {
    this.#admit(0, 0, done, true)?.intake.flush(done);
  }

  /**
   * Trimmed ranges read as zeroes on both elements, so that these stay the same. Where this node's element cannot punch holes it is
   * `HM_NOT_SUPPORTED`: the space could not be given back.
   */
  trim(offsetBytes: number, lengthBytes: number, done: Done): void {
    const { trim } = this.capabilities;
    const serving = this.#admit(offsetBytes, lengthBytes, done, !trim);
    if (!serving) return;
    if (trim) splitTrim(serving.intake, offsetBytes, lengthBytes, done);
    else done(new HotMirrorError('HM_NOT_SUPPORTED', `${this.name} cannot be trimmed`));
  }

  writeZeroes(offsetBytes: number, lengthBytes: number, options: ZeroesOptions, done: Done): void {
    const serving = this.#admitWrite(offsetBytes, lengthBytes, done);
    if (serving) splitZeroes(serving.intake, offsetBytes, lengthBytes, options, done);
  }

  /** What of a range is a hole in this node's element, as far as a read would be answered from there now; else all is data. */
  allocation(offsetBytes: number, lengthBytes: number, mostPieces: number): readonly AllocationPiece[] {
    const refused = this.#closing !== null || refuseRange(this, offsetBytes, lengthBytes) !== null;
    return refused ? allData(lengthBytes) : (this.#core?.allocation(offsetBytes, lengthBytes, mostPieces) ?? allData(lengthBytes));
  }

  /** What it is now; plain data. */
  state(): MirrorState {
    return this.#opened().state();
  }

  /** What it has done since it was opened, and what waits in it now: requests, bytes, latencies, queues, resync, link; plain data. */
  counters(): MirrorCounters {
    return this.#opened().countersNow();
  }

  /** All that a later step depends on, but for what is on its way: `state()`, the durable metadata, and what waits inside. For simulators and post-mortems. */
  snapshot(): MirrorSnapshot {
    return this.#opened().snapshot();
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
    const { device, metadata, undoJournal } = this.#options;
    // An order under way may wait for requests inside, or may just have begun to serve.
    const error = new HotMirrorError('HM_CLOSED', `${this.name} is closing`);
    this.#core?.endServing(error);
    await this.#orders.add(async () => {
      if (!this.#core) return;
      this.#core.endServing(error);
      const { replication, store } = this.#core;
      await replication.stop().then(
        () => settleElement(device, store, replication.element === 'failed'),
        (error: unknown) => debug('%s: closing without a clean mark: %O', this.name, error),
      );
    });
    await (this.#core?.preservation.close() ?? undoJournal?.device.close());
    await device.close();
    await metadata.close();
    this.#announcer.end();
  }

  async #asking<T>(ask: (core: MirrorCore) => Promise<T>): Promise<T> {
    this.#assertUsable();
    return ask(this.#opened());
  }

  #opened(): MirrorCore {
    if (!this.#core) throw new HotMirrorError('HM_CLOSED', `${this.name} is not open`);
    return this.#core;
  }

  #order<T>(run: (context: OrderContext) => Promise<T>): Promise<T> {
    return this.#orders.add(() => {
      this.#assertUsable();
      return run(this.#opened().orderContext());
    });
  }

  #assertUsable(): void {
    if (this.#closing) throw new HotMirrorError('HM_CLOSED', `${this.name} is closed`);
  }

  #admitWrite(offsetBytes: number, lengthBytes: number, done: Done): Serving | null {
    this.#core?.control.rate.wrote();
    return this.#admit(offsetBytes, lengthBytes, done);
  }

  #admit(offsetBytes: number, lengthBytes: number, done: Done, anyLength = false): Serving | null {
    const serving = this.#closing ? null : (this.#core?.serving ?? null);
    return admitted(this, serving, { offsetBytes, lengthBytes, anyLength, done });
  }
}
