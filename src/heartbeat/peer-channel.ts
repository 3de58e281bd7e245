import type { Clock, Timer } from '../clock/clock.ts';
import { HotMirrorError } from '../errors.ts';
import type { ErrorCode } from '../errors.ts';
import type { Line } from './monitor-link.ts';
import { checkBody } from './token.ts';
import type { Reply } from './token.ts';
import type { Json } from './types.ts';

/** Requests that may wait for their reply; more are refused with `HM_BUSY`. */
export const outstandingRequests = 64;
/** Longest deadline of a request. */
export const longestRequestMs: number = 10 * 60 * 1_000;
/** A request that is not answered within this part of its deadline goes out on another link too. */
const resendPart = 0.25;

/** How long to wait for a reply. */
export interface RequestOptions {
  readonly deadlineMs: number;
  readonly signal?: AbortSignal;
}

interface Pending {
  readonly number: number;
  readonly body: Json;
  readonly resendMs: number;
  /** The start of the peer that got it; null while nobody did. */
  to: string | null;
  /** Frames of one connection arrive once or not at all, so each gets one copy. */
  readonly triedOn: WeakSet<Line>;
  /** Where the last copy went, while that may still be answered soon. */
  hopeful: Line | null;
  resend: Timer | null;
  readonly settle: (outcome: { readonly ok: Json } | { readonly error: HotMirrorError }) => void;
}

/** Asks the peer over whichever links are up. The peer acts on each request once: see `Responder`. */
export class PeerChannel {
  readonly #clock: Clock;
  readonly #run: string;
  readonly #lines: () => readonly Line[];
  readonly #pending = new Map<number, Pending>();
  #number = 0;
  #closed = false;

  /** `run` is this node's start; `lines` gives the connections that may be used now, best first. */
  constructor(clock: Clock, run: string, lines: () => readonly Line[]) {
    this.#clock = clock;
    this.#run = run;
    this.#lines = lines;
  }

  /** See `HeartbeatMonitor.request`. */
  async request(body: Json, options: RequestOptions): Promise<Json> {
    const { deadlineMs, signal } = options;
    if (!(deadlineMs > 0 && deadlineMs <= longestRequestMs))
      throw new RangeError(`deadlineMs must be above 0 and at most ${String(longestRequestMs)}`);
    checkBody(body, 'the request');
    if (this.#closed) throw new HotMirrorError('HM_CLOSED', 'the monitor was closed');
    if (signal?.aborted) throw aborted(signal);
    if (this.#lines().length === 0) throw new HotMirrorError('HM_PEER_UNREACHABLE', 'no monitor link to the peer is up');
    if (this.#pending.size >= outstandingRequests)
      throw new HotMirrorError('HM_BUSY', `${String(outstandingRequests)} requests wait for the peer already`);
    return this.#await(body, deadlineMs, signal);
  }

  /** A reply arrived. One that nobody waits for is the second of two, or too late. */
  reply(reply: Reply): void {
    const pending = this.#pending.get(reply.number);
    if (!pending || reply.to !== this.#run) return;
    const { outcome } = reply;
    pending.settle('ok' in outcome ? outcome : { error: HotMirrorError.fromJSON(outcome.error) });
  }

  /** Connections came, went, or became known: what waits for one goes out. */
  linesChanged(): void {
    for (const pending of this.#pending.values()) this.#send(pending);
  }

  /** The peer started anew: what its former life was asked, nobody will answer. */
  peerStarted(run: string): void {
    for (const pending of [...this.#pending.values()]) {
      if (pending.to !== null && pending.to !== run) this.#fail(pending, 'HM_REQUEST_TIMEOUT', 'the peer started anew before it answered');
    }
    this.linesChanged();
  }

  /** Every request that waits fails with `HM_CLOSED`. */
  close(): void {
    this.#closed = true;
    for (const pending of [...this.#pending.values()]) this.#fail(pending, 'HM_CLOSED', 'the monitor was closed');
  }

  /** All state, for simulators. */
  snapshot(): { readonly [key: string]: Json } {
    return {
      number: this.#number,
      pending: [...this.#pending.values()].map(({ number, to, hopeful }) => ({ number, to, on: hopeful?.name ?? null })),
    };
  }

  #await(body: Json, deadlineMs: number, signal: AbortSignal | undefined): Promise<Json> {
    return new Promise((resolve, reject) => {
      this.#number += 1;
      const number = this.#number;
      const abort = (): void => {
        pending.settle({ error: aborted(signal) });
      };
      const deadline = this.#clock.timer(deadlineMs, () => {
        const [code, what] =
          pending.to === null
            ? (['HM_PEER_UNREACHABLE', 'could not be sent'] as const)
            : (['HM_REQUEST_TIMEOUT', 'was not answered'] as const);
        this.#fail(pending, code, `a request ${what} within ${String(deadlineMs)} ms`);
      });
      const settle: Pending['settle'] = (outcome) => {
        this.#pending.delete(number);
        deadline.cancel();
        pending.resend?.cancel();
        signal?.removeEventListener('abort', abort);
        if ('ok' in outcome) resolve(outcome.ok);
        else reject(outcome.error);
      };
      const pending: Pending = {
        number,
        body,
        resendMs: deadlineMs * resendPart,
        to: null,
        triedOn: new WeakSet(),
        hopeful: null,
        resend: null,
        settle,
      };
      this.#pending.set(number, pending);
      signal?.addEventListener('abort', abort, { once: true });
      this.#send(pending);
      const mayGoSoon = this.#lines().some(({ run }) => run === null);
      if (pending.to === null && !mayGoSoon)
        this.#fail(pending, 'HM_PEER_UNREACHABLE', 'no monitor link that is up carries a request of this length');
    });
  }

  /** Sends a copy on the best connection that has had none, unless the last copy is still hopeful. */
  #send(pending: Pending): void {
    if (pending.hopeful?.alive) return;
    pending.hopeful = null;
    for (const line of this.#lines()) {
      const to = line.run;
      if (to === null || pending.triedOn.has(line) || (pending.to !== null && pending.to !== to)) continue;
      if (!line.send({ kind: 'request', to, number: pending.number, body: pending.body })) continue;
      pending.to = to;
      pending.triedOn.add(line);
      pending.hopeful = line;
      pending.resend?.cancel();
      pending.resend = this.#clock.timer(pending.resendMs, () => {
        pending.hopeful = null;
        this.#send(pending);
      });
      return;
    }
  }

  #fail(pending: Pending, code: ErrorCode, message: string): void {
    pending.settle({ error: new HotMirrorError(code, message) });
  }
}

function aborted(signal: AbortSignal | undefined): HotMirrorError {
  return new HotMirrorError('HM_ABORTED', 'the request was given up by its caller', { cause: signal?.reason });
}
