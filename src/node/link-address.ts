import { parseNetDiskUri, portProblem } from '../net-disk/net-disk-address.ts';
import { exportNameProblem } from '../net-disk/net-disk-export.ts';

/** Where a link's listener stands and where the peer dials it; the same unless something between them translates addresses. */
export interface LinkAddress {
  /** Where the node listens. */
  readonly listen: string;
  /** What the peer dials. */
  readonly advertise: string;
  /** The keys with which the node speaks TLS on this link; absent: it speaks none. */
  readonly tls?: LinkTlsFiles | undefined;
}

/** Where the keys of a link lie. */
export type LinkTlsFiles =
  { readonly keyFile: string; readonly certificateFile: string; readonly caFile: string } | { readonly pskFile: string };

const exportSchemes: readonly string[] = ['nbd:', 'nbds:', 'nbd+unix:', 'nbds+unix:'];

/** Says what is wrong with an export's NBD URI, or null. */
export function exportUriProblem(text: string): string | null {
  const port = portProblem(text);
  if (port !== null) return port;
  const url = URL.canParse(text) ? new URL(text) : null;
  if (!url || !exportSchemes.includes(url.protocol))
    return 'must be an NBD URI: nbd+unix:///NAME?socket=PATH, nbd://host:port/NAME or one of nbds';
  const unix = url.protocol.endsWith('+unix:');
  if (unix && !url.searchParams.get('socket')) return 'needs ?socket=PATH';
  if (!unix && url.hostname === '') return 'needs a host';
  try {
    return exportNameProblem(parseNetDiskUri(text).name);
  } catch (error) {
    return (error as Error).message;
  }
}

/** Whether an element is the export of an NBD server. */
export function isNetDiskUri(device: string): boolean {
  return exportSchemes.includes(device.slice(0, device.indexOf('//')));
}

/** Says what is wrong with the URI of an element, or null. */
export function elementUriProblem(text: string): string | null {
  if (!isNetDiskUri(text)) return 'must be a path, nbd+unix:///NAME?socket=PATH or nbd://host:port/NAME';
  return text.startsWith('nbds') ? 'TLS to the server of an element is not in this version' : exportUriProblem(text);
}
