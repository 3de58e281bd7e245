import { checkCondition, good, noReservationKey } from './command.ts';
import type { PersistentReserveOut, ReservationKey, ReservationReport, ReservationType, ScsiCommand, ScsiResult } from './command.ts';
import { senses } from './sense.ts';
import type { Sense } from './sense.ts';

/** Who may use the shared unit. */
export interface Reservations {
  /** By RESERVE: this initiator alone, until RELEASE or a reset. */
  readonly reservedBy: number | null;
  /** The key of each initiator that has registered. */
  readonly registrations: ReadonlyMap<number, ReservationKey>;
  readonly persistent: { readonly holder: number; readonly type: ReservationType } | null;
  readonly generation: number;
}

/** What an initiator hears of with its next command. */
export interface Attention {
  readonly initiator: number;
  readonly sense: Sense;
}

/** What a command of reservations comes to. */
export interface Ruling {
  readonly result: ScsiResult;
  readonly next: Reservations;
  readonly attentions: readonly Attention[];
  /** Initiators whose commands under way are aborted. */
  readonly aborted: readonly number[];
}

/** Nobody has reserved anything. */
export const noReservations: Reservations = Object.freeze({ reservedBy: null, registrations: new Map(), persistent: null, generation: 0 });

const conflict: ScsiResult = Object.freeze({ status: 'reservation-conflict' });

/** Whether the reservations of others keep an initiator from a command (SPC-2 for RESERVE, SPC-4 for persistent ones). Pure. */
export function conflicts(state: Reservations, initiator: number, command: ScsiCommand): boolean {
  const { reservedBy, registrations, persistent } = state;
  switch (command.op) {
    case 'inquiry':
    case 'request-sense':
      return false;
    case 'reserve':
    case 'release':
      if (registrations.size > 0) return true;
      return command.op === 'reserve' && reservedBy !== null && reservedBy !== initiator;
    case 'persistent-reserve-in':
    case 'persistent-reserve-out':
      // The two ways to reserve exclude each other, for whoever holds the older one as well.
      return reservedBy !== null;
    case 'test-unit-ready':
      return reservedBy !== null && reservedBy !== initiator;
    case 'read':
    case 'write':
      if (reservedBy !== null) return reservedBy !== initiator;
      if (!persistent || registrations.has(initiator)) return false;
      return persistent.type === 6 || command.op === 'write';
    case 'send':
    case 'receive':
      return false;
  }
}

/** RESERVE: this initiator alone. That nobody else has was judged before. Pure. */
export function reserve(state: Reservations, initiator: number): Ruling {
  return ruled({ ...state, reservedBy: initiator });
}

/** RELEASE; of somebody who has reserved nothing it is GOOD and changes nothing. Pure. */
export function release(state: Reservations, initiator: number): Ruling {
  return ruled(state.reservedBy === initiator ? { ...state, reservedBy: null } : state);
}

/** What a PERSISTENT RESERVE IN reports. Pure. */
export function reservationReport({ registrations, persistent, generation }: Reservations): ReservationReport {
  const inOrder = [...registrations].sort(([one], [other]) => one - other);
  const key = persistent && registrations.get(persistent.holder);
  return {
    generation,
    keys: inOrder.map(([, registered]) => registered),
    reservation: persistent && key !== null && key !== undefined ? { key, type: persistent.type } : null,
  };
}

/** PERSISTENT RESERVE OUT. Pure. */
export function persistentReserveOut(state: Reservations, initiator: number, command: PersistentReserveOut): Ruling {
  const { action, key, serviceKey } = command;
  const registered = state.registrations.get(initiator);
  if (action === 'register-and-ignore') return register(state, initiator, serviceKey);
  if (key !== (registered ?? noReservationKey)) return refused(state, conflict);
  if (action === 'register') return register(state, initiator, serviceKey);
  if (registered === undefined) return refused(state, conflict);
  switch (action) {
    case 'reserve':
      return reservePersistently(state, initiator, command.type);
    case 'release':
      return releasePersistent(state, initiator, command.type);
    case 'clear':
      return clear(state, initiator);
    case 'preempt':
    case 'preempt-and-abort':
      return preempt(state, initiator, command);
  }
}

function register(state: Reservations, initiator: number, serviceKey: ReservationKey): Ruling {
  const { registrations, persistent } = state;
  if (serviceKey !== noReservationKey) {
    return ruled(changed(state, new Map(registrations).set(initiator, serviceKey)));
  }
  if (!registrations.has(initiator)) return ruled(state);
  const left = without(registrations, [initiator]);
  if (persistent?.holder !== initiator) return ruled(changed(state, left));
  return ruled({ ...changed(state, left), persistent: null }, attentions(left.keys(), senses.reservationsReleased));
}

function reservePersistently(state: Reservations, initiator: number, type: ReservationType): Ruling {
  const { persistent } = state;
  if (!persistent) return ruled({ ...state, persistent: { holder: initiator, type } });
  return persistent.holder === initiator && persistent.type === type ? ruled(state) : refused(state, conflict);
}

function releasePersistent(state: Reservations, initiator: number, type: ReservationType): Ruling {
  const { persistent, registrations } = state;
  if (persistent?.holder !== initiator) return ruled(state);
  if (persistent.type !== type) return refused(state, checkCondition(senses.invalidRelease));
  return ruled({ ...state, persistent: null }, attentions(others(registrations, initiator), senses.reservationsReleased));
}

function clear(state: Reservations, initiator: number): Ruling {
  const told = attentions(others(state.registrations, initiator), senses.reservationsPreempted);
  return ruled({ ...changed(state, new Map()), persistent: null }, told);
}

function preempt(state: Reservations, initiator: number, { action, serviceKey, type }: PersistentReserveOut): Ruling {
  const { registrations, persistent } = state;
  if (serviceKey === noReservationKey) return refused(state, checkCondition(senses.invalidParameter));
  const named = [...registrations].filter(([, key]) => key === serviceKey).map(([id]) => id);
  if (named.length === 0) return refused(state, conflict);
  const takesOver = persistent !== null && named.includes(persistent.holder);
  const removed = takesOver ? named.filter((id) => id !== initiator) : named;
  const left = without(registrations, removed);
  const told = attentions(
    removed.filter((id) => id !== initiator),
    senses.registrationsPreempted,
  );
  if (takesOver && persistent.type !== type) told.push(...attentions(others(left, initiator), senses.reservationsReleased));
  return {
    ...ruled({ ...changed(state, left), persistent: takesOver ? { holder: initiator, type } : persistent }, told),
    aborted: action === 'preempt-and-abort' ? removed.filter((id) => id !== initiator) : [],
  };
}

/** A change of the registrations, which the generation counts. */
function changed(state: Reservations, registrations: ReadonlyMap<number, ReservationKey>): Reservations {
  return { ...state, registrations, generation: (state.generation + 1) >>> 0 };
}

function ruled(next: Reservations, told: readonly Attention[] = []): Ruling {
  return { result: good(), next, attentions: told, aborted: [] };
}

function refused(state: Reservations, result: ScsiResult): Ruling {
  return { result, next: state, attentions: [], aborted: [] };
}

function without(registrations: ReadonlyMap<number, ReservationKey>, ids: readonly number[]): Map<number, ReservationKey> {
  return new Map([...registrations].filter(([id]) => !ids.includes(id)));
}

function others(registrations: ReadonlyMap<number, ReservationKey>, initiator: number): number[] {
  return [...registrations.keys()].filter((id) => id !== initiator);
}

function attentions(initiators: Iterable<number>, sense: Sense): Attention[] {
  return [...initiators].map((initiator) => ({ initiator, sense }));
}
