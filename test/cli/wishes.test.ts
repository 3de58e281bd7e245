import { expect } from 'chai';

import type { ControlHandlers, PlanView } from '../../src/node/control-protocol.ts';
import { withNode } from './support/command-lines.ts';

const blockedPlan: PlanView = {
  wish: 'fallback',
  fulfilled: false,
  steps: [{ node: 'south', step: 'promote', text: 'serve files in epoch 4' }],
  blockedBy: [{ rule: 'takeover.dead', because: 'north answers' }],
  mayLose: 'nothing that was acknowledged',
};

describe('command line', () => {
  describe('wishes', () => {
    it('go to the node, and one already fulfilled is a success', () =>
      withNode(
        {
          adopt: () => Promise.resolve({ changed: false, text: 'north is the home primary already' }),
          control: ({ mode }) => Promise.resolve({ changed: true, text: `control is ${mode}` }),
          recover: async (_, { progress }) => {
            await progress({
              text: 'resync',
              mirror: 'files',
              resync: { doneBytes: 1, totalBytes: 2, bytesPerSecond: 1, remainingMs: null },
            });
            await progress({ text: 'unmount on south' });
            return { changed: true, text: 'north serves' };
          },
        },
        async (on) => {
          expect(await on('adopt')).to.include({ code: 0, out: 'north is the home primary already\n' });
          expect(await on('control', 'manual')).to.include({ code: 0, out: 'control is manual\n', err: '' });
          expect((await on('control', 'auto')).err).to.contain('takeover.unfenced');
          expect(await on('recover')).to.include({
            code: 0,
            out: 'north serves\n',
            err: 'resync files: 50 %, 1 B of 2 B, 1 B/s\nunmount on south\n',
          });
          expect(JSON.parse((await on('recover', '--json')).out)).to.deep.equal({ changed: true, text: 'north serves' });
        },
      ));

    for (const move of ['fallback', 'recover'] as const)
      it(`${move} --force says what may be lost and does nothing without --yes`, () => {
        const wishes: unknown[] = [];
        return withNode(
          {
            plan: () => Promise.resolve(blockedPlan),
            [move]: (params: unknown) => {
              wishes.push(params);
              return Promise.resolve({ changed: true, text: 'south serves' });
            },
          },
          async (on) => {
            const { code, err } = await on(move, '--force');
            expect(code).to.equal(3);
            expect(err)
              .to.contain('blocked by takeover.dead: north answers')
              .and.to.contain('nothing that was acknowledged')
              .and.to.contain('--yes');
            expect((await on(move, '--override', 'takeover.fence')).code).to.equal(3);
            expect(wishes).to.deep.equal([]);
            expect((await on(move, '--force', '--yes', '--override', 'takeover.fence,takeover.arbiter')).code).to.equal(0);
            expect((await on(move)).code).to.equal(0);
            expect(wishes).to.deep.equal([
              { force: true, overrides: ['takeover.fence', 'takeover.arbiter'] },
              { force: false, overrides: [] },
            ]);
          },
        );
      });

    it('plan shows steps and blocks, and changes nothing', () =>
      withNode({ plan: ({ wish }) => Promise.resolve({ ...blockedPlan, wish }) }, async (on) => {
        expect((await on('plan', 'fallback')).out).to.equal(
          'blocked by takeover.dead: north answers\n1.  south  promote  serve files in epoch 4\nby force it may lose: nothing that was acknowledged\n',
        );
        expect(JSON.parse((await on('plan', 'recover', '--json')).out)).to.deep.equal({ ...blockedPlan, wish: 'recover' });
      }));
  });

  describe('protocol', () => {
    it('asks the node; what promises less says so and exits with 3 without --yes', () => {
      const asked: unknown[] = [];
      const handlers: Partial<ControlHandlers> = {
        protocol(params) {
          asked.push(params);
          return Promise.resolve({ changed: true, toldBoth: true, text: 'switched' });
        },
      };
      return withNode(handlers, async (on) => {
        expect(await on('protocol', 'files', 'sync')).to.include({ code: 0, out: 'switched\n' });
        for (const protocol of ['memsync', 'async']) {
          const { code, err } = await on('protocol', 'files', protocol);
          expect([code, err.includes('may lose data')]).to.deep.equal([3, true]);
          expect(await on('protocol', 'files', protocol, '--yes')).to.include({ code: 0 });
        }
        expect(asked).to.deep.equal(['sync', 'memsync', 'async'].map((protocol) => ({ mirror: 'files', protocol })));
        expect((await on('protocol', 'files', 'C')).code).to.equal(2);
        expect((await on('protocol', 'disks', 'sync')).code).to.equal(2);
      });
    });
  });

  describe('watch and maintenance', () => {
    it('ask the node; exit code 5 where the other one was not told', () => {
      const asked: unknown[] = [];
      const answer = (toldBoth: boolean) => (params: unknown) => {
        asked.push(params);
        return Promise.resolve({ changed: true, toldBoth, text: 'changed' });
      };
      return withNode({ watch: answer(true), maintenance: answer(false) }, async (on) => {
        expect(await on('watch', '--interval', '500')).to.include({ code: 0, out: 'changed\n' });
        expect(await on('watch', '--deadline', '9000', '--interval=300')).to.include({ code: 0 });
        expect(await on('maintenance', '30')).to.include({ code: 5, out: 'changed\n' });
        expect(await on('maintenance', 'off')).to.include({ code: 5 });
        expect(asked).to.deep.equal([
          { intervalMs: 500, deadlineMs: null },
          { intervalMs: 300, deadlineMs: 9_000 },
          { forMs: 1_800_000 },
          { forMs: null },
        ]);
        const bad = [
          ['watch'],
          ['watch', '--interval', 'soon'],
          ['watch', '--deadline', '0'],
          ['maintenance', '0'],
          ['maintenance', '1441'],
        ];
        for (const line of bad) expect(await on(...line), line.join(' ')).to.include({ code: 2, out: '' });
      });
    });
  });
});
