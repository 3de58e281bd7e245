import type { Clock } from '../clock/clock.ts';
import type { Done } from '../device/block-device.ts';
import { allData } from '../device/requests.ts';
import type { HotMirrorError } from '../errors.ts';
import type { Chunk, ChunkPool } from './chunk-pool.ts';
import { Clearing } from './clearing.ts';
import { allocationContextId } from './haggling.ts';
import type { NegotiatedExport } from './haggling.ts';
import type { NetDiskLimits } from './limits.ts';
import { commandFlags, commands, errors } from './protocol.ts';
import { replyErrorOf } from './reply-errors.ts';
import { ReplyWriter } from './reply-writer.ts';
import type { DataReply, ReplySink } from './reply-writer.ts';
import { RequestReader } from './request-reader.ts';
import type { NbdRequest, RequestHandler } from './request-reader.ts';
import { judgeRequest } from './request-rules.ts';
import type { RequestGround, RequestRefusal } from './request-rules.ts';
import { TurnBudget } from './turn-budget.ts';

/** What one client's use of an export works with. */
export interface TransmissionOptions {
  readonly negotiated: NegotiatedExport;
  readonly limits: Pick<NetDiskLimits, 'requestBytes' | 'windowBytes' | 'requests'>;
  readonly pool: ChunkPool;
  readonly clock: Pick<Clock, 'timer'>;
  readonly sink: ReplySink & {
    /** More may be read again. */
    resume(): void;
    /** The client has left and has all its answers, or `because` it is to be left without more words. */
    over(because: string | null): void;
  };
}

/** Replies leave at the latest when there are so many bytes of them. */
const gatheredBytes = 2 ** 20;

/** Of one answer to what is allocated: finding them takes a device a millisecond at most. */
const mostDescriptors = 256;
/** Told without a turn for everything else in the thread: a client that asks many times at once keeps it no longer than that takes. */
const mostToldAtOnce = 1_024;

/** A request that is under way. */
class Pending {
  cookieHigh = 0;
  cookieLow = 0;
  offsetBytes = 0;
  /** What it takes of the window, or of its chunk, which does in its place. */
  heldBytes = 0;
  chunk: Chunk | null = null;
  data: DataReply | null = null;
  /** The call that began it has not returned. */
  calling = false;
  /** How it ended while it was still calling; `undefined`: it did not. */
  outcome: HotMirrorError | null | undefined = undefined;
  readonly done: Done;

  constructor(ended: (pending: Pending, error: HotMirrorError | null) => void) {
    this.done = (error) => ended(this, error);
  }
}

/**
 * One client's use of one export: requests come in as bytes, go to the device, and their replies leave together. It does no I/O of its own, and is bounded: with
 * the window full no more is read.
 */
export class Transmission implements RequestHandler {
  readonly #options: TransmissionOptions;
  /** As it was agreed: a device that grows does so for the next connection. */
  readonly #ground: RequestGround;
  readonly #reader: RequestReader;
  readonly #writer: ReplyWriter;
  readonly #clearing: Clearing;
  readonly #free: Pending[] = [];
  #underWay = 0;
  /** Zeroes, and writes with memory of their own: the rest is counted where it lies. */
  #heldBytes = 0;
  #stopped = false;
  /** The client has left, or is to: no more is taken, and what is under way is answered. */
  #leaving = false;
  #over = false;
  #shutDown = false;
  #flushQueued = false;
  /** Bytes are being looked at: replies wait until all of them are. */
  #parsing = false;
  /** Ended while another request's room for data was open at the end of the replies. */
  readonly #later: Pending[] = [];
  #reading = false;
  /** Pieces of what is allocated. */
  readonly #told: TurnBudget;

  constructor(options: TransmissionOptions) {
    this.#options = options;
    this.#ground = groundOf(options);
    this.#reader = new RequestReader(options.pool, this);
    this.#writer = new ReplyWriter(options.pool, options.sink, options.negotiated);
    const { clock, negotiated } = options;
    const renewed = (): void => this.#goOn();
    this.#clearing = new Clearing({ device: negotiated.export.device, clock, renewed });
    this.#told = new TurnBudget(clock, renewed);
  }

  /** Requests under way. */
  get underWay(): number {
    return this.#underWay;
  }

