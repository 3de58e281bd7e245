import { z } from 'zod';

import type { Clock, Timer } from '../clock/clock.ts';
import { randomHex } from '../clock/random.ts';
import type { Random } from '../clock/random.ts';
import type { BlockDevice } from '../device/block-device.ts';
import { compareEpochs, formatEpoch, highestEpoch } from '../epoch.ts';
import type { Epoch } from '../epoch.ts';
import { HotMirrorError } from '../errors.ts';
import { PeerLink } from '../transport/peer-link.ts';
import type { Connection, Transport } from '../transport/transport.ts';
import { DataConnection } from './data-connection.ts';
import type { ElementStore } from './element-store.ts';
import { Handshake } from './handshake.ts';
import type { Agreement, Hello, Start } from './handshake.ts';
import type { Lease } from './lease.ts';
import type { LineageView, SyncDecision } from './lineage.ts';
import { historyLength, idSchema, settledFrom } from './metadata.ts';
import type { MirrorEventName } from './mirror-events.ts';
import type { MirrorLimits } from './options.ts';
import { Resync } from './resync.ts';
import type { Serving } from './serving.ts';
import { SourceSession } from './source.ts';
import type { ElementState, DataLinkState, MirrorRole } from './state.ts';
import { TargetSession } from './target.ts';
import { malformed, wireVersion } from './wire.ts';
import type { Message } from './wire.ts';

const generationBytes = 8;

const adoptSchema = z.strictObject({
  mirrorId: idSchema,
  sizeBytes: z.number().int().positive(),
  current: idSchema,
  history: z.array(idSchema).max(historyLength + 1),
  epoch: z.strictObject({ number: z.number().int().nonnegative(), owner: z.string() }),
});

/** What replication tells the mirror that it belongs to. */
export interface ReplicationHost {
  /** The pair's epoch as this node knows it. */
  epoch(): Epoch;
  /** A frame carried a higher or conflicting epoch. */
  heardEpoch(epoch: Epoch): void;
  /** The peer answered a probe: an authenticated sign of life. */
  heard(): void;
  emit(name: MirrorEventName, eventClass: 0 | 1 | 2 | 3, text: string, extra?: Record<string, unknown>): void;
  changed(): void;
  /** The element or its metadata failed; resolves when that is durable, or cannot be. */
  failed(error: HotMirrorError): Promise<void>;
}

/** What replication is made of. */
export interface ReplicationOptions {
  readonly name: string;
  readonly node: string;
  readonly peer: string;
  readonly preferOwnDial: boolean;
  readonly protocol: string;
  readonly device: BlockDevice;
  readonly transport: Transport;
  readonly clock: Clock;
  readonly random: Random;
  readonly limits: MirrorLimits;
  readonly store: ElementStore;
  readonly serving: Serving;
  readonly lease: Lease;
  readonly host: ReplicationHost;
}

/**
 * The data link of one mirror: keeps the connection, agrees by handshake who copies what, and runs the source's or the target's end.
 * It owns what is known of both elements' states.
 */
export class Replication {
  element: ElementState;
  peerElement: ElementState = 'absent';
  /** The peer durably recorded that it is behind (rule alone). */
  peerBehind = false;
  role: MirrorRole = 'none';
  connection: DataLinkState = 'standalone';
  connectionId: string | null = null;
  lostAtMs: number | null = null;
  readonly #options: ReplicationOptions;
  #link: PeerLink | null = null;
  #data: DataConnection | null = null;
  #handshake: Handshake | null = null;
  #source: SourceSession | null = null;
  #target: TargetSession | null = null;
  #resync: Resync | null = null;
  /** The lineage was offered on this connection. */
  #offering = false;
  /** The frame at hand carries an older epoch than this node's. */
  #stale = false;
  /** False once this node is leaving: it takes over no lineage any more. */
  #adopting = true;
  /** The last lineage that was taken over, or is being. */
  #adoption: Promise<void> = Promise.resolve();
  #restart: Timer | null = null;
  /** Requests to the device of connections that have ended. */
  #ending: Promise<void> = Promise.resolve();
  #leaving: (() => void) | null = null;
  readonly #flushWaiters = new Set<(flushed: boolean) => void>();

