import { HotMirrorError } from '../../errors.ts';
import { scsiIds } from './command.ts';

/** Mailboxes that may be named: as many as the shared unit of a bus holds where nothing else is said. */
export const scsiMailboxes = 16;

/** A host's place on a bus that is served at a file. */
export interface ScsiAddress {
  /** Path of the bus's unix socket. */
  readonly file: string;
  readonly id: number;
  /** Number of the mailbox on the shared unit by which the host speaks; absent: by messages. */
  readonly mailbox?: number;
}

/** Reads `scsi-sim:FILE?id=7` and `scsi-sim:FILE?id=7&mailbox=0`. Throws `HM_ADDRESS` that names what is wrong. */
export function parseScsiUrl(text: string): ScsiAddress {
  const bad = (what: string): HotMirrorError =>
    new HotMirrorError(
      'HM_ADDRESS',
      `${JSON.stringify(text)}: ${what}; write scsi-sim:FILE?id=7 or scsi-sim:FILE?id=7&mailbox=0, with an id from 0 to ${String(scsiIds - 1)} and a mailbox from 0 to ${String(scsiMailboxes - 1)}`,
    );
  const match = /^scsi-sim:([^?#]*)(?:\?([^#]*))?(#.*)?$/iu.exec(text);
  if (!match) throw bad('not the address of a simulated SCSI bus');
  const [, written = '', query = '', fragment] = match;
  if (fragment !== undefined) throw bad(`${fragment} does not belong there`);
  if (written === '' || written.startsWith('//')) throw bad('the file is missing');
  const settings = new URLSearchParams(query);
  for (const name of settings.keys())
    if ((name !== 'id' && name !== 'mailbox') || settings.getAll(name).length > 1) throw bad(`${name} does not belong there`);
  const [id, mailbox] = [settings.get('id'), settings.get('mailbox')];
  if (id === null) throw bad('the id is missing');
  const place = { file: decoded(written, bad), id: numberBelow(scsiIds, id, 'id', bad) };
  return mailbox === null ? place : { ...place, mailbox: numberBelow(scsiMailboxes, mailbox, 'mailbox', bad) };
}

/** Writes what {@link parseScsiUrl} reads. */
export function formatScsiUrl({ file, id, mailbox }: ScsiAddress): string {
  const place = `scsi-sim:${file.replace(/[%?#]/gu, encodeURIComponent)}?id=${String(id)}`;
  return mailbox === undefined ? place : `${place}&mailbox=${String(mailbox)}`;
}

function numberBelow(limit: number, text: string, what: string, bad: (what: string) => HotMirrorError): number {
  if (!/^\d{1,2}$/u.test(text) || Number(text) >= limit) throw bad(`${text} is no ${what}`);
  return Number(text);
}

function decoded(written: string, bad: (what: string) => HotMirrorError): string {
  try {
    return decodeURIComponent(written);
  } catch {
    throw bad('the file has a % that stands for nothing');
  }
}
