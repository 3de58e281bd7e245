import { chmod, link, lstat, mkdtemp, rm, stat, unlink } from 'node:fs/promises';
import { connect } from 'node:net';
import type { ListenOptions, Server } from 'node:net';
import path from 'node:path';

import { HotMirrorError } from '../errors.ts';

/** Room of `sun_path`, without its final zero byte: what is longer some versions of Node cut off. */
export const longestSocketPathBytes = 107;
const ownerOnly = 0o600;
const rootUid = 0;
/** `mkdtemp` adds six characters. */
const stagingPrefix = '.';
const stagedName = 's';
/** What the path of a socket has beyond that of its folder while it is made: `/.XXXXXX/s`. */
const stagingBytes = 10;

/** Throws `HM_ADDRESS` where a unix socket cannot have this path. */
export function assertSocketPath(file: string): void {
  const bytes = Buffer.byteLength(file);
  if (bytes >= 1 && bytes <= longestSocketPathBytes) return;
  throw new HotMirrorError(
    'HM_ADDRESS',
    `${file} has ${String(bytes)} bytes; the path of a unix socket holds 1 to ${String(longestSocketPathBytes)}`,
  );
}

/**
 * Has a server listen at a unix socket that nobody else can ever connect to, not even before its mode is set: it is made in a folder of its owner alone. `appear` gives it its name.
 * Rejects with `HM_ADDRESS` for a path that is too long, and with what the system says.
 */
export async function listenStaged(server: Server, file: string, appear: (staged: string) => Promise<void>): Promise<void> {
  assertRoom(file);
  const staging = await mkdtemp(`${path.dirname(file)}${path.sep}${stagingPrefix}`).catch((cause: unknown) => {
    throw folderError(cause, file);
  });
  try {
    const staged = path.join(staging, stagedName);
    await bound(server, { path: staged, exclusive: true });
    await chmod(staged, ownerOnly);
    await appear(staged);
  } finally {
    await rm(staging, { recursive: true, force: true });
  }
}

/**
 * Has a server listen at a unix socket of mode 0600; the file of a server that is gone is replaced. Returns what takes the file away, to be called before the server closes.
 * Rejects with `HM_ADDRESS_IN_USE`, `HM_ADDRESS`; `what` begins the message, as in `no net disk`.
 */
export async function listenAtFile(server: Server, file: string, what: string): Promise<() => Promise<void>> {
  try {
    await removeLeftover(file);
    // A link and no renaming, which would replace the file of a server that was quicker.
    await listenStaged(server, file, (staged) => link(staged, file));
  } catch (cause) {
    server.close();
    if (cause instanceof HotMirrorError)
      throw new HotMirrorError(cause.code, `${what} at ${file}: ${cause.message}`, { cause, details: cause.details ?? {} });
    const taken = ['EEXIST', 'EADDRINUSE'].includes((cause as NodeJS.ErrnoException).code ?? '');
    throw HotMirrorError.from(cause, taken ? 'HM_ADDRESS_IN_USE' : 'HM_ADDRESS', `${what} at ${file}`);
  }
  const { ino, dev } = await lstat(file);
  return async () => {
    const found = await lstat(file).catch(() => null);
    if (found?.ino === ino && found.dev === dev) await unlink(file).catch(() => undefined);
  };
}

function assertRoom(file: string): void {
  const fileBytes = Buffer.byteLength(file);
  const folderBytes = Buffer.byteLength(path.dirname(file));
  const mostFolderBytes = longestSocketPathBytes - stagingBytes;
  if (fileBytes <= longestSocketPathBytes && folderBytes <= mostFolderBytes) return;
  const bounds = `a socket's path has at most ${String(longestSocketPathBytes)} bytes, that of its folder ${String(mostFolderBytes)}`;
  const remedy = 'Choose a folder with a shorter path, or a shorter name.';
  throw unusable(`${bounds}; those of ${file} have ${String(fileBytes)} and ${String(folderBytes)}`, remedy);
}

/** What was to be made in the folder has a name of its own, which says nothing to anybody. */
function folderError(cause: unknown, file: string): HotMirrorError {
  const { code, message } = cause as NodeJS.ErrnoException;
  const folder = path.dirname(file);
  if (code === 'ENOENT') return unusable(`there is no folder ${folder}`, 'Make the folder first.', cause);
  return unusable(`nothing can be made in ${folder}: ${code ?? message}`, 'Check its owner and mode.', cause);
}

function unusable(message: string, remedy: string, cause?: unknown): HotMirrorError {
  return new HotMirrorError('HM_ADDRESS', message, { cause, details: { remedy } });
}

/** Resolves once the server listens. */
export function bound(server: Server, options: ListenOptions): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(options, () => {
      server.off('error', reject);
      resolve();
    });
  });
}

/**
 * Rejects with `HM_SOCKET_OWNER` where a socket belongs neither to the user of this process nor to root: whoever serves there could lie. A file that is not there is left to `connect`.
 */
export async function assertTrustedOwner(file: string): Promise<void> {
  const ownUid = process.geteuid?.();
  const found = await stat(file).catch(() => null);
  if (ownUid === undefined || !found || found.uid === ownUid || found.uid === rootUid) return;
  throw new HotMirrorError(
    'HM_SOCKET_OWNER',
    `${file} belongs to user ${String(found.uid)}; this process trusts user ${String(ownUid)} and root only`,
  );
}

/** A socket file to which nobody listens any more is in the way of the next server. */
async function removeLeftover(file: string): Promise<void> {
  const found = await lstat(file).catch(() => null);
  if (!found) return;
  if (!found.isSocket()) throw unusable(`${file} exists and is no socket`, 'Choose another path, or remove what is there.');
  const code = await new Promise<string>((resolve) => {
    const probe = connect({ path: file });
    probe.once('connect', () => {
      probe.destroy();
      resolve('');
    });
    probe.once('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? ''));
  });
  // A server that is busy, or somebody else's, refuses by another error.
  if (code === 'ENOENT') return;
  if (code !== 'ECONNREFUSED') throw new HotMirrorError('HM_ADDRESS_IN_USE', `another process serves ${file}`);
  await unlink(file);
}
