import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';

import { systemClock } from '../../src/clock/system-clock.ts';
import { systemRandom } from '../../src/clock/system-random.ts';
import { askNode } from '../../src/node/control-client.ts';
import { freePorts } from '../../src/node/demo/free-ports.ts';
import { repositoryRoot } from '../../test/support/repository.ts';
import type { Started, Workplace } from '../support/processes.ts';
import { makeImages } from './images.ts';
import type { Subject } from './subject.ts';

const program = path.join(repositoryRoot, 'lib', 'cli', 'hotmirror.cjs');
const nodes = ['alpha', 'beta'] as const;
const silenceMs = 60_000;
/** A pair decides nothing before its grace is over: these times, of the example that ships, are for those who are in a hurry. */
const hastyMonitor = { intervalMs: 200, deadlineMs: 1_000, initialGraceMs: 2_000 } as const;

type NodeName = (typeof nodes)[number];

/** How a pair is to be. */
export interface PairWishes {
  readonly mirrors: number;
  readonly sizeBytes: number;
  /** It begins to serve after three seconds, not after twelve. */
  readonly hasty: boolean;
  /** Default: as it is without a wish. */
  readonly busyPollUs?: number;
  /** What makes the disks; both nodes' of a mirror are to hold the same. */
  readonly makeDisks: (files: readonly string[], sizeBytes: number) => Promise<void>;
}

/** Two processes of hotmirror that keep mirrors, alpha serving; all but addresses and files is default. */
export interface RunningPair {
  readonly pids: readonly number[];
  readonly uris: readonly string[];
  /** Of the first mirror. */
  readonly images: readonly [string, string];
  /** Copies everything of the first mirror; resolves when it is copied. */
  copyAll(): Promise<void>;
}

/** Starts one; resolves when every mirror is served, and whole on both nodes. */
export async function startPair(place: Workplace, { mirrors, sizeBytes, makeDisks, ...rest }: PairWishes): Promise<RunningPair> {
  const names = Array.from({ length: mirrors }, (_, at) => `m${String(at)}`);
  const config = place.file('pair.json');
  await writeFile(config, JSON.stringify(await configuration(names, rest)));
  for (const node of nodes) await mkdir(place.file(node));
  for (const name of names)
    await makeDisks(
      nodes.map((node) => place.file(node, `${name}.img`)),
      sizeBytes,
    );
  const command = (node: NodeName, word: string): readonly string[] => [program, word, '--config', config, '--node', node];
  for (const node of nodes) await place.run(process.execPath, command(node, 'init'));
  const [alpha, beta] = nodes.map((node) => place.start(process.execPath, command(node, 'run'))) as [Started, Started];
  const socket = place.file('alpha', 'control.sock');
  await place.until('alpha serves, and both disks are whole', alpha, async () => {
    const status = await askNode(socket, 'status', {}, { clock: systemClock, silenceMs }).catch(() => null);
    return status?.mirrors.every((mirror) => mirror.export !== null && mirror.peerElement === 'uptodate') ?? false;
  });
  return {
    pids: [alpha.pid, beta.pid],
    uris: names.map((name) => `nbd+unix:///${name}?socket=${place.file('alpha', `${name}.nbd`)}`),
    images: [place.file('alpha', 'm0.img'), place.file('beta', 'm0.img')],
    async copyAll() {
      await askNode(socket, 'regenerate', { mirror: 'm0', full: true }, { clock: systemClock });
    },
  };
}

/** As it is without wishes, or with the one for busy polling. */
export const hotmirror = (hasty: boolean, busyPollUs?: number): Subject => ({
  name: busyPollUs === undefined ? 'hotmirror' : `hotmirror, busyPollUs ${String(busyPollUs)}`,
  copies: 2,
  async start(place, sizeBytes) {
    const polling = busyPollUs === undefined ? {} : { busyPollUs };
    const { uris, pids, images } = await startPair(place, { mirrors: 1, sizeBytes, hasty, makeDisks: makeImages, ...polling });
    return { uri: uris[0]!, pids, images };
  },
});

async function configuration(names: readonly string[], { hasty, busyPollUs }: Pick<PairWishes, 'hasty' | 'busyPollUs'>): Promise<object> {
  const ports = await freePorts(2 * names.length + 2, systemRandom);
  const bothListen = (): Record<NodeName, string> => ({ alpha: address(ports.pop()!), beta: address(ports.pop()!) });
  const ofBoth = (value: (node: NodeName) => unknown): Record<string, unknown> =>
    Object.fromEntries(nodes.map((node) => [node, value(node)]));
  return {
    pair: 'bench',
    auth: { keyFile: 'pair.key' },
    nodes: {
      alpha: { home: 'primary', stateDir: 'alpha/state', controlSocket: 'alpha/control.sock' },
      beta: { home: 'standby', stateDir: 'beta/state', controlSocket: 'beta/control.sock' },
    },
    mirrors: names.map((name) => ({
      name,
      elements: ofBoth((node) => ({ device: `${node}/${name}.img` })),
      dataLink: bothListen(),
      export: ofBoth((node) => `nbd+unix:///${name}?socket=${node}/${name}.nbd`),
      ...(busyPollUs === undefined ? {} : { busyPollUs }),
    })),
    monitor: { ...(hasty ? hastyMonitor : {}), links: [{ name: 'net', ...bothListen() }] },
    failover: { platform: { kind: 'none' } },
  };
}

function address(port: number): string {
  return `tcp://127.0.0.1:${String(port)}`;
}
