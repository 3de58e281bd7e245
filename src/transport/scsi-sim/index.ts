/**
 * A simulated parallel SCSI bus, over which two nodes watch each other as the original product could: hosts as processor devices, a shared unit with
 * reservations, and the faults for which the original's manual advised against it.
 *
 * @module transport/scsi-sim
 */
export { ScsiBus } from './bus.ts';
export type { ScsiBusOptions, UnterminatedFaults } from './bus.ts';
export { longestTransferBytes, noReservationKey, scsiBlockBytes, scsiIds } from './command.ts';
export type {
  PersistentReserveOut,
  ReservationKey,
  ReservationReport,
  ReservationType,
  ReserveOutAction,
  ScsiCommand,
  ScsiResult,
} from './command.ts';
export type { DetachReason, ScsiAttachment, ScsiHost, ScsiPort } from './port.ts';
export type { ScsiLinkOptions } from './link.ts';
export { scsiTransport } from './scsi-transport.ts';
export type { ScsiTransportOptions } from './scsi-transport.ts';
export type { Sense } from './sense.ts';
export { formatScsiUrl, parseScsiUrl } from './address.ts';
export type { ScsiAddress } from './address.ts';
export { serveScsiBus } from './server.ts';
export type { ScsiBusServer, ServeScsiBusOptions } from './server.ts';
export { scsiSocketPort } from './socket-port.ts';
export type { ScsiSocketPortOptions } from './socket-port.ts';
export { mailboxTransport } from './mailbox.ts';
export type { MailboxTransportOptions } from './mailbox.ts';
export { mailboxBlocks } from './mailbox-slot.ts';
