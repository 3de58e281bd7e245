import type { Done, WriteOptions, ZeroesOptions } from '../device/block-device.ts';
import { HotMirrorError } from '../errors.ts';
import { flushElement } from './element-lifecycle.ts';
import { IntentLog, neededRegions } from './intent-log.ts';
import { Mint } from './mint.ts';
import { connectedHelp } from './read-repair.ts';
import type { PeerHelp } from './read-repair.ts';
import { Reads } from './reads.ts';
import { Replies } from './replies.ts';
import { lackAgain, markDiffering, newRequest, overlapsAny } from './request.ts';
import type { Request } from './request.ts';
import type { ServingOptions } from './serving-options.ts';
import type { SourceSession } from './source.ts';
import type { ServingState } from './state.ts';
import type { StreamWork } from './stream-work.ts';

/**
 * The serving side of a mirror: takes the application's requests to both elements and decides, request by request, when each is complete
 * (rules write.both, write.flush, write.order, write.intent, write.degraded, serve.fresh, serve.lease).
 */
export class Serving {
  readonly #options: ServingOptions;
  readonly #intents: IntentLog;
  #serving = false;
  #accepting = false;
  /** Completing without the peer is allowed: by a takeover or by rule **alone**, until the lineage is offered to the peer. */
  #mayBeAlone = false;
  /** The connected peer durably knows that it is behind: requests complete without it (rule write.congested). */
  #ahead = false;
  #frozen = false;
  #session: SourceSession | null = null;
  #work: StreamWork | null = null;
  /** Writes and flushes not yet issued, in order. */
  #queue: Request[] = [];
  /** Issued and not complete, in the order issued. */
  readonly #issued = new Set<Request>();
  readonly #reads: Reads;
  readonly #replies: Replies;
  #awaitingMint: Request[] = [];
  readonly #generation: Mint;
  #pumping = false;
  #drained: ((drained: boolean) => void)[] = [];

