import type { FileHandle } from 'node:fs/promises';
import { open, unlink } from 'node:fs/promises';
import path from 'node:path';

import type { Random } from '../clock/random.ts';
import { syncFolder } from '../device/folder.ts';
import { HotMirrorError } from '../errors.ts';

/** Length of the pair's shared key. */
export const keyBytes = 32;

const ownerOnly = 0o600;
const othersMask = 0o077;

/**
 * Makes the pair's key file durably, readable by its owner only, unless one is there; then that one is checked. The folder must exist.
 * Rejects with `HM_STATE_UNWRITABLE`, `HM_KEY_INVALID`.
 */
export async function ensureKeyFile(file: string, random: Random): Promise<'created' | 'present'> {
  let handle: FileHandle;
  try {
    handle = await open(file, 'wx', ownerOnly);
  } catch (error) {
    if (!hasCode(error, 'EEXIST')) throw HotMirrorError.from(error, 'HM_STATE_UNWRITABLE', `the key file ${file} cannot be created`);
    await readKeyFile(file);
    return 'present';
  }
  try {
    await handle.writeFile(random.bytes(keyBytes));
    await handle.sync();
    await syncFolder(path.dirname(file));
  } catch (error) {
    await unlink(file).catch(() => undefined);
    throw HotMirrorError.from(error, 'HM_STATE_UNWRITABLE', `the key file ${file} cannot be written`);
  } finally {
    await handle.close();
  }
  return 'created';
}

/**
 * Reads the pair's key. Rejects with `HM_KEY_MISSING` where there is none, and with `HM_KEY_INVALID` where it has not exactly 32 bytes or
 * anyone but its owner may read it.
 */
export async function readKeyFile(file: string): Promise<Uint8Array> {
  let handle: FileHandle;
  try {
    handle = await open(file);
  } catch (error) {
    if (hasCode(error, 'ENOENT')) {
      throw new HotMirrorError(
        'HM_KEY_MISSING',
        `the key file ${file} is missing: \`hotmirror init\` makes it on the home primary; on the home standby, copy it from there`,
        {
          cause: error,
          rule: 'trust',
        },
      );
    }
    throw HotMirrorError.from(error, 'HM_KEY_INVALID', `the key file ${file} cannot be read`);
  }
  try {
    const { size, mode } = await handle.stat();
    const problem = keyModeProblem(mode);
    if (problem !== null) throw invalid(`the key file ${file} cannot be used: ${problem}`);
    if (size !== keyBytes) throw invalid(`the key file ${file} holds ${String(size)} bytes instead of ${String(keyBytes)}`);
    const key = await handle.readFile();
    if (key.length !== keyBytes) throw invalid(`the key file ${file} changed while it was read`);
    return new Uint8Array(key);
  } catch (error) {
    throw HotMirrorError.from(error, 'HM_KEY_INVALID', `the key file ${file} cannot be read`);
  } finally {
    await handle.close();
  }
}

/** Why a file of this mode may hold no key, or null. */
export function keyModeProblem(mode: number): string | null {
  return (mode & othersMask) === 0 ? null : `it can be read by others (mode ${(mode & 0o777).toString(8)}): chmod 600 it`;
}

function invalid(message: string): HotMirrorError {
  return new HotMirrorError('HM_KEY_INVALID', message, { rule: 'trust' });
}

function hasCode(error: unknown, code: string): boolean {
  return error instanceof Error && 'code' in error && error.code === code;
}
