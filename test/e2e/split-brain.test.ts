import { stat } from 'node:fs/promises';
import path from 'node:path';

import { expect } from 'chai';

import { systemClock } from '../../src/clock/system-clock.ts';
import { DemoPair } from '../../src/node/demo/demo-pair.ts';
import type { DemoNode } from '../../src/node/demo/demo-pair.ts';
import { SeededRandom } from '../../src/testing/seeded-random.ts';
import { hotmirror } from './support/command-pair.ts';

const sizeBytes = 16_777_216;
const blockBytes = 4_096;
const extentBytes = 65_536;
const patienceMs = 60_000;
const nodes: readonly DemoNode[] = ['alpha', 'beta'];
/** In the room behind the file system; whole extents. */
const sharedAtBytes = sizeBytes - 2 * extentBytes;
const alphaAtBytes = sizeBytes - extentBytes;

const filled = (value: number): Uint8Array => new Uint8Array(blockBytes).fill(value);

/** The command, told which pair and which node. */
async function command(pair: DemoPair, node: DemoNode, ...words: readonly string[]): Promise<string> {
  const { exitCode, stdout, stderr } = await hotmirror(...words, '--config', path.join(pair.folder, 'pair.json'), '--node', node);
  expect(exitCode, `${words.join(' ')}: ${stderr}`).to.equal(0);
  return stdout;
}

async function served(pair: DemoPair, node: DemoNode): Promise<void> {
  await pair.until(node, 'the service', ({ serving }) => serving, patienceMs);
}

/** Each node has served while the other was dead, and what both wrote last differs. */
async function split(pair: DemoPair): Promise<void> {
  await Promise.all(nodes.map((node) => pair.start(node)));
  await pair.until('alpha', 'a healthy pair', ({ mirrors }) => mirrors[0]?.peerElement === 'uptodate', patienceMs);
  await served(pair, 'alpha');
  await pair.kill('beta');
  for (const offset of [sharedAtBytes, alphaAtBytes]) await pair.serving()!.write(offset, filled(1));
  await pair.kill('alpha');
  await pair.start('beta');
  // An operator does what a takeover must not: alpha has served without beta since.
  await command(pair, 'beta', 'fallback', '--force', '--yes');
  await served(pair, 'beta');
  await pair.serving()!.write(sharedAtBytes, filled(2));
  await pair.start('alpha');
  for (const node of nodes)
    await pair.until(node, 'the split', ({ serving, mirrors }) => !serving && mirrors[0]?.connection === 'split-brain', patienceMs);
}

describe('a split brain of two real nodes (lineage.split, lineage.resolve)', function () {
  this.timeout(180_000);

  it('is ended by hotmirror resolve on each, and hotmirror salvage cat gives back what the other node held', async () => {
    const pair = await DemoPair.create({
      clock: systemClock,
      random: new SeededRandom(3),
      sizeBytes,
      intervalMs: 100,
      deadlineMs: 500,
      onEvent: () => undefined,
    });
    try {
      await split(pair);
      const file = path.join(pair.folder, 'kept');
      const resolve = ['resolve', 'm0', '--survivor', 'beta', '--yes'] as const;
      await command(pair, 'alpha', ...resolve, '--salvage', file);
      await command(pair, 'beta', ...resolve);
      await served(pair, 'beta');
      await pair.until('beta', 'the copy', ({ mirrors }) => mirrors[0]?.peerElement === 'uptodate', patienceMs);
      expect((await pair.serving()!.read(sharedAtBytes, blockBytes))[0]).to.equal(2);
      expect((await pair.serving()!.read(alphaAtBytes, blockBytes))[0]).not.to.equal(1);
      expect((await stat(file)).mode & 0o777).to.equal(0o600);
      const listed = await hotmirror('salvage', 'ls', file, '--json');
      expect(listed.exitCode, listed.stderr).to.equal(0);
      for (const offset of [sharedAtBytes, alphaAtBytes]) {
        const kept = await hotmirror('salvage', 'cat', file, '--extent', String(offset / extentBytes));
        expect(kept.exitCode, kept.stderr).to.equal(0);
        expect([...new Set(Buffer.from(kept.stdout.slice(0, blockBytes), 'latin1'))], `the extent at ${String(offset)}`).to.deep.equal([1]);
      }
    } finally {
      await pair.remove();
    }
  });
});