  constructor(options: ReplicationOptions) {
    this.#options = options;
    const { state } = options.store.metadata;
    this.element = state;
  }

  get resync(): Resync | null {
    return this.#resync;
  }

  get connected(): boolean {
    return this.#source !== null || this.#target !== null;
  }

  /** Neither listening nor dialling. */
  get stopped(): boolean {
    return this.#link === null;
  }

  /** Listens and dials. Rejects as the transport does. */
  async start(): Promise<void> {
    const { transport, preferOwnDial, clock, random, limits, host } = this.#options;
    const link = new PeerLink({
      transport,
      preferOwnDial,
      clock,
      random,
      retryMinMs: limits.retryMinMs,
      retryMaxMs: limits.retryMaxMs,
      dialDeadlineMs: limits.handshakeDeadlineMs,
      listener: {
        connected: (connection) => {
          this.#connected(connection);
        },
        rejected: (error) => {
          host.emit('link:refused', 0, `the data link turned something away: ${error.message}`, { evidence: { code: error.code } });
        },
        unreachable: (error) => {
          this.#unreachable(error);
        },
      },
    });
    this.#link = link;
    this.#adopting = true;
    this.connection = 'connecting';
    try {
      await link.start();
    } catch (error) {
      this.#link = null;
      this.connection = 'standalone';
      throw error;
    }
  }

  /** Undoes `stop`. Where the transport cannot listen now, it is tried again and again: what was ordered holds without a data link too. */
  async resume(): Promise<void> {
    if (!this.stopped) return;
    const { clock, limits, host } = this.#options;
    try {
      await this.start();
    } catch (cause) {
      const error = HotMirrorError.from(cause, 'HM_ADDRESS', 'the data link cannot listen');
      host.emit('link:refused', 1, `the data link cannot listen: ${error.message}`, { evidence: { code: error.code } });
      this.#restart?.cancel();
      this.#restart = clock.timer(limits.retryMaxMs, () => void this.resume());
    }
  }

  /** Ends the connection and the dialling; resolves when nothing of an older connection can reach the element any more (rule takeover.seal). */
  async stop(): Promise<void> {
    const link = this.#link;
    this.#link = null;
    this.#restart?.cancel();
    this.#data?.destroy();
    await link?.stop();
    await this.#ending;
    this.connection = 'standalone';
  }

  /** Ends the connection because roles or epochs changed; a handshake follows. */
  reconnect(): void {
    this.#data?.destroy();
    this.#link?.redial();
  }

  /** Serving: makes the target durable too. Resolves false when the connection ends first. */
  flushTarget(): Promise<boolean> {
    const source = this.#source;
    if (!source) return Promise.resolve(false);
    return new Promise((resolve) => {
      this.#flushWaiters.add(resolve);
      source.flush(() => {
        this.#flushWaiters.delete(resolve);
        resolve(true);
      });
    });
  }

  /** The target holds everything durably, in the same generation (rule handover). */
  get handedOver(): boolean {
    return this.#source?.settled === true && this.peerElement === 'uptodate' && this.#options.store.dirty.count === 0;
  }

