/** Sense data, as SPC numbers it. */
export interface Sense {
  /** The sense key: 5 illegal request, 6 unit attention. */
  readonly key: number;
  /** Additional sense code. */
  readonly asc: number;
  /** Additional sense code qualifier. */
  readonly ascq: number;
  /** In words. */
  readonly text: string;
}

const noSense = 0x0;
const illegalRequest = 0x5;
const unitAttentionKey = 0x6;

type SenseName =
  | 'none'
  | 'invalidOperation'
  | 'outOfRange'
  | 'invalidField'
  | 'invalidParameter'
  | 'invalidRelease'
  | 'powerOn'
  | 'busReset'
  | 'reservationsPreempted'
  | 'reservationsReleased'
  | 'registrationsPreempted';

/** The sense data that targets of the bus return. */
export const senses: Readonly<Record<SenseName, Sense>> = {
  none: { key: noSense, asc: 0x00, ascq: 0x00, text: 'no additional sense information' },
  invalidOperation: { key: illegalRequest, asc: 0x20, ascq: 0x00, text: 'invalid command operation code' },
  outOfRange: { key: illegalRequest, asc: 0x21, ascq: 0x00, text: 'logical block address out of range' },
  invalidField: { key: illegalRequest, asc: 0x24, ascq: 0x00, text: 'invalid field in CDB' },
  invalidParameter: { key: illegalRequest, asc: 0x26, ascq: 0x00, text: 'invalid field in parameter list' },
  invalidRelease: { key: illegalRequest, asc: 0x26, ascq: 0x04, text: 'invalid release of persistent reservation' },
  powerOn: { key: unitAttentionKey, asc: 0x29, ascq: 0x01, text: 'power on occurred' },
  busReset: { key: unitAttentionKey, asc: 0x29, ascq: 0x02, text: 'SCSI bus reset occurred' },
  reservationsPreempted: { key: unitAttentionKey, asc: 0x2a, ascq: 0x03, text: 'reservations preempted' },
  reservationsReleased: { key: unitAttentionKey, asc: 0x2a, ascq: 0x04, text: 'reservations released' },
  registrationsPreempted: { key: unitAttentionKey, asc: 0x2a, ascq: 0x05, text: 'registrations preempted' },
};

/** Whether the sense data tells of something that happened, not of this command: the command was not begun and may be sent again. */
export function isUnitAttention({ key }: Sense): boolean {
  return key === unitAttentionKey;
}

const currentError = 0x70;
const fixedBytes = 18;
const keyAt = 2;
const additionalLengthAt = 7;
const ascAt = 12;

/** Sense data in the fixed format of SPC, as REQUEST SENSE returns it. */
export function fixedSense({ key, asc, ascq }: Sense): Uint8Array {
  const bytes = new Uint8Array(fixedBytes);
  bytes[0] = currentError;
  bytes[keyAt] = key;
  bytes[additionalLengthAt] = fixedBytes - additionalLengthAt - 1;
  bytes.set([asc, ascq], ascAt);
  return bytes;
}
