import createDebug from 'debug';

import type { Clock } from '../clock/clock.ts';
import type { BlockDevice, DeviceCapabilities, Done, WriteOptions, ZeroesOptions } from '../device/block-device.ts';
import { closedError, refuseRange } from '../device/requests.ts';
import { HotMirrorError } from '../errors.ts';
import { ClientConnection } from './client-connection.ts';
import { keepAliveMs, netDiskDeviceLimits } from './client-limits.ts';
import type { NetDiskDeviceLimits } from './client-limits.ts';
import { carryOut, failureOf, flushOperation, mustWait } from './client-operation.ts';
import type { Operation } from './client-operation.ts';
import { KeptConnection } from './kept-connection.ts';
import type { ConnectionUser } from './kept-connection.ts';
import { parseNetDiskUri } from './net-disk-address.ts';
import { OperationQueue } from './operation-queue.ts';
import { asRecord, assertClock } from './given-options.ts';
import { errors } from './protocol.ts';
import { exportProblem } from './server-export.ts';
import type { ServerExport } from './server-export.ts';
import { UnflushedWrites } from './unflushed-writes.ts';

/** Operations at the server at once. */
const mostAtOnce = 128;
/** Operations of callers that are not done; more complete with `HM_BUSY`. Twice what a mirror lets in. */
const mostUnderWay = 131_072;
/** Completed changes that are kept because no flush covers them yet, however small. */
const mostUnflushed = 8_192;

/** Clock and bounds of a {@link NetDiskDevice}. */
export interface NetDiskDeviceOptions {
  readonly clock: Clock;
  readonly limits?: Partial<NetDiskDeviceLimits>;
  /** Hears what becomes of the server after it was connected to; what it throws disturbs nothing. Each loss and return is told, however often they come. */
  readonly onServer?: (news: NetDiskServerNews) => void;
}

/** What became of the server of a {@link NetDiskDevice}. */
export interface NetDiskServerNews {
  /**
   * `lost`: requests wait for it, up to `limits.reconnectMs`. `returned`: it does again what it is asked, or is connected and nobody asks. `failed`: every request fails from now on, for
   * good.
   */
  readonly state: 'lost' | 'returned' | 'failed';
  /** Null where it returned. */
  readonly because: HotMirrorError | null;
}

const debug = createDebug('hotmirror:net-disk');

/**
 * An export of any NBD server as a disk.
 *
 * A lost connection is made anew: what no flush covers yet is done again first, for the server may have lost it, then what had no answer. A server that stays away, or of which it can't be known
 * whether it still carries out what it was asked, makes every request fail, for good (`docs/net-disk.md`).
 *
 * Whether anybody else uses the export is not known here: nobody else must.
 */
export class NetDiskDevice implements BlockDevice {
  readonly sizeBytes: number;
  readonly blockSizeBytes: number;
  readonly capabilities: DeviceCapabilities;
  readonly #uri: string;
  readonly #exported: ServerExport;
  readonly #limits: NetDiskDeviceLimits;
  readonly #kept: KeptConnection;
  readonly #unflushed = new UnflushedWrites();
  /** Not asked of the server yet. */
  readonly #waiting = new OperationQueue();
  /** Asked and not answered, in the order asked. */
  readonly #asked = new Set<Operation>();
  /** Operations of callers that are not done. */
  #underWay = 0;
  /** Changes that are still to be repeated. */
  #repeating = 0;
  #bounding = false;
  #failed: HotMirrorError | null = null;
  #closing: Promise<void> | null = null;
  #closed: () => void = () => undefined;

  private constructor(uri: string, first: ClientConnection, limits: NetDiskDeviceLimits, { clock, onServer }: NetDiskDeviceOptions) {
    const { exported } = first;
    this.#uri = uri;
    this.#exported = exported;
    this.#limits = limits;
    this.blockSizeBytes = exported.blockSizeBytes;
    this.sizeBytes = exported.sizeBytes - (exported.sizeBytes % exported.blockSizeBytes);
    this.capabilities = Object.freeze({ synchronous: false, trim: exported.trim, punchHole: exported.writeZeroes, exclusive: false });
    const tell = (news: NetDiskServerNews): void => {
      try {
        onServer?.(news);
      } catch (error) {
        debug('a listener failed: %O', error);
      }
    };
    const user: ConnectionUser = {
      lost: () => this.#lost(),
      restored: () => this.#restored(),
      away: (because) => tell({ state: 'lost', because }),
      returned: () => tell({ state: 'returned', because: null }),
      failed: (because) => {
        tell({ state: 'failed', because });
        this.#fail(because);
      },
    };
    this.#kept = new KeptConnection({ ...parseNetDiskUri(uri), clock, first, limits, user });
  }

