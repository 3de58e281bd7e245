import type { Stats } from 'node:fs';
import { lstat, mkdtemp, open, rename, rm } from 'node:fs/promises';
import path from 'node:path';

import { HotMirrorError } from '../errors.ts';
import type { TimelineEntry } from '../testing/timeline/entry.ts';
import { timelinePage } from '../testing/timeline/page.ts';
import type { TimelineReport, TimelineReportOptions } from './programs.ts';

/** What a node did is for its operators only. */
const ownerOnlyFile = 0o600;
const remedy = 'Name a file in a folder that you may write to; of what exists only a regular file is replaced.';

/**
 * Rejects with `HM_USAGE` where a page cannot be written to this file: its folder cannot be written, or the name is that of a device, a folder,
 * a fifo, a socket or a symbolic link, which a page would take the place of.
 */
export async function checkReportFile(file: string): Promise<void> {
  const whole = path.resolve(file);
  await refuseSpecial(whole);
  await besides(whole, () => Promise.resolve());
}

/**
 * Writes the page that shows a timeline, in place of what the file held. It is made beside the file, so that the file is a whole page or what it was.
 * Rejects as {@link checkReportFile}.
 */
export async function writeTimelineReport(entries: readonly TimelineEntry[], options: TimelineReportOptions): Promise<TimelineReport> {
  const file = path.resolve(options.file);
  const page = timelinePage(entries, options);
  await besides(file, async (folder) => {
    const unfinished = path.join(folder, 'page.html');
    const handle = await open(unfinished, 'wx', ownerOnlyFile);
    try {
      await handle.writeFile(page);
    } finally {
      await handle.close();
    }
    await refuseSpecial(file);
    await rename(unfinished, file);
  });
  return { file, entries: entries.length };
}

/** Calls back with a new folder beside the file, and removes it. */
async function besides(file: string, use: (folder: string) => Promise<void>): Promise<void> {
  try {
    const folder = await mkdtemp(path.join(path.dirname(file), '.hotmirror-report-'));
    try {
      await use(folder);
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  } catch (error) {
    throw error instanceof HotMirrorError ? error : cannotBeWritten(file, error instanceof Error ? error.message : String(error));
  }
}

async function refuseSpecial(file: string): Promise<void> {
  const stats = await lstat(file).catch(() => null);
  if (stats && !stats.isFile()) throw cannotBeWritten(file, `it is a ${kindOf(stats)}`);
}

function kindOf(stats: Stats): string {
  if (stats.isDirectory()) return 'folder';
  if (stats.isSymbolicLink()) return 'symbolic link';
  if (stats.isFIFO()) return 'fifo';
  return stats.isSocket() ? 'socket' : 'device';
}

function cannotBeWritten(file: string, because: string): HotMirrorError {
  return new HotMirrorError('HM_USAGE', `${file} cannot be written: ${because}`, { details: { remedy } });
}
