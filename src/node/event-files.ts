import type { FileHandle } from 'node:fs/promises';
import { open } from 'node:fs/promises';
import path from 'node:path';

import { HotMirrorError } from '../errors.ts';
import type { LoggedEvent } from './control-protocol.ts';
import { schemaVersion } from './control-protocol.ts';

/** Where the newest events of a node are, in its state folder. */
export const eventFileName = 'events.jsonl';
/** Where the older ones are. */
export const olderEventFileName = 'events.1.jsonl';

/** Longer than any event that the log writes; a longer line is none. */
const longestLineBytes = 262_144;
const newline = 0x0a;

/** Opens what there is of a node's event log, the older file first. Rejects with the error of a file that is there and cannot be opened. */
export async function openEventFiles(stateDir: string): Promise<FileHandle[]> {
  const opened: FileHandle[] = [];
  try {
    for (const name of [olderEventFileName, eventFileName]) {
      const handle = await open(path.join(stateDir, name)).catch(unlessAbsent);
      if (handle) opened.push(handle);
    }
  } catch (error) {
    await closeAll(opened);
    throw error;
  }
  return opened;
}

/** The events in these files, oldest first, and closes them. Lines that are no events are skipped, and so is what follows the last line end. */
export async function* eventsIn(files: readonly FileHandle[]): AsyncGenerator<LoggedEvent, void, undefined> {
  try {
    for (const file of files) {
      for await (const line of linesOf(file)) {
        const event = parseEvent(line);
        if (event) yield event;
      }
    }
  } finally {
    await closeAll(files);
  }
}

/**
 * The event log of a node that does not run, oldest first, from its state folder; null where it has none here.
 * Changes nothing, takes no more memory for a longer log, and passes over a last line torn by a crash. Rejects with `HM_STATE_UNWRITABLE` where a file cannot be opened.
 */
export async function savedEvents(stateDir: string): Promise<AsyncIterable<LoggedEvent> | null> {
  try {
    const files = await openEventFiles(stateDir);
    return files.length === 0 ? null : eventsIn(files);
  } catch (error) {
    throw HotMirrorError.from(error, 'HM_STATE_UNWRITABLE', 'the event log cannot be read');
  }
}

/** The event that a line of the log holds; null where it holds none. */
export function parseEvent(line: string): LoggedEvent | null {
  try {
    const event = JSON.parse(line) as Partial<LoggedEvent> | null;
    return event?.schema === schemaVersion && Number.isSafeInteger(event.seq) && typeof event.event === 'string'
      ? (event as LoggedEvent)
      : null;
  } catch {
    return null;
  }
}

/** Whole lines of bounded length. */
async function* linesOf(file: FileHandle): AsyncGenerator<string, void, undefined> {
  let parts: Buffer[] = [];
  let bytes = 0;
  const keep = (part: Buffer): void => {
    bytes += part.length;
    if (bytes <= longestLineBytes) parts.push(part);
    else parts = [];
  };
  for await (const chunk of file.createReadStream({ autoClose: false }) as AsyncIterable<Buffer>) {
    let from = 0;
    for (let end = chunk.indexOf(newline); end !== -1; end = chunk.indexOf(newline, from)) {
      keep(chunk.subarray(from, end));
      if (bytes <= longestLineBytes) yield Buffer.concat(parts).toString('utf8');
      [parts, bytes, from] = [[], 0, end + 1];
    }
    keep(chunk.subarray(from));
  }
}

async function closeAll(files: readonly FileHandle[]): Promise<void> {
  await Promise.all(files.map((file) => file.close()));
}

function unlessAbsent(error: NodeJS.ErrnoException): null {
  if (error.code === 'ENOENT') return null;
  throw error;
}