  /**
   * Connects. Rejects with `HM_ADDRESS`, `HM_CONNECT_FAILED`, `HM_BAD_MAGIC`, `HM_DEVICE_NOT_FOUND`, `HM_DEVICE_ACCESS` (a read-only export is one), or `HM_NOT_SUPPORTED` for a server that knows
   * no FLUSH or wants TLS; with `RangeError` for limits that there are not or that cannot be, and `TypeError` for no clock.
   */
  static async open(uri: string, options: NetDiskDeviceOptions): Promise<NetDiskDevice> {
    const { clock, limits = {} } = asRecord(options) as Partial<NetDiskDeviceOptions>;
    assertClock(clock);
    const { address, name, tls } = parseNetDiskUri(uri);
    if (tls) throw new HotMirrorError('HM_NOT_SUPPORTED', `${uri}: TLS to the server of an element is not in this version`);
    const all = netDiskDeviceLimits(limits);
    const { connectDeadlineMs } = all;
    const connection = await ClientConnection.open({ address, name, clock, connectDeadlineMs, keepAliveMs: keepAliveMs(all) }).catch(
      (cause: unknown) => {
        throw unreachable(uri, cause);
      },
    );
    const problem = exportProblem(connection.exported);
    if (!problem) return new NetDiskDevice(uri, connection, all, options);
    connection.close();
    throw new HotMirrorError(problem.code, `${uri} cannot be used: ${problem.message}`, { details: { remedy: problem.remedy } });
  }

  read(offsetBytes: number, into: Uint8Array, done: Done): void {
    const range = { offsetBytes, lengthBytes: into.byteLength, bytes: into };
    this.#take({ kind: 'read', ...range, fua: false, noHole: false, origin: 'caller', done });
  }

  write(offsetBytes: number, from: Uint8Array, { fua = false }: WriteOptions, done: Done): void {
    const range = { offsetBytes, lengthBytes: from.byteLength, bytes: from };
    this.#take({ kind: 'write', ...range, ...this.#durable(fua, done), noHole: false, origin: 'caller' });
  }

  writeZeroes(offsetBytes: number, lengthBytes: number, { fua = false, noHole = false }: ZeroesOptions, done: Done): void {
    this.#take({ kind: 'zeroes', offsetBytes, lengthBytes, bytes: null, ...this.#durable(fua, done), noHole, origin: 'caller' });
  }

  trim(offsetBytes: number, lengthBytes: number, done: Done): void {
    const trim: Operation = { kind: 'trim', offsetBytes, lengthBytes, bytes: null, fua: false, noHole: false, origin: 'caller', done };
    if (this.#exported.trim) this.#take(trim);
    else done(this.#refuse(trim) ?? new HotMirrorError('HM_NOT_SUPPORTED', `${this.#uri} cannot be trimmed`));
  }

  flush(done: Done): void {
    this.#take(flushOperation('caller', done));
  }

  close(): Promise<void> {
    if (!this.#closing) {
      this.#closing = new Promise((resolve) => (this.#closed = resolve));
      this.#closeWhenIdle();
    }
    return this.#closing;
  }

  /** A server that knows no FUA is asked to flush after the write. */
  #durable(fua: boolean, done: Done): Pick<Operation, 'fua' | 'done'> {
    if (!fua || this.#exported.fua) return { fua, done };
    const thenFlush: Done = (error) => {
      if (error) done(error);
      else this.#queue(flushOperation('caller', done));
    };
    return { fua: false, done: thenFlush };
  }

  #refuse(operation: Operation): HotMirrorError | null {
    if (this.#closing) return closedError(this.#uri);
    return refuseRange(this, operation.offsetBytes, operation.lengthBytes) ?? this.#failure(operation);
  }

  #take(operation: Operation): void {
    const refusal = this.#refuse(operation);
    if (refusal || (operation.lengthBytes === 0 && operation.kind !== 'flush')) operation.done(refusal);
    else if (this.#underWay < mostUnderWay) this.#queue(operation);
    else operation.done(new HotMirrorError('HM_BUSY', `${String(mostUnderWay)} requests to ${this.#uri} wait`));
  }

  #queue(operation: Operation): void {
    this.#underWay += 1;
    this.#waiting.push(operation);
    this.#pump();
  }

  /** Asks the server, in order, for what may be asked. */
  #pump(): void {
    for (let next = this.#waiting.first; next && this.#mayBeAsked(next); next = this.#waiting.first) {
      this.#waiting.shift();
      this.#ask(next);
    }
    this.#keepBounds();
  }

