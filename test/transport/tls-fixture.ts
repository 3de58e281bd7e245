import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';

import { LinkKeys } from '../../src/transport/tcp.ts';
import type { LinkCredentials } from '../../src/transport/tcp.ts';
import { Authority } from '../support/certificates.ts';

/** Keys that both nodes hold. */
export const psk: LinkCredentials = { psk: new Map(['alpha', 'beta'].map((name, index) => [name, new Uint8Array(32).fill(index + 1)])) };

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
