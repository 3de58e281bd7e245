import { sleep } from '../clock/clock.ts';
import type { Clock, Timer } from '../clock/clock.ts';
import type { BlockDevice, DeviceCapabilities, Done, WriteOptions, ZeroesOptions } from '../device/block-device.ts';
import { closedError, refuseRange } from '../device/requests.ts';
import { HotMirrorError } from '../errors.ts';
import type { ErrorCode } from '../errors.ts';
import { ClientConnection } from './client-connection.ts';
import type { ServerExport } from './client-handshake.ts';
import type { NetDiskAddress } from './net-disk-address.ts';
import { parseNetDiskUri } from './net-disk-address.ts';
import { commandFlags, commands, errors } from './protocol.ts';
import { UnflushedWrites } from './unflushed-writes.ts';

/** Bounds of a {@link NetDiskDevice}; each has a default. */
export interface NetDiskDeviceLimits {
  /** Connection and handshake together. Default 5,000. */
  readonly connectDeadlineMs: number;
  /** A server that owes an answer and says nothing for that long is left, and connected anew. Default 30,000. */
  readonly silenceMs: number;
  /** How long a lost connection is tried again before every request fails, for good. Default 30,000. */
  readonly reconnectMs: number;
  /** Completed writes that are kept because no flush covers them yet; with more a flush is asked for. Default 32 MiB. */
  readonly unflushedBytes: number;
}

const defaults: NetDiskDeviceLimits = { connectDeadlineMs: 5_000, silenceMs: 30_000, reconnectMs: 30_000, unflushedBytes: 32 * 2 ** 20 };
/** Requests at the server at once. */
const mostAtOnce = 128;
/** Requests that may wait; more complete with `HM_BUSY`. */
const mostWaiting = 4096;
const retryMs = 200;

type Kind = 'read' | 'write' | 'zeroes' | 'trim' | 'flush';

/** A request on its way. */
interface Operation {
  readonly kind: Kind;
  readonly offsetBytes: number;
  readonly lengthBytes: number;
  readonly bytes: Uint8Array | null;
  readonly fua: boolean;
  readonly noHole: boolean;
  readonly done: Done;
}

const commandOf: Readonly<Record<Kind, number>> = {
  read: commands.read,
  write: commands.write,
  zeroes: commands.writeZeroes,
  trim: commands.trim,
  flush: commands.flush,
};
const failureOf: Readonly<Record<Kind, ErrorCode>> = {
  read: 'HM_IO_READ',
  write: 'HM_IO_WRITE',
  zeroes: 'HM_IO_WRITE',
  trim: 'HM_IO_WRITE',
  flush: 'HM_IO_FLUSH',
};

/**
 * An export of any NBD server as a disk. A lost connection is made anew: what no flush covers yet is written again first, for the server may have lost it, then what had no answer. A server that stays away for
 * `reconnectMs` makes every request fail, for good.
 *
 * Whether anybody else uses the export is not known here: nobody else must.
 */
export class NetDiskDevice implements BlockDevice {
  readonly sizeBytes: number;
  readonly blockSizeBytes: number;
  readonly capabilities: DeviceCapabilities;
  readonly #uri: string;
  readonly #address: NetDiskAddress;
  readonly #name: string;
  readonly #clock: Clock;
  readonly #limits: NetDiskDeviceLimits;
  readonly #exported: ServerExport;
  readonly #unflushed = new UnflushedWrites();
  /** Not asked of the server yet, in order. */
  #waiting: Operation[] = [];
  /** Asked and not answered, in the order asked. */
  readonly #asked = new Set<Operation>();
  /** Null while there is none, or while what may be lost is written again. */
  #connection: ClientConnection | null = null;
  #ownFlush = false;
  #failed: HotMirrorError | null = null;
  #closing: Promise<void> | null = null;
  #idle: () => void = () => undefined;
  #timer: Timer;

  private constructor(uri: string, connection: ClientConnection, clock: Clock, limits: NetDiskDeviceLimits) {
    const { address, name } = parseNetDiskUri(uri);
    const { exported } = connection;
    this.#uri = uri;
    this.#address = address;
    this.#name = name;
    this.#clock = clock;
    this.#limits = limits;
    this.#exported = exported;
    this.blockSizeBytes = exported.blockSizeBytes;
    this.sizeBytes = exported.sizeBytes - (exported.sizeBytes % exported.blockSizeBytes);
    this.capabilities = { synchronous: false, trim: exported.trim, punchHole: false, exclusive: false };
    this.#use(connection);
    this.#timer = this.#watch();
  }

