import { open } from 'node:fs/promises';

import { HotMirrorError } from '../errors.ts';
import { presharedKeyProblem } from '../net-disk/net-disk-tls.ts';
import type { NetDiskCredentials } from '../net-disk/net-disk-tls.ts';
import type { TlsFiles } from './config-schema.ts';
import { keyModeProblem } from './key-file.ts';

const largestFileBytes = 2 ** 20;

/** Reads keys and certificates. Rejects with `HM_TLS_KEYS` for files that are missing, are not what they should be, or hold a key and can be read by others than their owner (rule `trust`). */
export async function readTlsFiles(files: TlsFiles): Promise<NetDiskCredentials> {
  if ('pskFile' in files) {
    const psk = parsePresharedKeys(await readText(files.pskFile, 'secret'));
    if (typeof psk === 'string') throw unusable(files.pskFile, psk);
    return { psk };
  }
  const { keyFile, certificateFile, caFile } = files;
  return {
    key: await readText(keyFile, 'secret'),
    certificate: await readText(certificateFile, 'public'),
    ...(caFile === undefined ? {} : { ca: await readText(caFile, 'public') }),
  };
}

/** Keys by name, of lines `NAME:KEY` with the key in hexadecimal, as `psktool` writes them; or what is wrong, without a word of what is secret. */
export function parsePresharedKeys(text: string): ReadonlyMap<string, Uint8Array> | string {
  const keys = new Map<string, Uint8Array>();
  for (const [index, line] of text.split(/\r?\n/u).entries()) {
    if (line === '') continue;
    const { name, hex } = /^(?<name>[^:#][^:]*):(?<hex>(?:[0-9a-f]{2})+)$/iu.exec(line)?.groups ?? {};
    const key = Buffer.from(hex ?? '', 'hex');
    const where = `line ${String(index + 1)}`;
    if (name === undefined) return `${where} is not NAME:KEY with the key in hexadecimal`;
    const problem = presharedKeyProblem(name, key);
    if (problem !== null) return `${where} holds ${problem}`;
    if (keys.has(name)) return `${where} names a client for the second time`;
    keys.set(name, key);
  }
  return keys.size > 0 ? keys : 'it holds no key';
}

async function readText(file: string, kind: 'secret' | 'public'): Promise<string> {
  try {
    const handle = await open(file);
    try {
      const { size, mode } = await handle.stat();
      const problem = kind === 'secret' ? keyModeProblem(mode) : null;
      if (problem !== null) throw unusable(file, problem);
      if (size > largestFileBytes) throw unusable(file, `it is longer than ${String(largestFileBytes)} bytes`);
      return await handle.readFile('utf8');
    } finally {
      await handle.close();
    }
  } catch (error) {
    throw HotMirrorError.from(error, 'HM_TLS_KEYS', `${file} cannot be read`);
  }
}

function unusable(file: string, problem: string): HotMirrorError {
  return new HotMirrorError('HM_TLS_KEYS', `${file} cannot be used: ${problem}`, { rule: 'trust' });
}
