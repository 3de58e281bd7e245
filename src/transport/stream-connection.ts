import type { Clock, Timer } from '../clock/clock.ts';
import { HotMirrorError } from '../errors.ts';
import { checkFrameLength, joined, joinInto, totalLength } from './frame-bytes.ts';
import { FrameDecoder, FrameEncoder } from './framing.ts';
import type { TransportLimits } from './limits.ts';
import { opener, sealer } from './sealing.ts';
import type { Authenticated } from './stream-handshake.ts';
import type { StreamReader } from './stream-reader.ts';
import type { Connection, Receiver } from './transport.ts';

/** What is at most so long is joined before it is written: that costs less than handing over many parts. */
const joinedBytes = 2 ** 17;

/** How frames travel, where that is not as they are. Each call counts: the other end unpacks in the order in which this one packs. */
export interface FrameForm {
  /** Bytes that a packed frame may be longer. */
  readonly overheadBytes: number;
  pack(parts: readonly Uint8Array[]): readonly Uint8Array[];
  /** Throws `HotMirrorError` where the bytes are no packed frame. */
  unpack(packed: Uint8Array): Uint8Array;
}

/** What a connection needs beside its stream. */
export interface StreamConnectionOptions {
  readonly dialled: boolean;
  readonly description: string;
  readonly clock: Clock;
  readonly limits: TransportLimits;
  readonly onBytes?: (() => void) | undefined;
  readonly form?: FrameForm;
}

/** A connection over a stream of bytes whose peer has proven itself. */
export class StreamConnection implements Connection {
  readonly id: string;
  readonly dialled: boolean;
  readonly peer: string | null;
  readonly description: string;
  readonly maxFrameBytes: number;
  readonly #reader: StreamReader;
  readonly #clock: Clock;
  readonly #limits: TransportLimits;
  readonly #onBytes: (() => void) | undefined;
  readonly #form: FrameForm | undefined;
  readonly #encoder: FrameEncoder;
  readonly #decoder: FrameDecoder;
  /** Where parts are joined; null where the stream has yet to take what is there. */
  #joined: Buffer | null = null;
  #receiver: Receiver | null = null;
  #paused = false;
  #wantsDrain = false;
  /** `closing`: by this side, in order; `over`: nothing is delivered any more; `closed`: the stream is gone as well. */
  #state: 'open' | 'closing' | 'over' | 'closed' = 'open';
  #error: HotMirrorError | null = null;
  #closeDeadline: Timer | null = null;
  readonly #whenClosed: (() => void)[] = [];

  constructor(reader: StreamReader, { outcome, rest }: Authenticated, options: StreamConnectionOptions) {
    const { maxFrameBytes } = options.limits;
    this.id = outcome.connectionId;
    this.dialled = options.dialled;
    this.peer = outcome.peer;
    this.description = options.description;
    this.maxFrameBytes = maxFrameBytes;
    this.#reader = reader;
    this.#clock = options.clock;
    this.#limits = options.limits;
    this.#onBytes = options.onBytes;
    this.#form = options.form;
    const packedBytes = maxFrameBytes + (options.form?.overheadBytes ?? 0);
    this.#encoder = new FrameEncoder(packedBytes, outcome.keys && sealer(outcome.keys.send));
    this.#decoder = new FrameDecoder(packedBytes, outcome.keys && opener(outcome.keys.receive));
    this.#decoder.feed(rest);
    reader.widen();
    this.#watch();
  }

  get pendingBytes(): number {
    return this.#reader.stream.writableLength;
  }

