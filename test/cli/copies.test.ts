import { once } from 'node:events';

import { expect } from 'chai';

import { HotMirrorError } from '../../src/errors.ts';
import type { ControlHandlers } from '../../src/node/control-protocol.ts';
import { withNode } from './support/command-lines.ts';

describe('command line', () => {
  describe('regenerate and verify', () => {
    const nothing = { comparedBytes: 4096, differingBytes: 0, unreadableBytes: 0, extents: [], repaired: false };

    it('ask the node, and show how far it is', () => {
      const asked: unknown[] = [];
      const resync = { doneBytes: 2048, totalBytes: 4096, bytesPerSecond: 1024, remainingMs: 2_000 };
      const handlers: Partial<ControlHandlers> = {
        async regenerate(params, { progress }) {
          asked.push(params);
          await progress({ text: 'resync of files', mirror: 'files', resync });
          return { changed: true, text: 'done' };
        },
        verify(params) {
          asked.push(params);
          return Promise.resolve({ ...nothing, changed: false, text: 'nothing differs' });
        },
      };
      return withNode(handlers, async (on) => {
        const { code, out, err } = await on('regenerate', 'files');
        expect([code, out]).to.deep.equal([0, 'done\n']);
        expect(err).to.contain('resync files: 50 %').and.to.contain('left');
        await on('regenerate', 'files', '--full', '--yes');
        expect(await on('verify', 'files')).to.include({ code: 0, out: 'nothing differs\n' });
        await on('verify', 'files', '--repair', '--yes');
        await on('verify', 'files', '--waive', '--yes');
        expect(asked).to.deep.equal([
          { mirror: 'files', full: false },
          { mirror: 'files', full: true },
          { mirror: 'files', wish: 'find' },
          { mirror: 'files', wish: 'repair' },
          { mirror: 'files', wish: 'waive' },
        ]);
      });
    });

    it('exit code 130: Ctrl-C ends a verify on the node, and of a regeneration only the wait, and says so', async () => {
      for (const [command, says] of [
        ['verify', 'the verify of files ends'],
        ['regenerate', 'only the wait has ended'],
      ] as const) {
        const stop = new AbortController();
        const gone: string[] = [];
        const ends = async (_params: unknown, { signal }: { readonly signal: AbortSignal }): Promise<never> => {
          const noticed = once(signal, 'abort');
          stop.abort();
          await noticed;
          gone.push(command);
          throw new HotMirrorError('HM_ABORTED', 'given up');
        };
        await withNode(
          { [command]: ends },
          async (on) => {
            const { code, out, err } = await on(command, 'files');
            expect([code, out]).to.deep.equal([130, '']);
            expect(err).to.contain(says).and.not.to.contain('code:');
          },
          { world: { signal: stop.signal } },
        );
        expect(gone).to.deep.equal([command]);
      }
    });

    it('exit code 5: verify found differences', () =>
      withNode(
        { verify: () => Promise.resolve({ ...nothing, differingBytes: 512, changed: true, text: 'files: 512 bytes differ' }) },
        async (on) => {
          expect(await on('verify', 'files')).to.include({ code: 5, out: 'files: 512 bytes differ\n' });
        },
      ));

    it('say what may be lost and exit with 3 without --yes', () =>
      withNode({}, async (on) => {
        for (const words of [
          ['regenerate', 'files', '--full'],
          ['verify', 'files', '--repair'],
          ['verify', 'files', '--waive'],
        ]) {
          const { code, err } = await on(...words);
          expect(code, words.join(' ')).to.equal(3);
          expect(err).to.contain('--yes');
        }
      }));

    it('exit code 2: no such mirror, wishes that exclude each other', () =>
      withNode({}, async (on) => {
        for (const words of [
          ['regenerate', 'disks'],
          ['regenerate'],
          ['verify', 'disks'],
          ['verify', 'files', '--repair', '--waive', '--yes'],
        ])
          expect((await on(...words)).code, words.join(' ')).to.equal(2);
      }));
  });

  describe('resolve', () => {
    it('says what may be lost and exits with 3 without --yes', () =>
      withNode({}, async (on) => {
        const { code, err } = await on('resolve', 'files', '--survivor', 'north');
        expect(code).to.equal(3);
        expect(err).to.contain('what south completed alone in files').and.to.contain('kept nowhere').and.to.contain('--yes');
        expect((await on('resolve', 'files', '--survivor', 'north', '--salvage', 'kept')).err).to.contain('kept in kept on south');
      }));

    it('asks the node, with an absolute path for the salvage file', () => {
      const asked: unknown[] = [];
      const resolve = (params: unknown): Promise<{ changed: boolean; text: string }> => {
        asked.push(params);
        return Promise.resolve({ changed: true, text: 'done' });
      };
      return withNode({ resolve }, async (on) => {
        expect(await on('resolve', 'files', '--survivor', 'north', '--yes')).to.include({ code: 0, out: 'done\n' });
        await on('resolve', 'files', '--survivor', 'south', '--salvage', '/kept', '--yes');
        expect(asked).to.deep.equal([
          { mirror: 'files', survivor: 'north', salvage: null },
          { mirror: 'files', survivor: 'south', salvage: '/kept' },
        ]);
      });
    });

    it('exit code 2: no such mirror, no survivor, no such node', () =>
      withNode({}, async (on) => {
        for (const words of [['disks', '--survivor', 'north'], ['files'], ['files', '--survivor', 'west'], []])
          expect((await on('resolve', ...words)).code, words.join(' ')).to.equal(2);
      }));
  });
});
