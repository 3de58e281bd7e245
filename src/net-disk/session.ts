import type { Clock, Timer } from '../clock/clock.ts';
import type { ChunkPool } from './chunk-pool.ts';
import { greeting, readClientFlags } from './greeting.ts';
import { Haggling } from './haggling.ts';
import type { HagglingHost, NegotiatedExport, OptionOutcome } from './haggling.ts';
import type { NetDiskLimits } from './limits.ts';
import { magic, options, sizes } from './protocol.ts';
import type { ReplySink } from './reply-writer.ts';
import { Transmission } from './transmission.ts';

/** The connection under a session. */
export interface SessionWire extends ReplySink {
  /** More may be read again. */
  resume(): void;
  /** What is read and sent from now on is encrypted; `done` is called once both ends have agreed on how, or with what went wrong. */
  startTls(done: (problem: string | null) => void): void;
  /** Ends it once everything has left. */
  end(): void;
  /** Ends it at once. */
  destroy(): void;
}

/** What a session works with. */
export interface SessionOptions {
  readonly host: HagglingHost;
  readonly limits: NetDiskLimits;
  readonly clock: Clock;
  readonly pool: ChunkPool;
  readonly wire: SessionWire;
  /** Hears why the session ends; null: in order. */
  readonly ended: (because: string | null) => void;
  /** Hears which export the client uses from now on. */
  readonly entered: (negotiated: NegotiatedExport) => void;
}

/** The longest data of an option that is looked at, in bytes. */
const longestOptionBytes = 64 * 2 ** 10;
const scratchBytes = longestOptionBytes + sizes.optionHeader;

/**
 * One client from its first byte to its last: greeting, haggling, perhaps TLS, then the use of one export. It does no I/O of its own: where the next bytes go is
 * asked with `buffer`, and `filled` tells how many came.
 */
export class Session {
  readonly #options: SessionOptions;
  /** What came while haggling and is not looked at yet: from the beginning to `#filled`. */
  #scratch: Uint8Array = new Uint8Array(scratchBytes);
  #filled = 0;
  /** Data of an option that is too long, still to come. */
  #skipBytes = 0;
  #haggling: Haggling | null = null;
  #fixedNewstyle = false;
  #optionsLeft: number;
  #securing = false;
  #transmission: Transmission | null = null;
  #timer: Timer | null;
  #closing: Timer | null = null;
  #lastAskedMs = 0;
  #ended = false;

  constructor(options: SessionOptions) {
    const { limits, clock } = options;
    this.#options = options;
    this.#optionsLeft = limits.options;
    this.#timer = clock.timer(limits.handshakeDeadlineMs, () => this.#hangUp('it haggled for too long'));
  }

  /** Says the first word. */
  begin(): void {
    this.#options.wire.send([greeting()]);
    this.#options.wire.resume();
  }

  buffer(): Uint8Array {
    return this.#transmission?.buffer() ?? this.#scratch.subarray(this.#filled);
  }