  receive(receiver: Receiver): void {
    if (this.#receiver) throw new TypeError('receive() is to be called once');
    this.#receiver = receiver;
    queueMicrotask(() => {
      if (this.#state === 'closed') receiver.closed(this.#error);
      else this.#flow();
    });
  }

  send(parts: readonly Uint8Array[]): boolean {
    checkFrameLength(totalLength(parts), this.maxFrameBytes);
    if (this.#state !== 'open') return false;
    const buffers = this.#encoder.frame(this.#form ? this.#form.pack(parts) : parts);
    const { highWaterBytes, pendingBytes } = this.#limits;
    const mayCrowd = this.#wantsDrain || this.pendingBytes + totalLength(buffers) > highWaterBytes;
    this.#write(buffers, mayCrowd ? this.#written : undefined);
    if (this.pendingBytes > pendingBytes) {
      this.destroy(new HotMirrorError('HM_SEND_WINDOW', `${this.description}: more than ${String(pendingBytes)} bytes pending`));
      return false;
    }
    this.#wantsDrain ||= this.pendingBytes > highWaterBytes;
    return !this.#wantsDrain;
  }

  pause(): void {
    this.#paused = true;
    if (this.#state === 'open') this.#reader.pause();
  }

  resume(): void {
    if (!this.#paused) return;
    this.#paused = false;
    queueMicrotask(() => {
      this.#flow();
    });
  }

  close(): Promise<void> {
    if (this.#state === 'closed') return Promise.resolve();
    const closed = new Promise<void>((resolve) => this.#whenClosed.push(resolve));
    if (this.#state === 'open') this.#close();
    return closed;
  }

  destroy(error?: HotMirrorError): void {
    this.#end(error ?? null);
    this.#reader.stream.destroy();
  }

  #watch(): void {
    const { stream } = this.#reader;
    this.#reader.into((chunk) => {
      this.#arrived(chunk);
    });
    stream.on('end', () => {
      const closing = this.#state === 'closing';
      if (closing && stream.writableLength === 0) this.#end(null);
      else if (closing && !this.#reader.takesAtOnce) stream.once('finish', () => this.#end(null));
      else this.#end(this.#lost('the other end is gone'));
    });
    stream.on('error', (cause) => {
      const { code, why } = this.#reader.lossOf(cause);
      this.#end(new HotMirrorError(code, `${this.description}: ${why}`, { cause }));
    });
    stream.on('close', () => {
      this.#closed();
    });
    if (stream.destroyed) {
      this.#end(this.#lost('the other end is gone'));
      queueMicrotask(() => {
        this.#closed();
      });
    }
  }

  #arrived(chunk: Uint8Array): void {
    if (this.#state !== 'open') return;
    this.#onBytes?.();
    this.#decoder.feed(chunk);
    this.#deliver();
  }

  /** Delivers what is there and lets more come. */
  #flow(): void {
    if (this.#state !== 'open' || this.#paused) return;
    this.#deliver();
    if (this.#flowing()) this.#reader.resume();
  }

  #deliver(): void {
    const receiver = this.#receiver;
    let delivered = false;
    while (receiver && this.#flowing()) {
      const frame = this.#next();
      if (!frame) break;
      delivered = true;
      receiver.frame(frame);
    }
    if (delivered && this.#state === 'open') receiver?.batchEnd?.();
    if (this.#state === 'open') this.#decoder.keep();
  }

  #next(): Uint8Array | null {
    try {
      const frame = this.#decoder.next();
      if (this.#decoder.ended) this.#finish();
      return frame && this.#form ? this.#form.unpack(frame) : frame;
    } catch (error) {
      this.#end(HotMirrorError.from(error, 'HM_PROTOCOL', this.description));
      return null;
    }
  }

  /** Pausing, closing and destroying may happen within a receiver's call. */
  #flowing(): boolean {
    return this.#state === 'open' && !this.#paused;
  }

  /** From here on nothing is delivered; what still arrives is dropped, lest the reset that unread bytes cause destroys what is pending. */
  #close(): void {
    this.#state = 'closing';
    this.#closeDeadline = this.#clock.timer(this.#limits.closeDeadlineMs, () => {
      this.#end(this.#lost('what was pending could not be sent before the deadline'));
    });
    this.#write(this.#encoder.goodbye());
    this.#reader.stream.end();
    this.#reader.resume();
  }

  /** The other end has ended in order. */
  #finish(): void {
    this.#state = 'over';
    this.#closeDeadline = this.#clock.timer(this.#limits.closeDeadlineMs, () => this.#reader.stream.destroy());
    this.#reader.finish();
  }

  #end(error: HotMirrorError | null): void {
    if (this.#state === 'over' || this.#state === 'closed') return;
    this.#state = 'over';
    this.#error = error;
    this.#reader.stream.destroy();
  }

  #closed(): void {
    if (this.#state === 'closed') return;
    this.#end(this.#lost('the connection was closed'));
    this.#state = 'closed';
    this.#closeDeadline?.cancel();
    this.#receiver?.closed(this.#error);
    for (const resolve of this.#whenClosed) resolve();
  }

  /** One system call for all parts, also of the frames that wait. */
  #write(buffers: readonly Uint8Array[], written?: () => void): void {
    const { stream } = this.#reader;
    const lengthBytes = totalLength(buffers);
    if (lengthBytes > joinedBytes || this.pendingBytes > 0) {
      const last = buffers.length - 1;
      stream.cork();
      buffers.forEach((buffer, index) => stream.write(buffer, index === last ? written : undefined));
      stream.uncork();
      return;
    }
    if (!this.#reader.takesAtOnce) {
      stream.write(joined(buffers), written);
      return;
    }
    this.#joined ??= Buffer.allocUnsafeSlow(joinedBytes);
    joinInto(this.#joined, buffers);
    stream.write(this.#joined.subarray(0, lengthBytes), written);
    if (this.pendingBytes > 0) this.#joined = null;
  }

  readonly #written = (): void => {
    if (!this.#wantsDrain || this.pendingBytes > 0 || this.#state !== 'open') return;
    this.#wantsDrain = false;
    this.#receiver?.drain?.();
  };

  #lost(why: string): HotMirrorError {
    return new HotMirrorError('HM_CONNECTION_LOST', `${this.description}: ${why}`);
  }
}
