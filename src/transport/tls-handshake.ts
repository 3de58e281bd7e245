import type { Socket } from 'node:net';
import { connect, createServer } from 'node:tls';
import type { ConnectionOptions, SecureContextOptions, TlsOptions, TLSSocket } from 'node:tls';

import type { Clock } from '../clock/clock.ts';
import { HotMirrorError } from '../errors.ts';
import type { ErrorCode } from '../errors.ts';
import { tlsError } from './tls-errors.ts';
import type { LinkKeys, TlsCertificates } from './tls-keys.ts';
import { isOf } from './tls-keys.ts';

/** Of the exporter that RFC 9266 defines for binding what is authenticated within TLS to the TLS around it. */
const bindingLabel = 'EXPORTER-Channel-Binding';
const bindingBytes = 32;
/** Of those of TLS 1.3 the ones that a pre-shared key is for, the faster one first. */
const pskCiphers = 'TLS_AES_128_GCM_SHA256:TLS_CHACHA20_POLY1305_SHA256';
/** Both ends are hotmirror. */
const oldestVersion = 'TLSv1.3';
/** For what TLS finds out; what the shared key is wrong for has the remedy of its code. */
const remedy =
  'Each node needs a certificate for its own name that the authority of the other node’s `caFile` issued and that is valid now, or both nodes the same pre-shared keys.';
const remedies: Readonly<Partial<Record<ErrorCode, string>>> = {
  HM_WRONG_KEY: remedy,
  HM_BAD_MAGIC: 'Check what runs at that address; a link needs `tls` at both nodes or at neither.',
};

/** A TLS handshake that is waited for. */
export interface TlsHandshakeOptions {
  readonly role: 'dialler' | 'listener';
  readonly keys: LinkKeys;
  readonly clock: Clock;
  readonly deadlineMs: number;
  /** Gives up with the error that is its reason. */
  readonly signal: AbortSignal;
  readonly description: string;
}

/** A stream that is encrypted. */
export interface Secured {
  readonly socket: TLSSocket;
  /** The same at both ends of this session of TLS, and at no other. */
  readonly binding: Uint8Array;
  /** Why the other end is not the peer, which it is to be told; null where TLS has proven that it is. */
  readonly objection: HotMirrorError | null;
}

/** Encrypts a connected socket. Rejects with a typed error, and the socket destroyed, when that fails, stalls beyond the deadline or is given up. */
export function secure(raw: Socket, options: TlsHandshakeOptions): Promise<Secured> {
  const { clock, signal, description, deadlineMs, keys } = options;
  return new Promise((resolve, reject) => {
    let settled = false;
    const settle = (act: () => void): void => {
      if (settled) return;
      settled = true;
      deadline.cancel();
      signal.removeEventListener('abort', aborted);
      raw.off('close', gone);
      act();
    };
    const fail = (error: HotMirrorError): void =>
      settle(() => {
        raw.destroy();
        reject(error);
      });
    const failed = (cause: Error): void => fail(failure(cause, options));
    const gone = (): void => failed(new Error('the other end closed the connection'));
    const aborted = (): void => fail(signal.reason as HotMirrorError);
    const deadline = clock.timer(deadlineMs, () =>
      fail(new HotMirrorError('HM_HANDSHAKE_TIMEOUT', `${description}: TLS was not agreed on within ${String(deadlineMs)} ms`)),
    );
    const secured = (socket: TLSSocket): void =>
      settle(() => {
        socket.on('error', () => undefined);
        socket.allowHalfOpen = true;
        const binding = socket.exportKeyingMaterial(bindingBytes, bindingLabel, Buffer.alloc(0));
        resolve({ socket, binding, objection: objectionTo(socket, keys, description) });
      });
    // Whoever ends before TLS is agreed on is gone: half-open, the socket would tell nobody until the deadline.
    raw.allowHalfOpen = false;
    raw.on('error', () => undefined).on('close', gone);
    signal.addEventListener('abort', aborted);
    if (signal.aborted) aborted();
    else if (raw.destroyed) gone();
    else
      try {
        begin(raw, options, secured, failed);
      } catch (error) {
        fail(HotMirrorError.from(error, 'HM_TLS_KEYS', description));
      }
  });
}

/** Who the other end is, is judged once it is connected, so that both ends can say what is wrong. */
function begin(
  raw: Socket,
  { role, keys }: TlsHandshakeOptions,
  secured: (socket: TLSSocket) => void,
  failed: (cause: Error) => void,
): void {
  if (role === 'dialler') {
    const socket = connect({ socket: raw, rejectUnauthorized: false, checkServerIdentity: () => undefined, ...diallerOptions(keys) });
    socket.on('error', failed).once('secureConnect', () => secured(socket));
    return;
  }
  // A server for one: whose socket an event of it is about is told in no other documented way.
  const server = createServer({ rejectUnauthorized: false, ...listenerOptions(keys) });
  server.once('secureConnection', secured).on('tlsClientError', failed);
  server.emit('connection', raw);
}

function diallerOptions({ node, credentials }: LinkKeys): ConnectionOptions {
  if (!('psk' in credentials)) return certificateOptions(credentials);
  const psk = credentials.psk.get(node);
  // Without an authority Node would trust those that browsers trust.
  return { minVersion: oldestVersion, ciphers: pskCiphers, ca: [], pskCallback: () => (psk ? { psk, identity: node } : null) };
}

function listenerOptions({ peer, credentials }: LinkKeys): TlsOptions {
  if (!('psk' in credentials)) return { ...certificateOptions(credentials), requestCert: true };
  const psk = credentials.psk.get(peer) ?? null;
  return { minVersion: oldestVersion, ciphers: pskCiphers, pskCallback: (_socket, identity) => (identity === peer ? psk : null) };
}

function certificateOptions({ key, certificate: cert, ca }: TlsCertificates): SecureContextOptions {
  return { minVersion: oldestVersion, key, cert, ca };
}

/** Why what is at the other end is not the peer, or null. */
function objectionTo(socket: TLSSocket, { peer, credentials }: LinkKeys, description: string): HotMirrorError | null {
  const objection = (code: ErrorCode, why: string): HotMirrorError =>
    new HotMirrorError(code, `${description}: ${why}`, { rule: 'trust', details: { remedy } });
  const certificate = socket.getPeerX509Certificate();
  // By TLS 1.3 whoever shows no certificate has proven that he holds the key.
  if ('psk' in credentials) return certificate ? objection('HM_WRONG_KEY', 'what answers knows no pre-shared key of ours') : null;
  if (!certificate) return objection('HM_WRONG_KEY', `what should be ${peer} shows no certificate`);
  if (!socket.authorized)
    return objection('HM_WRONG_KEY', `the certificate of what should be ${peer} cannot be trusted: ${String(socket.authorizationError)}`);
  return isOf(certificate, peer) ? null : objection('HM_WRONG_PEER', `the certificate of what should be ${peer} is for another name`);
}

function failure(cause: Error, { role, description }: TlsHandshakeOptions): HotMirrorError {
  const { code, why } = tlsError(cause, role === 'dialler' ? 'HM_CONNECT_FAILED' : 'HM_CONNECTION_LOST');
  const ownRemedy = remedies[code];
  return new HotMirrorError(code, `${description}: ${why}, during the handshake of TLS`, {
    cause,
    ...(ownRemedy === undefined ? {} : { details: { remedy: ownRemedy } }),
  });
}
