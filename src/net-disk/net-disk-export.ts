import type { BlockDevice } from '../device/block-device.ts';
import { assertBlockSize } from '../device/requests.ts';
import { asRecord } from './given-options.ts';
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
const requestsOfDevices: readonly (keyof BlockDevice)[] = ['read', 'write', 'writeZeroes', 'trim', 'flush'];

/** Says what is wrong with the name of an export, or null. */
export function exportNameProblem(name: string): string | null {
  const fits = text.encode(name).byteLength <= sizes.text && !name.includes('\0');
  return fits ? null : `the name of an export has at most ${String(sizes.text)} bytes and no NUL`;
}

/**
 * Throws `RangeError` for a name, a description or a size that cannot travel, and `TypeError` for what has another type than the declared one, which JavaScript lets through: it would show only
 * at the first client.
 */
export function assertExport(exported: NetDiskExport): void {
  const { name, description = '', readOnly = false, device } = asRecord(exported);
  if (typeof name !== 'string' || typeof description !== 'string') throw new TypeError('name and description of an export must be strings');
  if (typeof readOnly !== 'boolean') throw new TypeError('readOnly of an export must be true or false');
  const problem = exportNameProblem(name) ?? exportNameProblem(description);
  if (problem !== null) throw new RangeError(problem);
  assertDevice(asRecord(device));
}

function assertDevice(device: Readonly<Record<string, unknown>>): void {
  const { sizeBytes, blockSizeBytes, capabilities } = device;
  const carriesOut = requestsOfDevices.every((request) => typeof device[request] === 'function');
  if (
    !carriesOut ||
    typeof sizeBytes !== 'number' ||
    typeof blockSizeBytes !== 'number' ||
    typeof capabilities !== 'object' ||
    !capabilities
  )
    throw new TypeError('device of an export must be a BlockDevice, such as a MemoryDevice of hotmirror/device/memory');
  assertBlockSize(blockSizeBytes);
  if (!Number.isSafeInteger(sizeBytes) || sizeBytes < 0) throw new RangeError('device.sizeBytes must be a whole number');
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
