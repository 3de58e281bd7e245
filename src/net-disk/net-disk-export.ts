import type { BlockDevice } from '../device/block-device.ts';
import { sizes, transmissionFlags } from './protocol.ts';

/** A disk that clients may use, under a name. */
export interface NetDiskExport {
  /** By which clients ask for it; the empty name is the one that they get without asking. At most 4096 bytes of UTF-8. */
  readonly name: string;
  /** Not closed by the server. A device whose size changes shows its new size to connections made afterwards. */
  readonly device: BlockDevice;
  /** For people. */
  readonly description?: string;
  /** Every request that would change it is refused. Default false. */
  readonly readOnly?: boolean;
}

const text = new TextEncoder();

/** Says what is wrong with the name of an export, or null. */
export function exportNameProblem(name: string): string | null {
  const fits = text.encode(name).byteLength <= sizes.text && !name.includes('\0');
  return fits ? null : `the name of an export has at most ${String(sizes.text)} bytes and no NUL`;
}

/** Throws `RangeError` for a name or a description that cannot travel. */
export function assertExport({ name, description = '' }: NetDiskExport): void {
  const problem = exportNameProblem(name) ?? exportNameProblem(description);
  if (problem !== null) throw new RangeError(problem);
}

/**
 * What the protocol tells a client that an export can do. Several connections are safe, for a flush covers every write that was completed before it, whichever
 * connection it came by (contract of `BlockDevice`).
 */
export function flagsOf({ device, readOnly = false }: NetDiskExport, structured: boolean): number {
  const { hasFlags, sendFlush, sendFua, canMultiConn, sendCache, sendDf, sendTrim, sendWriteZeroes, sendFastZero } = transmissionFlags;
  const always = hasFlags | sendFlush | sendFua | canMultiConn | sendCache | (structured ? sendDf : 0);
  if (readOnly) return always | transmissionFlags.readOnly;
  return always | sendWriteZeroes | sendFastZero | (device.capabilities.trim ? sendTrim : 0);
}
