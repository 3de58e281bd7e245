import type { DeviceCapabilities, Done } from '../../src/device/block-device.ts';
import { HotMirrorError } from '../../src/errors.ts';
import type { MirrorView, OutdateOrder } from '../../src/failover/ports.ts';
import { Counters } from '../../src/mirror/counters.ts';
import type { MirrorCounters } from '../../src/mirror/counters.ts';
import type { MirrorProtocol } from '../../src/mirror/options.ts';
import type { RegenerateOrder, VerifyOrder, VerifyOutcome } from '../../src/mirror/regenerate.ts';
import type { ResyncRateLimits } from '../../src/mirror/resync-rate.ts';
import type { Growth } from '../../src/mirror/grow.ts';
import type { HostedMirror } from '../../src/node/mirror-host.ts';
import { VirtualClock } from '../../src/testing/virtual-clock.ts';

/** A mirror that records what it is told; `doubt('refuse')` is refused and `doubt('die')` ends its thread. */
export class FakeMirror implements HostedMirror {
  readonly name: string = 'files';
  readonly sizeBytes: number = 4096;
  readonly blockSizeBytes: number = 512;
  readonly capabilities: DeviceCapabilities = { synchronous: true, trim: false, punchHole: false, exclusive: true };
  readonly orders: unknown[] = [];
  /** Copies and compares without end. */
  hold = false;
  readonly #content: Uint8Array = new Uint8Array(4096);
  readonly #listeners: Set<() => void> = new Set();
  #view: MirrorView = {
    name: 'files',
    sizeBytes: 4096,
    role: 'none',
    connection: 'connecting',
    serving: 'no',
    element: 'consistent',
    peerElement: 'absent',
    epoch: { number: 0, owner: '' },
    currentId: 'a',
    connectionId: null,
    handshaking: false,
    lostAtMs: null,
    canRollBack: false,
    split: null,
    peerBehind: false,
    dirtyBytes: 0,
    resync: null,
  };

  state(): MirrorView {
    return this.#view;
  }

  async grow(): Promise<Growth> {
    await this.#ordered('grow');
    return { sizeBytes: 8192, grownBytes: 4096, room: { ownBytes: 8192, peerBytes: 8192 } };
  }

  counters(): MirrorCounters {
    const queues = { inside: 0, windowBytes: 0, resyncWindowBytes: 0, lagBytes: 0, unconfirmedMs: 0 };
    return new Counters(new VirtualClock()).summary({ queues, activityLog: { regions: 0, capacity: 256 } });
  }

  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  change(changes: Partial<MirrorView>): void {
    this.#view = { ...this.#view, ...changes };
    for (const tell of this.#listeners) tell();
  }

  async #ordered(order: unknown, changes: Partial<MirrorView> = {}): Promise<void> {
    await Promise.resolve();
    this.orders.push(order);
    this.change(changes);
  }

  open(): Promise<void> {
    return this.#ordered('open');
  }

  promote(order: Parameters<HostedMirror['promote']>[0]): Promise<void> {
    return this.#ordered(order, { role: 'source', serving: 'yes', epoch: order.epoch });
  }

  async demote(): Promise<{ readonly handedOver: boolean }> {
    await this.#ordered('demote', { role: 'none', serving: 'no' });
    return { handedOver: true };
  }

  async seal(): Promise<MirrorView> {
    await this.#ordered('seal');
    return this.#view;
  }

  unseal(): Promise<void> {
    return this.#ordered('unseal');
  }

  goAlone(order: Parameters<HostedMirror['goAlone']>[0]): Promise<void> {
    return this.#ordered(order, { serving: 'alone' });
  }

  outdate(order: OutdateOrder): Promise<void> {
    return this.#ordered(order, { element: 'outdated' });
  }

  doubt(because: string): Promise<void> {
    if (because === 'refuse') return Promise.reject(new HotMirrorError('HM_REFUSED', 'no', { rule: 'element.start' }));
    if (because === 'die') process.exit(7);
    return this.#ordered(because);
  }

  resolve(order: Parameters<HostedMirror['resolve']>[0]): Promise<void> {
    return this.#ordered(order);
  }

  rollBack(): Promise<void> {
    return this.#ordered('rollBack');
  }

  raiseEpoch(epoch: Parameters<HostedMirror['raiseEpoch']>[0]): Promise<void> {
    return this.#ordered(epoch, { epoch });
  }

  renewLease(evidence: { readonly probeSentMs: number }): void {
    this.orders.push(evidence);
  }

  async regenerate({ full = false, signal }: RegenerateOrder): Promise<boolean> {
    await this.#ordered({ regenerate: full });
    if (this.hold) await this.#givenUp(signal);
    return full;
  }

  async verify({ repair = false, signal }: VerifyOrder): Promise<VerifyOutcome> {
    await this.#ordered({ verify: repair });
    if (this.hold) await this.#givenUp(signal);
    return { comparedBytes: 4096, differingBytes: 512, unreadableBytes: 0, extents: [{ first: 0, count: 1 }], repaired: repair };
  }

  #givenUp(signal: AbortSignal | undefined): Promise<never> {
    return new Promise((_resolve, reject) => {
      signal?.addEventListener('abort', () => {
        this.orders.push('given up');
        reject(new HotMirrorError('HM_ABORTED', 'given up'));
      });
    });
  }

  waiveFindings(because: string): void {
    if (because === 'refuse') throw new HotMirrorError('HM_REFUSED', 'the peer is not connected', { rule: 'verify' });
    this.orders.push({ waive: because });
  }

  pauseResync(because: string): void {
    this.change({ resyncPaused: because });
  }

  resumeResync(): void {
    this.change({ resyncPaused: null });
  }

  configureResync(limits: Partial<ResyncRateLimits>): void {
    this.orders.push(limits);
  }

  setElement(wish: 'off' | 'on'): Promise<void> {
    return this.#ordered(wish, { element: wish === 'off' ? 'off' : 'outdated' });
  }

  setProtocol(protocol: MirrorProtocol): Promise<void> {
    return this.#ordered({ protocol }, { protocol });
  }

  leave(): Promise<void> {
    return this.#ordered('leave');
  }

  close(): Promise<void> {
    return this.#ordered('close');
  }

  read(offsetBytes: number, into: Uint8Array, done: Done): void {
    into.set(this.#content.subarray(offsetBytes, offsetBytes + into.length));
    done(null);
  }

  write(offsetBytes: number, from: Uint8Array, _options: unknown, done: Done): void {
    if (offsetBytes + from.length > this.sizeBytes) {
      done(new HotMirrorError('HM_OUT_OF_RANGE', 'beyond the end'));
      return;
    }
    this.#content.set(from, offsetBytes);
    done(null);
  }

  flush(done: Done): void {
    this.orders.push('flush');
    done(null);
  }

  trim(_offsetBytes: number, _lengthBytes: number, done: Done): void {
    done(null);
  }

  writeZeroes(_offsetBytes: number, _lengthBytes: number, _options: unknown, done: Done): void {
    done(null);
  }
}
