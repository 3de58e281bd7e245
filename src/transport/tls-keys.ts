import { createPrivateKey, X509Certificate } from 'node:crypto';
import { createSecureContext } from 'node:tls';

import { HotMirrorError } from '../errors.ts';

/** A private key with its certificate, all in PEM; behind the certificate those between it and the authority. */
export interface TlsCertificates {
  readonly key: string;
  readonly certificate: string;
  /** Who issued the certificates that the other end may show. */
  readonly ca: string;
}

/** By what the two ends of a link know each other: certificates, or keys that both hold, one under each node's name. */
export type LinkCredentials = TlsCertificates | { readonly psk: ReadonlyMap<string, Uint8Array> };

/** Whose keys they are, and what they are. */
export interface LinkKeysOptions {
  readonly node: string;
  readonly peer: string;
  readonly credentials: LinkCredentials;
}

/**
 * What a node needs for TLS on its links, to be replaced while they are in use: connections that are there go on, and the next one uses what is there by then.
 * One such object may serve any number of transports to the same peer.
 */
export class LinkKeys {
  readonly node: string;
  readonly peer: string;
  #credentials: LinkCredentials;

  /** Throws `HM_TLS_KEYS` for credentials that cannot be used. */
  constructor({ node, peer, credentials }: LinkKeysOptions) {
    this.node = node;
    this.peer = peer;
    assertLinkCredentials({ node, peer, credentials });
    this.#credentials = credentials;
  }

  /** What the next connection uses. */
  get credentials(): LinkCredentials {
    return this.#credentials;
  }

  /** Sets what the next connection uses. Throws `HM_TLS_KEYS` for credentials that cannot be used; then the ones before stay in use. */
  replace(credentials: LinkCredentials): void {
    assertLinkCredentials({ node: this.node, peer: this.peer, credentials });
    this.#credentials = credentials;
  }
}

/** Whether a certificate is that of a node: its name is among the DNS names or, where there are none, it is the common name. */
export function isOf(certificate: X509Certificate, node: string): boolean {
  return certificate.checkHost(node, { subject: 'default', wildcards: false }) !== undefined;
}

/** Throws `HM_TLS_KEYS` for what neither end of a link would get far with: keys that do not fit, or names that are not those of the nodes. */
export function assertLinkCredentials({ node, peer, credentials }: LinkKeysOptions): void {
  if ('psk' in credentials) {
    for (const name of [node, peer])
      if (!credentials.psk.has(name)) throw new HotMirrorError('HM_TLS_KEYS', `there is no pre-shared key for ${name}`);
    return;
  }
  assertCertificates(credentials);
  if (!isOf(new X509Certificate(credentials.certificate), node))
    throw new HotMirrorError('HM_TLS_KEYS', `the certificate is not for ${node}: it needs that as a DNS name, or as its common name`);
}

/** Throws `HM_TLS_KEYS` for a key and certificates that cannot be used together. */
export function assertCertificates({ key, certificate, ca }: Omit<TlsCertificates, 'ca'> & { readonly ca?: string | undefined }): void {
  try {
    createSecureContext({ key, cert: certificate, ...(ca === undefined ? {} : { ca }) });
    // What is empty Node takes for absent: without a CA it trusts all that browsers trust.
    createPrivateKey(key);
    for (const pem of [certificate, ca]) if (pem !== undefined) new X509Certificate(pem);
  } catch (error) {
    throw HotMirrorError.from(error, 'HM_TLS_KEYS', 'the key and certificates for TLS cannot be used');
  }
}
