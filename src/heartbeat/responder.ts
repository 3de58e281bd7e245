import { HotMirrorError } from '../errors.ts';
import type { SerializedError } from '../errors.ts';
import type { Line } from './monitor-link.ts';
import { formerStartsKept } from './presence.ts';
import { checkBody } from './token.ts';
import type { Outcome, Reply, RequestMessage } from './token.ts';
import type { Json } from './types.ts';

/** Requests that run at once; more are refused with `HM_BUSY`. */
export const runningRequests = 64;
/** Requests whose outcome is remembered, so that a repeated one is answered and not run again. */
export const rememberedRequests = 256;

interface Entry {
  readonly number: number;
  /** Where copies of the request came from, and its reply goes. */
  readonly lines: Set<Line>;
  outcome: Outcome | null;
}

/**
 * Answers the peer's requests, each once, however many copies arrive on however many links.
 *
 * A request is known by the asker's start and a number. Outcomes are remembered in bounded memory; a number older than all that is remembered
 * is refused without being run, so at-most-once holds whatever a link delays.
 */
export class Responder {
  readonly #run: string;
  readonly #answer: (body: Json) => Promise<Json>;
  /** The asker's start that is served now. */
  #from: string | null = null;
  readonly #entries = new Map<number, Entry>();
  /** Nothing up to this number is run any more. */
  #forgottenTo = 0;
  /** The highest number that arrived. */
  #highest = 0;
  /** The highest number that each former start of the asker used. */
  readonly #former = new Map<string, number>();
  #running = 0;

  constructor(run: string, answer: (body: Json) => Promise<Json>) {
    this.#run = run;
    this.#answer = answer;
  }

  /** The peer started anew: what its former life asked is forgotten, and numbers begin again; for one that was taken for over they go on. */
  peerStarted(run: string): void {
    if (this.#from !== null) this.#former.set(this.#from, this.#highest);
    const [oldest] = this.#former.keys();
    this.#from = run;
    this.#entries.clear();
    this.#highest = this.#former.get(run) ?? 0;
    this.#forgottenTo = this.#highest;
    this.#former.delete(run);
    if (oldest !== undefined && this.#former.size > formerStartsKept) this.#former.delete(oldest);
  }

  /** A request arrived on a connection of the present start of the peer. */
  request(line: Line, message: RequestMessage): void {
    const known = this.#entries.get(message.number);
    if (known) {
      known.lines.add(line);
      if (known.outcome) this.#reply(known);
      return;
    }
    const entry: Entry = { number: message.number, lines: new Set([line]), outcome: this.#refusal(message) };
    this.#highest = Math.max(this.#highest, message.number);
    if (message.number > this.#forgottenTo) this.#remember(entry);
    if (entry.outcome) this.#reply(entry);
    else void this.#perform(entry, message.body);
  }

  /** All state, for simulators. */
  snapshot(): { readonly [key: string]: Json } {
    const remembered = [...this.#entries.values()].map(({ number, outcome }) => ({ number, done: outcome !== null }));
    return { from: this.#from, forgottenTo: this.#forgottenTo, running: this.#running, remembered };
  }

  #refusal(message: RequestMessage): Outcome | null {
    if (message.to !== this.#run) return refusal('HM_REQUEST_TIMEOUT', 'the request was for a former start of this node');
    if (message.number <= this.#forgottenTo)
      return refusal('HM_REQUEST_TIMEOUT', 'the request is too old: whether it was acted on is forgotten');
    if (this.#running >= runningRequests) return refusal('HM_BUSY', `${String(runningRequests)} requests are being answered already`);
    return null;
  }

  #remember(entry: Entry): void {
    this.#entries.set(entry.number, entry);
    for (const oldest of this.#entries.values()) {
      if (this.#entries.size <= rememberedRequests) break;
      if (!oldest.outcome || oldest === entry) continue;
      this.#entries.delete(oldest.number);
      this.#forgottenTo = Math.max(this.#forgottenTo, oldest.number);
    }
  }

  async #perform(entry: Entry, body: Json): Promise<void> {
    this.#running += 1;
    try {
      const ok = await this.#answer(body);
      checkBody(ok, 'the reply');
      entry.outcome = { ok };
    } catch (cause) {
      entry.outcome = failure(cause);
    } finally {
      this.#running -= 1;
    }
    this.#reply(entry);
  }

  #reply(entry: Entry): void {
    if (!entry.outcome) return;
    for (const line of entry.lines) {
      if (line.run === null) continue;
      const reply: Reply = { kind: 'reply', to: line.run, number: entry.number, outcome: entry.outcome };
      line.send(reply);
    }
    entry.lines.clear();
  }
}

function refusal(code: 'HM_REQUEST_TIMEOUT' | 'HM_BUSY', message: string): Outcome {
  return { error: new HotMirrorError(code, message).toJSON() };
}

/** What the peer is told of an error: all of it where it can be sent, else what matters. */
function failure(cause: unknown): Outcome {
  const error = HotMirrorError.from(cause, 'HM_INTERNAL', 'the request failed');
  const { code, message, rule } = error;
  try {
    const whole = JSON.parse(JSON.stringify(error)) as Json;
    checkBody(whole, 'the error');
    return { error: whole as unknown as SerializedError };
  } catch {
    return { error: { code, message: message.slice(0, 1_000), ...(rule === undefined ? {} : { rule }) } };
  }
}
