import { compareEpochs, formatEpoch, noEpoch } from '../epoch.ts';
import type { Epoch } from '../epoch.ts';
import { HotMirrorError } from '../errors.ts';
import type { Connection } from '../transport/transport.ts';
import { tellAgreement, tellLoss, tellRefusal } from './connection-events.ts';
import { DataConnection } from './data-connection.ts';
import { DataLink } from './data-link.ts';
import type { ExtentRun } from './dirty-map.ts';
import { ElementLineage } from './element-lineage.ts';
import { Goodbye } from './goodbye.ts';
import { Handshake } from './handshake.ts';
import type { Agreement, Start } from './handshake.ts';
import { makeHello } from './hello.ts';
import { isOutAndBehind, splitOf } from './lineage.ts';
import type { LineageView, SyncDecision } from './lineage.ts';
import { KnownElements } from './known-elements.ts';
import { Leftovers } from './leftovers.ts';
import { groundsOf } from './mirror-events.ts';
import type { MirrorProtocol } from './options.ts';
import type { ReplicationOptions } from './replication-options.ts';
import { SourceEnd } from './source-end.ts';
import type { SourceSession } from './source.ts';
import type { DataLinkState, MirrorRole, SplitEvidence } from './state.ts';
import { TargetEnd } from './target-end.ts';
import { TargetPreparation } from './target-preparation.ts';
import { fromSource, leavesOff, malformed, readRefusal } from './wire.ts';
import type { Message } from './wire.ts';

/**
 * The data link of one mirror: keeps the connection, agrees by handshake who copies what, and runs the source's or the target's end.
 */
export class Replication extends KnownElements {
  role: MirrorRole = 'none';
  connection: DataLinkState = 'standalone';
  connectionId: string | null = null;
  /** By what the source completes requests, as it said on the last connection on which this node was its target. */
  sourceProtocol: { readonly protocol: MirrorProtocol; readonly mayLoseBytes: number } = { protocol: 'sync', mayLoseBytes: 0 };
  lostAtMs: number | null = null;
  /** What an operator must decide, as the last handshake saw it. */
  split: SplitEvidence | null = null;
  /** Connections that have ended, handshakes included. */
  losses = 0;
  readonly #options: ReplicationOptions;
  readonly #link: DataLink;
  readonly #lineage: ElementLineage;
  #data: DataConnection | null = null;
  #handshake: Handshake | null = null;
  #source: SourceEnd | null = null;
  #target: TargetEnd | null = null;
  readonly #preparation: TargetPreparation;
  /** The last target's end: a lineage that it was offered may still be on its way to the disk. */
  #lastTarget: TargetEnd | null = null;
  /** The frame at hand carries an older epoch than this node's. */
  #stale = false;
  /** The epoch that the peer showed last on this connection. */
  #shown: Epoch = noEpoch;
  #wanted = false;
  /** False once this node is leaving: it takes over no lineage any more. */
  #adopting = true;
  /** Requests to the device of connections that have ended. */
  readonly #leftovers: Leftovers;
  readonly #goodbye = new Goodbye();