  #mayBeAsked(operation: Operation): boolean {
    if (!this.#kept.current || this.#asked.size >= mostAtOnce || mustWait(operation, this.#asked)) return false;
    if (operation.origin === 'repeat' || operation.kind === 'read' || operation.kind === 'flush') return true;
    let bytes = this.#unflushed.bytes;
    for (const { kind, lengthBytes } of this.#asked) if (kind === 'write') bytes += lengthBytes;
    return bytes < this.#limits.unflushedBytes && this.#unflushed.count < mostUnflushed;
  }

  #ask(operation: Operation): void {
    const connection = this.#kept.current;
    if (!connection) return;
    this.#asked.add(operation);
    const mark = this.#unflushed.mark();
    carryOut(connection, operation, (error) => {
      // The server goes: it has not done it, and it is asked again of its successor.
      if (error === errors.ESHUTDOWN) this.#kept.giveUp(new HotMirrorError('HM_CONNECTION_LOST', 'the server is shutting down'));
      else this.#answered(operation, error, mark);
    });
  }

  /** Flushes before more has to be kept than may be. */
  #keepBounds(): void {
    const { bytes, count } = this.#unflushed;
    const much = bytes >= this.#limits.unflushedBytes / 2 || count >= mostUnflushed / 2;
    if (!much || this.#bounding || this.#repeating > 0 || !this.#kept.current) return;
    this.#bounding = true;
    this.#ask(flushOperation('bound', () => undefined));
  }

  #answered(operation: Operation, error: number, mark: number): void {
    const { kind, origin } = operation;
    this.#asked.delete(operation);
    if (origin === 'bound') this.#bounding = false;
    if (origin === 'repeat') this.#repeating -= 1;
    if (error !== 0) this.#refused(operation, error);
    else {
      if (kind === 'flush') this.#unflushed.flushed(mark);
      else if (kind !== 'read' && origin === 'caller') this.#unflushed.completed({ ...operation, kind });
      this.#finish(operation, null);
    }
    if (origin === 'caller') this.#kept.progress();
    this.#tellIfIdle();
    this.#pump();
    this.#closeWhenIdle();
  }

  #refused(operation: Operation, code: number): void {
    const full = code === errors.ENOSPC;
    const what = full ? 'the server has no space left' : `the server says error ${String(code)}`;
    const error = new HotMirrorError(full ? 'HM_NO_SPACE' : failureOf(operation), `${this.#uri}: ${what}`, { details: { error: code } });
    this.#finish(operation, error);
    // What was completed is lost then, or nothing is known to be durable; a later flush must not cover that up.
    if (operation.origin === 'repeat' || operation.kind === 'flush') this.#kept.fail(error);
  }

  #finish(operation: Operation, error: HotMirrorError | null): void {
    if (operation.origin === 'caller') this.#underWay -= 1;
    operation.done(error);
  }

  #tellIfIdle(): void {
    if (this.#asked.size + this.#waiting.size === 0) this.#kept.idle();
  }

  #lost(): void {
    const again = [...this.#asked, ...this.#waiting.replaceBy([])].filter(({ origin }) => origin === 'caller');
    this.#asked.clear();
    this.#waiting.replaceBy(again);
    this.#bounding = false;
    this.#repeating = 0;
    this.#closeWhenIdle();
  }

  #restored(): void {
    const repeated = this.#unflushed.toRepeat().map((change): Operation => ({ ...change, origin: 'repeat', done: () => undefined }));
    this.#repeating = repeated.length;
    this.#waiting.replaceBy([...repeated, ...this.#waiting.replaceBy([])]);
    this.#tellIfIdle();
    this.#pump();
  }

  #failure(operation: Operation): HotMirrorError | null {
    const cause = this.#failed;
    return cause && new HotMirrorError(failureOf(operation), `${this.#uri} is lost: ${cause.message}`, { cause });
  }

  #fail(cause: HotMirrorError): void {
    this.#failed = cause;
    const left = [...this.#asked, ...this.#waiting.replaceBy([])];
    this.#asked.clear();
    for (const operation of left) this.#finish(operation, this.#failure(operation));
    this.#closeWhenIdle();
  }

  #closeWhenIdle(): void {
    if (!this.#closing || this.#underWay > 0) return;
    // What is left is to be repeated, for nobody. What is asked already has to end: it must not come over what the next user of the export writes.
    this.#waiting.replaceBy([]);
    if (this.#asked.size > 0) return;
    this.#kept.close();
    this.#closed();
  }
}

/** Who opens asks once; that the server is asked again, as the remedy of the code says, holds only later. */
function unreachable(uri: string, cause: unknown): HotMirrorError {
  const error = HotMirrorError.from(cause, 'HM_CONNECT_FAILED', 'the NBD server');
  if (error.code !== 'HM_CONNECT_FAILED' && error.code !== 'HM_CONNECTION_LOST') return error;
  const remedy = 'The server is asked only once at a start. See that it runs and that the address is right, then start again.';
  return new HotMirrorError(error.code, `${uri}: ${error.message}`, { cause: error, details: { remedy } });
}
