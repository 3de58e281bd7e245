import { appendFile, readFile, rm, stat, writeFile } from 'node:fs/promises';
import path from 'node:path';

import { expect } from 'chai';

import type { HotMirrorError } from '../../src/errors.ts';
import type { LoggedEvent } from '../../src/node/control-protocol.ts';
import type { EventLogOptions, LogEntry } from '../../src/node/event-log.ts';
import { EventLog } from '../../src/node/event-log.ts';
import { VirtualClock } from '../../src/testing/virtual-clock.ts';
import { withFolder } from './temporary-folder.ts';

const openLog = (stateDir: string, options: Partial<EventLogOptions> = {}): Promise<EventLog> =>
  EventLog.open({ stateDir, node: 'north', clock: new VirtualClock({ wallStartMs: Date.UTC(2026, 0, 2, 3, 4, 5, 678) }), ...options });

const entry = (text: string): LogEntry => ({ event: 'link:changed', class: 0, text });

async function texts(log: EventLog): Promise<string[]> {
  const found: string[] = [];
  for await (const { text } of log.read()) found.push(text);
  return found;
}

describe('event log', () => {
  it('writes what the contract says, one object a line, for its owner only', () =>
    withFolder(async (folder) => {
      const log = await openLog(folder);
      log.append({
        event: 'takeover:decided',
        class: 2,
        mirror: 'm0',
        rule: 'takeover.commit',
        evidence: { silentMs: 1200 },
        text: 'north takes over',
      });
      log.append(entry('net is up'));
      await log.close();
      const file = path.join(folder, 'events.jsonl');
      const lines = (await readFile(file, 'utf8')).trimEnd().split('\n');
      expect(lines.map((line) => JSON.parse(line) as unknown)).to.deep.equal([
        {
          schema: 1,
          seq: 1,
          time: '2026-01-02T03:04:05.678Z',
          node: 'north',
          event: 'takeover:decided',
          class: 2,
          mirror: 'm0',
          rule: 'takeover.commit',
          evidence: { silentMs: 1200 },
          text: 'north takes over',
        },
        { schema: 1, seq: 2, time: '2026-01-02T03:04:05.678Z', node: 'north', event: 'link:changed', class: 0, text: 'net is up' },
      ]);
      expect((await stat(file)).mode & 0o777).to.equal(0o600);
    }));

  it('goes on counting after a restart, and drops a line torn by a crash', () =>
    withFolder(async (folder) => {
      const first = await openLog(folder);
      for (const text of ['a', 'b']) first.append(entry(text));
      await first.close();
      await appendFile(path.join(folder, 'events.jsonl'), '{"schema":1,"seq":3,"te');
      const second = await openLog(folder);
      expect(second.append(entry('c')).seq).to.equal(3);
      expect(await texts(second)).to.deep.equal(['a', 'b', 'c']);
      await second.close();
    }));

  it('skips lines that are no events', () =>
    withFolder(async (folder) => {
      await writeFile(path.join(folder, 'events.jsonl'), 'garbage\n{"schema":1,"seq":7,"event":"a:b","text":"x"}\nnull\n');
      const log = await openLog(folder);
      expect(log.append(entry('next')).seq).to.equal(8);
      expect(await texts(log)).to.deep.equal(['x', 'next']);
      await log.close();
    }));

  it('keeps one older file and stays within its bound', () =>
    withFolder(async (folder) => {
      let log = await openLog(folder, { maxFileBytes: 400 });
      for (let each = 1; each <= 20; each += 1) {
        log.append(entry(`event ${String(each)}`));
        await texts(log);
      }
      await log.close();
      expect((await stat(path.join(folder, 'events.jsonl'))).size).to.be.lessThan(600);
      expect((await stat(path.join(folder, 'events.1.jsonl'))).size).to.be.within(400, 600);
      log = await openLog(folder, { maxFileBytes: 400 });
      const kept = await texts(log);
      expect(kept.at(-1)).to.equal('event 20');
      expect(kept).to.deep.equal(Array.from({ length: kept.length }, (_, at) => `event ${String(21 - kept.length + at)}`));
      await rm(path.join(folder, 'events.jsonl'));
      await log.close();
      log = await openLog(folder);
      expect(log.append(entry('x')).seq).to.be.greaterThan(10);
      await log.close();
    }));

  it('follows: what is kept, then what comes, without gap or repetition', () =>
    withFolder(async (folder) => {
      const log = await openLog(folder);
      log.append(entry('1'));
      log.append(entry('2'));
      const abort = new AbortController();
      const seen: LoggedEvent[] = [];
      for await (const event of log.follow(abort.signal)) {
        seen.push(event);
        if (seen.length === 1) log.append(entry('3'));
        if (seen.length === 3) queueMicrotask(() => log.append(entry('4')));
        if (seen.length === 4) abort.abort();
      }
      expect(seen.map(({ seq }) => seq)).to.deep.equal([1, 2, 3, 4]);
      await log.close();
    }));

  it('follows no reader that falls behind without bound', () =>
    withFolder(async (folder) => {
      const log = await openLog(folder, { maxPending: 4 });
      const following = log.follow(new AbortController().signal);
      const first = following.next();
      log.append(entry('1'));
      await first;
      for (let each = 0; each < 10; each += 1) log.append(entry('more'));
      const drain = async (): Promise<void> => {
        for (;;) if ((await following.next()).done) return;
      };
      const error = await drain().then(
        () => expect.fail('it went on'),
        (caught: unknown) => caught as HotMirrorError,
      );
      expect(error.code).to.equal('HM_BUSY');
      await log.close();
    }));

  it('still tells subscribers when the disk cannot be written, and never fails', () =>
    withFolder(async (folder) => {
      const file = path.join(folder, 'a file');
      await writeFile(file, '');
      const log = await openLog(path.join(file, 'state'));
      const seen: string[] = [];
      log.subscribe(() => {
        throw new Error('a bad subscriber');
      });
      const stop = log.subscribe(({ text }) => seen.push(text));
      log.append(entry('heard'));
      stop();
      log.append(entry('not heard'));
      expect(await texts(log)).to.deep.equal([]);
      await log.close();
      expect(seen).to.deep.equal(['heard']);
    }));

  it('leaves out evidence that is too long or cannot be written', () =>
    withFolder(async (folder) => {
      const log = await openLog(folder);
      const loop: Record<string, unknown> = {};
      loop['self'] = loop;
      expect(log.append({ ...entry('loop'), evidence: loop }).evidence).to.deep.equal({ leftOut: 'not serialisable' });
      expect(log.append({ ...entry('long'), evidence: { x: 'y'.repeat(20_000) } }).evidence).to.deep.equal({ leftOut: 'too long' });
      await log.close();
    }));
});
