import { readFile } from 'node:fs/promises';
import path from 'node:path';

import { expect } from 'chai';

import { repositoryRoot } from '../support/repository.ts';

async function readJson(file: string): Promise<Record<string, unknown>> {
  return JSON.parse(await readFile(path.join(repositoryRoot, file), 'utf8')) as Record<string, unknown>;
}

/** What each entry point exports is a promise; `npm run exports` writes a change of it down for review. */
describe('package: exports', () => {
  it('are those listed, at every entry point', async () => {
    const { exports } = (await readJson('package.json')) as { exports: Record<string, unknown> };
    const actual: Record<string, string[]> = {};
    for (const [subpath, target] of Object.entries(exports)) {
      if (typeof target !== 'object') continue;
      const entryPoint = (await import(`hotmirror${subpath.slice(1)}`)) as object;
      actual[subpath] = Object.keys(entryPoint).sort();
    }
    expect(actual).to.deep.equal(await readJson('test/package/exports.json'));
  });

  it('are all in the reference', async () => {
    const { exports } = (await readJson('package.json')) as { exports: Record<string, string | { readonly default: string }> };
    const { entryPoints } = (await readJson('typedoc.json')) as { entryPoints: readonly string[] };
    const sources = Object.values(exports).flatMap((target) => (typeof target === 'string' ? [] : [target.default]));
    expect(entryPoints).to.have.members(sources.map((built) => built.replace(/^\.\/lib\/(.*)\.js$/u, 'src/$1.ts')));
  });
});
