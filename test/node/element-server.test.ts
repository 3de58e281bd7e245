import { writeFile } from 'node:fs/promises';
import path from 'node:path';

import { expect } from 'chai';

import { describeError } from '../../src/cli/refusal.ts';
import { sleep } from '../../src/clock/clock.ts';
import { systemClock } from '../../src/clock/system-clock.ts';
import { systemRandom } from '../../src/clock/system-random.ts';
import { MemoryDevice } from '../../src/device/memory.ts';
import type { HotMirrorError } from '../../src/errors.ts';
import { NetDiskServer } from '../../src/net-disk/net-disk-server.ts';
import { loadConfig } from '../../src/node/config.ts';
import type { LoadedConfig } from '../../src/node/config.ts';
import type { LoggedEvent } from '../../src/node/control-protocol.ts';
import { freePorts } from '../../src/node/demo/free-ports.ts';
import { HotMirrorNode } from '../../src/node/hotmirror-node.ts';
import { initNode } from '../../src/node/init.ts';
import { withFolder } from './temporary-folder.ts';

const sizeBytes = 1_048_576;
const node = 'alpha';

/** A server whose one export is the element of a node, and the configuration of that node. */
class Rig {
  readonly folder: string;
  readonly #device = new MemoryDevice({ sizeBytes });
  #server: NetDiskServer | null = null;

  constructor(folder: string) {
    this.folder = folder;
  }

  async up(): Promise<void> {
    this.#server = await NetDiskServer.listen({ listen: { path: path.join(this.folder, 'd.nbd') }, clock: systemClock });
    this.#server.add({ name: 'd', device: this.#device });
  }

  async down(): Promise<void> {
    await this.#server?.close();
    this.#server = null;
  }

  async loaded(): Promise<LoadedConfig> {
    const ports = [...(await freePorts(4, systemRandom))].map((port) => `tcp://127.0.0.1:${String(port)}`);
    const file = {
      pair: 'served',
      auth: { keyFile: 'pair.key' },
      nodes: {
        alpha: { home: 'primary', stateDir: 'alpha', controlSocket: 'alpha.ctl' },
        beta: { home: 'standby', stateDir: 'beta', controlSocket: 'beta.ctl' },
      },
      mirrors: [
        {
          name: 'm0',
          elements: { alpha: { device: 'nbd+unix:///d?socket=d.nbd' }, beta: { device: 'beta.img' } },
          export: { alpha: { uri: 'nbds+unix:///m0?socket=m0.nbd', tls: { pskFile: 'keys.psk' } } },
          dataLink: { alpha: ports[0], beta: ports[1] },
        },
      ],
      monitor: { intervalMs: 200, deadlineMs: 2_000, links: [{ name: 'net', alpha: ports[2], beta: ports[3] }] },
      failover: { whenAlone: 'freeze' },
    };
    await writeFile(path.join(this.folder, 'pair.json'), JSON.stringify(file));
    return loadConfig(path.join(this.folder, 'pair.json'));
  }
}

const programs = { node, clock: systemClock, random: systemRandom };

/** With a node that is initialised, and whose server is there. */
const withRig = (use: (rig: Rig, loaded: LoadedConfig) => Promise<void>): Promise<void> =>
  withFolder(async (folder) => {
    const rig = new Rig(folder);
    await rig.up();
    try {
      const loaded = await rig.loaded();
      await initNode({ loaded, ...programs, force: false, blank: false });
      await use(rig, loaded);
    } finally {
      await rig.down();
    }
  });

/** What the export of the rig lacks, which nothing else changes. */
function noKeys(running: HotMirrorNode): readonly unknown[] {
  return (running.status().warnings ?? []).filter(({ because }) => because.includes('keys.psk cannot be read'));
}

async function refusalOf(promise: Promise<unknown>): Promise<HotMirrorError> {
  return promise.then(
    () => expect.fail('it succeeded'),
    (error: unknown) => error as HotMirrorError,
  );
}

async function until(fits: () => boolean): Promise<void> {
  while (!fits()) await sleep(systemClock, 10);
}

describe('A node whose element is behind an NBD server', function () {
  this.timeout(30_000);

  it('tells that the server is lost and that it is back, by events of its mirror', () =>
    withRig(async (rig, loaded) => {
      await using running = await HotMirrorNode.start({ loaded, ...programs });
      const told: LoggedEvent[] = [];
      running.log.subscribe((event) => {
        if (event.event.startsWith('server:')) told.push(event);
      });
      await rig.down();
      await until(() => told.length > 0);
      const lost = running.status();
      expect(lost.mirrors[0]?.elementServer?.state).to.equal('lost');
      expect(lost.warnings?.map(({ mirror, because }) => [mirror, because.split(':')[1]])).to.deep.include([
        'm0',
        ' the NBD server of the element is lost',
      ]);
      await rig.up();
      await until(() => told.length > 1);
      expect(running.status().mirrors[0]).not.to.have.property('elementServer');
      expect(running.status().warnings ?? []).to.deep.equal(noKeys(running));
      expect(told.map(({ event, class: eventClass, mirror }) => [event, eventClass, mirror])).to.deep.equal([
        ['server:lost', 1, 'm0'],
        ['server:returned', 0, 'm0'],
      ]);
      const [uri] = told.map(({ evidence }) => evidence?.['uri']);
      expect(uri).to.equal(loaded.config.mirrors[0]?.elements[node]?.device);
      expect(told[0]?.text).to.contain(String(uri)).and.to.contain('what is asked of the element waits');
    }));

  it('says at a start without the server that it asks once, and with which address', () =>
    withRig(async (rig, loaded) => {
      await rig.down();
      const start = HotMirrorNode.start({ loaded, ...programs });
      const init = initNode({ loaded, ...programs, force: true, blank: false });
      for (const error of await Promise.all([start, init].map(refusalOf))) {
        expect(error.code).to.equal('HM_CONNECT_FAILED');
        expect(error.message).to.contain(loaded.config.mirrors[0]?.elements[node]?.device);
        const said = describeError(error, { json: false });
        expect(said).to.contain('remedy: The server is asked only once').and.not.to.contain('tried again');
      }
    }));

  it('says in its status why its export could not be opened, before it has to be', () =>
    withRig(async (_rig, loaded) => {
      await using running = await HotMirrorNode.start({ loaded, ...programs });
      await until(() => noKeys(running).length > 0);
      const [mirror] = running.status().mirrors;
      expect(mirror?.export).to.equal(null);
      expect(mirror?.exportFailed).to.contain('cannot be opened while this lasts').and.to.contain('keys.psk cannot be read');
    }));
});
