import { open, rename, rm } from 'node:fs/promises';
import path from 'node:path';

import { HotMirrorError } from '../errors.ts';
import type { TimelineEntry } from '../testing/timeline/entry.ts';
import { timelinePage } from '../testing/timeline/page.ts';
import type { TimelineReport, TimelineReportOptions } from './programs.ts';

/** What a node did is for its operators only. */
const ownerOnlyFile = 0o600;

/**
 * Writes the page that shows a timeline, in place of what the file held. It is made beside the file, so that the file is a whole page or what it was.
 * Rejects with `HM_USAGE` where it cannot be written.
 */
export async function writeTimelineReport(entries: readonly TimelineEntry[], options: TimelineReportOptions): Promise<TimelineReport> {
  const file = path.resolve(options.file);
  const unfinished = `${file}.new`;
  const page = timelinePage(entries, options);
  try {
    await rm(unfinished, { force: true });
    const handle = await open(unfinished, 'wx', ownerOnlyFile);
    try {
      await handle.writeFile(page);
    } finally {
      await handle.close();
    }
    await rename(unfinished, file);
  } catch (error) {
    await rm(unfinished, { force: true }).catch(() => undefined);
    throw HotMirrorError.from(error, 'HM_USAGE', `${file} cannot be written`);
  }
  return { file, entries: entries.length };
}
