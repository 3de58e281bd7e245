import { mkdtemp, open, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { performance } from 'node:perf_hooks';

import { sleep } from '../src/clock/clock.ts';
import { systemClock as clock } from '../src/clock/system-clock.ts';
import { systemRandom as random } from '../src/clock/system-random.ts';
import { FileDevice } from '../src/device/file.ts';
import { elementMetadataBytes } from '../src/mirror/create-element.ts';
import { MirrorLink } from '../src/mirror/mirror-link.ts';
import { MemoryNetwork } from '../src/transport/memory.ts';
import type { LargeElement } from './measure-large-element.ts';

/**
 * Both nodes of a mirror of so many GiB in one process, their elements and metadata in sparse files of the temporary folder: opens them, waits until the first copy has
 * begun, that is until every extent is marked and the map is durable, lets it run for a moment, and prints times and the most memory that was used, as JSON.
 */
const gibibyte = 2 ** 30;
const copyMs = 2_000;
const kibibytesPerMebibyte = 1_024;
const nodes = ['alpha', 'beta'] as const;

async function device(folder: string, name: string, bytes: number): Promise<FileDevice> {
  const file = path.join(folder, name);
  const handle = await open(file, 'w');
  await handle.truncate(bytes);
  await handle.close();
  return FileDevice.open(file);
}

async function timed(run: () => Promise<unknown>): Promise<number> {
  const beganMs = performance.now();
  await run();
  return Math.round(performance.now() - beganMs);
}

async function measure(folder: string, sizeBytes: number): Promise<LargeElement> {
  const link = new MemoryNetwork({ clock, random }).link('data', { nodes: ['alpha', 'beta'] });
  const createdMs: number[] = [];
  const mirrors: MirrorLink[] = [];
  for (const node of nodes) {
    const metadata = await device(folder, `${node}.metadata`, elementMetadataBytes(sizeBytes));
    const element = await device(folder, `${node}.img`, sizeBytes);
    const kind = node === 'alpha' ? 'data' : 'blank';
    const epoch = { number: 1, owner: 'alpha' };
    createdMs.push(await timed(() => MirrorLink.create({ kind, sizeBytes, metadata, random, epoch })));
    const peer = node === 'alpha' ? 'beta' : 'alpha';
    const transport = link.transport(node);
    mirrors.push(
      new MirrorLink({ name: 'm0', node, peer, preferOwnDial: node === 'alpha', device: element, metadata, transport, clock, random }),
    );
  }
  const [alpha, beta] = mirrors as [MirrorLink, MirrorLink];
  const begun = new Promise<void>((resolve) => void alpha.events.on('resync:started', () => resolve()));
  const loadedMs = await timed(() => alpha.open());
  await beta.open();
  const markedMs = await timed(() => begun);
  await sleep(clock, copyMs);
  const { dirtyBytes } = alpha.state();
  const stoppedMs = await timed(() => Promise.all(mirrors.map((mirror) => mirror.close())));
  const peakMebibytes = Math.round(process.resourceUsage().maxRSS / kibibytesPerMebibyte);
  return { createdMs, loadedMs, markedMs, stoppedMs, dirtyBytes, peakMebibytes };
}

const folder = await mkdtemp(path.join(os.tmpdir(), 'hotmirror-bench-'));
try {
  console.log(JSON.stringify(await measure(folder, Number(process.argv[2]) * gibibyte)));
} finally {
  await rm(folder, { recursive: true });
}
