import { systemRandom } from '../../src/clock/system-random.ts';
import { freePorts } from '../../src/node/demo/free-ports.ts';
import { Workplace } from '../support/processes.ts';
import { secondsOf } from '../support/seconds.ts';
import { startPair } from './hotmirror.ts';
import { fillImage, makeImages } from './images.ts';
import { startQemuCopier, startTcpLeg } from './peers.ts';
import type { TcpLeg } from './peers.ts';
import { Qmp } from './qmp.ts';
import type { Medium, Settings } from './settings.ts';

const bytesPerMegabyte = 1e6;

/** A way to bring a whole second copy about. */
interface Copier {
  readonly name: string;
  /** Makes what a round needs; a round copies everything, and only the copying counts. */
  prepare(place: Workplace, settings: Settings): Promise<() => Promise<number>>;
}

/** What one way did in each round, in MB/s. */
export interface Copied {
  readonly name: string;
  readonly samples: number[];
}

/** The way that the others are compared with. */
export const copierOfReference = 'qemu blockdev-mirror, to READY';

/** hotmirror's second copy gets other contents first, behind its back, or keeps what it holds: then only digests travel. */
const regenerate = (name: string, differing: boolean): Copier => ({
  name,
  async prepare(place, { sizeBytes, hasty }) {
    const pair = await startPair(place, { mirrors: 1, sizeBytes, hasty, makeDisks: makeImages });
    return async () => {
      if (differing) await fillImage(pair.images[1], sizeBytes);
      const seconds = await secondsOf(() => pair.copyAll());
      await place.run('cmp', [...pair.images]);
      return seconds;
    };
  },
});

const blockdevMirror: Copier = {
  name: copierOfReference,
  async prepare(place, { sizeBytes }) {
    const { file, leg } = await fileAndLeg(place, sizeBytes);
    const qmp = await Qmp.connect(await startQemuCopier(place, file, leg));
    return async () => {
      const ready = qmp.event('BLOCK_JOB_READY');
      const seconds = await secondsOf(async () => {
        await qmp.execute('blockdev-mirror', { 'job-id': 'j', device: 'loc', target: 'rem', sync: 'full' });
        await ready;
      });
      const completed = qmp.event('BLOCK_JOB_COMPLETED');
      await qmp.execute('block-job-cancel', { device: 'j' });
      await completed;
      return seconds;
    };
  },
};

const nbdcopy: Copier = {
  name: 'nbdcopy --flush',
  async prepare(place, { sizeBytes }) {
    const { file, leg } = await fileAndLeg(place, sizeBytes);
    return () => secondsOf(() => place.run('nbdcopy', ['--flush', file, `nbd://127.0.0.1:${String(leg.port)}/d`]));
  },
};

/** Two processes and a connection, which check nothing and flush nothing: what reading and writing every byte leaves on this machine. */
const bareCopy: Copier = {
  name: 'socat, unchecked',
  async prepare(place, { sizeBytes }) {
    const [file, target] = [place.file('a.raw'), place.file('b.raw')];
    await makeImages([file, target], sizeBytes);
    const [port] = (await freePorts(1, systemRandom)) as [number];
    const transfer = (from: string, to: string): Promise<string> => place.run('socat', ['-u', '-b', String(2 ** 20), from, to]);
    return () =>
      secondsOf(() =>
        Promise.all([
          transfer(`TCP-LISTEN:${String(port)},bind=127.0.0.1,reuseaddr`, `OPEN:${target}`),
          transfer(`OPEN:${file}`, `TCP:127.0.0.1:${String(port)},retry=100,interval=0.01`),
        ]),
      );
  },
};

const copiers: readonly Copier[] = [
  regenerate('hotmirror regenerate --full, other contents', true),
  regenerate('hotmirror regenerate --full, same contents', false),
  blockdevMirror,
  nbdcopy,
  bareCopy,
];

/** In each round, every way copies everything, in turn. */
export async function measureCopying(medium: Medium, settings: Settings): Promise<readonly Copied[]> {
  const places = copiers.map(() => new Workplace(medium.parent));
  try {
    const rounds = await Promise.all(copiers.map((copier, at) => copier.prepare(places[at]!, settings)));
    const all: readonly Copied[] = copiers.map(({ name }) => ({ name, samples: [] }));
    for (let round = 1; round <= settings.rounds; round += 1) {
      console.error(`${medium.name}: copying, round ${String(round)} of ${String(settings.rounds)}`);
      for (const [at, copy] of rounds.entries()) all[at]!.samples.push(settings.sizeBytes / bytesPerMegabyte / (await copy()));
    }
    return all;
  } finally {
    for (const place of places) await place.end();
  }
}

async function fileAndLeg(place: Workplace, sizeBytes: number): Promise<{ readonly file: string; readonly leg: TcpLeg }> {
  const file = place.file('a.raw');
  const target = place.file('b.raw');
  await makeImages([file, target], sizeBytes);
  return { file, leg: await startTcpLeg(place, target) };
}