  constructor(options: ServingOptions) {
    this.#options = options;
    this.#replies = new Replies({ counters: options.counters, owns: () => this.#owns(), answered: () => this.#checkDrained() });
    this.#reads = new Reads({
      device: options.device,
      dirty: () => options.store.dirty,
      session: () => this.#session,
      peer: () => this.#peerHelp(),
      mayRead: (offsetBytes, lengthBytes) => !this.#needsMint() && !this.#overlapsUnfinished(offsetBytes, lengthBytes),
      reply: (read, error) => this.#replies.reply(read, this.#serving ? error : new HotMirrorError('HM_NOT_SERVING', 'serving has ended')),
      repaired: (offsetBytes, lengthBytes) => options.handlers.repaired(offsetBytes, lengthBytes),
      failed: (error) => options.handlers.failed(error),
      rewritten: () => this.#checkDrained(),
    });
    const { store, newGeneration, handlers } = options;
    this.#generation = new Mint({ store, newGeneration, minted: (id) => handlers.minted(id), failed: (error) => handlers.failed(error) });
    this.#intents = new IntentLog({
      activity: options.activity,
      store: options.store,
      counters: options.counters,
      needed: () => (this.#maySend() ? neededRegions(this.#queue, options.activity.capacity) : new Set()),
      flushBoth: () => this.#flushBoth(),
      logged: () => this.#pump(),
      failed: (error) => options.handlers.failed(error),
    });
  }

  get state(): ServingState {
    if (!this.#serving) return 'no';
    if (this.#session || this.#ahead) return 'yes';
    return this.#mayBeAlone ? 'alone' : 'parked';
  }

  /** Takes requests from now on. With `alone`, without the peer. */
  start(alone: boolean): void {
    this.#serving = true;
    this.#accepting = true;
    if (alone && !this.#session) this.#mayBeAlone = true;
    this.#pump();
  }

  /** Ends serving at once: every request inside fails with this error, as soon as its buffer is free. */
  stop(error: HotMirrorError): void {
    this.#serving = false;
    this.#accepting = false;
    this.#mayBeAlone = this.#ahead = false;
    this.#replies.fail([...this.#queue.splice(0), ...this.#reads.stop()], error);
    this.#awaitingMint = [];
    for (const request of this.#issued) {
      request.error ??= error;
      request.remote = 0;
      this.#advance(request);
    }
    this.#tellDrained(false);
  }

  /** Stops taking requests and resolves true when none is left inside; false, and taking requests again, when the peer is lost first. */
  drain(): Promise<boolean> {
    this.#accepting = false;
    return new Promise((resolve) => {
      this.#drained.push(resolve);
      this.#checkDrained();
    });
  }

  /** Takes requests again after `drain`. */
  accept(): void {
    this.#accepting = this.#serving;
  }

  /** While a handshake compares lineages, nothing may change them (rule lineage.decide). */
  freeze(frozen: boolean): void {
    this.#frozen = frozen;
    if (frozen) return;
    this.#mint();
    this.#pump();
  }

  /** The data link carries writes from now on. What was under way and lacks the peer is sent again, in order. */
  connected(session: SourceSession, work: StreamWork): void {
    this.#session = session;
    this.#work = work;
    this.#awaitingMint = [];
    for (const request of this.#issued) {
      if (request.error) {
        // It has failed here already and is not sent again: nothing is left to wait for.
        request.remote = 0;
        this.#advance(request);
        continue;
      }
      if (request.remote === 0 && !request.single) continue;
      request.single = false;
      this.#sendToPeer(request, session);
    }
    this.#frozen = false;
    this.#reads.peerChanged();
    this.#options.handlers.changed();
    this.#pump();
  }

  /** The lineage is being offered: from now on the peer may be as good as this element, so the right to be alone ends. */
  offered(): void {
    this.#mayBeAlone = false;
  }

  /** The peer's element is `uptodate` now. */
  settled(): void {
    this.#session?.fetches.begin();
    this.#reads.peerChanged();
  }

  /** The data link is lost (rules write.inflight, serve.fresh). */
  lost(): void {
    if (!this.#session && !this.#ahead) return;
    this.#ahead = false;
    this.#part();
    if (this.#drained.length > 0) {
      this.accept();
      this.#tellDrained(false);
    }
    if (this.#mayBeAlone) this.#completeAlone();
    this.#options.handlers.changed();
  }

  /** From now on requests complete without the peer. */
  alone(): void {
    if (!this.#serving || this.#session) return;
    this.#mayBeAlone = true;
    this.#goOnAlone();
  }

  /** The connected peer has durably recorded that it is behind: nothing more is sent to it (rule write.congested). */
  pulledAhead(): void {
    if (!this.#serving || !this.#session) return;
    this.#part();
    this.#ahead = true;
    this.#goOnAlone();
  }

  /** Something changed that may let requests go on: room in a window, a lease, a read lock. */
  resume(): void {
    this.#replies.release();
    this.#reads.room();
    this.#pump();
  }

  /** Requests inside, for status and bounds. */
  get inside(): number {
    return this.#queue.length + this.#issued.size + this.#reads.inside + this.#replies.inside;
  }

  read(offsetBytes: number, into: Uint8Array, done: Done): void {
    if (!this.#admit(done)) return;
    const startedMs = this.#options.counters.nowMs();
    if (!this.#reads.read({ counts: 'read', startedMs, offsetBytes, lengthBytes: into.byteLength, into, done })) this.#mint();
  }

  write(offsetBytes: number, bytes: Uint8Array, options: WriteOptions, done: Done): void {
    if (this.#admit(done)) this.#take(newRequest('write', { offsetBytes, bytes, fua: options.fua === true, done }));
  }

  writeZeroes(offsetBytes: number, lengthBytes: number, options: ZeroesOptions, done: Done): void {
    const { fua = false, noHole = false } = options;
    if (this.#admit(done)) this.#take(newRequest('zeroes', { offsetBytes, lengthBytes, fua, noHole, done }));
  }

  /** Zeroes that are counted as what they were asked for. */
  trim(offsetBytes: number, lengthBytes: number, done: Done): void {
    if (this.#admit(done)) this.#take(newRequest('zeroes', { counts: 'trim', offsetBytes, lengthBytes, done }));
  }

  flush(done: Done): void {
    if (this.#admit(done)) this.#take(newRequest('flush', { done }));
  }

  #take(request: Request): void {
    request.startedMs = this.#options.counters.nowMs();
    this.#queue.push(request);
    this.#pump();
  }

  #admit(done: Done): boolean {
    if (!this.#accepting) done(new HotMirrorError('HM_NOT_SERVING', 'this node does not serve the mirror'));
    else if (this.inside >= this.#options.queuedRequests) done(new HotMirrorError('HM_BUSY', `${String(this.inside)} requests wait`));
    else return true;
    this.#options.counters.refusedRequests += 1;
    return false;
  }

  #pump(): void {
    if (this.#pumping) return;
    this.#pumping = true;
    for (let head = this.#queue[0]; head && this.#mayIssue(head); head = this.#queue[0]) {
      this.#queue.shift();
      this.#issue(head);
    }
    this.#pumping = false;
    this.#work?.pump();
  }

  #mayIssue(request: Request): boolean {
    if (!this.#maySend() || !(this.#session || this.#generation.mayChange(() => this.#pump()))) return false;
    const { kind, offsetBytes, lengthBytes } = request;
    if (this.#session?.isCongested(request)) this.#work?.congested();
    if (this.#session && (!this.#session.hasRoom(request) || this.#work?.locks(offsetBytes, lengthBytes))) return false;
    if (kind !== 'flush' && this.#options.activity.missing(offsetBytes, lengthBytes).length > 0) {
      this.#intents.log();
      return false;
    }
    return true;
  }

  /** Whether requests may be carried out now: to both elements, or by this one alone. */
  #maySend(): boolean {
    if (!this.#serving) return false;
    return this.#session !== null || ((this.#mayBeAlone || this.#ahead) && (!this.#frozen || this.#generation.done));
  }

  #issue(request: Request): void {
    this.#issued.add(request);
    request.local = 1;
    if (this.#session) this.#sendToPeer(request, this.#session);
    else request.single = true;
    const { kind, offsetBytes, lengthBytes, bytes, fua, noHole } = request;
    const done: Done = (error) => this.#localDone(request, error);
    const { activity, store, device } = this.#options;
    if (kind === 'flush') {
      device.flush(done);
      return;
    }
    activity.issued(offsetBytes, lengthBytes);
    this.#reads.issued(offsetBytes, lengthBytes);
    if (!this.#session) store.dirty.markRange(offsetBytes, lengthBytes);
    if (this.#ahead) this.#options.counters.ahead.bytes += lengthBytes;
    if (kind === 'zeroes') device.writeZeroes(offsetBytes, lengthBytes, { fua, noHole }, done);
    else device.write(offsetBytes, bytes, { fua }, done);
  }

  #sendToPeer(request: Request, session: SourceSession): void {
    const step = (): void => {
      if (session !== this.#session || request.remote === 0) return;
      request.remote -= 1;
      this.#advance(request);
    };
    const held = (sequence: number): void => {
      if (session === this.#session) request.sequence = sequence;
      step();
    };
    const flushes = request.kind === 'flush' || request.fua;
    // All of them first: by async a write is held before its call returns.
    request.remote = (request.kind === 'flush' ? 0 : 1) + (flushes ? 1 : 0);
    if (request.kind === 'write') session.write(request.offsetBytes, request.bytes, held);
    if (request.kind === 'zeroes') session.zeroes(request, held);
    if (flushes) session.flush(step);
  }

  #localDone(request: Request, error: HotMirrorError | null): void {
    request.local -= 1;
    if (error) {
      request.error ??= error;
      markDiffering(request, this.#options.store.dirty, this.#work);
      if (error.code !== 'HM_NO_SPACE') this.#options.handlers.failed(error);
      else if (request.kind !== 'flush' && this.#session && !this.#work?.copying) this.#options.handlers.differing();
    }
    this.#advance(request);
  }

  #advance(request: Request): void {
    if (request.local > 0 || request.remote > 0 || !this.#issued.has(request)) return;
    if (!request.error && request.single && !this.#generation.done) {
      this.#awaitingMint.push(request);
      this.#mint();
      return;
    }
    this.#issued.delete(request);
    this.#session?.completed(request.sequence);
    if (request.kind !== 'flush') this.#options.activity.finished(request.offsetBytes, request.lengthBytes);
    this.#replies.reply(request, request.error);
    this.#intents.requestFinished();
    this.#reads.retry();
  }

  /** Nothing is sent on this connection any more: what it has not confirmed is dirty (rule write.inflight). */
  #part(): void {
    const session = this.#session;
    this.#session = this.#work = null;
    if (!session) return;
    for (const extent of session.unconfirmed()) this.#options.store.dirty.mark(extent);
    lackAgain(this.#issued, session);
    this.#intents.sessionLost();
    this.#reads.lost();
  }

  #goOnAlone(): void {
    this.#completeAlone();
    this.#reads.peerChanged();
    this.#mint();
    this.#replies.release();
    this.#options.handlers.changed();
    this.#pump();
  }

  #completeAlone(): void {
    for (const request of this.#issued) {
      if (request.remote === 0 && !request.single) continue;
      request.remote = 0;
      request.single = true;
      if (request.kind !== 'flush') this.#options.store.dirty.markRange(request.offsetBytes, request.lengthBytes);
      this.#advance(request);
    }
  }

  #mint(): void {
    if (this.#frozen || (this.#awaitingMint.length === 0 && !(this.#reads.waiting && this.#needsMint()))) return;
    this.#generation.mint(this.#issued.size === 0, () => {
      for (const request of this.#awaitingMint.splice(0)) this.#advance(request);
      this.#reads.retry();
      this.#mint();
      this.#pump();
    });
  }

  /** Rule serve.lease. */
  #owns(): boolean {
    return this.#serving && (this.#mayBeAlone || this.#options.lease.valid());
  }

  #needsMint(): boolean {
    return (this.#mayBeAlone || this.#ahead) && !this.#session && !this.#generation.done;
  }

  #peerHelp(): PeerHelp {
    if (!this.#serving) return 'none';
    if (this.#session) return connectedHelp(this.#session, this.#work?.copying === true);
    return this.#mayBeAlone ? 'none' : 'away';
  }

  #overlapsUnfinished(offsetBytes: number, lengthBytes: number): boolean {
    return [this.#issued, this.#queue].some((requests) => overlapsAny(requests, offsetBytes, lengthBytes));
  }

  /** Flushes both elements; this one while alone, where the durable dirty map takes the place of the other's flush. */
  #flushBoth(): Promise<void> {
    const session = this.#session;
    // What the target holds durably may lie in this node's cache alone: a power cut would take it unsaid.
    if (!session) return flushElement(this.#options.device);
    return Promise.all([flushElement(this.#options.device), this.#intents.sessionFlush(session)]).then(() => undefined);
  }

  #checkDrained(): void {
    if (this.#drained.length > 0 && this.inside === 0) this.#tellDrained(true);
  }

  #tellDrained(drained: boolean): void {
    for (const resolve of this.#drained.splice(0)) resolve(drained);
  }
}
