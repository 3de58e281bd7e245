import type { NetDiskTls } from '../net-disk/net-disk-tls.ts';
import { assertCredentials } from '../net-disk/net-disk-tls.ts';
import type { ExportConfig } from './config.ts';
import { readTlsFiles } from './tls-files.ts';

/**
 * Reads how an export speaks TLS, null where it does not. Rejects with `HM_TLS_KEYS` for files that are missing, cannot be used, or hold a key and can be read by others than
 * their owner (rule `trust`).
 */
export async function readExportTls({ tls }: ExportConfig): Promise<NetDiskTls | null> {
  if (!tls) return null;
  const credentials = await readTlsFiles(tls.files);
  assertCredentials(credentials);
  return { mode: tls.mode, credentials };
}
