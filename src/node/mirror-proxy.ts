import { noEpoch } from '../epoch.ts';
import type { Epoch } from '../epoch.ts';
import { HotMirrorError } from '../errors.ts';
import type { MirrorPort, MirrorView, OutdateOrder, ParkedOn, ResolveOrder } from '../failover/ports.ts';
import type { MirrorCounters } from '../mirror/counters.ts';
import type { MirrorProtocol } from '../mirror/options.ts';
import type { RegenerateOrder, VerifyOrder, VerifyOutcome } from '../mirror/regenerate.ts';
import type { ResyncRateLimits } from '../mirror/resync-rate.ts';
import type { Growth } from '../mirror/grow.ts';
import type { KeyRenewal } from './link-keyring.ts';
import { MirrorFacts } from './mirror-facts.ts';
import type { MirrorCalls, MirrorThreadEvent, MirrorMessage, MirrorMethod, MirrorThread } from './mirror-messages.ts';

/** Calls that wait for their reply; more are refused. */
const maxPendingCalls = 4096;

interface Pending {
  readonly resolve: (result: unknown) => void;
  readonly reject: (error: HotMirrorError) => void;
}

/**
 * A mirror that lives in another thread, as the orchestrator (and an embedder) drives it. Messages keep their order, and each reply brings the state after its call.
 * When the thread ends unasked, everything pending and everything after rejects with `HM_THREAD_DIED`, and the state is that of a failed element that serves nothing.
 */
export class MirrorProxy implements MirrorPort {
  readonly name: string;
  readonly #thread: MirrorThread;
  readonly #pending: Map<number, Pending> = new Map();
  readonly #changeListeners: Set<() => void> = new Set();
  readonly #eventListeners: Set<(event: MirrorThreadEvent) => void> = new Set();
  readonly #heardListeners: Set<(atMs: number) => void> = new Set();
  readonly #deathListeners: Set<(error: HotMirrorError) => void> = new Set();
  #view: MirrorView | null = null;
  readonly #facts = new MirrorFacts();
  #nextId = 1;
  #end: HotMirrorError | null = null;
  #closing: Promise<void> | null = null;
  #leaseInFlight = false;
  #nextLease: { readonly probeSentMs: number } | null = null;

