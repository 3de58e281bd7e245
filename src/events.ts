import { EventEmitter } from 'node:events';

import type { Rule } from './rules.ts';

/** What every event of hotmirror carries. */
export interface EventBase {
  /** Monotonic time of the emitter's clock, in ms. */
  readonly atMs: number;
  /** Effect on the service (semantics 10): 0 information, 1 redundancy lost, 2 service moved, 3 service lost. */
  readonly class: 0 | 1 | 2 | 3;
  /** The rule that decided, where one did. */
  readonly rule?: Rule;
  /** What the rule saw. */
  readonly evidence?: Readonly<Record<string, unknown>>;
  /** One sentence for people. */
  readonly text: string;
}

/** What a line of a log says in fields of its own. */
const commonFields: ReadonlySet<string> = new Set(['atMs', 'class', 'rule', 'text', 'mirror', 'evidence', 'error']);

/** What a log keeps of an event besides those: all that this kind of event says, its evidence, and the code of what failed. */
export function evidenceOf(payload: object): EventBase['evidence'] {
  const { evidence, error } = payload as Partial<EventBase> & { readonly error?: { readonly code?: unknown } };
  const facts = Object.fromEntries(Object.entries(payload).filter(([name]) => !commonFields.has(name)));
  const said = { ...(error?.code === undefined ? {} : { code: error.code }), ...facts, ...evidence };
  return Object.keys(said).length === 0 ? undefined : said;
}

/** A map from event names to listener types. Must be a `type`, not an `interface`. */
// eslint-disable-next-line @typescript-eslint/no-explicit-any -- typed-emitter's own constraint; `never` or `unknown` do not satisfy it
export type EventMap = Record<string, (...payload: any[]) => void>;

/** A typed emitter of the events in `Events`. */
export type Emitter<Events extends EventMap> = import('typed-emitter').default<Events>;

/**
 * Makes the typed emitter that each class holds. A listener that throws must not disturb the work that emits,
 * so what it throws is handed to `onListenerError` instead.
 */
export function createEmitter<Events extends EventMap>(onListenerError: (error: unknown) => void): Emitter<Events> {
  class SafeEmitter extends EventEmitter {
    override emit(name: string | symbol, ...payload: unknown[]): boolean {
      const listeners = this.rawListeners(name);
      for (const listener of listeners) {
        try {
          (listener as (...payload: unknown[]) => void).apply(this, payload);
        } catch (error) {
          onListenerError(error);
        }
      }
      return listeners.length > 0;
    }
  }
  const emitter = new SafeEmitter();
  emitter.setMaxListeners(0);
  return emitter as unknown as Emitter<Events>;
}
