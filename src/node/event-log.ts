import type { FileHandle } from 'node:fs/promises';
import { appendFile, open, rename, stat, truncate } from 'node:fs/promises';
import path from 'node:path';

import createDebug from 'debug';

import type { Clock } from '../clock/clock.ts';
import { makeFolder } from '../device/folder.ts';
import { HotMirrorError } from '../errors.ts';
import type { Rule } from '../rules.ts';
import type { LoggedEvent } from './control-protocol.ts';
import { schemaVersion } from './control-protocol.ts';
import { eventFileName, eventsIn, olderEventFileName, openEventFiles, parseEvent } from './event-files.ts';

/** What is told to the log; it adds number, time and node. */
export interface LogEntry {
  /** `noun:verb`. */
  readonly event: string;
  readonly class: 0 | 1 | 2 | 3;
  readonly mirror?: string;
  readonly rule?: Rule;
  readonly evidence?: Readonly<Record<string, unknown>>;
  readonly text: string;
}

/** What an event log needs. */
export interface EventLogOptions {
  /** The node's state folder; made (0700) where absent. */
  readonly stateDir: string;
  readonly node: string;
  readonly clock: Clock;
  /** Size at which the file becomes the older file, replacing the one before. Default 8 MiB. */
  readonly maxFileBytes?: number;
  /** Events that wait for the disk; while more wait they go to subscribers only. Default 4,096. */
  readonly maxPending?: number;
}

const debug = createDebug('hotmirror:events');
const defaultMaxFileBytes = 8 * 2 ** 20;
const defaultMaxPending = 4096;
/** Evidence beyond this is left out, so that a whole line always fits into the tail that is read at the start. */
const maxEvidenceBytes = 16_384;
const maxTextLength = 4096;
const tailBytes = 65_536;
const newline = 0x0a;
const ownerOnlyFile = 0o600;

/**
 * The node's event log: one JSON object a line in `events.jsonl`, one older file beside it.
 * It is written in order behind the back of whoever appends, and never fails or delays the node: what cannot be written still reaches subscribers.
 */
export class EventLog {
  readonly #options: Required<EventLogOptions>;
  readonly #subscribers: Set<(event: LoggedEvent) => void> = new Set();
  #seq: number;
  #fileBytes: number;
  #pending: LoggedEvent[] = [];
  /** The end of everything asked of the disk so far; never rejects. */
  #tail: Promise<void> = Promise.resolve();
  #complained = false;
  #closed = false;

  private constructor(options: Required<EventLogOptions>, seq: number, fileBytes: number) {
    this.#options = options;
    this.#seq = seq;
    this.#fileBytes = fileBytes;
  }

  /** Opens the log of a node; numbers go on where they ended, and a last line torn by a crash is dropped. Never rejects for the disk's sake. */
  static async open(options: EventLogOptions): Promise<EventLog> {
    const full = { maxFileBytes: defaultMaxFileBytes, maxPending: defaultMaxPending, ...options };
    try {
      await makeFolder(path.resolve(options.stateDir));
      const file = path.join(options.stateDir, eventFileName);
      const current = await mendTail(file);
      const seq = current.seq ?? (await mendTail(path.join(options.stateDir, olderEventFileName))).seq ?? 0;
      return new EventLog(full, seq, current.bytes);
    } catch (error) {
      const log = new EventLog(full, 0, 0);
      log.#complain(error);
      return log;
    }
  }

