import { open, readFile, stat, writeFile } from 'node:fs/promises';
import path from 'node:path';

import { expect } from 'chai';

import { systemRandom } from '../../src/clock/system-random.ts';
import { FileDevice } from '../../src/device/file.ts';
import { skipBecause } from '../support/skip.ts';
import { CommandPair, elementBytes, patienceMs } from './support/command-pair.ts';
import type { NodeName } from './support/command-pair.ts';
import { exportIt, untilExported, uriOf } from './support/exported-pair.ts';
import { installed, must } from './support/program.ts';

const programs = { nbdinfo: 'libnbd-bin', nbdcopy: 'libnbd-bin', 'qemu-io': 'qemu-utils', 'qemu-img': 'qemu-utils' } as const;
const kibibyte = 1024;
const mebibyte = kibibyte * kibibyte;
const nodes = ['alpha', 'beta'] as const;

/** A new file that takes no space. */
async function sparseFile(file: string): Promise<void> {
  const handle = await open(file, 'w');
  await handle.truncate(elementBytes);
  await handle.close();
}

/** As `nbdinfo` tells it: offset, length and kind of each extent. */
async function mapOf(pair: CommandPair, node: NodeName): Promise<string[]> {
  const extents = JSON.parse(await must('nbdinfo', '--map', '--json', uriOf(pair, node))) as {
    readonly offset: number;
    readonly length: number;
    readonly description: string;
  }[];
  return extents.map(({ offset, length, description }) => `${description} ${String(offset / kibibyte)}+${String(length / kibibyte)}`);
}

async function takenKibibytes(pair: CommandPair): Promise<number[]> {
  return Promise.all(nodes.map(async (node) => ((await stat(pair.element(node))).blocks * 512) / kibibyte));
}

describe('A pair of sparse files, with koffi', function () {
  this.timeout(4 * patienceMs);
  let pair: CommandPair;

  before(async function () {
    const missing = Object.entries(programs).filter(([program]) => !installed(program));
    if (missing.length > 0) skipBecause(this, `not installed: ${[...new Set(missing.map(([, name]) => name))].join(', ')}`);
    pair = await CommandPair.create({ change: exportIt });
    await sparseFile(pair.element('alpha'));
    const device = await FileDevice.open(pair.element('alpha'));
    const known = device.capabilities.punchHole && device.allocation(0, elementBytes, 1)[0]?.hole === true;
    await device.close();
    if (!known) {
      await pair.end();
      skipBecause(this, 'koffi is not installed, or the file system here punches no holes or is not trusted to tell of them');
    }
    for (const node of nodes) await pair.must(node, 'init');
    await Promise.all(nodes.map((node) => pair.run(node)));
    await pair.health('alpha');
    await untilExported(pair, 'alpha');
  });

  after(() => pair.end());

  it('stays sparse in a first copy, and tells so', async () => {
    expect(await pair.identical()).to.equal(true);
    expect(await takenKibibytes(pair)).to.deep.equal([0, 0]);
    expect(await mapOf(pair, 'alpha')).to.deep.equal(['hole,zero 0+4096']);
  });

  it('tells of what is written, trimmed and cleared, and gives the space back on both nodes', async () => {
    const use = (...commands: readonly string[]): Promise<string> =>
      must('qemu-io', '-d', 'unmap', '-f', 'raw', ...commands.flatMap((command) => ['-c', command]), uriOf(pair, 'alpha'));
    await use('write -P 7 1M 256k', 'write -P 8 3M 64k', 'flush');
    expect(await mapOf(pair, 'alpha')).to.deep.equal([
      'hole,zero 0+1024',
      'data 1024+256',
      'hole,zero 1280+1792',
      'data 3072+64',
      'hole,zero 3136+960',
    ]);
    expect(await takenKibibytes(pair)).to.deep.equal([320, 320]);
    const map = JSON.parse(await must('qemu-img', 'map', '--output=json', '-f', 'raw', uriOf(pair, 'alpha'))) as {
      readonly start: number;
      readonly zero: boolean;
    }[];
    expect(map.map(({ start, zero }) => `${String(start / mebibyte)} ${String(zero)}`)).to.deep.equal([
      '0 true',
      '1 false',
      '1.25 true',
      '3 false',
      '3.0625 true',
    ]);
    await use('discard 1M 128k', 'flush');
    expect(await takenKibibytes(pair)).to.deep.equal([192, 192]);
    await use('write -z -u 3M 64k', 'flush', 'read -P 0 3M 64k', 'read -P 0 1M 128k', 'read -P 7 1152k 128k');
    expect(await takenKibibytes(pair)).to.deep.equal([128, 128]);
    // Without leave to unmap, zeroes keep their space.
    await use('write -z 2M 64k', 'flush');
    expect(await takenKibibytes(pair)).to.deep.equal([192, 192]);
    expect(await pair.identical()).to.equal(true);
  });

  it('is copied out and in by nbdcopy and qemu-img as it is, with its holes', async () => {
    const [copy, back] = [path.join(pair.folder, 'copy.raw'), path.join(pair.folder, 'back.raw')];
    await sparseFile(copy);
    await must('nbdcopy', uriOf(pair, 'alpha'), copy);
    await must('qemu-img', 'convert', '-f', 'raw', '-O', 'raw', uriOf(pair, 'alpha'), back);
    for (const file of [copy, back]) {
      expect((await readFile(file)).equals(await readFile(pair.element('alpha'))), file).to.equal(true);
      expect((await stat(file)).blocks * 512, file).to.be.at.most(256 * kibibyte);
    }
    await must('nbdcopy', '--destination-is-zero', back, uriOf(pair, 'alpha'));
    expect((await readFile(back)).equals(await readFile(pair.element('alpha')))).to.equal(true);
  });

  it('stays sparse in a resync, also over an element that was full', async () => {
    await pair.kill('beta');
    await must('qemu-io', '-f', 'raw', '-c', 'write -P 9 512k 64k', '-c', 'flush', uriOf(pair, 'alpha'));
    await writeFile(pair.element('beta'), systemRandom.bytes(elementBytes));
    await pair.must('beta', 'init', '--force', '--blank', '--yes');
    await pair.run('beta');
    await pair.health('alpha');
    expect(await pair.identical()).to.equal(true);
    const [alpha, beta] = await takenKibibytes(pair);
    expect(alpha).to.be.at.most(320);
    expect(beta).to.be.at.most(320);
  });
});
