import type { ErrorCode } from '../errors.ts';

const otherProtocol = /^ERR_SSL_(?:HTTP_REQUEST|HTTPS_PROXY_REQUEST|WRONG_VERSION_NUMBER|PACKET_LENGTH_TOO_LONG|UNKNOWN_PROTOCOL)$/u;
const otherVersion = /^ERR_SSL_(?:UNSUPPORTED_PROTOCOL|TLSV1_ALERT_PROTOCOL_VERSION)$/u;
/** What either end says of keys or certificates of the other. */
const otherKeys =
  /CERTIFICATE|UNKNOWN_CA|ACCESS_DENIED|UNKNOWN_PSK_IDENTITY|BINDER|NO_SUITABLE_SIGNATURE_ALGORITHM|NO_SHARED_CIPHER|ALERT_(?:HANDSHAKE_FAILURE|DECRYPT_ERROR|ILLEGAL_PARAMETER)/u;
const damaged =
  /^ERR_SSL_(?:DECRYPTION_FAILED_OR_BAD_RECORD_MAC|BAD_RECORD_TYPE|UNEXPECTED_MESSAGE|RECORD_\w+|BAD_LENGTH|ENCRYPTED_LENGTH_TOO_LONG)$/u;

/** A code for an error of TLS, and what it says without what only OpenSSL understands. `otherwise` is for what is none, such as a reset. */
export function tlsError(
  cause: Error & { readonly code?: string; readonly reason?: string },
  otherwise: ErrorCode,
): { readonly code: ErrorCode; readonly why: string } {
  const { code = '', reason = cause.message } = cause;
  return { code: codeOf(code) ?? otherwise, why: reason };
}

function codeOf(code: string): ErrorCode | null {
  if (code === 'ERR_TLS_HANDSHAKE_TIMEOUT') return 'HM_HANDSHAKE_TIMEOUT';
  if (!code.startsWith('ERR_SSL_')) return null;
  if (otherProtocol.test(code)) return 'HM_BAD_MAGIC';
  if (otherVersion.test(code)) return 'HM_VERSION';
  if (otherKeys.test(code)) return 'HM_WRONG_KEY';
  return damaged.test(code) ? 'HM_BAD_CHECKSUM' : 'HM_PROTOCOL';
}
