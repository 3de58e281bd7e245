import createDebug from 'debug';

import type { Clock } from '../clock/clock.ts';
import { createEmitter } from '../events.ts';
import type { Emitter } from '../events.ts';
import type { MirrorEventName, MirrorEvents } from './mirror-events.ts';
import type { MirrorState, ServingState } from './state.ts';

const debug = createDebug('hotmirror:mirror');

/** Tells the listeners of a mirror what happens, in events and by plain calls; no listener disturbs the mirror or another listener. */
export class Announcer {
  readonly events: Emitter<MirrorEvents>;
  readonly #name: string;
  readonly #clock: Clock;
  readonly #listeners = new Set<() => void>();
  readonly #heardListeners = new Set<(atMs: number) => void>();
  #toldServing: ServingState = 'no';

  constructor(name: string, clock: Clock) {
    this.#name = name;
    this.#clock = clock;
    this.events = createEmitter<MirrorEvents>((error) => {
      this.#threw(error);
    });
  }

  /** Calls back after each change; returns how to stop that. */
  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  /** Calls back at each authenticated sign of life of the peer; returns how to stop that. */
  onHeard(listener: (atMs: number) => void): () => void {
    this.#heardListeners.add(listener);
    return () => void this.#heardListeners.delete(listener);
  }

  /** The peer gave a sign of life. */
  heard(): void {
    for (const listener of this.#heardListeners) this.#call(() => listener(this.#clock.nowMs()));
  }

  emit(name: MirrorEventName, eventClass: 0 | 1 | 2 | 3, text: string, extra: Record<string, unknown> = {}): void {
    debug('%s: %s: %s', this.#name, name, text);
    const event = { mirror: this.#name, atMs: this.#clock.nowMs(), class: eventClass, text, ...extra };
    (this.events.emit as (name: string, event: unknown) => boolean)(name, event);
  }

  /** Something of the state changed. */
  changed(state: MirrorState): void {
    const before = this.#toldServing;
    this.#toldServing = state.serving;
    // One that has just been promoted has nothing to complete yet.
    const eventClass = before === 'no' ? 0 : 3;
    if (state.serving === 'parked' && before !== 'parked')
      this.emit('writes:parked', eventClass, 'requests wait for the peer', { rule: 'serve.fresh' });
    else if (state.serving !== 'parked' && state.serving !== 'no' && before === 'parked') {
      const rule = state.serving === 'alone' ? 'alone' : 'serve.fresh';
      this.emit('writes:resumed', 0, 'requests complete again', { rule });
    }
    this.emit('state:changed', 0, `${state.element}, ${state.connection}, serving: ${state.serving}`, { state });
    for (const listener of this.#listeners) this.#call(listener);
  }

  /** Nothing is told any more. */
  end(): void {
    this.#listeners.clear();
    this.#heardListeners.clear();
    this.events.removeAllListeners();
  }

  #call(listener: () => void): void {
    try {
      listener();
    } catch (error) {
      this.#threw(error);
    }
  }

  #threw(error: unknown): void {
    debug('%s: a listener threw: %O', this.#name, error);
  }
}
