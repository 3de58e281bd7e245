import { HotMirrorError } from '../../errors.ts';
import { scsiIds } from './command.ts';

/** A host's place on a bus that is served at a file. */
export interface ScsiAddress {
  /** Path of the bus's unix socket. */
  readonly file: string;
  readonly id: number;
}

/** Reads `scsi-sim:FILE?id=7`. Throws `HM_ADDRESS` that names what is wrong. */
export function parseScsiUrl(text: string): ScsiAddress {
  const bad = (what: string): HotMirrorError =>
    new HotMirrorError(
      'HM_ADDRESS',
      `${JSON.stringify(text)}: ${what}; write scsi-sim:FILE?id=7, with an id from 0 to ${String(scsiIds - 1)}`,
    );
  const match = /^scsi-sim:([^?#]*)(?:\?([^#]*))?(#.*)?$/iu.exec(text);
  if (!match) throw bad('not the address of a simulated SCSI bus');
  const [, written = '', query = '', fragment] = match;
  if (fragment !== undefined) throw bad(`${fragment} does not belong there`);
  if (written === '' || written.startsWith('//')) throw bad('the file is missing');
  const settings = new URLSearchParams(query);
  for (const name of settings.keys()) if (name !== 'id' || settings.getAll(name).length > 1) throw bad(`${name} does not belong there`);
  const id = settings.get('id');
  if (id === null) throw bad('the id is missing');
  if (!/^\d{1,2}$/u.test(id) || Number(id) >= scsiIds) throw bad(`${id} is no id`);
  return { file: decoded(written, bad), id: Number(id) };
}

/** Writes what {@link parseScsiUrl} reads. */
export function formatScsiUrl({ file, id }: ScsiAddress): string {
  return `scsi-sim:${file.replace(/[%?#]/gu, encodeURIComponent)}?id=${String(id)}`;
}

function decoded(written: string, bad: (what: string) => HotMirrorError): string {
  try {
    return decodeURIComponent(written);
  } catch {
    throw bad('the file has a % that stands for nothing');
  }
}
