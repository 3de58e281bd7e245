import type { FileHandle } from 'node:fs/promises';
import { open } from 'node:fs/promises';

import type { BlockDevice, Done } from '../device/block-device.ts';
import { errnoOf, openError } from '../device/file-errors.ts';
import { HotMirrorError } from '../errors.ts';
import { PreImageLog } from '../mirror/pre-image-log.ts';
import type { PreImage, PreImageHeader } from '../mirror/pre-image-log.ts';

const blockSizeBytes = 512;

/** What a salvage file, or an undo journal, holds. */
export interface SalvageReport {
  readonly header: PreImageHeader;
  /** Runs of extents that are saved. */
  readonly saved: readonly { readonly first: number; readonly count: number }[];
  /** Extents that could not be read when they were to be saved, or whose content is damaged. */
  readonly unreadable: readonly number[];
  /** Numbers of records that are damaged as a whole: what they held is not known. */
  readonly damaged: readonly number[];
}

/** A salvage file that is open for reading. */
export interface SalvageFile {
  readonly log: PreImageLog;
  close(): Promise<void>;
}

/** Opens a salvage file for reading; it may be in use. Rejects with `HM_DEVICE_ACCESS`, or with `HM_SALVAGE` where there is no such file, or it is none. */
export async function openSalvage(path: string): Promise<SalvageFile> {
  const handle = await open(path, 'r').catch((error: unknown) => {
    throw errnoOf(error) === 'ENOENT'
      ? new HotMirrorError('HM_SALVAGE', `there is no file ${path}`, { cause: error })
      : openError(error, path);
  });
  try {
    const { size } = await handle.stat();
    const log = await PreImageLog.open(reader(handle, size - (size % blockSizeBytes)));
    if (log) return { log, close: () => handle.close() };
    throw new HotMirrorError('HM_SALVAGE', `${path} is no salvage file`);
  } catch (error) {
    await handle.close();
    throw error;
  }
}

/** Reads all of it, and says what is there. */
export async function reportSalvage({ log }: SalvageFile): Promise<SalvageReport> {
  const unreadable: number[] = [];
  for (const { first, count } of log.runs())
    for (let extent = first; extent < first + count; extent += 1)
      if (((await log.image(extent))?.bytes.byteLength ?? 0) === 0) unreadable.push(extent);
  return { header: log.header, saved: [...log.runs()], unreadable, damaged: log.damaged };
}

/** What one extent held; null where it is not saved, or is damaged. */
export function salvagedExtent({ log }: SalvageFile, extent: number): Promise<PreImage | null> {
  return log.image(extent);
}

/** A file as a disk that is only read. */
function reader(handle: FileHandle, sizeBytes: number): BlockDevice {
  const refuse = (done: Done): void => done(new HotMirrorError('HM_NOT_SUPPORTED', 'the file is open for reading'));
  return {
    sizeBytes,
    blockSizeBytes,
    capabilities: { synchronous: false, trim: false, punchHole: false, exclusive: false },
    read: (offsetBytes, into, done) => {
      handle.read(into, 0, into.byteLength, offsetBytes).then(
        ({ bytesRead }) => done(bytesRead === into.byteLength ? null : new HotMirrorError('HM_IO_READ', 'the file ends early')),
        (cause: unknown) => done(HotMirrorError.from(cause, 'HM_IO_READ', `the file cannot be read (${errnoOf(cause) ?? 'unknown'})`)),
      );
    },
    write: (_offsetBytes, _from, _options, done) => refuse(done),
    flush: (done) => done(null),
    trim: (_offsetBytes, _lengthBytes, done) => refuse(done),
    writeZeroes: (_offsetBytes, _lengthBytes, _options, done) => refuse(done),
    close: () => handle.close(),
  };
}
