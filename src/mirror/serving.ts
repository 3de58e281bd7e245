import type { Done } from '../device/block-device.ts';
import { HotMirrorError } from '../errors.ts';
import { Admission } from './admission.ts';
import { Aftermath } from './aftermath.ts';
import { AheadState } from './ahead-state.ts';
import { Diskless } from './diskless.ts';
import { Intake } from './intake.ts';
import { IntentLog, neededRegions } from './intent-log.ts';
import { localFailed } from './local-failure.ts';
import { Mint } from './mint.ts';
import { helpOf } from './read-repair.ts';
import { Reads } from './reads.ts';
import { Replies } from './replies.ts';
import { lackAgain, sendRequest } from './request.ts';
import type { Request } from './request.ts';
import type { ServingOptions } from './serving-options.ts';
import type { SourceSession } from './source.ts';
import type { ServingState } from './state.ts';
import type { StreamWork } from './stream-work.ts';

/** The serving side of a mirror: takes the application's requests to both elements and decides, request by request, when each is complete (rules write.both, write.flush, write.order, write.intent, write.degraded, serve.fresh, serve.lease). */
export class Serving {
  /** Whether this node's element has failed, and the peer's alone is served through. */
  readonly diskless: Diskless = new Diskless();
  /** Whether the peer durably knows that it is behind: then requests complete without it (rule write.congested). */
  readonly ahead: AheadState = new AheadState();
  readonly reads: Reads;
  /** Where the application's requests come in. */
  readonly intake: Intake;
  readonly #options: ServingOptions;
  readonly #intents: IntentLog;
  #serving = false;
  /** Completing without the peer is allowed: by a takeover or by rule **alone**, until the lineage is offered to the peer. */
  #mayBeAlone = false;
  #frozen = false;
  #session: SourceSession | null = null;
  #work: StreamWork | null = null;
  /** Writes and flushes not yet issued, in order. */
  readonly #queue: Request[] = [];
  /** Issued and not complete, in the order issued. */
  readonly #issued = new Set<Request>();
  readonly #replies: Replies;
  #awaitingMint: Request[] = [];
  readonly #generation: Mint;
  #pumping = false;
  readonly #admission: Admission;
  readonly #aftermath = new Aftermath(() => this.#options.hasFailed() || (this.#issued.size === 0 && this.reads.rewrites === 0));

