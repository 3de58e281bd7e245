import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';

import { expect } from 'chai';

import { repositoryRoot } from '../support/repository.ts';
import { run } from './run.ts';

interface Packed {
  readonly files: readonly { readonly path: string; readonly mode: number }[];
}

const needed = [
  'CHANGELOG.md',
  'CONTRIBUTING.md',
  'LICENSE',
  'README.md',
  'docs/api.md',
  'examples/embed.ts',
  'examples/pair.json',
  'examples/scsi-bus.mjs',
  'lib/cli/hotmirror.cjs',
  'lib/index.d.ts',
  'lib/index.js',
  'lib/index.js.map',
  'lib/pair.schema.json',
  'package.json',
  'src/index.ts',
];

describe('package: the tarball', function () {
  this.timeout(120_000);
  let files: Map<string, number>;

  before(async () => {
    const [packed] = JSON.parse(await run(repositoryRoot, 'npm', 'pack', '--dry-run', '--json', '--ignore-scripts')) as [Packed];
    files = new Map(packed.files.map(({ path, mode }) => [path, mode]));
  });

  it('holds the code, its source for the maps, and the texts a user needs', () => {
    expect(needed.filter((file) => !files.has(file))).to.deep.equal([]);
  });

  it('holds nothing else', () => {
    const known =
      /^((lib|src)\/.*\.(c?js|c?ts|map)|lib\/pair\.schema\.json|docs\/[^/]+\.(md|svg)|examples\/[^/]+\.(ts|mjs|json)|(CHANGELOG|CONTRIBUTING|README)\.md|LICENSE|package\.json)$/;
    expect([...files.keys()].filter((file) => !known.test(file))).to.deep.equal([]);
  });

  it('holds an executable command', () => {
    expect((files.get('lib/cli/hotmirror.cjs') ?? 0) & 0o111).to.equal(0o111);
  });

  it('holds everything that its texts link to', async () => {
    const broken: string[] = [];
    for (const text of [...files.keys()].filter((file) => file.endsWith('.md'))) {
      const source = await readFile(path.join(repositoryRoot, text), 'utf8');
      for (const [, target = ''] of source.matchAll(/\]\(([^)#\s]+)(?:#[^)]*)?\)/gu)) {
        if (!/^[a-z]+:/u.test(target) && !files.has(path.posix.join(path.posix.dirname(text), target))) broken.push(`${text}: ${target}`);
      }
    }
    expect(broken).to.deep.equal([]);
  });

  it('is built first, so that it is whole where nothing was built', async () => {
    const folder = await mkdtemp(path.join(tmpdir(), 'hotmirror-pack-'));
    try {
      // A build in name only: what the real one makes, the other tests look at.
      const build = `node -e "fs.mkdirSync('lib'), fs.writeFileSync('lib/index.js', '')"`;
      const manifest = JSON.parse(await readFile(path.join(repositoryRoot, 'package.json'), 'utf8')) as { scripts: object };
      await writeFile(path.join(folder, 'package.json'), JSON.stringify({ ...manifest, scripts: { ...manifest.scripts, build } }));
      const [packed] = JSON.parse(await run(folder, 'npm', 'pack', '--dry-run', '--json')) as [Packed];
      expect(packed.files.map(({ path: file }) => file)).to.include('lib/index.js');
    } finally {
      await rm(folder, { recursive: true });
    }
  });
});