  /** Where the next bytes go. */
  buffer(): Uint8Array {
    return this.#reader.buffer();
  }

  /** So many bytes came. False: no more is to be read until `resume` of the sink is called. */
  filled(lengthBytes: number): boolean {
    return this.#looking(() => this.#reader.filled(lengthBytes));
  }

  /** All that was handed over to be sent has left. */
  sent(): void {
    this.#writer.sent();
    this.#goOn();
  }

  /** Requests that come from now on are refused with `ESHUTDOWN`, and the end comes as soon as nothing is under way. */
  leave(): void {
    this.#shutDown = true;
    this.#leaving = true;
    this.#endIfLeft();
  }

  /** Nothing is taken or answered any more. What the device has goes on; nobody hears of it. */
  end(): void {
    this.#over = true;
    this.#clearing.end();
    this.#reader.end();
  }

  /** Nothing is read any more: the connection is gone. */
  close(): void {
    this.end();
    this.#reader.close();
  }

  mayTake(request: NbdRequest, carriedBytes: number): boolean {
    const neededBytes = this.#neededBytes(request, carriedBytes);
    if (this.#writer.gatheredBytes > gatheredBytes || !this.#fits(neededBytes)) this.#writer.flush();
    const may = this.#told.spent < mostToldAtOnce && this.#clearing.mayBegin(request) && this.#fits(neededBytes);
    this.#stopped ||= !may;
    return may;
  }

  /** One that asks for more than it may is refused, and takes nothing. */
  #neededBytes(request: NbdRequest, carriedBytes: number): number {
    return Math.min(carriedBytes + this.#clearing.weightBytes(request), this.#options.limits.requestBytes);
  }

  #fits(neededBytes: number): boolean {
    const { windowBytes, requests } = this.#options.limits;
    return this.#underWay < requests && this.#reader.heldBytes + this.#writer.heldBytes + this.#heldBytes + neededBytes <= windowBytes;
  }

  malformed(because: string): void {
    this.#options.sink.over(because);
  }

  refusesWrite(request: NbdRequest): boolean {
    return this.#refusalOf(request) !== null;
  }

  refuseWrite(request: NbdRequest): void {
    this.#refuse(request);
  }

  request(request: NbdRequest, payload: Uint8Array, chunk: Chunk | null): void {
    if (request.command === commands.disconnect) {
      this.#leaving = true;
      this.#reader.end();
      return;
    }
    // A large write was judged when it began to come.
    if ((request.command !== commands.write || this.#shutDown) && this.#refuse(request)) {
      if (chunk) this.#reader.release(chunk, payload.byteLength);
      return;
    }
    const { device } = this.#options.negotiated.export;
    const { offsetBytes, lengthBytes, flags } = request;
    const pending = this.#begin(request, chunk, this.#neededBytes(request, payload.byteLength));
    const fua = (flags & commandFlags.fua) !== 0;
    switch (request.command) {
      case commands.read:
        this.#read(pending, lengthBytes);
        return;
      case commands.write:
        device.write(offsetBytes, payload, { fua }, pending.done);
        return;
      case commands.flush:
        device.flush(pending.done);
        return;
      case commands.trim:
      case commands.writeZeroes:
        this.#clearing.begin(request, pending.done);
        return;
      default:
        this.#answerAtOnce(pending, request);
    }
  }

  /** `cache` needs nothing, and a device tells at once what is allocated. */
  #answerAtOnce(pending: Pending, { command, flags, cookieHigh, cookieLow, offsetBytes, lengthBytes }: NbdRequest): void {
    if (command === commands.blockStatus) {
      const { device } = this.#options.negotiated.export;
      const mostPieces = (flags & commandFlags.reqOne) !== 0 ? 1 : mostDescriptors;
      const pieces = device.allocation?.(offsetBytes, lengthBytes, mostPieces) ?? allData(lengthBytes);
      this.#writer.blockStatus(cookieHigh, cookieLow, allocationContextId, pieces);
      this.#told.spend(pieces.length);
    } else this.#writer.done(cookieHigh, cookieLow, errors.none);
    this.#release(pending);
  }

