import { HotMirrorError } from '../errors.ts';
import { infos, transmissionFlags } from './protocol.ts';

/** What a server says of the export that a client uses. */
export interface ServerExport {
  readonly sizeBytes: number;
  /** What offsets and lengths must be multiples of: at least 512. */
  readonly blockSizeBytes: number;
  /** The largest request, in whole blocks. */
  readonly requestBytes: number;
  readonly readOnly: boolean;
  readonly flush: boolean;
  readonly fua: boolean;
  readonly trim: boolean;
  readonly writeZeroes: boolean;
}

/** What holds for a server that says nothing of its block sizes. */
const defaultBlockBytes = 512;
const defaultRequestBytes = 32 * 2 ** 20;
const largestBlockBytes = 64 * 2 ** 10;
/** A server's word for a maximum that it has not. */
const noMaximum = 0xffffffff;

const exportInfoBytes = 12;
const blockInfoBytes = 14;

/** Reads what a server told before it agreed. Throws `HM_BAD_MAGIC` for what cannot be. */
export function readExport(told: readonly Uint8Array[]): ServerExport {
  const views = told.map((bytes) => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength));
  const find = (info: number, lengthBytes: number): DataView | undefined =>
    views.find((view) => view.byteLength === lengthBytes && view.getUint16(0) === info);
  const about = find(infos.export, exportInfoBytes);
  if (!about) throw badServer('it says nothing of the export');
  const sizeBytes = Number(about.getBigUint64(2));
  if (!Number.isSafeInteger(sizeBytes)) throw badServer('its export is larger than can be');
  const can = (flag: number): boolean => (about.getUint16(10) & flag) !== 0;
  return {
    sizeBytes,
    ...readBlockSizes(find(infos.blockSize, blockInfoBytes)),
    readOnly: can(transmissionFlags.readOnly),
    flush: can(transmissionFlags.sendFlush),
    fua: can(transmissionFlags.sendFua),
    trim: can(transmissionFlags.sendTrim),
    writeZeroes: can(transmissionFlags.sendWriteZeroes),
  };
}

function readBlockSizes(view: DataView | undefined): Pick<ServerExport, 'blockSizeBytes' | 'requestBytes'> {
  if (!view) return { blockSizeBytes: defaultBlockBytes, requestBytes: defaultRequestBytes };
  const [least, preferred, most] = [view.getUint32(2), view.getUint32(6), view.getUint32(10)];
  const blockSizeBytes = Math.max(defaultBlockBytes, least);
  const sound =
    isPowerOfTwo(least) &&
    least <= largestBlockBytes &&
    isPowerOfTwo(preferred) &&
    preferred >= least &&
    most >= blockSizeBytes &&
    (most === noMaximum || most % least === 0);
  if (!sound) throw badServer(`its block sizes cannot be: least ${String(least)}, preferred ${String(preferred)}, most ${String(most)}`);
  const requestBytes = Math.min(defaultRequestBytes, most);
  return { blockSizeBytes, requestBytes: requestBytes - (requestBytes % blockSizeBytes) };
}

/** Why an export cannot be a disk whose writes are durable when they should be; null: it can. */
export function exportProblem({ readOnly, flush }: ServerExport): HotMirrorError | null {
  if (readOnly)
    return new HotMirrorError('HM_DEVICE_ACCESS', 'the export is read-only', {
      details: { remedy: 'An element is written: have the server export it for writing, or use another export.' },
    });
  if (!flush) return new HotMirrorError('HM_NOT_SUPPORTED', 'the server knows no FLUSH, so nothing says what is durable');
  return null;
}

/** Why what the server offers now cannot go on as the disk that it offered before; null: it can. It may have grown: what was there is where it was. */
export function replacementProblem(before: ServerExport, now: ServerExport): HotMirrorError | null {
  const problem = exportProblem(now);
  if (problem) return problem;
  if (now.sizeBytes < before.sizeBytes) {
    const sizes = `${String(before.sizeBytes)} bytes, now ${String(now.sizeBytes)}`;
    return new HotMirrorError('HM_ELEMENT_TOO_SMALL', `the export is another, or was cut: it had ${sizes}`);
  }
  const lost = (['fua', 'trim', 'writeZeroes'] as const).filter((ability) => before[ability] && !now[ability]);
  if (lost.length > 0) return new HotMirrorError('HM_NOT_SUPPORTED', `the server has unlearned: ${lost.join(', ')}`);
  if (now.blockSizeBytes <= before.blockSizeBytes) return null;
  return new HotMirrorError('HM_NOT_SUPPORTED', `the server takes only blocks of ${String(now.blockSizeBytes)} bytes now`);
}

/** The error for a server that does not speak as it should. */
export function badServer(because: string): HotMirrorError {
  return new HotMirrorError('HM_BAD_MAGIC', `the server does not speak NBD as it should: ${because}`);
}

function isPowerOfTwo(value: number): boolean {
  return Number.isInteger(Math.log2(value));
}
