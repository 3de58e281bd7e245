import path from 'node:path';

import { expect } from 'chai';

import { HotMirrorError } from '../../src/errors.ts';
import type { ControlHandlers, MirrorStatus } from '../../src/node/control-protocol.ts';
import { VirtualClock } from '../../src/testing/virtual-clock.ts';
import { FakeMirror } from '../node/fake-mirror.ts';
import { exampleStatus } from '../node/fake-node.ts';
import { withNode } from './support/command-lines.ts';

describe('command line', () => {
  describe('status', () => {
    it('prints the state as the contract says', () =>
      withNode({ status: () => Promise.resolve(exampleStatus) }, async (on) => {
        const { code, out, err } = await on('status', '--json');
        expect(JSON.parse(out)).to.deep.equal(exampleStatus);
        expect([code, err]).to.deep.equal([0, '']);
      }));

    it('draws the pair, the home primary on the left', () =>
      withNode({ status: () => Promise.resolve(exampleStatus) }, async (on) => {
        const { out } = await on('status');
        expect(out).to.contain('office: normal mode, epoch 3, control auto, as north sees it');
        expect(out).to.match(/Primary: north ─+┐ +┌ Standby: south/);
        expect(out).to.match(/│ serving +│ +│ up +│/);
        expect(out).to.match(/│ files {2}uptodate +│ ═+▶ │ files {2}uptodate +│/);
        expect(out).to.contain('warning takeover.unfenced');
      }));

    it('tells where an export is as it can be used in any folder, and as the file has it with --json', () => {
      const uri = 'nbd+unix:///files?socket=north/files.nbd';
      const mirrors = exampleStatus.mirrors.map((mirror) => ({ ...mirror, export: uri }));
      return withNode({ status: () => Promise.resolve({ ...exampleStatus, mirrors }) }, async (on, file) => {
        expect((await on('status')).out).to.contain(`, nbd+unix:///files?socket=${path.dirname(file)}/north/files.nbd\n`);
        expect((await on('status', '--json')).out).to.contain(`"${uri}"`);
      });
    });

    it('says which disk is the only one, and the way out of a split', () => {
      const mirrors = exampleStatus.mirrors.map((mirror) => ({ ...mirror, connection: 'split-brain', peerElement: 'outdated' }) as const);
      return withNode({ status: () => Promise.resolve({ ...exampleStatus, mirrors }) }, async (on) => {
        const { out } = await on('status');
        expect(out).to.contain('warning: files is complete on north alone: the other element is outdated');
        expect(out).to.contain('split brain of files: Name the survivor: `hotmirror resolve MIRROR --survivor NODE`');
      });
    });

    it('draws what is wrong', () =>
      withNode(
        {
          status: () =>
            Promise.resolve({
              ...exampleStatus,
              node: 'south',
              home: 'standby',
              serving: false,
              control: 'manual',
              blockedBy: [{ rule: 'takeover.auto', because: 'control is manual' }],
              monitor: {
                ...exampleStatus.monitor,
                peer: 'down',
                links: [{ name: 'net', state: 'down', lastSeenMs: null, rttMs: null, lastError: 'refused' }],
              },
              mirrors: exampleStatus.mirrors.map((mirror) => ({
                ...mirror,
                role: 'target',
                resync: { doneBytes: 2 ** 20, totalBytes: 2 ** 22, bytesPerSecond: 2 ** 19, remainingMs: 65_000 },
              })),
            }),
        },
        async (on) => {
          const { out } = await on('status', '--node', 'south');
          expect(out).to.match(/Primary: north ─+┐ +┌ Standby: south/);
          expect(out).to.match(/│ ═+▶ │/);
          expect(out).to.contain('blocked by takeover.auto: control is manual\n  remedy: Switch to');
          expect(out).to.contain('resync files: 25 %, 1 MiB of 4 MiB, 512 KiB/s, 1 min 5 s left');
          expect(out).to.match(/net +down +never seen +refused/);
          expect(out).not.to.contain('unfenced');
        },
        { node: 'south' },
      ));

    it('adds with --statistics what each mirror has counted, and asks for it only then', async () => {
      const counters = { ...new FakeMirror().counters(), refusedRequests: 3 };
      const latencyMs = { mean: 1.5, p50: 1, p90: 2, p99: 3, p999: 4, max: 5 };
      const requests = { ...counters.requests, write: { requests: 7, bytes: 4096, errors: 1, latencyMs } };
      const [mirror] = exampleStatus.mirrors as [MirrorStatus];
      const told = {
        ...exampleStatus,
        mirrors: [
          { ...mirror, counters: { ...counters, requests } },
          { ...mirror, name: 'mail', counters: null },
        ],
      };
      const status: ControlHandlers['status'] = ({ statistics }) => Promise.resolve(statistics === true ? told : exampleStatus);
      await withNode({ status }, async (on) => {
        expect(JSON.parse((await on('status', '--json')).out)).to.deep.equal(exampleStatus);
        expect(JSON.parse((await on('status', '--statistics', '--json')).out)).to.deep.equal(told);
        const { out } = await on('status', '--statistics');
        expect(out).to.match(/^ {2}write +7 +4 KiB +1 +1\.50 +1\.00 +2\.00 +3\.00 +4\.00 +5\.00$/mu);
        expect(out).to.contain('3 requests refused').and.contain('statistics of mail: its thread does not tell');
      });
    });

    it('asks either node, the one with the host name first, and only the one that --node names', () =>
      withNode(
        { status: () => Promise.resolve(exampleStatus) },
        async (on) => {
          expect((await on('status')).code).to.equal(0);
          expect((await on('status', '--node', 'south')).code).to.equal(0);
          expect((await on('status', '--node', 'north')).code).to.equal(4);
        },
        { node: 'south', world: { hostName: 'north' } },
      ));

    it('watches until it is told to stop, also through a failure', async () => {
      const clock = new VirtualClock();
      const stop = new AbortController();
      let asked = 0;
      const status: ControlHandlers['status'] = () => {
        asked += 1;
        if (asked === 3) stop.abort();
        return asked === 2 ? Promise.reject(new HotMirrorError('HM_CLOSED', 'stopping')) : Promise.resolve(exampleStatus);
      };
      await withNode(
        { status },
        async (on) => {
          const watching = on('status', '--watch', '--json');
          let done = false;
          void watching.then(() => (done = true));
          // Sockets are real here, time is not.
          const advance = async (): Promise<void> => {
            while (!done) await clock.runFor(100);
          };
          await advance();
          const { code, out, err } = await watching;
          expect(code).to.equal(0);
          expect(out.trimEnd().split('\n').length).to.be.within(1, 2);
          expect(err).to.contain('stopping');
        },
        { world: { clock, signal: stop.signal } },
      );
    });
  });
});