  /** Appends an event and tells subscribers. Never throws. */
  append(entry: LogEntry): LoggedEvent {
    this.#seq += 1;
    const { clock, node } = this.#options;
    const event: LoggedEvent = {
      schema: schemaVersion,
      seq: this.#seq,
      time: new Date(clock.wallMs()).toISOString(),
      node,
      event: entry.event,
      class: entry.class,
      ...(entry.mirror === undefined ? {} : { mirror: entry.mirror }),
      ...(entry.rule === undefined ? {} : { rule: entry.rule }),
      ...(entry.evidence === undefined ? {} : { evidence: boundedEvidence(entry.evidence) }),
      text: entry.text.slice(0, maxTextLength),
    };
    if (!this.#closed && this.#pending.length < this.#options.maxPending) {
      this.#pending.push(event);
      if (this.#pending.length === 1) this.#tail = this.#tail.then(() => this.#write());
    }
    for (const tell of this.#subscribers) {
      try {
        tell(event);
      } catch (error) {
        debug('a subscriber failed: %s', String(error));
      }
    }
    return event;
  }

  /** Calls back with each event from now on; returns how to stop that. */
  subscribe(listener: (event: LoggedEvent) => void): () => void {
    this.#subscribers.add(listener);
    return () => this.#subscribers.delete(listener);
  }

  /** All events that are kept, oldest first; lines that are no events are skipped. */
  async *read(): AsyncGenerator<LoggedEvent, void, undefined> {
    yield* eventsIn(await this.#openFiles());
  }

  /**
   * All events that are kept and then those that come, until the signal aborts.
   * Throws `HM_BUSY` when its reader falls behind by more than the log lets wait.
   */
  async *follow(signal: AbortSignal): AsyncGenerator<LoggedEvent, void, undefined> {
    const live: LoggedEvent[] = [];
    const readUpTo = this.#seq;
    const state = { overrun: false, rouse: (): void => undefined };
    const rouse = (): void => state.rouse();
    const unsubscribe = this.subscribe((event) => {
      if (live.length < this.#options.maxPending) live.push(event);
      else state.overrun = true;
      rouse();
    });
    signal.addEventListener('abort', rouse);
    try {
      for await (const event of this.read()) {
        if (signal.aborted) return;
        if (event.seq <= readUpTo) yield event;
      }
      while (!signal.aborted) {
        if (state.overrun) throw new HotMirrorError('HM_BUSY', 'the reader of the event log fell behind');
        const event = live.shift();
        if (event) yield event;
        else await new Promise<void>((resolve) => (state.rouse = resolve));
      }
    } finally {
      signal.removeEventListener('abort', rouse);
      unsubscribe();
    }
  }

  /** Resolves when everything appended so far has been written, or could not be. Further events reach subscribers only. */
  async close(): Promise<void> {
    this.#closed = true;
    await this.#tail;
  }

  /** Opens both files between two writes, so that no rotation lies between them. */
  async #openFiles(): Promise<FileHandle[]> {
    const opening = this.#tail.then(() => openEventFiles(this.#options.stateDir).catch(() => []));
    this.#tail = opening.then(() => undefined);
    return opening;
  }

  async #write(): Promise<void> {
    const events = this.#pending;
    this.#pending = [];
    const text = events.map((event) => `${JSON.stringify(event)}\n`).join('');
    const file = path.join(this.#options.stateDir, eventFileName);
    try {
      if (this.#fileBytes >= this.#options.maxFileBytes) {
        this.#fileBytes = 0;
        await rename(file, path.join(this.#options.stateDir, olderEventFileName));
      }
      await appendFile(file, text, { mode: ownerOnlyFile });
      this.#fileBytes += Buffer.byteLength(text);
    } catch (error) {
      this.#complain(error);
    }
  }

  #complain(error: unknown): void {
    if (this.#complained) return;
    this.#complained = true;
    debug('the event log cannot be written; events go to subscribers only: %s', String(error));
  }
}

/** Drops what follows the last line end, and tells the number of the last event. */
async function mendTail(file: string): Promise<{ seq: number | null; bytes: number }> {
  const size = await stat(file).then(
    (stats) => stats.size,
    () => 0,
  );
  if (size === 0) return { seq: null, bytes: 0 };
  const tail = await readTail(file, size);
  const end = tail.lastIndexOf(newline) + 1;
  const bytes = size - tail.length + end;
  if (bytes < size) await truncate(file, bytes);
  const lines = tail.subarray(0, end).toString('utf8').split('\n').reverse();
  for (const line of lines) {
    const event = parseEvent(line);
    if (event) return { seq: event.seq, bytes };
  }
  return { seq: null, bytes };
}

async function readTail(file: string, size: number): Promise<Buffer> {
  const handle = await open(file);
  try {
    const buffer = Buffer.alloc(Math.min(size, tailBytes));
    const { bytesRead } = await handle.read(buffer, 0, buffer.length, size - buffer.length);
    return buffer.subarray(0, bytesRead);
  } finally {
    await handle.close();
  }
}

function boundedEvidence(evidence: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> {
  try {
    const text = JSON.stringify(evidence);
    return Buffer.byteLength(text) <= maxEvidenceBytes ? (JSON.parse(text) as Record<string, unknown>) : { leftOut: 'too long' };
  } catch {
    return { leftOut: 'not serialisable' };
  }
}