  private constructor(name: string, thread: MirrorThread) {
    this.name = name;
    this.#thread = thread;
    thread.onMessage((message) => this.#received(message));
    thread.onEnd((because) => this.#ended(because));
  }

  /**
   * Opens the mirror in its thread; `onEvent` hears also what the mirror tells while it opens, `epoch` is that of the pair record. Rejects as the mirror's `open` does; then the thread has ended.
   */
  static async open(
    name: string,
    thread: MirrorThread,
    onEvent?: (event: MirrorThreadEvent) => void,
    epoch: Epoch = noEpoch,
  ): Promise<MirrorProxy> {
    const proxy = new MirrorProxy(name, thread);
    if (onEvent) proxy.onEvent(onEvent);
    try {
      await proxy.#call('open', { epoch });
      proxy.state();
      return proxy;
    } catch (error) {
      proxy.#end ??= closed(name);
      await thread.terminate();
      throw error;
    }
  }

  state(): MirrorView {
    if (!this.#view) throw new HotMirrorError('HM_INTERNAL', `mirror ${this.name} was opened without a state`);
    return this.#view;
  }

  /** By which others can use it now; null while they cannot. */
  get exportUri(): string | null {
    return this.#facts.exportUri;
  }

  /** @internal What its events say of it beside its state. */
  get facts(): Readonly<Omit<MirrorFacts, 'note' | 'threadEnded'>> {
    return this.#facts;
  }

  onChange(listener: () => void): () => void {
    return subscribe(this.#changeListeners, listener);
  }

  /** Calls back with each event of the mirror; returns how to stop that. */
  onEvent(listener: (event: MirrorThreadEvent) => void): () => void {
    return subscribe(this.#eventListeners, listener);
  }

  /** Calls back when the thread ends unasked; returns how to stop that. */
  onDeath(listener: (error: HotMirrorError) => void): () => void {
    return subscribe(this.#deathListeners, listener);
  }

  /** Calls back with each sign of life of the peer on the data link; returns how to stop that. */
  onHeard(listener: (atMs: number) => void): () => void {
    return subscribe(this.#heardListeners, listener);
  }

  async promote(order: Parameters<MirrorPort['promote']>[0]): Promise<void> {
    await this.#call('promote', order);
  }

  demote(): Promise<{ readonly handedOver: boolean }> {
    return this.#call('demote', null);
  }

  seal(parked: ParkedOn | null = null): Promise<MirrorView> {
    return this.#call('seal', parked);
  }

  async unseal(): Promise<void> {
    await this.#call('unseal', null);
  }

  async goAlone(order: Parameters<MirrorPort['goAlone']>[0]): Promise<void> {
    await this.#call('goAlone', order);
  }

  /** As `MirrorPort.outdate`. */
  async outdate(order: OutdateOrder): Promise<void> {
    await this.#call('outdate', order);
  }

  /** As `MirrorPort.resolve`. */
  async resolve(order: ResolveOrder): Promise<void> {
    await this.#call('resolve', order);
  }

  async rollBack(): Promise<void> {
    await this.#call('rollBack', null);
  }

  async doubt(because: string): Promise<void> {
    await this.#call('doubt', because);
  }

  async raiseEpoch(epoch: Parameters<MirrorPort['raiseEpoch']>[0]): Promise<void> {
    await this.#call('raiseEpoch', epoch);
  }

  /** Sends the latest evidence; while the thread has one in hand, only the latest of those that follow waits. */
  renewLease(evidence: { readonly probeSentMs: number }): void {
    if (this.#end) return;
    if (this.#leaseInFlight) {
      this.#nextLease = evidence;
      return;
    }
    this.#leaseInFlight = true;
    const next = (): void => {
      this.#leaseInFlight = false;
      const waiting = this.#nextLease;
      this.#nextLease = null;
      if (waiting) this.renewLease(waiting);
    };
    this.#call('renewLease', evidence).then(next, next);
  }

  /** As `MirrorLink.regenerate`. */
  regenerate({ full = false, signal }: RegenerateOrder = {}): Promise<boolean> {
    return this.#callUntil(signal, 'regenerate', { full });
  }

  /** As `MirrorLink.verify`. */
  verify({ repair = false, signal }: VerifyOrder = {}): Promise<VerifyOutcome> {
    return this.#callUntil(signal, 'verify', { repair });
  }

  /** As `MirrorLink.waiveFindings`. */
  async waiveFindings(because: string): Promise<void> {
    await this.#call('waiveFindings', because);
  }

  /** As `MirrorLink.pauseResync`. */
  async pauseResync(because: string): Promise<void> {
    await this.#call('pauseResync', because);
  }

  /** As `MirrorLink.resumeResync`. */
  async resumeResync(): Promise<void> {
    await this.#call('pauseResync', null);
  }

  /** As `MirrorLink.configureResync`. */
  async configureResync(limits: Partial<ResyncRateLimits>): Promise<void> {
    await this.#call('configureResync', limits);
  }

  /** As `MirrorLink.setProtocol`. */
  async setProtocol(protocol: MirrorProtocol): Promise<void> {
    await this.#call('setProtocol', protocol);
  }

  async setElement(wish: 'off' | 'on'): Promise<void> {
    await this.#call('setElement', wish);
  }

  /** @internal The next connection of the data link uses these keys. */
  async renewKeys(renewal: KeyRenewal): Promise<void> {
    await this.#call('renewKeys', renewal);
  }

  async leave(): Promise<void> {
    await this.#call('leave', null);
  }

  /** Reads from the serving mirror. */
  read(offsetBytes: number, lengthBytes: number): Promise<Uint8Array> {
    return this.#call('read', { offsetBytes, lengthBytes });
  }

  /** Writes to the serving mirror. The bytes are given away where they fill a buffer of their own, else copied. */
  async write(offsetBytes: number, bytes: Uint8Array, { fua = false }: { readonly fua?: boolean } = {}): Promise<void> {
    const whole = bytes.byteLength === bytes.buffer.byteLength && bytes.buffer instanceof ArrayBuffer;
    const own = whole ? (bytes as Uint8Array<ArrayBuffer>) : new Uint8Array(bytes);
    await this.#call('write', { offsetBytes, bytes: own, fua }, [own.buffer]);
  }

  /** Makes everything written before durable on both elements. */
  async flush(): Promise<void> {
    await this.#call('flush', null);
  }

  /** What the mirror has done since it was opened, and what waits in it now. */
  counters(): Promise<MirrorCounters> {
    return this.#call('counters', null);
  }

  /** Makes the mirror as large as both devices are by now (rule lineage.grow). */
  grow(): Promise<Growth> {
    return this.#call('grow', null);
  }

  /** Closes the mirror, then ends its thread. Closing again resolves too. */
  close(): Promise<void> {
    this.#closing ??= this.#end ? Promise.resolve() : this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    const closing = this.#call('close', null);
    this.#end = closed(this.name);
    try {
      await closing;
    } finally {
      await this.#thread.terminate();
    }
  }

  /** A call that is given up when the signal aborts; its reply is awaited all the same. */
  async #callUntil<Method extends 'regenerate' | 'verify'>(
    signal: AbortSignal | undefined,
    method: Method,
    params: MirrorCalls[Method]['params'],
  ): Promise<MirrorCalls[Method]['result']> {
    if (signal?.aborted) throw new HotMirrorError('HM_ABORTED', 'given up', { cause: signal.reason });
    const id = this.#nextId;
    const called = this.#call(method, params);
    const giveUp = (): void => void this.#call('giveUp', id).catch(() => undefined);
    signal?.addEventListener('abort', giveUp, { once: true });
    try {
      return await called;
    } finally {
      signal?.removeEventListener('abort', giveUp);
    }
  }

  #call<Method extends MirrorMethod>(
    method: Method,
    params: MirrorCalls[Method]['params'],
    transfer: readonly ArrayBuffer[] = [],
  ): Promise<MirrorCalls[Method]['result']> {
    if (this.#end) return Promise.reject(this.#end);
    if (this.#pending.size >= maxPendingCalls)
      return Promise.reject(new HotMirrorError('HM_BUSY', `mirror ${this.name} has too many calls waiting`));
    const id = this.#nextId;
    this.#nextId += 1;
    return new Promise((resolve, reject) => {
      this.#pending.set(id, { resolve: resolve as (result: unknown) => void, reject });
      this.#thread.post({ id, method, params }, transfer);
    });
  }

  #received(message: MirrorMessage): void {
    switch (message.kind) {
      case 'reply': {
        const pending = this.#pending.get(message.id);
        this.#pending.delete(message.id);
        if (message.view) this.#changed(message.view);
        if (message.ok) pending?.resolve(message.result);
        else pending?.reject(HotMirrorError.fromJSON(message.error));
        return;
      }
      case 'view':
        this.#changed(message.view);
        return;
      case 'event':
        this.#facts.note(message.event);
        for (const tell of this.#eventListeners) tell(message.event);
        return;
      case 'heard':
        for (const tell of this.#heardListeners) tell(message.atMs);
    }
  }

  #changed(view: MirrorView): void {
    this.#view = view;
    for (const tell of this.#changeListeners) tell();
  }

  #ended(because: string): void {
    const error = new HotMirrorError('HM_THREAD_DIED', `the thread of mirror ${this.name} ended: ${because}`);
    const asked = this.#end !== null;
    this.#end ??= error;
    for (const { reject } of this.#pending.values()) reject(error);
    this.#pending.clear();
    this.#facts.threadEnded(error.message);
    if (asked || !this.#view) return;
    for (const tell of this.#deathListeners) tell(error);
    this.#changed({ ...this.#view, role: 'none', connection: 'standalone', serving: 'no', element: 'failed', resync: null });
  }
}

function closed(name: string): HotMirrorError {
  return new HotMirrorError('HM_CLOSED', `mirror ${name} is closed`);
}

function subscribe<Listener>(listeners: Set<Listener>, listener: Listener): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}