  /** Rule node.leave: `prepare` makes a target durably outdated, then the peer is told; waits for its answer at most a deadline. */
  async leave(prepare: (role: MirrorRole) => Promise<void>): Promise<void> {
    const data = this.#data;
    if (!data || !this.connected) return;
    this.#adopting = false;
    await this.#adoption;
    await prepare(this.role);
    const { clock, limits } = this.#options;
    await new Promise<void>((resolve) => {
      const deadline = clock.timer(limits.deadlineMs, resolve);
      this.#leaving = () => {
        deadline.cancel();
        resolve();
      };
      data.send('leave');
    });
    this.#leaving = null;
  }

  #connected(connection: Connection): void {
    const { node, peer, clock, limits, host } = this.#options;
    const data: DataConnection = new DataConnection({
      connection,
      node,
      peer,
      clock,
      probeIntervalMs: limits.probeIntervalMs,
      deadlineMs: limits.deadlineMs,
      epoch: () => host.epoch(),
      handlers: {
        message: (message) => {
          this.#message(message);
        },
        batchEnd: () => {
          this.#target?.acknowledge();
          this.#options.serving.resume();
        },
        probed: (probeSentMs) => {
          host.heard();
          if (this.#options.lease.renew(probeSentMs)) this.#options.serving.resume();
        },
        epoch: (theirs) => this.#judgeEpoch(theirs),
        drain: () => {
          this.#options.serving.resume();
          this.#resync?.pump();
        },
        closed: (error) => {
          this.#lost(data, error);
        },
      },
    });
    this.#data = data;
    this.connectionId = data.id;
    this.#offering = false;
    this.#handshake = new Handshake({ data, peer, clock, deadlineMs: limits.handshakeDeadlineMs, host: this.#handshakeHost() });
    this.#options.serving.freeze(true);
    host.emit('link:connected', 0, `the data link is connected to ${peer}`, { evidence: { connectionId: data.id } });
    data.start();
    this.#handshake.begin().catch((error: unknown) => {
      data.refuse(HotMirrorError.from(error, 'HM_INTERNAL', 'the handshake could not begin'));
    });
  }

  #message(message: Message): void {
    if (message.name === 'leave') {
      this.#peerLeaves();
    } else if (message.name === 'left') {
      this.#leaving?.();
    } else if (message.name === 'refuse') {
      this.#peerRefuses(message.body);
    } else if (this.#stale && fromSource.has(message.name)) {
      throw new HotMirrorError('HM_STALE_EPOCH', `a ${message.name} of an older epoch than ${formatEpoch(this.#options.host.epoch())}`, {
        rule: 'lineage.epoch',
      });
    } else if (this.#source) {
      this.#source.message(message);
    } else if (this.#target) {
      this.#target.message(message);
    } else if (this.#handshake) {
      this.#handshake.message(message);
    } else {
      throw malformed(`${message.name} outside of any conversation`);
    }
  }

  /** Rule lineage.epoch. An older epoch is accepted from the node that owns the newer one: it has not heard of it yet. */
  #judgeEpoch(theirs: Epoch): boolean {
    const { host, peer } = this.#options;
    const mine = host.epoch();
    const order = compareEpochs(theirs, mine);
    this.#stale = order === 'lower' && mine.owner !== peer;
    if (order === 'higher' || order === 'conflict') {
      host.heardEpoch(theirs);
      // Serving has ended and with it this connection, where this node was the one in the wrong.
      return this.#data !== null && !this.#data.ended;
    }
    return true;
  }

  #peerLeaves(): void {
    const { host, peer } = this.#options;
    const data = this.#data;
    if (this.#source) {
      this.peerElement = 'outdated';
      this.peerBehind = true;
    }
    data?.send('left');
    host.emit('peer:left', 1, `${peer} stops in order`, { rule: 'node.leave' });
    void data?.close();
  }

  #peerRefuses(body: Uint8Array): void {
    const { host } = this.#options;
    let error: HotMirrorError;
    try {
      error = HotMirrorError.fromJSON(JSON.parse(Buffer.from(body).toString('utf8')));
    } catch {
      throw malformed('a refusal makes no sense');
    }
    host.emit('link:refused', 1, `the peer closed the data link: ${error.message}`, { evidence: { code: error.code } });
    if (error.code === 'HM_IO_WRITE' || error.code === 'HM_IO_FLUSH' || error.code === 'HM_NO_SPACE') {
      this.peerElement = 'failed';
      this.peerBehind = true;
    }
    this.#data?.destroy(error);
  }

  #unreachable(error: HotMirrorError): void {
    if (error.code === 'HM_WRONG_KEY' || error.code === 'HM_WRONG_PEER' || error.code === 'HM_VERSION' || error.code === 'HM_BAD_MAGIC') {
      this.#options.host.emit('link:refused', 1, `the data link cannot be used: ${error.message}`, { evidence: { code: error.code } });
    }
  }

  #lost(data: DataConnection, error: HotMirrorError | null): void {
    if (this.#data !== data) return;
    const { serving, host, clock } = this.#options;
    const connected = this.connected;
    const target = this.#target;
    if (target) this.#ending = Promise.all([this.#ending, target.idle()]).then(() => this.#adoption);
    this.#handshake?.end();
    this.#resync?.stop();
    this.#data = null;
    this.#handshake = null;
    this.#source = null;
    this.#target = null;
    this.#resync = null;
    this.role = 'none';
    this.lostAtMs = clock.nowMs();
    if (this.connection === 'connected') this.connection = 'connecting';
    if (this.peerElement === 'uptodate') this.peerElement = 'consistent';
    for (const resolve of this.#flushWaiters) resolve(false);
    this.#flushWaiters.clear();
    this.#leaving?.();
    serving.lost();
    serving.freeze(false);
    const because = error ? error.message : 'closed in order';
    if (connected) host.emit('link:lost', 1, `the data link is lost: ${because}`, { evidence: { code: error?.code ?? null } });
    else host.emit('link:refused', 1, `the data link ended during its handshake: ${because}`, { evidence: { code: error?.code ?? null } });
    host.changed();
  }

  #handshakeHost(): ConstructorParameters<typeof Handshake>[0]['host'] {
    return {
      hello: () => this.#hello(),
      refused: (decision, error) => {
        this.#refused(decision, error);
      },
      prepareSource: (agreement, theirs) => this.#prepareSource(agreement, theirs),
      prepareTarget: (agreement, start) => this.#prepareTarget(agreement, start),
      include: (first, count) => {
        const { dirty } = this.#options.store;
        for (let extent = first; extent < Math.min(first + count, dirty.extents); extent += 1) dirty.mark(extent);
      },
      source: (agreement) => {
        this.#becomeSource(agreement);
      },
      target: (agreement, start) => {
        this.#becomeTarget(agreement, start);
      },
    };
  }

  async #hello(): Promise<Hello> {
    const { name, node, protocol, device, store, serving } = this.#options;
    // Nothing of an earlier connection may change what this side is about to say.
    await this.#ending;
    await store.settled();
    const { metadata } = store;
    const blank = metadata.current === null;
    return {
      wire: wireVersion,
      mirror: name,
      protocol,
      extentBytes: metadata.extentBytes,
      view: {
        node,
        mirrorId: metadata.mirrorId,
        sizeBytes: blank ? null : metadata.sizeBytes,
        deviceBytes: device.sizeBytes,
        state: this.element,
        current: metadata.current,
        base: metadata.base,
        history: metadata.history,
        servedEpoch: metadata.servedEpoch,
        crashed: metadata.crashed,
        serving: serving.state !== 'no',
        dirtyExtents: blank ? 0 : store.dirty.count,
        resyncId: metadata.resyncId,
      },
    };
  }

  #refused(decision: Extract<SyncDecision, { kind: 'refuse' }>, error: HotMirrorError): void {
    this.connection = decision.outcome;
    this.#options.host.emit('lineage:decided', decision.outcome === 'standalone' ? 1 : 3, `nothing is copied: ${decision.because}`, {
      rule: decision.rule,
      evidence: { code: error.code, outcome: decision.outcome },
    });
  }

  async #prepareSource(agreement: Agreement, theirs: LineageView): Promise<Start> {
    const { store, random } = this.#options;
    // The resync clears a bit when the target holds the extent durably; what this element holds only in a cache would then be said to be equal.
    await this.#flushElement();
    let resyncId = agreement.rule === 'resync.progress' ? store.metadata.resyncId : null;
    if (agreement.scope === 'full') {
      resyncId = randomHex(random, generationBytes);
      store.dirty.markAll();
      await store.persistDirty();
    }
    const { metadata } = store;
    // What a crash may have lost here is settled by the decision itself; were it not, the next decision could be another one.
    if (metadata.resyncId !== resyncId || !metadata.inUse || metadata.crashed || metadata.state !== 'consistent') {
      await store.update(() => ({ resyncId, inUse: true, crashed: false, state: 'consistent' }));
    }
    this.peerElement = theirs.state === 'uptodate' ? 'consistent' : theirs.state;
    return { mirrorId: metadata.mirrorId ?? '', sizeBytes: metadata.sizeBytes, resyncId };
  }

  #flushElement(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#options.device.flush((error) => {
        if (error) reject(error);
        else resolve();
      });
    });
  }

  /** Rule resync.begin. */
  async #prepareTarget(agreement: Agreement, start: Start): Promise<Iterable<{ readonly first: number; readonly count: number }>> {
    const { store } = this.#options;
    if (agreement.scope === 'nothing') {
      if (!store.metadata.inUse) await store.update(() => ({ inUse: true }));
      return [];
    }
    this.element = 'inconsistent';
    await store.update(() => ({ state: 'inconsistent', inUse: true, resyncId: start.resyncId }));
    return agreement.scope === 'union' ? store.dirty.runs() : [];
  }

  #becomeSource(agreement: Agreement): void {
    const { store, limits, serving, device, clock, host } = this.#options;
    const data = this.#data as DataConnection;
    const session = new SourceSession({
      data,
      extentBytes: store.metadata.extentBytes,
      windowBytes: limits.windowBytes,
      resyncWindowBytes: limits.resyncWindowBytes,
      room: () => {
        serving.resume();
        this.#resync?.pump();
      },
      adopted: () => {
        this.#adopted(session);
      },
    });
    this.#source = session;
    this.#agreed(agreement, 'source');
    this.element = 'uptodate';
    if (agreement.scope !== 'nothing') {
      this.peerElement = 'inconsistent';
      this.peerBehind = true;
    }
    if (store.dirty.count > 0) {
      const resync = new Resync({
        device,
        dirty: store.dirty,
        sizeBytes: store.metadata.sizeBytes,
        session,
        clock,
        progressed: () => {
          this.#keepProgress();
          host.emit('resync:progressed', 0, `resync of ${this.#options.name}`, { progress: resync.progress });
        },
        unlocked: () => {
          serving.resume();
        },
        finished: () => {
          this.#offer(session);
        },
        failed: (error) => {
          void host.failed(error);
        },
      });
      this.#resync = resync;
      host.emit('resync:started', 0, `${String(store.dirty.count)} extents are copied to ${agreement.target}`, {
        progress: resync.progress,
      });
    }
    serving.connected(session, this.#resync);
    if (this.#resync) this.#resync.pump();
    else this.#offer(session);
    host.changed();
  }

  #becomeTarget(agreement: Agreement, start: Start): void {
    const { device, host, serving } = this.#options;
    this.#target = new TargetSession({
      data: this.#data as DataConnection,
      device,
      sizeBytes: start.sizeBytes,
      handlers: {
        adopt: (body, adopted) => {
          this.#adopt(body, start, adopted);
        },
        failed: (error) => {
          const data = this.#data;
          void host.failed(error).then(() => {
            data?.refuse(error);
          });
        },
      },
    });
    this.#agreed(agreement, 'target');
    this.peerElement = 'uptodate';
    this.peerBehind = false;
    serving.freeze(false);
    host.changed();
  }

  #agreed(agreement: Agreement, role: MirrorRole): void {
    this.#handshake = null;
    this.role = role;
    this.connection = 'connected';
    this.lostAtMs = null;
    const { rule, because, source, target, scope } = agreement;
    this.#options.host.emit('lineage:decided', 0, `${source} is the source of ${target} (copy: ${scope}): ${because}`, {
      rule,
      evidence: { source, target, scope },
    });
  }

  /** Everything is durable on the target: it may take over the lineage (rule lineage.adopt). */
  #offer(session: SourceSession): void {
    const { store, serving, host } = this.#options;
    const offer = async (): Promise<void> => {
      if (store.metadata.base !== null && !store.metadata.offered) await store.update(() => ({ offered: true }));
      if (this.#source !== session) return;
      // From here on the target may be as good as this element.
      serving.offered();
      this.peerBehind = false;
      this.#offering = true;
      const { mirrorId, sizeBytes, current, history, base } = store.metadata;
      session.adopt({ mirrorId, sizeBytes, current, history: base === null ? history : [base, ...history], epoch: host.epoch() });
      host.changed();
    };
    offer().catch((error: unknown) => {
      void host.failed(HotMirrorError.from(error, 'HM_STATE_UNWRITABLE', 'the metadata could not be written'));
    });
  }

  /** What was copied need not be copied again after a crash (rule resync.progress). */
  #keepProgress(): void {
    const { store, host } = this.#options;
    store.persistDirty().catch((error: unknown) => {
      void host.failed(HotMirrorError.from(error, 'HM_STATE_UNWRITABLE', 'the dirty map could not be written'));
    });
  }

  #adopted(session: SourceSession): void {
    if (!this.#offering) throw malformed('a lineage was adopted that was not offered');
    this.#offering = false;
    const { store, host } = this.#options;
    const settle = async (): Promise<void> => {
      const { metadata } = store;
      if (metadata.base !== null || metadata.resyncId !== null || metadata.crashed) await store.update(settledFrom);
      await store.persistDirty();
      if (this.#source !== session) return;
      this.peerElement = 'uptodate';
      this.#resync = null;
      host.emit('resync:finished', 0, 'both elements are the same', { rule: 'lineage.adopt' });
      host.changed();
    };
    settle().catch((error: unknown) => {
      void host.failed(HotMirrorError.from(error, 'HM_STATE_UNWRITABLE', 'the metadata could not be written'));
    });
  }

  /** Target: the source's lineage becomes this element's, durably. */
  #adopt(body: Uint8Array, start: Start, adopted: () => void): void {
    const { store, host } = this.#options;
    const data = this.#data;
    const take = async (): Promise<void> => {
      if (!this.#adopting) throw new HotMirrorError('HM_CLOSED', 'this node is leaving');
      const offer = adoptSchema.parse(JSON.parse(Buffer.from(body).toString('utf8')));
      if (offer.mirrorId !== start.mirrorId || offer.sizeBytes !== start.sizeBytes) throw malformed('an offer that differs from its start');
      if (store.metadata.sizeBytes !== offer.sizeBytes) await store.resize(offer.sizeBytes, store.metadata.extentBytes);
      await store.update((metadata) => ({
        ...offer,
        epoch: highestEpoch([metadata.epoch, offer.epoch]),
        history: offer.history.slice(0, historyLength),
        state: 'consistent',
        base: null,
        offered: false,
        resyncId: null,
        crashed: false,
        note: '',
      }));
      store.dirty.clearAll();
      await store.persistDirty();
      if (this.#data !== data || !this.#target) return;
      this.element = 'uptodate';
      adopted();
      host.emit('resync:finished', 0, 'this element is the same as the source', { rule: 'lineage.adopt' });
      host.changed();
    };
    this.#adoption = take().catch((error: unknown) => {
      data?.refuse(HotMirrorError.from(error, 'HM_PROTOCOL', 'the offered lineage could not be taken over'));
    });
  }
}

/** Messages that only a source sends. */
const fromSource = new Set(['start', 'write', 'resync', 'flush', 'adopt']);
