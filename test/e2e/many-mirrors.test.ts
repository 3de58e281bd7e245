import { readFile, truncate, writeFile } from 'node:fs/promises';
import path from 'node:path';

import { expect } from 'chai';

import { sleep } from '../../src/clock/clock.ts';
import { systemClock } from '../../src/clock/system-clock.ts';
import { systemRandom } from '../../src/clock/system-random.ts';
import type { HotMirrorError } from '../../src/errors.ts';
import { loadConfig } from '../../src/node/config.ts';
import type { LoadedConfig } from '../../src/node/config.ts';
import { freePorts } from '../../src/node/demo/free-ports.ts';
import { HotMirrorNode } from '../../src/node/hotmirror-node.ts';
import { initNode } from '../../src/node/init.ts';
import { withFolder } from '../node/temporary-folder.ts';

const nodes = ['alpha', 'beta'] as const;
const names = ['m0', 'm1', 'm2', 'm3', 'm4', 'm5', 'm6', 'm7'];
/** By the calendar. */
const verified = 'm3';
const elementBytes = 1_048_576;
const sector = 512;
const pollMs = 20;

/** A pair with eight mirrors, configured and initialised. */
async function initialised(folder: string): Promise<LoadedConfig> {
  const ports = [...(await freePorts(2 * names.length + 2, systemRandom))].map((port) => `tcp://127.0.0.1:${String(port)}`);
  const both = (at: number): Record<string, string> => ({ alpha: ports[2 * at] ?? '', beta: ports[2 * at + 1] ?? '' });
  const device = (node: string, name: string): string => path.join(folder, `${node}-${name}.img`);
  const file = {
    pair: 'many',
    auth: { keyFile: 'pair.key' },
    nodes: {
      alpha: { home: 'primary', stateDir: 'alpha', controlSocket: 'alpha.ctl' },
      beta: { home: 'standby', stateDir: 'beta', controlSocket: 'beta.ctl' },
    },
    mirrors: names.map((name, at) => ({
      name,
      elements: Object.fromEntries(nodes.map((node) => [node, { device: device(node, name) }])),
      dataLink: both(at),
      ...(name === verified ? { verify: { everyHours: 24, digest: 'sha512' } } : {}),
    })),
    monitor: { intervalMs: 200, deadlineMs: 2_000, links: [{ name: 'net', ...both(names.length) }] },
    failover: { whenAlone: 'freeze' },
  };
  for (const node of nodes) for (const name of names) await writeFile(device(node, name), new Uint8Array(elementBytes));
  await writeFile(path.join(folder, 'pair.json'), JSON.stringify(file));
  const loaded = await loadConfig(path.join(folder, 'pair.json'));
  for (const node of nodes) await initNode({ loaded, node, clock: systemClock, random: systemRandom, force: false, blank: false });
  return loaded;
}

const start = (loaded: LoadedConfig, node: string): Promise<HotMirrorNode> =>
  HotMirrorNode.start({ loaded, node, clock: systemClock, random: systemRandom });

describe('a node with eight mirrors', function () {
  this.timeout(60_000);

  it('serves all of them, tells the state and counters of each, and hands all over (boot.uptodate, handover)', () =>
    withFolder(async (folder) => {
      const loaded = await initialised(folder);
      await using alpha = await start(loaded, 'alpha');
      await using beta = await start(loaded, 'beta');
      await alpha.serving();
      for (const name of names) await alpha.mirror(name).write(0, new Uint8Array(sector).fill(names.indexOf(name) + 1));
      const { mirrors } = await alpha.statistics();
      expect(mirrors.map(({ name, role, element }) => [name, role, element])).to.deep.equal(
        names.map((name) => [name, 'source', 'uptodate']),
      );
      expect(mirrors.map(({ counters }) => counters?.requests.write.requests)).to.deep.equal(names.map(() => 1));
      for (const node of nodes) await truncate(path.join(folder, `${node}-m2.img`), 2 * elementBytes);
      expect(await alpha.mirror('m2').grow()).to.include({ sizeBytes: 2 * elementBytes, grownBytes: elementBytes });
      await alpha.mirror('m2').write(elementBytes, new Uint8Array(sector).fill(9));
      while (!alpha.status().mirrors.every(({ peerElement }) => peerElement === 'uptodate')) await sleep(systemClock, pollMs);
      await alpha.orchestrator.switchover();
      await beta.serving();
      // The data links shake hands anew, each for itself.
      while (!alpha.status().mirrors.every(({ role }) => role === 'target')) await sleep(systemClock, pollMs);
      expect((await beta.mirror('m2').read(elementBytes, sector))[0]).to.equal(9);
      for (const name of names) expect((await beta.mirror(name).read(0, sector))[0]).to.equal(names.indexOf(name) + 1);
    }));

  it('tells of a mirror that is verified by the calendar when that is, and compares by the digest of the configuration (verify)', () =>
    withFolder(async (folder) => {
      const loaded = await initialised(folder);
      const startedMs = systemClock.wallMs();
      await using alpha = await start(loaded, 'alpha');
      await using beta = await start(loaded, 'beta');
      await alpha.serving();
      while (!alpha.status().mirrors.every(({ peerElement }) => peerElement === 'uptodate')) await sleep(systemClock, pollMs);
      const told: string[] = [];
      alpha.log.subscribe(({ event, text }) => {
        if (event === 'verify:started') told.push(text);
      });
      expect(await alpha.mirror(verified).verify()).to.include({ comparedBytes: elementBytes, differingBytes: 0 });
      expect(told).to.deep.equal(['both elements are compared by sha512']);
      const calendars = alpha.status().mirrors.flatMap(({ name, verify }) => (verify ? [{ name, ...verify }] : []));
      expect(calendars.map(({ name }) => name)).to.deep.equal([verified]);
      const lastMs = Date.parse(calendars[0]?.lastFinished ?? '');
      expect(lastMs).to.be.at.least(startedMs);
      expect(Date.parse(calendars[0]?.nextDue ?? '') - lastMs).to.equal(24 * 3_600_000);
      expect(beta.status().mirrors.find(({ name }) => name === verified)?.verify).to.deep.equal({ lastFinished: null, nextDue: null });
    }));

  it('does not start where one of them cannot be opened, and then holds none', () =>
    withFolder(async (folder) => {
      const loaded = await initialised(folder);
      const file = path.join(folder, 'alpha', 'm6.meta');
      const metadata = await readFile(file);
      await writeFile(file, new Uint8Array(metadata.length).fill(1));
      const refused = await start(loaded, 'alpha').then(
        () => expect.fail('it started'),
        (error: unknown) => error as HotMirrorError,
      );
      expect(refused.code).to.equal('HM_METADATA_CORRUPT');
      await writeFile(file, metadata);
      await (await start(loaded, 'alpha')).close();
    }));
});