  #read(pending: Pending, lengthBytes: number): void {
    const data = (pending.data = this.#writer.begin(lengthBytes));
    pending.calling = this.#reading = true;
    this.#options.negotiated.export.device.read(pending.offsetBytes, data.into, pending.done);
    pending.calling = this.#reading = false;
    if (pending.outcome === undefined) this.#writer.detach(data);
    else this.#answer(pending, pending.outcome);
    for (const other of this.#later.splice(0)) this.#answer(other, other.outcome ?? null);
  }

  #refuse(request: NbdRequest): boolean {
    const refusal = this.#refusalOf(request);
    if (refusal) this.#writer.done(request.cookieHigh, request.cookieLow, refusal.error, refusal.because);
    return refusal !== null;
  }

  #refusalOf(request: NbdRequest): RequestRefusal | null {
    if (this.#shutDown) return { error: errors.ESHUTDOWN, because: 'the server is about to close' };
    const refusal = judgeRequest(request, this.#ground);
    if (refusal || request.command !== commands.writeZeroes || !this.#isSlowZero(request)) return refusal;
    return { error: errors.ENOTSUP, because: 'zeroes are written as any other bytes here' };
  }

  #isSlowZero({ flags }: NbdRequest): boolean {
    const { punchHole } = this.#options.negotiated.export.device.capabilities;
    return (flags & commandFlags.fastZero) !== 0 && (!punchHole || (flags & commandFlags.noHole) !== 0);
  }

  #begin({ cookieHigh, cookieLow, offsetBytes }: NbdRequest, chunk: Chunk | null, heldBytes: number): Pending {
    const pending = this.#free.pop() ?? new Pending((one, error) => this.#ended(one, error));
    this.#underWay += 1;
    if (!chunk) this.#heldBytes += heldBytes;
    pending.cookieHigh = cookieHigh;
    pending.cookieLow = cookieLow;
    pending.offsetBytes = offsetBytes;
    pending.chunk = chunk;
    pending.heldBytes = heldBytes;
    pending.outcome = undefined;
    return pending;
  }

  #ended(pending: Pending, error: HotMirrorError | null): void {
    if (pending.calling) pending.outcome = error;
    else if (this.#reading) {
      pending.outcome = error;
      this.#later.push(pending);
    } else this.#answer(pending, error);
  }

  #answer(pending: Pending, error: HotMirrorError | null): void {
    const { cookieHigh, cookieLow, data } = pending;
    if (!error && data) this.#writer.finish(data, pending);
    else {
      if (data) this.#writer.giveUp(data);
      this.#writer.done(cookieHigh, cookieLow, replyErrorOf(error), error?.message);
    }
    this.#release(pending);
  }

  #release(pending: Pending): void {
    this.#underWay -= 1;
    if (pending.chunk) this.#reader.release(pending.chunk, pending.heldBytes);
    else this.#heldBytes -= pending.heldBytes;
    pending.chunk = pending.data = null;
    this.#free.push(pending);
    if (this.#parsing || this.#flushQueued) return;
    this.#flushQueued = true;
    queueMicrotask(() => {
      this.#flushQueued = false;
      this.#goOn();
    });
  }

  /** Sends what is ready, takes what had to wait, and ends where the client has left. */
  #goOn(): void {
    if (this.#over) return;
    this.#writer.flush();
    if (this.#stopped) {
      this.#stopped = false;
      if (this.#looking(() => this.#reader.resume())) this.#options.sink.resume();
    }
    this.#endIfLeft();
  }

  #looking(look: () => boolean): boolean {
    this.#parsing = true;
    const more = look();
    this.#parsing = false;
    if (this.#over) return false;
    this.#writer.flush();
    this.#endIfLeft();
    // A server that is to close goes on to read, for what comes too late is refused.
    return more && (!this.#leaving || this.#shutDown);
  }

  #endIfLeft(): void {
    if (!this.#leaving || this.#underWay > 0 || this.#over) return;
    this.#over = true;
    this.#options.sink.over(null);
  }
}

function groundOf({ negotiated, limits }: TransmissionOptions): RequestGround {
  const { export: exported, structured, allocation } = negotiated;
  const { device, readOnly = false } = exported;
  const { sizeBytes, blockSizeBytes, capabilities } = device;
  return { sizeBytes, blockSizeBytes, readOnly, trim: capabilities.trim, structured, allocation, requestBytes: limits.requestBytes };
}