  /**
   * Connects. Rejects with `HM_ADDRESS`, `HM_CONNECT_FAILED`, `HM_DEVICE_NOT_FOUND`, `HM_DEVICE_ACCESS`, or `HM_NOT_SUPPORTED` for a server that cannot flush, writes nothing, or wants TLS.
   */
  static async open(
    uri: string,
    { clock, limits = {} }: { readonly clock: Clock; readonly limits?: Partial<NetDiskDeviceLimits> },
  ): Promise<NetDiskDevice> {
    const { address, name, tls } = parseNetDiskUri(uri);
    if (tls) throw new HotMirrorError('HM_NOT_SUPPORTED', `${uri}: TLS is not in this version`);
    const all = { ...defaults, ...limits };
    const connection = await ClientConnection.open({ address, name, clock, connectDeadlineMs: all.connectDeadlineMs });
    const { readOnly, flush, fua } = connection.exported;
    if (!readOnly && flush && fua) return new NetDiskDevice(uri, connection, clock, all);
    connection.close();
    throw new HotMirrorError(
      'HM_NOT_SUPPORTED',
      `${uri} ${readOnly ? 'is read-only' : 'cannot say what is durable: it knows no flush or no FUA'}`,
    );
  }

  read(offsetBytes: number, into: Uint8Array, done: Done): void {
    this.#take({ kind: 'read', offsetBytes, lengthBytes: into.byteLength, bytes: into, fua: false, noHole: false, done });
  }

  write(offsetBytes: number, from: Uint8Array, { fua = false }: WriteOptions, done: Done): void {
    this.#take({ kind: 'write', offsetBytes, lengthBytes: from.byteLength, bytes: from, fua, noHole: false, done });
  }

  writeZeroes(offsetBytes: number, lengthBytes: number, { fua = false, noHole = false }: ZeroesOptions, done: Done): void {
    if (this.#exported.writeZeroes) this.#take({ kind: 'zeroes', offsetBytes, lengthBytes, bytes: null, fua, noHole, done });
    else {
      const refusal = refuseRange(this, offsetBytes, lengthBytes);
      if (refusal) done(refusal);
      else this.write(offsetBytes, new Uint8Array(lengthBytes), { fua }, done);
    }
  }

  trim(offsetBytes: number, lengthBytes: number, done: Done): void {
    if (this.#exported.trim) this.#take({ kind: 'trim', offsetBytes, lengthBytes, bytes: null, fua: false, noHole: false, done });
    else done(refuseRange(this, offsetBytes, lengthBytes) ?? new HotMirrorError('HM_NOT_SUPPORTED', `${this.#uri} cannot be trimmed`));
  }

  flush(done: Done): void {
    this.#take({ kind: 'flush', offsetBytes: 0, lengthBytes: 0, bytes: null, fua: false, noHole: false, done });
  }

  close(): Promise<void> {
    this.#closing ??= this.#settled().then(() => {
      this.#timer.cancel();
      this.#connection?.close();
      this.#connection = null;
    });
    return this.#closing;
  }

  #take(operation: Operation): void {
    const { kind, offsetBytes, lengthBytes, done } = operation;
    const refusal = this.#closing ? closedError(this.#uri) : (refuseRange(this, offsetBytes, lengthBytes) ?? this.#failure(kind));
    if (refusal || (lengthBytes === 0 && kind !== 'flush')) done(refusal);
    else if (this.#waiting.length >= mostWaiting) done(new HotMirrorError('HM_BUSY', `${this.#uri}: too many requests wait`));
    else {
      this.#waiting.push(operation);
      this.#pump();
    }
  }

