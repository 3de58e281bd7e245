import type { Clock } from '../clock/clock.ts';
import type { Random } from '../clock/random.ts';
import { HotMirrorError } from '../errors.ts';
import { Handshake, maxHandshakeMessageBytes, refusal } from './authentication.ts';
import type { HandshakeIdentity, HandshakeOutcome } from './authentication.ts';
import { joined } from './frame-bytes.ts';
import { FrameDecoder, FrameEncoder } from './framing.ts';
import { agreeVersion, preamble, preambleBytes } from './preamble.ts';
import type { StreamReader } from './stream-reader.ts';

/** A handshake over one stream. */
export interface HandshakeOptions {
  readonly role: 'dialler' | 'listener';
  readonly identity: HandshakeIdentity;
  readonly clock: Clock;
  readonly random: Random;
  readonly deadlineMs: number;
  /** Gives up with the error that is its reason. */
  readonly signal: AbortSignal;
  readonly description: string;
  /** Why the other end is turned away whatever it says: it is told so once it has shown that it speaks this protocol. Null, or absent: it is not. */
  readonly objection?: HotMirrorError | null;
}

/** A stream whose peer has proven itself. */
export interface Authenticated {
  readonly outcome: HandshakeOutcome;
  /** What the peer sent after the handshake. */
  readonly rest: Uint8Array;
}

/** The bytes of one handshake: preambles, then framed messages. Without I/O. */
class HandshakeStream {
  readonly #role: 'dialler' | 'listener';
  readonly #encoder = new FrameEncoder(maxHandshakeMessageBytes);
  readonly #decoder = new FrameDecoder(maxHandshakeMessageBytes);
  readonly #objection: HotMirrorError | null;
  readonly #begin: (theirPreamble: Uint8Array) => Handshake;
  #preamble: Uint8Array = new Uint8Array(0);
  #handshake: Handshake | null = null;

  constructor({ role, identity, random, objection = null }: HandshakeOptions) {
    this.#role = role;
    this.#objection = objection;
    this.#begin = (theirs) => new Handshake(role, identity, random, role === 'dialler' ? [preamble, theirs] : [theirs, preamble]);
  }

  /** Takes what was read; gives what is to be written. Throws what the handshake fails with. */
  take(chunk: Uint8Array): Uint8Array[] {
    const answers: Uint8Array[] = [];
    let framed = chunk;
    if (!this.#handshake) {
      const missing = preambleBytes - this.#preamble.length;
      this.#preamble = joined([this.#preamble, chunk.subarray(0, missing)]);
      if (agreeVersion(this.#preamble) === null) return answers;
      if (this.#objection) throw this.#objection;
      framed = chunk.subarray(missing);
      this.#handshake = this.#begin(this.#preamble);
      if (this.#role === 'dialler') answers.push(...this.#encoder.frame([this.#handshake.hello()]));
    }
    this.#decoder.feed(framed);
    while (!this.#handshake.outcome) {
      const message = this.#decoder.next();
      if (!message) break;
      const answer = this.#handshake.hear(message);
      if (answer) answers.push(...this.#encoder.frame([answer]));
    }
    this.#decoder.keep();
    return answers;
  }

  /** Once there is an outcome: that, and what came after it. */
  result(): Authenticated | null {
    const outcome = this.#handshake?.outcome;
    return outcome ? { outcome, rest: this.#decoder.takeRest() } : null;
  }

  refusal(error: HotMirrorError): readonly Uint8Array[] {
    const message = refusal(error);
    return message && this.#preamble.length === preambleBytes ? this.#encoder.frame([message]) : [];
  }
}

/**
 * Runs the handshake. Resolves with the stream paused. Rejects with a typed error when it fails, stalls beyond the deadline or is given up;
 * the stream is then closed, or will be by the same deadline: a refusal is first given time to arrive.
 */
export function authenticate(reader: StreamReader, options: HandshakeOptions): Promise<Authenticated> {
  const { stream } = reader;
  const { signal, description, deadlineMs } = options;
  return new Promise((resolve, reject) => {
    const handshake = new HandshakeStream(options);
    let settled = false;
    const fail = (error: HotMirrorError): void => {
      if (!settled) {
        settled = true;
        reject(error);
        const lastWords = handshake.refusal(error);
        if (lastWords.length > 0 && !stream.destroyed) linger(reader, lastWords);
        else stream.destroy();
      } else stream.destroy();
    };
    const lost = (cause?: Error): void => {
      const code = options.role === 'dialler' ? 'HM_CONNECT_FAILED' : 'HM_CONNECTION_LOST';
      fail(
        new HotMirrorError(code, `${description}: ${cause?.message ?? 'the other end closed the connection'} during the handshake`, {
          cause,
        }),
      );
    };
    const ended = (): void => {
      lost();
    };
    const aborted = (): void => {
      fail(signal.reason as HotMirrorError);
    };
    const deadline = options.clock.timer(deadlineMs, () => {
      fail(new HotMirrorError('HM_HANDSHAKE_TIMEOUT', `${description}: the handshake did not finish within ${String(deadlineMs)} ms`));
    });
    const forget = (): void => {
      deadline.cancel();
      signal.removeEventListener('abort', aborted);
      stream.off('error', lost).off('end', ended).off('close', closed);
    };
    const closed = (): void => {
      lost();
      forget();
    };
    stream.on('error', lost).on('end', ended).on('close', closed);
    signal.addEventListener('abort', aborted);
    reader.into((chunk) => {
      try {
        const answers = handshake.take(chunk);
        if (answers.length > 0) stream.write(joined(answers));
        const result = handshake.result();
        if (!result) return;
        settled = true;
        reader.pause();
        forget();
        resolve(result);
      } catch (error) {
        fail(HotMirrorError.from(error, 'HM_INTERNAL', description));
      }
    });
    stream.write(preamble);
    reader.resume();
    if (signal.aborted) aborted();
    else if (stream.destroyed) closed();
  });
}

/** Writes the last words and leaves the other end time to read them before it hears of the end; what it still sends is dropped. */
function linger(reader: StreamReader, lastWords: readonly Uint8Array[]): void {
  reader.into(() => undefined);
  reader.stream.end(joined(lastWords));
}
