import { execFile } from 'node:child_process';
import { mkdir, open, rm, truncate, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';

import type { Random } from '../../clock/random.ts';

const execute = promisify(execFile);

const kibibyte = 1024;
const chunkBytes = 1_048_576;
const files = 8;
const fileBytes = 65_536;
/** Where Debian keeps the tools of file systems, often outside a user's PATH. */
const systemFolders = ['/usr/sbin', '/sbin'];

/** A disk for a demonstration: a file system (or random bytes) in front, room for raw writes behind it. */
export interface DemoImage {
  /** Whether there is an ext4 file system in front; without e2fsprogs there are random bytes. */
  readonly fileSystem: boolean;
  /** Where the room for raw writes begins. */
  readonly roomAtBytes: number;
}

/** Makes the image of `sizeBytes` at `file`; its front half holds the file system. */
export async function makeDemoImage(file: string, sizeBytes: number, random: Random): Promise<DemoImage> {
  const roomAtBytes = sizeBytes / 2;
  const tree = `${file}.tree`;
  await mkdir(tree, { recursive: true });
  for (let number = 0; number < files; number += 1) await writeFile(path.join(tree, `file-${String(number)}`), random.bytes(fileBytes));
  const fileSystem = await tool('mkfs.ext4', ['-q', '-F', '-d', tree, file, `${String(roomAtBytes / kibibyte)}k`]);
  await rm(tree, { recursive: true, force: true });
  if (fileSystem === null) await fillRandomly(file, roomAtBytes, random);
  else if (fileSystem !== 0) throw new Error(`mkfs.ext4 ended with ${String(fileSystem)}`);
  await truncate(file, sizeBytes);
  return { fileSystem: fileSystem !== null, roomAtBytes };
}

/** `e2fsck -fn`: whether the file system in front of the image is clean. */
export async function isClean(file: string): Promise<boolean> {
  return (await tool('e2fsck', ['-fn', file])) === 0;
}

/** The first byte at which two files differ; null where they are the same. */
export async function firstDifference(left: string, right: string): Promise<number | null> {
  const handles = [await open(left), await open(right)] as const;
  try {
    const buffers = [Buffer.alloc(chunkBytes), Buffer.alloc(chunkBytes)] as const;
    for (let atBytes = 0; ;) {
      const [one, other] = await Promise.all(handles.map((handle, index) => handle.read(buffers[index as 0 | 1], 0, chunkBytes, atBytes)));
      const lengths = [one?.bytesRead ?? 0, other?.bytesRead ?? 0] as const;
      const [a, b] = [buffers[0].subarray(0, lengths[0]), buffers[1].subarray(0, lengths[1])];
      if (Buffer.compare(a, b) !== 0) return atBytes + a.findIndex((byte, index) => byte !== b[index]);
      if (lengths[0] === 0) return null;
      atBytes += lengths[0];
    }
  } finally {
    for (const handle of handles) await handle.close();
  }
}

/** Runs a program; its exit code, or null where it is not installed. */
async function tool(name: string, args: readonly string[]): Promise<number | null> {
  const searched = [process.env['PATH'] ?? '', ...systemFolders].join(path.delimiter);
  try {
    await execute(name, args, { env: { ...process.env, PATH: searched } });
    return 0;
  } catch (error) {
    const { code } = error as { readonly code?: unknown };
    if (code === 'ENOENT') return null;
    if (typeof code === 'number') return code;
    throw error;
  }
}

async function fillRandomly(file: string, bytes: number, random: Random): Promise<void> {
  const handle = await open(file, 'w');
  try {
    for (let atBytes = 0; atBytes < bytes; atBytes += chunkBytes) await handle.write(random.bytes(Math.min(chunkBytes, bytes - atBytes)));
  } finally {
    await handle.close();
  }
}