  constructor(options: ReplicationOptions) {
    super(options.store.metadata.state);
    this.#options = options;
    this.#lineage = new ElementLineage(options);
    this.#preparation = new TargetPreparation(this, options);
    const { transport, preferOwnDial, clock, random, limits, host } = options;
    this.#leftovers = new Leftovers(clock, limits.deadlineMs, () => {
      if (this.#wanted) void Promise.all([this.cutOff(), this.resume()]);
    });
    this.#link = new DataLink({
      ...{ transport, preferOwnDial, clock, random, limits },
      handlers: {
        connected: (connection) => this.#connected(connection),
        refused: (eventClass, text, error) => host.emit('link:refused', eventClass, text, groundsOf(error)),
      },
    });
  }

  /** The source's end of the connection; null where this node is not the source. */
  get source(): SourceEnd | null {
    return this.#source;
  }

  /** The stream of writes, where this node is the source. */
  get stream(): SourceSession | null {
    return this.#source?.session ?? null;
  }

  get connected(): boolean {
    return this.#source !== null || this.#target !== null;
  }

  get stopped(): boolean {
    return this.#link.stopped;
  }

  /** Not ended by order, though it may be away for a while: what a device has left holds it back, or it cannot listen now. */
  get wanted(): boolean {
    return this.#wanted;
  }

  /** Listens and dials, unless the element is `off`: there is nothing to agree on. Rejects as the transport does. */
  async start(): Promise<void> {
    this.#wanted = true;
    if (this.element === 'off') return;
    await this.#link.start();
    this.#started();
  }

  /** Undoes `stop`; see {@link DataLink.resume}. */
  async resume(): Promise<void> {
    this.#wanted = true;
    if (!this.stopped || this.element === 'off' || this.#leftovers.holdBack(() => void this.resume())) return;
    await this.#link.resume();
    this.#started();
  }

  #started(): void {
    this.#adopting = true;
    if (!this.stopped && this.connection === 'standalone') this.connection = 'connecting';
  }

  /** Ends connection and dialling; resolves when nothing older can reach the element (rule takeover.seal). Rejects with `HM_REFUSED` where its device hangs. */
  async stop(): Promise<void> {
    await this.cutOff();
    await this.#leftovers.goneWithin(this.#options.limits.ackDeadlineMs);
  }

  /** As `stop`, but what was received may still be with a device that hangs: it changes the element, and no more what is known of it. */
  async cutOff(): Promise<void> {
    this.#wanted = false;
    this.#leftovers.forget();
    this.#data?.destroy();
    await this.#link.stop();
    await this.lineageSettled();
    this.connection = 'standalone';
  }

  /** Ends the connection because roles or epochs changed; a handshake follows. */
  reconnect(): void {
    this.#data?.destroy();
    this.#link.redial();
  }

  /** Ends the connection because of what this side found out. */
  refuse(error: HotMirrorError): void {
    this.#data?.refuse(error);
  }

  /** The element has something of an earlier role until this resolves: no handshake before. */
  leaveBehind(left: Promise<void> | null): void {
    if (left) this.#leftovers.add(left);
  }

  /** Whether the peer answers on this connection, be it only in its handshake, a probe sent from now on; false once it ends. Null: there is none. */
  proof(): Promise<boolean> | null {
    return this.#data?.proof() ?? null;
  }

  /** There is a connection, be it only in its handshake. */
  get linked(): boolean {
    return this.#data !== null;
  }

  /** Serving: makes the target durable too. Resolves false when the connection ends first. */
  flushTarget(): Promise<boolean> {
    return this.#source?.flush() ?? Promise.resolve(false);
  }

  /** The target holds everything durably, in the same generation (rule handover). */
  get handedOver(): boolean {
    const { store, serving } = this.#options;
    const equal = serving.diskless.active || serving.diskless.rested || store.dirty.count === 0;
    return this.#source?.session.settled === true && this.#source.together && this.peerElement === 'uptodate' && equal;
  }

  /** Resolves when no lineage that was taken over is on its way to the disk. */
  async lineageSettled(): Promise<void> {
    await this.#lastTarget?.settled();
  }

  /** Rule node.leave: `prepare` makes a target durably outdated, then the peer is told; waits for its answer at most a deadline. */
  async leave(prepare: (role: MirrorRole) => Promise<void>, because: 'stop' | 'off' = 'stop'): Promise<void> {
    const data = this.#data;
    if (!data || !this.connected) return;
    this.#adopting = false;
    await this.lineageSettled();
    await prepare(this.role);
    const { clock, limits } = this.#options;
    await this.#goodbye.say(clock, limits.deadlineMs, () => data.send('leave', because === 'off' ? leavesOff : 0));
  }

  #connected(connection: Connection): void {
    const { node, peer, clock, limits, host } = this.#options;
    const data: DataConnection = new DataConnection({
      ...{ connection, node, peer, clock, probeIntervalMs: limits.probeIntervalMs, deadlineMs: limits.deadlineMs },
      epoch: () => host.epoch(),
      handlers: {
        arrived: (messages) => (this.#stale ? undefined : this.#target?.session.arrived(messages)),
        message: (message) => this.#message(message),
        batchEnd: () => {
          this.#target?.session.acknowledge();
          this.#options.serving.resume();
          this.#source?.batchEnd();
        },
        heard: () => this.#options.host.heard(),
        probed: (sentMs) => (this.#options.lease.renew(sentMs) ? this.#options.serving.resume() : undefined),
        epoch: (theirs) => this.#judgeEpoch(theirs),
        drain: () => {
          this.#source?.work.pump();
          this.#options.serving.resume();
        },
        tick: (late) => this.#source?.watchTarget(late),
        closed: (error) => this.#lost(data, error),
      },
    });
    this.#data = data;
    this.#shown = noEpoch;
    this.connectionId = data.id;
    this.#handshake = new Handshake({ data, peer, clock, deadlineMs: limits.handshakeDeadlineMs, host: this.#handshakeHost() });
    this.#options.serving.freeze(true);
    host.emit('link:connected', 0, `the data link is connected to ${peer}`, { evidence: { connectionId: data.id } });
    host.changed();
    data.start();
    this.#handshake.begin().catch((error: unknown) => {
      data.refuse(HotMirrorError.from(error, 'HM_INTERNAL', 'the handshake could not begin'));
    });
  }

  #message(message: Message): void {
    if (message.name === 'leave') this.#peerLeaves(message.a === leavesOff);
    else if (message.name === 'left') this.#goodbye.answered();
    else if (message.name === 'refuse') this.#peerRefuses(message.body);
    else if (this.#stale && fromSource.has(message.name)) {
      throw new HotMirrorError('HM_STALE_EPOCH', `a ${message.name} of an older epoch than ${formatEpoch(this.#options.host.epoch())}`, {
        rule: 'lineage.epoch',
      });
    } else if (this.#source) this.#source.session.message(message);
    else if (this.#target) this.#target.session.message(message);
    else if (this.#handshake) this.#handshake.message(message);
    else throw malformed(`${message.name} outside of any conversation`);
  }

  /** Rule lineage.epoch. An older epoch is accepted from the node that owns the newer one: it has not heard of it yet. */
  #judgeEpoch(theirs: Epoch): boolean {
    const { host, peer } = this.#options;
    const mine = host.epoch();
    const order = compareEpochs(theirs, mine);
    this.#stale = order === 'lower' && mine.owner !== peer;
    this.#shown = theirs;
    if (order !== 'higher' && order !== 'conflict') return true;
    host.heardEpoch(theirs);
    // Serving has ended and with it this connection, where this node was the one in the wrong.
    return this.#data !== null && !this.#data.ended;
  }

  #peerLeaves(off: boolean): void {
    const { host, peer } = this.#options;
    // A target that alone holds everything stays what it is, and is waited for.
    if (this.#source && !this.#options.serving.diskless.active) this.peerIsBehind(off ? 'off' : 'outdated');
    this.#data?.send('left');
    host.emit('peer:left', 1, `${peer} ${off ? 'takes its element out' : 'stops in order'}`, { rule: off ? 'element.off' : 'node.leave' });
    void this.#data?.close();
  }

  #peerRefuses(body: Uint8Array): void {
    const { host } = this.#options;
    const error = readRefusal(body);
    host.emit('link:refused', 1, `the peer closed the data link: ${error.message}`, groundsOf(error));
    if (error.code === 'HM_IO_WRITE' || error.code === 'HM_IO_FLUSH' || error.code === 'HM_NO_SPACE') {
      this.peerIsBehind('failed');
      this.#options.serving.peerFailed();
    }
    this.#data?.destroy(error);
  }

  #lost(data: DataConnection, error: HotMirrorError | null): void {
    if (this.#data !== data) return;
    const { serving, host, clock, peer } = this.#options;
    const [connected, target] = [this.connected, this.#target];
    // Its owner may have gone on without this element before this end noticed the loss (rule element.start).
    if (host.epoch().owner === peer && host.epoch().number > this.#shown.number) this.doubt();
    this.leaveBehind(target?.idle() ?? this.#preparation.left());
    this.#handshake?.end();
    this.#source?.end();
    this.#data = this.#handshake = this.#source = this.#target = null;
    this.role = 'none';
    this.lostAtMs = clock.nowMs();
    this.losses += 1;
    if (this.connection === 'connected') this.connection = 'connecting';
    if (this.peerElement === 'uptodate') this.peerElement = 'consistent';
    this.#goodbye.answered();
    serving.lost();
    serving.freeze(false);
    tellLoss(host, connected, error);
    host.changed();
  }

  #handshakeHost(): ConstructorParameters<typeof Handshake>[0]['host'] {
    return {
      hello: () => makeHello(this.#options, this.#lineage, this.#leftovers, this),
      refused: (decision, views, error) => this.#refused(decision, views, error),
      prepareSource: (agreement, theirs) => this.#prepareSource(agreement, theirs),
      prepareTarget: (agreement, start, source) => this.#prepareTarget(agreement, start, source),
      include: (first, count) => this.#options.store.dirty.markRun(first, count),
      source: (agreement) => this.#becomeSource(agreement),
      target: (agreement, start) => this.#becomeTarget(agreement, start),
    };
  }

  #refused(decision: Extract<SyncDecision, { kind: 'refuse' }>, views: readonly LineageView[], error: HotMirrorError): void {
    this.connection = decision.outcome;
    this.split = splitOf(decision, views);
    const [mine, theirs] = views;
    if (mine && theirs && isOutAndBehind(mine, theirs)) this.peerIsBehind(theirs.state);
    if (theirs?.state === 'failed') this.#options.serving.peerFailed();
    tellRefusal(this.#options.host, decision, error);
  }

  async #prepareSource(agreement: Agreement, theirs: LineageView): Promise<Start> {
    this.peerRoomBytes = theirs.deviceBytes;
    this.peerElement = theirs.state === 'uptodate' ? 'consistent' : theirs.state;
    return this.#lineage.prepareSource(agreement, this.#data as DataConnection);
  }

  #prepareTarget(agreement: Agreement, start: Start, source: LineageView): Promise<Iterable<ExtentRun>> {
    const data = this.#data as DataConnection;
    return this.#preparation.run(agreement, () => this.#lineage.prepareTarget({ agreement, start, source }, data));
  }

  #becomeSource(agreement: Agreement): void {
    const { host } = this.#options;
    const source = (this.#source = new SourceEnd(this.#options, this.#lineage, this.#data as DataConnection, {
      offered: () => (this.peerBehind = false),
      behind: () => this.peerIsBehind('outdated'),
      reconnect: () => this.reconnect(),
      settled: () => {
        this.peerElement = 'uptodate';
        host.emit('resync:finished', 0, 'both elements are the same', { rule: 'lineage.adopt' });
        host.changed();
      },
    }));
    this.#agreed(agreement, 'source');
    const through = agreement.rule === 'write.error';
    if (!through) this.element = 'uptodate';
    this.servedThrough = false;
    if (through) this.peerElement = 'uptodate';
    if (agreement.scope !== 'nothing') this.peerIsBehind('inconsistent');
    if (through) source.beginThrough();
    else source.begin();
    host.changed();
  }

  #becomeTarget(agreement: Agreement, start: Start): void {
    const { host, store, serving, preservation } = this.#options;
    const images = agreement.scope === 'nothing' ? null : preservation.images;
    this.#target = this.#lastTarget = new TargetEnd(
      this.#options,
      this.#lineage,
      this.#data as DataConnection,
      { start, images, through: agreement.rule === 'write.error' },
      {
        mayChange: () => this.#adopting,
        doubted: () => this.doubt(),
        adopted: () => (this.element = 'uptodate'),
        adoptedLate: () => (this.element = this.element === 'inconsistent' ? store.metadata.state : this.element),
        behind: () => (this.element = this.element === 'uptodate' ? 'outdated' : this.element),
        detached: () => {
          this.peerElement = 'failed';
          this.servedThrough = true;
        },
        protocol: (protocol, mayLoseBytes) => {
          this.sourceProtocol = { protocol, mayLoseBytes };
          host.changed();
        },
      },
    );
    this.#agreed(agreement, 'target');
    // What the source completed through this element it has made durable here.
    if (agreement.rule === 'write.error') this.element = 'uptodate';
    this.servedThrough = agreement.rule === 'write.error';
    this.peerElement = this.servedThrough ? 'failed' : 'uptodate';
    this.peerBehind = false;
    serving.freeze(false);
    host.changed();
  }

  #agreed(agreement: Agreement, role: MirrorRole): void {
    this.#handshake = null;
    this.role = role;
    this.connection = 'connected';
    this.lostAtMs = null;
    this.#options.counters.link.agreed += 1;
    this.split = null;
    tellAgreement(this.#options.host, agreement);
  }
}
