import type { Sense } from './sense.ts';

/** Ids that a wide parallel bus has: 0 to 15. */
export const scsiIds = 16;
/** Bytes of a block of the shared unit. */
export const scsiBlockBytes = 512;
/** Most bytes that one command moves. */
export const longestTransferBytes = 65_536;

/** A key of a persistent reservation: 16 lower-case hexadecimal digits; {@link noReservationKey} means none. */
export type ReservationKey = string;

/** The key that stands for none. */
export const noReservationKey: ReservationKey = '0000000000000000';

/** Kinds of persistent reservation that the unit knows: 5, write exclusive for registrants; 6, exclusive access for registrants. */
export type ReservationType = 5 | 6;

/** What a PERSISTENT RESERVE OUT does. */
export type ReserveOutAction = 'register' | 'register-and-ignore' | 'reserve' | 'release' | 'clear' | 'preempt' | 'preempt-and-abort';

/** One command to one target. SEND and RECEIVE are for a host (a processor device), the rest for the shared unit; INQUIRY and TEST UNIT READY are for both. */
export type ScsiCommand =
  | { readonly op: 'test-unit-ready' }
  | { readonly op: 'inquiry' }
  | { readonly op: 'request-sense' }
  | { readonly op: 'send'; readonly data: Uint8Array }
  | { readonly op: 'receive' }
  | { readonly op: 'read'; readonly block: number; readonly count: number }
  | { readonly op: 'write'; readonly block: number; readonly data: Uint8Array }
  | { readonly op: 'reserve' }
  | { readonly op: 'release' }
  | { readonly op: 'persistent-reserve-in' }
  | PersistentReserveOut;

/** A PERSISTENT RESERVE OUT. */
export interface PersistentReserveOut {
  readonly op: 'persistent-reserve-out';
  readonly action: ReserveOutAction;
  /** The key that this initiator is registered with. */
  readonly key: ReservationKey;
  /** The new key of a register; the key whose holders a preempt removes. */
  readonly serviceKey: ReservationKey;
  /** For reserve, release and the preempts. */
  readonly type: ReservationType;
}

/** What a PERSISTENT RESERVE IN reports: READ KEYS and READ RESERVATION in one. */
export interface ReservationReport {
  /** Grows by one with each change of the registrations. */
  readonly generation: number;
  /** The keys of all registered initiators, in the order of their ids. */
  readonly keys: readonly ReservationKey[];
  readonly reservation: { readonly key: ReservationKey; readonly type: ReservationType } | null;
}

/**
 * How a command ended. The first six are what a target says; with the others it said nothing, or nothing that arrived:
 *
 * - `selection-timeout`: nothing answers at that id.
 * - `transport-error`: the bus damaged the command or its answer; whether it took effect is unknown.
 * - `detached`: this host is no longer on the bus.
 */
export type ScsiResult =
  | { readonly status: 'good'; readonly data: Uint8Array; readonly report: ReservationReport | null }
  | { readonly status: 'check-condition'; readonly sense: Sense }
  | { readonly status: 'busy' | 'reservation-conflict' | 'task-set-full' | 'task-aborted' }
  | { readonly status: 'selection-timeout' | 'transport-error' | 'detached' };

const nothing = new Uint8Array(0);

/** GOOD, with what it brought. */
export function good(data: Uint8Array = nothing, report: ReservationReport | null = null): ScsiResult {
  return { status: 'good', data, report };
}

/** CHECK CONDITION with its sense data. */
export function checkCondition(sense: Sense): ScsiResult {
  return { status: 'check-condition', sense };
}

/** The bytes that a command moves towards its target. */
export function bytesOut(command: ScsiCommand): number {
  return 'data' in command ? command.data.length : 0;
}

/** The bytes that a result brings. */
export function bytesIn(result: ScsiResult): number {
  return result.status === 'good' ? result.data.length : 0;
}
