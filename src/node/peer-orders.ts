import * as z from 'zod';

import type { Clock, Timer } from '../clock/clock.ts';
import { sleep } from '../clock/clock.ts';
import { randomHex } from '../clock/random.ts';
import type { Random } from '../clock/random.ts';
import { HotMirrorError } from '../errors.ts';
import type { Json } from '../failover/ports.ts';
import type { ControlStream, WishProgress } from './control-protocol.ts';
import { mirrorOrderSchema } from './mirror-orders.ts';
import type { MirrorOrder, OrderResult } from './mirror-orders.ts';

/** Between two questions how far an order is. */
const pollMs = 500;
/** An order that nobody asks about for so long has lost whoever gave it. */
const abandonedAfterMs = 15_000;
const requestDeadlineMs = 5_000;
/** Orders of the peer that are remembered, running or ended. */
const maxRemembered = 16;
const idBytes = 16;
const longestText = 1_024;
const kind = 'mirror-order';

const ofKind = z.object({ kind: z.literal(kind) });
const id = z.string().min(1).max(64);
const request = z.discriminatedUnion('step', [
  z.strictObject({ kind: z.literal(kind), step: z.literal('begin'), id, order: mirrorOrderSchema }),
  z.strictObject({ kind: z.literal(kind), step: z.literal('ask'), id }),
  z.strictObject({ kind: z.literal(kind), step: z.literal('end'), id }),
]);

const bytes = z.int().min(0);
const progress = z.object({
  text: z.string(),
  mirror: z.string().optional(),
  resync: z.object({ doneBytes: bytes, totalBytes: bytes, bytesPerSecond: z.number(), remainingMs: z.number().nullable() }).optional(),
});
const result = z.object({
  changed: z.boolean(),
  text: z.string(),
  differingBytes: bytes.optional(),
  comparedBytes: bytes.optional(),
  unreadableBytes: bytes.optional(),
  extents: z.array(z.object({ first: bytes, count: bytes })).optional(),
  repaired: z.boolean().optional(),
});
/** How far an order is; `news` counts up with each progress report, of which only the latest is kept. */
const answer = z.discriminatedUnion('state', [
  z.object({ state: z.literal('running'), news: z.int().min(0), progress: progress.optional() }),
  z.object({ state: z.literal('done'), result }),
  z.object({ state: z.literal('failed'), error: z.unknown() }),
]);

type Answer = z.infer<typeof answer>;

/** What {@link PeerOrders} needs. */
export interface PeerOrdersOptions {
  /** The other node's name, for what people read. */
  readonly peer: string;
  readonly monitor: {
    reachable(): boolean;
    request(body: Json, options: { readonly deadlineMs: number; readonly signal?: AbortSignal }): Promise<Json>;
  };
  readonly clock: Clock;
  readonly random: Random;
  /** Carries out an order of the peer here. */
  readonly carryOut: (order: MirrorOrder, stream: ControlStream<WishProgress>) => Promise<OrderResult>;
}

interface Remembered {
  answer: Answer;
  readonly abort: AbortController;
  timer: Timer;
}

/**
 * Orders about mirrors that one node gives the other, over the authenticated monitor links. An order is begun once, asked about until it has ended, and given up
 * by word or by silence: a node that dies leaves no verify behind. Both ways are bounded.
 */
export class PeerOrders {
  readonly #options: PeerOrdersOptions;
  readonly #remembered: Map<string, Remembered> = new Map();

  constructor(options: PeerOrdersOptions) {
    this.#options = options;
  }

  /**
   * Has the peer carry out an order. Rejects with the peer's own error, `HM_PEER_UNREACHABLE`, `HM_NOT_SUPPORTED` where its version takes no orders,
   * `HM_CONNECTION_LOST` where it started anew meanwhile, and `HM_ABORTED`, after which the order is given up there too.
   */
  async give(order: MirrorOrder, stream: ControlStream<WishProgress>): Promise<OrderResult> {
    const { clock, random } = this.#options;
    const number = randomHex(random, idBytes);
    let step: Json = { kind, step: 'begin', id: number, order: { ...order } };
    let told = 0;
    try {
      for (;;) {
        const got = await this.#ask(step, stream.signal);
        if (got?.state === 'done') return withoutUndefined(got.result);
        if (got?.state === 'failed') throw HotMirrorError.fromJSON(got.error);
        if (got) step = { kind, step: 'ask', id: number };
        if (got?.progress && got.news > told) void stream.progress(withoutUndefined(got.progress));
        told = Math.max(told, got?.news ?? 0);
        await sleep(clock, pollMs, stream.signal);
      }
    } catch (error) {
      if (!stream.signal.aborted) throw error;
      await this.#ask({ kind, step: 'end', id: number }).catch(() => null);
      throw new HotMirrorError('HM_ABORTED', `whoever asked ${this.#options.peer} to ${order.order} ${order.mirror} has gone`);
    }
  }

