import { lstat, mkdir, readdir, readFile, stat, symlink, writeFile } from 'node:fs/promises';
import path from 'node:path';

import { expect } from 'chai';

import { loadConfig } from '../../src/node/config.ts';
import type { LoggedEvent } from '../../src/node/control-protocol.ts';
import { nodePrograms } from '../../src/node/node-programs.ts';
import { rules } from '../../src/rules.ts';
import { run, withNode, withPair } from './support/command-lines.ts';
import type { Ran } from './support/command-lines.ts';

describe('command line', () => {
  describe('events', () => {
    const event: LoggedEvent = {
      schema: 1,
      seq: 1,
      time: '2026-01-02T03:04:05.678Z',
      node: 'north',
      event: 'peer:changed',
      class: 1,
      rule: 'watch.all',
      text: 'south is down',
    };

    it('prints one a line', () =>
      withNode(
        {
          events: async (_, { progress }) => {
            await progress(event);
            await progress({ ...event, seq: 2, mirror: 'files' });
            return null;
          },
        },
        async (on) => {
          expect(
            (await on('events', '--json')).out
              .trimEnd()
              .split('\n')
              .map((line) => JSON.parse(line) as unknown),
          ).to.deep.equal([event, { ...event, seq: 2, mirror: 'files' }]);
          expect((await on('events')).out).to.contain('2026-01-02T03:04:05.678Z north 1 peer:changed         south is down (watch.all)\n');
        },
      ));

    it('follows until it is told to stop', () => {
      const stop = new AbortController();
      return withNode(
        {
          events: async ({ follow }, { progress }) => {
            expect(follow).to.equal(true);
            await progress(event);
            return new Promise(() => undefined);
          },
        },
        async (on) => {
          expect(await on('events', '--follow')).to.include({ code: 0, err: '' });
        },
        {
          world: {
            signal: stop.signal,
            out: () => stop.abort(),
          },
        },
      );
    });
  });

  describe('events --report', () => {
    const event: LoggedEvent = {
      schema: 1,
      seq: 1,
      time: '2026-01-02T03:04:05.678Z',
      node: 'north',
      event: 'takeover:decided',
      class: 0,
      rule: 'takeover.commit',
      text: 'north is about to take over with 2/north: the peer is down',
    };

    it('writes a page for its owner only and says where, and prints no event', () =>
      withNode(
        {
          events: async ({ follow }, { progress }) => {
            expect(follow).to.equal(false);
            await progress(event);
            return null;
          },
        },
        async (on, config) => {
          const file = path.join(path.dirname(config), 'north.html');
          for (const time of ['first', 'again']) {
            expect(await on('events', '--report', file), time).to.deep.equal({ code: 0, out: `1 event is shown in ${file}\n`, err: '' });
          }
          expect(JSON.parse((await on('events', '--report', file, '--json')).out)).to.deep.equal({ file, entries: 1 });
          expect((await stat(file)).mode & 0o777).to.equal(0o600);
          const page = await readFile(file, 'utf8');
          for (const text of [event.text, rules['takeover.commit'], 'What north did']) expect(page).to.include(text);
          expect((await readdir(path.dirname(file))).filter((name) => name.includes('.html'))).to.deep.equal(['north.html']);
        },
        { world: { programs: nodePrograms } },
      ));

    it('refuses to follow, and a file that cannot be written', () =>
      withNode(
        { events: async () => null },
        async (on, config) => {
          const following = await on('events', '--follow', '--report', 'x.html');
          expect([following.code, following.out]).to.deep.equal([2, '']);
          expect(following.err).to.include('without --follow');
          const absent = await on('events', '--report', path.join(path.dirname(config), 'absent', 'x.html'));
          expect([absent.code, absent.out]).to.deep.equal([2, '']);
          expect(absent.err).to.include('cannot be written');
        },
        { world: { programs: nodePrograms } },
      ));

    it('takes the place of no symbolic link, and says so before it asks the node', () =>
      withNode(
        { events: () => Promise.reject(new Error('asked')) },
        async (on, config) => {
          const link = path.join(path.dirname(config), 'link.html');
          await symlink(config, link);
          const { code, err } = await on('events', '--report', link);
          expect(code).to.equal(2);
          expect(err).to.include(`${link} cannot be written: it is a symbolic link`).and.to.include('remedy: Name a file');
          expect((await lstat(link)).isSymbolicLink()).to.equal(true);
        },
        { world: { programs: nodePrograms } },
      ));
  });

  describe('events of a node that does not run', () => {
    const line = (seq: number, text: string): string =>
      JSON.stringify({ schema: 1, seq, time: '2026-01-02T03:04:05.678Z', node: 'north', event: 'peer:changed', class: 0, text });

    /** The pair of the example, and what the log of its north holds. */
    async function withLog(use: (on: (...words: string[]) => Promise<Ran>, stateDir: string) => Promise<void>): Promise<void> {
      await withPair(async (file) => {
        const stateDir = (await loadConfig(file)).config.nodes['north']?.stateDir ?? '';
        await mkdir(stateDir, { recursive: true });
        await writeFile(path.join(stateDir, 'events.1.jsonl'), `${line(1, 'older')}\n`);
        await writeFile(path.join(stateDir, 'events.jsonl'), `${line(2, 'newer')}\n{"schema":1,"seq":3,"te`);
        await use((...words) => run(['events', '--config', file, ...words], { programs: nodePrograms }), stateDir);
      });
    }

    it('come from its state folder, oldest first, without a last line torn by a crash; stderr says so', () =>
      withLog(async (on, stateDir) => {
        const { code, out, err } = await on('--node', 'north', '--json');
        expect(code).to.equal(0);
        expect(out).to.equal(`${line(1, 'older')}\n${line(2, 'newer')}\n`);
        expect(err).to.equal(`hotmirror: north does not run; this is the log in ${stateDir}\n`);
        expect(await readFile(path.join(stateDir, 'events.jsonl'), 'utf8')).to.match(/"te$/u);
      }));

    it('make a report too', () =>
      withLog(async (on, stateDir) => {
        const file = path.join(stateDir, 'north.html');
        const { code, out, err } = await on('--node', 'north', '--report', file);
        expect([code, out]).to.deep.equal([0, `2 events are shown in ${file}\n`]);
        expect(err).to.contain('north does not run');
        expect(await readFile(file, 'utf8')).to.include('What north did');
      }));

    it('are not there for a node without a log here, nor to be followed', () =>
      withLog(async (on) => {
        for (const words of [['--node', 'south'], ['--node', 'north', '--follow'], []]) {
          const { code, out, err } = await on(...words);
          expect([code, out], words.join(' ')).to.deep.equal([4, '']);
          expect(err).to.contain('HM_NO_NODE');
        }
      }));
  });
});
