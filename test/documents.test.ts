import { readFile } from 'node:fs/promises';
import path from 'node:path';

import { expect } from 'chai';

import { errorRemedies } from '../src/errors.ts';
import { rules } from '../src/rules.ts';
import { repositoryRoot } from './support/repository.ts';

async function firstColumn(document: string): Promise<string[]> {
  const text = await readFile(path.join(repositoryRoot, 'docs', document), 'utf8');
  return [...text.matchAll(/^\| `([^`]+)` \|/gmu)].map((match) => match[1] ?? '');
}

describe('documents', () => {
  it('docs/rules.md explains every rule of the code and no other', async () => {
    expect((await firstColumn('rules.md')).sort()).to.deep.equal(Object.keys(rules).sort());
  });

  it('docs/errors.md lists every error code with the remedy that the code gives', async () => {
    expect((await firstColumn('errors.md')).sort()).to.deep.equal(Object.keys(errorRemedies).sort());
    const text = await readFile(path.join(repositoryRoot, 'docs', 'errors.md'), 'utf8');
    for (const [code, remedy] of Object.entries(errorRemedies)) expect(text).to.include(`| \`${code}\` | ${remedy} |`);
  });
});