  #settled(): Promise<void> {
    return new Promise((resolve) => {
      this.#idle = () => {
        if (this.#waiting.length + this.#asked.size === 0) resolve();
      };
      this.#idle();
    });
  }

  /** A server may carry requests out in any order: of those that overlap one waits for the other. */
  #pump(): void {
    if (!this.#connection || this.#waiting.length === 0) return;
    const kept: Operation[] = [];
    for (const operation of this.#waiting) {
      const full =
        this.#asked.size >= mostAtOnce || (operation.kind !== 'flush' && this.#unflushed.bytes > 2 * this.#limits.unflushedBytes);
      if (full || overlapsAny(operation, this.#asked) || overlapsAny(operation, kept)) kept.push(operation);
      else this.#ask(operation, this.#connection);
    }
    this.#waiting = kept;
  }

  #ask(operation: Operation, connection: ClientConnection): void {
    this.#asked.add(operation);
    const { kind, offsetBytes, lengthBytes, bytes, fua, noHole } = operation;
    const { requestBytes } = this.#exported;
    const flags = (fua ? commandFlags.fua : 0) | (noHole ? commandFlags.noHole : 0);
    const mark = this.#unflushed.mark();
    const pieces = Math.max(1, Math.ceil(lengthBytes / requestBytes));
    let [left, failure] = [pieces, 0];
    for (let piece = 0; piece < pieces; piece += 1) {
      const at = piece * requestBytes;
      const length = Math.min(requestBytes, lengthBytes - at);
      const part = bytes?.subarray(at, at + length) ?? null;
      connection.request({
        ...{ command: commandOf[kind], flags, offsetBytes: offsetBytes + at, lengthBytes: length },
        payload: kind === 'write' ? part : null,
        into: kind === 'read' ? part : null,
        answered: (error) => {
          failure ||= error;
          left -= 1;
          if (left === 0 && this.#connection === connection) this.#answered(operation, failure, mark);
        },
      });
    }
  }

  #answered(operation: Operation, error: number, mark: number): void {
    const { kind, done } = operation;
    this.#asked.delete(operation);
    if (error === 0 && kind === 'flush') this.#unflushed.flushed(mark);
    else if (error === 0 && kind !== 'read') this.#unflushed.completed(operation);
    done(error === 0 ? null : this.#errorOf(kind, error));
    // Nothing is known to be durable any more, and a later flush must not cover that up.
    if (error !== 0 && kind === 'flush') this.#fail(this.#errorOf(kind, error));
    this.#flushIfMuch();
    this.#pump();
    this.#idle();
  }

  /** What is kept for the case of a loss is bounded. */
  #flushIfMuch(): void {
    if (this.#ownFlush || this.#unflushed.bytes <= this.#limits.unflushedBytes || !this.#connection) return;
    this.#ownFlush = true;
    const done: Done = () => (this.#ownFlush = false);
    this.#ask({ kind: 'flush', offsetBytes: 0, lengthBytes: 0, bytes: null, fua: false, noHole: false, done }, this.#connection);
  }

  #errorOf(kind: Kind, error: number): HotMirrorError {
    if (error === errors.ENOSPC) return new HotMirrorError('HM_NO_SPACE', `${this.#uri}: the server has no space left`);
    return new HotMirrorError(failureOf[kind], `${this.#uri}: the server says error ${String(error)}`, { details: { error } });
  }

  #use(connection: ClientConnection): void {
    this.#connection = connection;
    connection.onLost((error) => {
      if (this.#connection !== connection) return;
      this.#connection = null;
      if (!this.#failed) void this.#reconnect(error);
    });
  }

  async #reconnect(because: HotMirrorError): Promise<void> {
    const untilMs = this.#clock.nowMs() + this.#limits.reconnectMs;
    let last = because;
    while (this.#clock.nowMs() < untilMs) {
      try {
        await this.#connectAgain();
        return;
      } catch (error) {
        last = HotMirrorError.from(error, 'HM_CONNECT_FAILED', this.#uri);
        if (last.code === 'HM_IO_WRITE' || last.code === 'HM_DEVICE_NOT_FOUND') break;
      }
      await sleep(this.#clock, retryMs);
    }
    this.#fail(last);
  }

  async #connectAgain(): Promise<void> {
    const { connectDeadlineMs } = this.#limits;
    const connection = await ClientConnection.open({ address: this.#address, name: this.#name, clock: this.#clock, connectDeadlineMs });
    const { sizeBytes, blockSizeBytes } = connection.exported;
    if (sizeBytes !== this.#exported.sizeBytes || blockSizeBytes > this.blockSizeBytes) {
      connection.close();
      throw new HotMirrorError('HM_DEVICE_NOT_FOUND', `${this.#uri} is another disk now: it has ${String(sizeBytes)} bytes`);
    }
    await this.#unflushed.writeAgain(connection);
    this.#use(connection);
    const again = [...this.#asked];
    this.#asked.clear();
    for (const operation of again) this.#ask(operation, connection);
    this.#pump();
  }

  #failure(kind: Kind): HotMirrorError | null {
    const cause = this.#failed;
    return cause && new HotMirrorError(failureOf[kind], `${this.#uri} is lost: ${cause.message}`, { cause });
  }

  /** Every request fails from now on. */
  #fail(cause: HotMirrorError): void {
    if (this.#failed) return;
    this.#failed = cause;
    this.#timer.cancel();
    this.#connection?.destroy(cause);
    this.#connection = null;
    const left = [...this.#asked, ...this.#waiting];
    this.#asked.clear();
    this.#waiting = [];
    for (const { kind, done } of left) done(this.#failure(kind));
    this.#idle();
  }

  /** A server that owes answers and says nothing is as good as gone. */
  #watch(): Timer {
    const { silenceMs } = this.#limits;
    return this.#clock.timer(silenceMs / 2, () => {
      const connection = this.#connection;
      if (connection && connection.pending > 0 && this.#clock.nowMs() - connection.heardMs > silenceMs)
        connection.destroy(new HotMirrorError('HM_CONNECTION_LOST', `${this.#uri}: the server owes an answer for ${String(silenceMs)} ms`));
      this.#timer = this.#watch();
    });
  }
}

function overlapsAny({ kind, offsetBytes, lengthBytes }: Operation, others: Iterable<Operation>): boolean {
  if (kind === 'flush') return false;
  for (const other of others) {
    // Reads of one range disturb nobody.
    if (other.kind === 'flush' || (other.kind === 'read' && kind === 'read')) continue;
    if (offsetBytes < other.offsetBytes + other.lengthBytes && other.offsetBytes < offsetBytes + lengthBytes) return true;
  }
  return false;
}
