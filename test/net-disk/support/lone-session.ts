import type { BlockDevice } from '../../../src/device/block-device.ts';
import { ChunkPool } from '../../../src/net-disk/chunk-pool.ts';
import type { Chunk } from '../../../src/net-disk/chunk-pool.ts';
import type { HagglingHost } from '../../../src/net-disk/haggling.ts';
import { netDiskLimits } from '../../../src/net-disk/limits.ts';
import type { NetDiskLimits } from '../../../src/net-disk/limits.ts';
import type { NetDiskExport } from '../../../src/net-disk/net-disk-export.ts';
import { baseAllocation, options } from '../../../src/net-disk/protocol.ts';
import { Session } from '../../../src/net-disk/session.ts';
import { VirtualClock } from '../../../src/testing/virtual-clock.ts';
import { bytesOf, clientFlags, go, named, option } from './nbd-bytes.ts';
import { ServerBytes } from './nbd-replies.ts';

/** How a {@link LoneSession} is made. */
export interface LoneSessionOptions {
  readonly exports: readonly NetDiskExport[];
  readonly limits?: Partial<NetDiskLimits>;
  readonly tls?: HagglingHost['tls'];
  readonly chunkBytes?: number;
}

/** A pool that knows what it has given out. */
class CountingPool extends ChunkPool {
  lentBytes = 0;
  mostLentBytes = 0;

  override take(): Chunk {
    this.lentBytes += this.chunkBytes;
    this.mostLentBytes = Math.max(this.mostLentBytes, this.lentBytes);
    return super.take();
  }

  override give(chunk: Chunk): void {
    this.lentBytes -= this.chunkBytes;
    super.give(chunk);
  }
}

/** One client's session without a socket: what is fed to it goes where it wants it, and what it sends is kept. */
export class LoneSession {
  readonly clock: VirtualClock = new VirtualClock();
  readonly received: ServerBytes = new ServerBytes();
  readonly session: Session;
  readonly pool: CountingPool;
  /** Why it ended; undefined: it did not. */
  ended: string | null | undefined = undefined;
  /** How the wire was ended; null: it was not. */
  wireEnded: 'end' | 'destroy' | null = null;
  /** It takes no bytes now. */
  stopped = false;
  closing = false;
  full = false;
  /** What is sent stays in memory until `drain`. */
  slow = false;
  secure: ((problem: string | null) => void) | null = null;
  #kept: Uint8Array[] = [];

  constructor({ exports, limits, tls = 'none', chunkBytes = 2 ** 20 }: LoneSessionOptions) {
    const all = netDiskLimits(limits);
    this.pool = new CountingPool({ chunkBytes, keptBytes: 4 * chunkBytes });
    this.session = new Session({
      host: {
        exports: () => exports,
        find: (name) => exports.find((one) => one.name === name) ?? null,
        closing: () => this.closing,
        full: () => this.full,
        ...{ tls, limits: all },
      },
      limits: all,
      clock: this.clock,
      pool: this.pool,
      wire: {
        send: (parts) => this.#send(parts),
        resume: () => (this.stopped = false),
        startTls: (done) => (this.secure = done),
        end: () => (this.wireEnded ??= 'end'),
        destroy: () => (this.wireEnded ??= 'destroy'),
      },
      ended: (because) => (this.ended = because),
      entered: () => undefined,
    });
    this.session.begin();
  }

  /** One that uses this device already. */
  static using(
    device: BlockDevice,
    rest: Partial<LoneSessionOptions> & { readonly structured?: boolean; readonly readOnly?: boolean; readonly allocation?: boolean } = {},
  ): LoneSession {
    const { structured = true, readOnly = false, allocation = false } = rest;
    const lone = new LoneSession({ ...rest, exports: [{ name: 'd', device, readOnly }] });
    lone.feed(clientFlags);
    if (structured) lone.feed(option(options.structuredReply));
    if (allocation) lone.feed(option(options.setMetaContext, bytesOf(named('d'), [32, 1], named(baseAllocation))));
    lone.feed(go('d'));
    lone.received.take(lone.received.left);
    return lone;
  }

  /** Gives it bytes, at most so many at a time, as long as it takes them; returns how many it took. */
  feed(bytes: Uint8Array, atOnceBytes = Infinity): number {
    let at = 0;
    while (at < bytes.byteLength && !this.stopped && this.wireEnded === null) {
      const room = this.session.buffer();
      const length = Math.min(room.byteLength, bytes.byteLength - at, atOnceBytes);
      room.set(bytes.subarray(at, at + length));
      at += length;
      this.stopped = !this.session.filled(length);
    }
    return at;
  }

  /** What was sent has left. */
  drain(): void {
    for (const part of this.#kept.splice(0)) this.received.add(part);
    this.session.sent();
  }

  #send(parts: readonly Uint8Array[]): boolean {
    for (const part of parts)
      if (this.slow) this.#kept.push(part);
      else this.received.add(part);
    return !this.slow;
  }
}