  constructor(options: ServingOptions) {
    this.#options = options;
    this.#admission = new Admission({ ...options, inside: () => this.inside });
    this.#replies = new Replies({
      counters: options.counters,
      // Rule serve.lease.
      owns: () => this.#serving && (this.#mayBeAlone || options.lease.valid()),
      answered: () => this.#admission.left(),
    });
    this.reads = new Reads({
      device: options.device,
      dirty: () => options.store.dirty,
      diskless: () => this.diskless.active,
      session: () => this.#session,
      peer: () => (this.#serving ? helpOf(this.#session, this.#work?.copying === true, this.#mayBeAlone) : 'none'),
      ready: () => !this.#needsMint() && !this.diskless.waits,
      issued: this.#issued,
      queued: this.#queue,
      owns: () => this.#replies.owns,
      reply: (read, error) => this.#replies.reply(read, this.#serving ? error : new HotMirrorError('HM_NOT_SERVING', 'serving has ended')),
      repaired: (offsetBytes, lengthBytes) => options.handlers.repaired(offsetBytes, lengthBytes),
      failed: (error) => options.handlers.failed(error),
      rewritten: () => {
        this.#admission.left();
        this.#aftermath.look();
      },
    });
    this.intake = new Intake({
      admission: this.#admission,
      counters: options.counters,
      read: (read) => (this.reads.read(read) ? undefined : this.#mint()),
      take: (request) => {
        this.#queue.push(request);
        this.#pump();
      },
    });
    const failed = (error: HotMirrorError): void => options.handlers.failed(error);
    this.#generation = new Mint({ ...options, serves: () => this.#serving, minted: (id) => options.handlers.minted(id), failed });
    this.#intents = new IntentLog({
      ...options,
      needed: () => (this.#maySend() ? neededRegions(this.#queue, options.activity.capacity) : new Set()),
      session: () => this.#session,
      logged: () => this.#pump(),
      failed,
    });
  }

  get state(): ServingState {
    if (!this.#serving) return 'no';
    if (this.#session || this.ahead.active) return 'yes';
    return this.#mayBeAlone ? 'alone' : 'parked';
  }

  /** Takes requests from now on. With `alone`, without the peer. */
  start(alone: boolean): void {
    this.#serving = true;
    this.#admission.open();
    if (alone && !this.#session) this.#mayBeAlone = true;
    this.#pump();
  }

  /** Nothing is answered well from now on, whatever becomes of the connection; `stop` is to follow. */
  cease(): void {
    this.#serving = false;
    this.#admission.close();
    this.#mayBeAlone = false;
    this.ahead.end();
  }

  /** Ends serving at once: every request inside fails with this error, as soon as its buffer is free. */
  stop(error: HotMirrorError): void {
    this.cease();
    this.#replies.fail([...this.#queue.splice(0), ...this.reads.stop()], error);
    this.#awaitingMint = [];
    if (!this.diskless.rested) this.diskless.end();
    for (const request of this.#issued) {
      request.error ??= error;
      request.remote = 0;
      this.#advance(request);
    }
    // What a failed element still has changes nothing any more.
    this.#aftermath.look();
  }

  /** Resolves when this node's element has nothing more of a service that has ended; null: it has nothing. What fails before that makes a difference, which nobody would look for (rule write.error). */
  aftermath(): Promise<void> | null {
    return this.#aftermath.gone();
  }

  /** Stops taking requests and resolves true when none is left inside; false, and taking requests again, when the peer is lost first. */
  drain(): Promise<boolean> {
    return this.#admission.drain();
  }

  /** Takes requests again after `drain`. */
  accept(): void {
    if (this.#serving) this.#admission.open();
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
    this.ahead.end();
    this.#awaitingMint = [];
    // What is sent again goes before anything that is new.
    this.#pumping = true;
    for (const request of this.#issued) {
      // It has failed here already and is not sent again: nothing is left to wait for.
      if (request.error) {
        request.remote = 0;
        this.#advance(request);
        continue;
      }
      if (request.remote === 0 && !request.single && !this.diskless.active) continue;
      request.single = false;
      this.#sendToPeer(request, session);
    }
    this.#pumping = false;
    this.#frozen = false;
    this.reads.peerChanged();
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
    this.reads.peerChanged();
    this.#pump();
  }

  /** This node's element has failed: from now on the peer's alone is served through, where that can be (rule write.error). Returns whether it is so. */
  detach(error: HotMirrorError, recorded: Promise<boolean>): boolean {
    const session = this.#session;
    if (!this.#serving || !session?.mayDetach || this.#options.store.dirty.count > 0) return false;
    const { store, newGeneration, handlers } = this.#options;
    for (const request of this.#issued) request.error = null;
    const generation = newGeneration();
    this.diskless.begin({
      ...{ session, work: this.#work, generation, error, recorded },
      differ: () => store.dirty.count > 0,
      confirmed: () => {
        handlers.minted(generation);
        for (const request of this.#issued) this.#advance(request);
        this.reads.peerChanged();
        this.#pump();
      },
      bereft: (because) => this.peerFailed(because),
    });
    return true;
  }

  /** The peer's element has failed too, or its connection ended before it confirmed that it holds everything. */
  peerFailed(because = 'neither element holds everything for sure'): void {
    const error = this.diskless.takeError();
    if (error) this.#options.handlers.bereft(error, because);
  }

  /** The data link is lost (rules write.inflight, serve.fresh). */
  lost(): void {
    if (!this.#session && !this.ahead.active) return;
    this.ahead.lost();
    this.#part();
    if (!this.#serving) this.diskless.end();
    this.#admission.giveUp();
    if (this.#mayBeAlone) this.#completeAlone();
    if (this.diskless.waits) this.peerFailed();
    this.#options.handlers.changed();
  }

  /** From now on requests complete without the peer. */
  alone(): void {
    if (!this.#serving || this.#session || this.diskless.active) return;
    this.#mayBeAlone = true;
    this.#goOnAlone();
  }

  /** The connected peer has durably recorded that it is behind: nothing more is sent to it (rule write.congested). */
  pulledAhead(): void {
    if (!this.#serving || !this.#session) return;
    this.#part();
    this.ahead.begin();
    this.#goOnAlone();
  }

  /** The connection that was to follow {@link Serving.pulledAhead} has not come: it is lost as any other (rule serve.fresh). */
  apart(): void {
    this.#admission.giveUp();
    this.#options.handlers.changed();
  }

  /** Something changed that may let requests go on: room in a window, a lease, a read lock. */
  resume(): void {
    this.#replies.release();
    this.reads.room();
    this.#pump();
  }

  /** Requests inside, for status and bounds. */
  get inside(): number {
    return this.#queue.length + this.#issued.size + this.reads.inside + this.#replies.inside;
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
    if (this.reads.holdsBack(request)) return false;
    const { kind, offsetBytes, lengthBytes } = request;
    const [session, work, { active }] = [this.#session, this.#work, this.diskless];
    if (!active && session?.isCongested(request)) work?.congested();
    if (session && (!session.hasRoom(request) || (!active && work?.locks(offsetBytes, lengthBytes)))) return false;
    // Without an element there is no intent to note: everything is dirty at the peer.
    if (kind !== 'flush' && !active && !this.#options.activity.covers(offsetBytes, lengthBytes)) {
      this.#intents.log();
      return false;
    }
    return true;
  }

  /** Whether requests may be carried out now: to both elements, or by this one alone. */
  #maySend(): boolean {
    // Until the peer has made it durable that everything may differ, nothing says so of what is not in the activity log.
    if (!this.#serving || this.diskless.waits) return false;
    return this.#session !== null || ((this.#mayBeAlone || this.ahead.active) && (!this.#frozen || this.#generation.done));
  }

  #issue(request: Request): void {
    this.#issued.add(request);
    request.local = this.diskless.active ? 0 : 1;
    if (this.#session) this.#sendToPeer(request, this.#session);
    else request.single = true;
    if (this.diskless.active) return;
    const { kind, offsetBytes, lengthBytes, bytes, fua, noHole } = request;
    const done: Done = (error) => this.#localDone(request, error);
    const { activity, store, device } = this.#options;
    if (kind === 'flush') {
      device.flush(done);
      return;
    }
    activity.issued(offsetBytes, lengthBytes);
    request.logged = true;
    this.reads.issued(offsetBytes, lengthBytes);
    if (!this.#session) store.dirty.markRange(offsetBytes, lengthBytes);
    if (this.ahead.active) this.#options.counters.ahead.bytes += lengthBytes;
    if (kind === 'zeroes') device.writeZeroes(offsetBytes, lengthBytes, { fua, noHole }, done);
    else device.write(offsetBytes, bytes, { fua }, done);
  }

  #sendToPeer(request: Request, session: SourceSession): void {
    // The peer's cache is no second copy: through it alone nothing completes that is not durable there.
    const durable = request.fua || this.diskless.active;
    sendRequest(request, session, { durable, counts: () => session === this.#session, advance: () => this.#advance(request) });
  }

  #localDone(request: Request, error: HotMirrorError | null): void {
    request.local -= 1;
    const given = this.diskless.active || this.diskless.rested;
    if (error && !given) localFailed(request, error, { ...this.#options, diskless: this.diskless, work: () => this.#work });
    this.#advance(request);
  }

  #advance(request: Request): void {
    this.diskless.advance(this.#issued, (head) => this.#complete(head));
    if (this.diskless.active || request.local > 0 || request.remote > 0 || !this.#issued.has(request)) return;
    if (!request.error && request.single && !this.#generation.done) {
      this.#awaitingMint.push(request);
      this.#mint();
      return;
    }
    this.#complete(request);
  }

  #complete(request: Request): void {
    this.#issued.delete(request);
    this.#session?.completed(request.sequence);
    if (request.logged) this.#options.activity.finished(request.offsetBytes, request.lengthBytes);
    this.#replies.reply(request, request.error);
    this.#intents.requestFinished();
    this.#aftermath.look();
    if (this.reads.completed(request)) this.#pump();
  }

  /** Nothing is sent on this connection any more: what it has not confirmed is dirty (rule write.inflight). */
  #part(): void {
    const session = this.#session;
    this.#session = this.#work = null;
    if (!session) return;
    for (const extent of session.unconfirmed()) this.#options.store.dirty.mark(extent);
    lackAgain(this.#issued, session);
    this.#intents.sessionLost();
    this.reads.lost();
  }

  #goOnAlone(): void {
    this.#completeAlone();
    this.reads.peerChanged();
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
    if (this.#frozen || (this.#awaitingMint.length === 0 && !(this.reads.waiting && this.#needsMint()))) return;
    this.#generation.mint(this.#issued.size === 0, () => {
      for (const request of this.#awaitingMint.splice(0)) this.#advance(request);
      this.reads.retry();
      this.#mint();
      this.#pump();
    });
  }

  #needsMint(): boolean {
    return (this.#mayBeAlone || this.ahead.active) && !this.#session && !this.#generation.done;
  }
}
