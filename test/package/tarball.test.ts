import { expect } from 'chai';

import { repositoryRoot } from '../support/repository.ts';
import { run } from './run.ts';

interface Packed {
  readonly files: readonly { readonly path: string; readonly mode: number }[];
}

const needed = [
  'CHANGELOG.md',
  'LICENSE',
  'README.md',
  'docs/api.md',
  'lib/cli/main.js',
  'lib/index.d.ts',
  'lib/index.js',
  'lib/index.js.map',
  'lib/pair.schema.json',
  'package.json',
  'src/index.ts',
];

describe('package: the tarball', function () {
  this.timeout(60_000);
  let files: Map<string, number>;

  before(async () => {
    const [packed] = JSON.parse(await run(repositoryRoot, 'npm', 'pack', '--dry-run', '--json')) as [Packed];
    files = new Map(packed.files.map(({ path, mode }) => [path, mode]));
  });

  it('holds the code, its source for the maps, and the texts a user needs', () => {
    expect(needed.filter((file) => !files.has(file))).to.deep.equal([]);
  });

  it('holds nothing else', () => {
    const known = /^((lib|src)\/.*\.(js|ts|map)|lib\/pair\.schema\.json|docs\/[^/]+\.md|(CHANGELOG|README)\.md|LICENSE|package\.json)$/;
    expect([...files.keys()].filter((file) => !known.test(file))).to.deep.equal([]);
  });

  it('holds an executable command', () => {
    expect((files.get('lib/cli/main.js') ?? 0) & 0o111).to.equal(0o111);
  });
});
