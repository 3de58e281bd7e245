import { createServer } from 'node:tls';
import type { Socket } from 'node:net';
import type { TlsOptions, TLSSocket } from 'node:tls';

import { HotMirrorError } from '../errors.ts';
import { isLoopback } from '../loopback.ts';
import { assertCertificates } from '../transport/tls-keys.ts';
import type { NetDiskAddress } from './net-disk-address.ts';

/** By what server and clients know each other: certificates, in PEM, or keys that both hold, by the name that a client gives itself. */
export type NetDiskCredentials =
  | {
      readonly key: string;
      readonly certificate: string;
      /** Clients need a certificate that one of these issued; absent: nobody asks them who they are. */
      readonly ca?: string | undefined;
    }
  | { readonly psk: ReadonlyMap<string, Uint8Array> };

/** How a server speaks TLS. */
export interface NetDiskTls {
  /** `required`: with a client that does not begin TLS nothing is spoken about; `optional`: it is served in the clear. */
  readonly mode: 'optional' | 'required';
  readonly credentials: NetDiskCredentials;
}

/** What an exposure is judged by. */
export interface Protection {
  readonly mode: NetDiskTls['mode'];
  /** Clients prove who they are. */
  readonly clientsProven: boolean;
}

/** With forward secrecy, whichever version of TLS a client knows; those of TLS 1.3 come by themselves. */
const pskCiphers = 'ECDHE-PSK-CHACHA20-POLY1305';
const oldestVersion = 'TLSv1.2';

/** Of a pre-shared key, in bytes: what is shorter is guessed. */
const leastKeyBytes = 16;
const mostKeyBytes = 64;
/** By which a client names its key, in bytes: more some clients cannot say. */
const longestNameBytes = 128;

/** Why nobody may be served at this address, or null. Others than this machine may reach a disk only where everybody encrypts and clients prove who they are (rule `trust`). */
export function exposureProblem(address: NetDiskAddress, protection: Protection | null): string | null {
  if ('path' in address || isLoopback(address.host)) return null;
  if (protection?.mode !== 'required') return 'beyond loopback needs TLS of everybody (nbds)';
  return protection.clientsProven
    ? null
    : 'beyond loopback needs clients that prove who they are: by certificates of a CA, or by pre-shared keys';
}

/** Whether clients prove who they are. */
export function provesClients(credentials: NetDiskCredentials): boolean {
  return 'psk' in credentials || credentials.ca !== undefined;
}

/** Throws `HM_TLS_KEYS` for keys, or a key and certificates, that cannot be used. */
export function assertCredentials(credentials: NetDiskCredentials): void {
  if (!('psk' in credentials)) {
    assertCertificates(credentials);
    return;
  }
  if (credentials.psk.size === 0) throw unusable('it holds no key, so nobody could be let in');
  for (const [name, key] of credentials.psk) {
    const problem = presharedKeyProblem(name, key);
    if (problem !== null) throw unusable(`it holds ${problem}`);
  }
}

/** What of a pre-shared key, or of the name of its client, cannot be used, without a word of what is secret; null: they can. */
export function presharedKeyProblem(name: string, { byteLength }: Uint8Array): string | null {
  const nameBytes = Buffer.byteLength(name);
  if (nameBytes === 0 || nameBytes > longestNameBytes)
    return `a name of ${String(nameBytes)} bytes; it needs 1 to ${String(longestNameBytes)}`;
  if (byteLength >= leastKeyBytes && byteLength <= mostKeyBytes) return null;
  return `a key of ${String(byteLength)} bytes; it needs ${String(leastKeyBytes)} to ${String(mostKeyBytes)}`;
}

function unusable(because: string): HotMirrorError {
  const remedy = `Give each client a key of its own, of ${String(leastKeyBytes)} to ${String(mostKeyBytes)} bytes of chance.`;
  return new HotMirrorError('HM_TLS_KEYS', `tls.credentials.psk cannot be used: ${because}`, { rule: 'trust', details: { remedy } });
}

/**
 * Takes a socket, whose client begins TLS with what it sends next, for a socket of what is encrypted. `done` gets the one of what was decrypted, or why there is none; then
 * the connection has ended. Whoever read from the socket does so no more.
 */
export function beginTls(
  socket: Socket,
  credentials: NetDiskCredentials,
  done: (outcome: { readonly secured: TLSSocket } | { readonly problem: string }) => void,
): void {
  // A server for one: whose socket an event of it is about is told in no other documented way.
  const server = createServer(tlsOptions(credentials));
  socket.removeAllListeners('data');
  server.once('secureConnection', (secured) => done({ secured }));
  server.once('tlsClientError', (error: Error & { readonly reason?: string }, { authorizationError }) => {
    // There is one only where a certificate was refused, whatever the types say.
    const refused = authorizationError as Error | string | null | undefined;
    done({ problem: refused ? `the certificate of the client: ${String(refused)}` : (error.reason ?? error.message) });
  });
  server.emit('connection', socket);
}

function tlsOptions(credentials: NetDiskCredentials): TlsOptions {
  if ('psk' in credentials) {
    const { psk } = credentials;
    return { minVersion: oldestVersion, ciphers: pskCiphers, pskCallback: (_socket, identity) => psk.get(identity) ?? null };
  }
  const { key, certificate: cert, ca } = credentials;
  return { minVersion: oldestVersion, key, cert, ...(ca === undefined ? {} : { ca, requestCert: true, rejectUnauthorized: true }) };
}