  /** Answers a request of the peer; null where it is none of these. Throws `HM_PROTOCOL`, `HM_BUSY`, and `HM_CONNECTION_LOST` about an order that is not known. */
  answer(body: Json): Json | null {
    if (!ofKind.safeParse(body).success) return null;
    const parsed = request.safeParse(body);
    if (!parsed.success)
      throw new HotMirrorError('HM_PROTOCOL', `the peer sent an order that makes no sense: ${z.prettifyError(parsed.error)}`);
    const asked = parsed.data;
    const known = this.#remembered.get(asked.id) ?? (asked.step === 'begin' ? this.#begin(asked.id, asked.order) : null);
    if (!known)
      throw new HotMirrorError(
        'HM_CONNECTION_LOST',
        'the order is not known here: this node started anew, or was not asked about it for long',
      );
    if (asked.step === 'end') this.#forget(asked.id, known);
    else this.#expectMore(asked.id, known);
    return known.answer as Json;
  }

  /** Gives up everything that the peer ordered. */
  close(): void {
    for (const [number, known] of this.#remembered) this.#forget(number, known);
  }

  #begin(number: string, order: MirrorOrder): Remembered {
    for (const [each, known] of this.#remembered) {
      if (this.#remembered.size < maxRemembered) break;
      if (known.answer.state !== 'running') this.#forget(each, known);
    }
    if (this.#remembered.size >= maxRemembered) throw new HotMirrorError('HM_BUSY', 'the peer has given too many orders');
    const abort = new AbortController();
    const known: Remembered = { answer: { state: 'running', news: 0 }, abort, timer: { cancel: () => undefined } };
    this.#remembered.set(number, known);
    let news = 0;
    const stream: ControlStream<WishProgress> = {
      signal: abort.signal,
      progress(value) {
        news += 1;
        const shown = { ...value, text: value.text.slice(0, longestText) };
        if (known.answer.state === 'running') known.answer = { state: 'running', news, progress: shown };
        return Promise.resolve();
      },
    };
    started(() => this.#options.carryOut(order, stream)).then(
      (done) => (known.answer = { state: 'done', result: { ...done, extents: done.extents?.map((run) => ({ ...run })) } }),
      (error: unknown) => (known.answer = { state: 'failed', error: HotMirrorError.from(error, 'HM_INTERNAL', order.order).toJSON() }),
    );
    return known;
  }

  #expectMore(number: string, known: Remembered): void {
    known.timer.cancel();
    known.timer = this.#options.clock.timer(abandonedAfterMs, () => this.#forget(number, known));
  }

  #forget(number: string, known: Remembered): void {
    known.timer.cancel();
    this.#remembered.delete(number);
    known.abort.abort(new HotMirrorError('HM_ABORTED', 'the other node gave the order up'));
  }

  /** Null: no answer this time, while the peer is still there. */
  async #ask(body: Json, signal?: AbortSignal): Promise<Answer | null> {
    const { monitor, peer } = this.#options;
    try {
      const parsed = answer.safeParse(await monitor.request(body, { deadlineMs: requestDeadlineMs, ...(signal ? { signal } : {}) }));
      if (parsed.success) return parsed.data;
      throw new HotMirrorError('HM_PROTOCOL', `${peer} answered an order with what makes no sense: ${z.prettifyError(parsed.error)}`);
    } catch (error) {
      const { code } = HotMirrorError.from(error, 'HM_INTERNAL', 'an order');
      if (code === 'HM_REQUEST_TIMEOUT' && monitor.reachable()) return null;
      if (code !== 'HM_PROTOCOL') throw error;
      const remedy = `Say it to ${peer} itself: add --node ${peer}, on that node.`;
      throw new HotMirrorError('HM_NOT_SUPPORTED', `${peer} takes no orders from here`, { cause: error, details: { remedy } });
    }
  }
}

/** Work that throws before it gives a promise rejects all the same. */
async function started<T>(work: () => Promise<T>): Promise<T> {
  return work();
}

/** Only what is there: as the types of the control socket have it. */
function withoutUndefined<T extends object>(value: T): { [Key in keyof T]: Exclude<T[Key], undefined> } {
  return Object.fromEntries(Object.entries(value).filter(([, each]) => each !== undefined)) as {
    [Key in keyof T]: Exclude<T[Key], undefined>;
  };
}
