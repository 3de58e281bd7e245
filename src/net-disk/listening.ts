import { chmod, link, lstat, mkdtemp, rm, unlink } from 'node:fs/promises';
import { connect } from 'node:net';
import type { Server } from 'node:net';
import path from 'node:path';

import { HotMirrorError } from '../errors.ts';
import { formatAddress } from './net-disk-address.ts';
import type { NetDiskAddress } from './net-disk-address.ts';

const ownerOnly = 0o600;
/** Of the path of a socket, in bytes: what is longer some versions of Node cut off. */
const longestPathBytes = 107;
/** `mkdtemp` adds six characters. */
const stagingPrefix = '.';
const stagedName = 's';
/** What the path of a socket has beyond that of its folder while it is made: `/.XXXXXX/s`. */
const stagingBytes = 10;

/** Has a server listen. Returns what takes its socket file away, to be called before it closes. Rejects with `HM_ADDRESS_IN_USE`, `HM_ADDRESS`. */
export async function listenAt(server: Server, address: NetDiskAddress): Promise<() => Promise<void>> {
  if ('path' in address) return await listenAtFile(server, address.path);
  await bind(server, address, formatAddress(address));
  return () => Promise.resolve();
}

/** The socket is made in a folder of its owner alone, and appears under its name once its mode is set: nobody else can connect, ever. The file of a server that is gone is replaced. */
async function listenAtFile(server: Server, file: string): Promise<() => Promise<void>> {
  assertLength(file);
  await removeLeftover(file);
  const staging = await mkdtemp(`${path.dirname(file)}${path.sep}${stagingPrefix}`).catch((cause: unknown) => {
    throw folderError(cause, file);
  });
  try {
    const staged = path.join(staging, stagedName);
    await bind(server, { path: staged }, file);
    await chmod(staged, ownerOnly);
    await appear(staged, file);
  } catch (error) {
    server.close();
    throw error;
  } finally {
    await rm(staging, { recursive: true, force: true });
  }
  const { ino, dev } = await lstat(file);
  return async () => {
    const found = await lstat(file).catch(() => null);
    if (found?.ino === ino && found.dev === dev) await unlink(file).catch(() => undefined);
  };
}

function assertLength(file: string): void {
  const fileBytes = Buffer.byteLength(file);
  const folderBytes = Buffer.byteLength(path.dirname(file));
  const mostFolderBytes = longestPathBytes - stagingBytes;
  if (fileBytes <= longestPathBytes && folderBytes <= mostFolderBytes) return;
  const bounds = `a socket's path has at most ${String(longestPathBytes)} bytes, that of its folder ${String(mostFolderBytes)}`;
  const remedy = 'Choose a folder with a shorter path, or a shorter name.';
  throw unusable(`no net disk at ${file}: ${bounds}; these have ${String(fileBytes)} and ${String(folderBytes)}`, remedy);
}

/** What was to be made in the folder has a name of its own, which says nothing to anybody. */
function folderError(cause: unknown, file: string): HotMirrorError {
  const { code, message } = cause as NodeJS.ErrnoException;
  const folder = path.dirname(file);
  if (code === 'ENOENT') return unusable(`no net disk at ${file}: there is no folder ${folder}`, 'Make the folder first.', cause);
  return unusable(`no net disk at ${file}: nothing can be made in ${folder}: ${code ?? message}`, 'Check its owner and mode.', cause);
}

function unusable(message: string, remedy: string, cause?: unknown): HotMirrorError {
  return new HotMirrorError('HM_ADDRESS', message, { cause, details: { remedy } });
}

/** A link and no renaming, which would replace the file of a server that was quicker. */
async function appear(staged: string, file: string): Promise<void> {
  try {
    await link(staged, file);
  } catch (cause) {
    const inUse = (cause as NodeJS.ErrnoException).code === 'EEXIST';
    throw HotMirrorError.from(cause, inUse ? 'HM_ADDRESS_IN_USE' : 'HM_ADDRESS', `no net disk at ${file}`);
  }
}

function bind(server: Server, address: NetDiskAddress, shown: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const failed = (cause: NodeJS.ErrnoException): void => {
      const code = cause.code === 'EADDRINUSE' ? 'HM_ADDRESS_IN_USE' : 'HM_ADDRESS';
      reject(new HotMirrorError(code, `no net disk at ${shown}: ${cause.code ?? cause.message}`, { cause }));
    };
    server.once('error', failed);
    server.listen(address, () => {
      server.off('error', failed);
      resolve();
    });
  });
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
