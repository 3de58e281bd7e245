import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';

import { HotMirrorError } from '../../src/errors.ts';
import { LinkKeys } from '../../src/transport/tcp.ts';
import type { LinkCredentials } from '../../src/transport/tcp.ts';
import { Authority } from '../support/certificates.ts';

/** Keys that both nodes hold. */
export const presharedKeys: ReadonlyMap<string, Uint8Array> = new Map(
  ['alpha', 'beta'].map((name, index) => [name, new Uint8Array(32).fill(index + 1)]),
);
export const psk: LinkCredentials = { psk: presharedKeys };

/** The same credentials for both ends. */
export const pskOf = { alpha: psk, beta: psk };

/** What each node uses. */
export type CredentialsOf = Readonly<Record<'alpha' | 'beta', LinkCredentials>>;

/** The keys of a node, for links to the other. */
export function keysOf(node: 'alpha' | 'beta', credentials: LinkCredentials): LinkKeys {
  return new LinkKeys({ node, peer: node === 'alpha' ? 'beta' : 'alpha', credentials });
}

/** An authority in a folder of its own, which is removed with it. */
export async function temporaryAuthority(name: string): Promise<{ readonly authority: Authority; readonly remove: () => Promise<void> }> {
  const folder = await mkdtemp(path.join(tmpdir(), 'hotmirror-tls-'));
  const authority = await Authority.create(path.join(folder, name));
  return { authority, remove: () => rm(folder, { recursive: true, force: true }) };
}

/** The code of what a promise rejects with. */
export async function codeOf(promise: Promise<unknown>): Promise<string> {
  return promise.then(
    () => 'none',
    (error: unknown) => (error instanceof HotMirrorError ? error.code : String(error)),
  );
}

/** Code and message of what is thrown. */
export function problemOf(act: () => unknown): string {
  try {
    act();
  } catch (error) {
    return error instanceof HotMirrorError ? `${error.code} ${error.message}` : String(error);
  }
  return 'none';
}