  filled(lengthBytes: number): boolean {
    if (this.#ended) return false;
    this.#lastAskedMs = this.#options.clock.nowMs();
    if (this.#transmission) return this.#transmission.filled(lengthBytes);
    this.#filled += lengthBytes;
    return this.#haggle();
  }

  /** All that was sent has left. */
  sent(): void {
    this.#transmission?.sent();
  }

  /** Requests are refused from now on, and the session ends as soon as nothing is under way. */
  shutDown(): void {
    this.#limitClosing();
    if (!this.#transmission || this.#transmission.underWay === 0) this.#over(null);
    else this.#transmission.leave();
  }

  /** The connection is gone. */
  lost(): void {
    this.#closing?.cancel();
    this.#end('the client is gone');
    this.#transmission?.close();
  }

  #haggle(): boolean {
    while (this.#phase() === 'haggling') {
      const usedBytes = this.#skipBytes > 0 ? this.#skip() : this.#haggling ? this.#option(this.#haggling) : this.#clientFlags();
      if (usedBytes === 0) break;
      // What came in the clear behind the wish for TLS is not looked at: anybody may have put it there.
      const leftBytes = this.#phase() === 'securing' ? 0 : this.#filled - usedBytes;
      this.#scratch.copyWithin(0, usedBytes, usedBytes + leftBytes);
      this.#filled = leftBytes;
    }
    if (this.#transmission && this.#filled > 0) return this.#handOver(this.#transmission);
    return this.#phase() === 'haggling' || this.#phase() === 'transmission';
  }

  #phase(): 'haggling' | 'securing' | 'transmission' | 'over' {
    if (this.#ended) return 'over';
    if (this.#securing) return 'securing';
    return this.#transmission ? 'transmission' : 'haggling';
  }

  #skip(): number {
    const usedBytes = Math.min(this.#skipBytes, this.#filled);
    this.#skipBytes -= usedBytes;
    return usedBytes;
  }

  #clientFlags(): number {
    if (this.#filled < sizes.clientFlags) return 0;
    const flags = readClientFlags(viewOf(this.#scratch).getUint32(0));
    if (!flags) return this.#hangUp('it wants what was not offered');
    this.#fixedNewstyle = flags.fixedNewstyle;
    this.#haggling = new Haggling(this.#options.host, flags);
    return sizes.clientFlags;
  }

  /** Takes one option; the answer is how many bytes it had, 0 where it has not come as a whole. */
  #option(haggling: Haggling): number {
    if (this.#filled < sizes.optionHeader) return 0;
    const view = viewOf(this.#scratch);
    if (view.getBigUint64(0) !== magic.option) return this.#hangUp('an option does not begin as one');
    const option = view.getUint32(8);
    const lengthBytes = view.getUint32(12);
    if (!this.#fixedNewstyle && option !== options.exportName) return this.#hangUp('it knows no options and asks for one');
    if (lengthBytes > longestOptionBytes) return this.#skipOption(haggling, option, lengthBytes);
    const wholeBytes = sizes.optionHeader + lengthBytes;
    if (this.#filled < wholeBytes) return 0;
    this.#optionsLeft -= 1;
    if (this.#optionsLeft < 0) return this.#hangUp('it asks for too many options');
    this.#follow(haggling, haggling.take(option, this.#scratch.slice(sizes.optionHeader, wholeBytes)));
    return wholeBytes;
  }

  #skipOption(haggling: Haggling, option: number, lengthBytes: number): number {
    if (option === options.exportName) return this.#hangUp('the name of an export is too long');
    this.#optionsLeft -= 1;
    if (this.#optionsLeft < 0) return this.#hangUp('it asks for too many options');
    this.#options.wire.send([haggling.refuseLong(option)]);
    this.#skipBytes = lengthBytes;
    return sizes.optionHeader;
  }

  #follow(haggling: Haggling, outcome: OptionOutcome): void {
    const { wire } = this.#options;
    if (outcome.replies.length > 0) wire.send(outcome.replies);
    if (outcome.then === 'hang-up') this.#hangUp(outcome.because);
    else if (outcome.then === 'close') this.#over(null);
    else if (outcome.then === 'tls') this.#secure(haggling);
    else if (outcome.then === 'transmit') this.#transmit(outcome);
  }

  #secure(haggling: Haggling): void {
    this.#securing = true;
    this.#options.wire.startTls((problem) => {
      if (problem === null) {
        this.#securing = false;
        haggling.secured();
      } else this.#hangUp(`TLS did not come about: ${problem}`);
    });
  }

  #transmit(negotiated: NegotiatedExport): void {
    const { limits, pool, wire, clock, entered } = this.#options;
    this.#timer?.cancel();
    this.#timer = null;
    this.#transmission = new Transmission({
      ...{ negotiated, limits, pool, clock },
      sink: { send: (parts) => wire.send(parts), resume: () => wire.resume(), over: (because) => this.#over(because) },
    });
    this.#lastAskedMs = clock.nowMs();
    this.#watchIdle();
    entered(negotiated);
  }

  /** What came behind the last option belongs to the use of the export already. */
  #handOver(transmission: Transmission): boolean {
    const left = this.#scratch.subarray(0, this.#filled);
    this.#scratch = new Uint8Array(0);
    this.#filled = 0;
    // A scratch fits into a chunk.
    transmission.buffer().set(left);
    return transmission.filled(left.byteLength);
  }

  #watchIdle(): void {
    const { clock, limits } = this.#options;
    const { idleDeadlineMs } = limits;
    if (idleDeadlineMs === 0) return;
    const dueMs = this.#lastAskedMs + idleDeadlineMs - clock.nowMs();
    if (dueMs <= 0 && this.#transmission?.underWay === 0) this.#over(`nothing was asked for ${String(idleDeadlineMs)} ms`);
    else this.#timer = clock.timer(Math.max(dueMs, idleDeadlineMs / 2), () => this.#watchIdle());
  }

  #hangUp(because: string): 0 {
    if (this.#ended) return 0;
    this.#end(because);
    this.#options.wire.destroy();
    return 0;
  }

  #over(because: string | null): void {
    if (this.#ended) return;
    this.#end(because);
    if (because === null) {
      this.#limitClosing();
      this.#options.wire.end();
    } else this.#options.wire.destroy();
  }

  /** A client that does not read its answers keeps a connection that was ended in order. */
  #limitClosing(): void {
    const { clock, limits, wire } = this.#options;
    this.#closing ??= clock.timer(limits.closeDeadlineMs, () => wire.destroy());
  }

  #end(because: string | null): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#timer?.cancel();
    this.#transmission?.end();
    this.#options.ended(because);
  }
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
