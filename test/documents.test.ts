import { readFile } from 'node:fs/promises';
import path from 'node:path';

import { expect } from 'chai';

import { errorRemedies } from '../src/errors.ts';
import { pairJsonSchema } from '../src/node/config.ts';
import { rules } from '../src/rules.ts';
import { repositoryRoot } from './support/repository.ts';

async function firstColumn(document: string): Promise<string[]> {
  const text = await readFile(path.join(repositoryRoot, 'docs', document), 'utf8');
  return [...text.matchAll(/^\| `([^`]+)` \|/gmu)].map((match) => match[1] ?? '');
}

/** Every property name of a JSON Schema, wherever it stands. */
function keysOf(schema: unknown, keys: Set<string> = new Set()): Set<string> {
  if (Array.isArray(schema)) for (const one of schema) keysOf(one, keys);
  else if (typeof schema === 'object' && schema !== null) {
    for (const [name, value] of Object.entries(schema)) {
      if (name === 'properties') for (const key of Object.keys(value as object)) keys.add(key);
      keysOf(value, keys);
    }
  }
  return keys;
}

describe('documents', () => {
  it('docs/rules.md explains every rule of the code and no other', async () => {
    expect((await firstColumn('rules.md')).sort()).to.deep.equal(Object.keys(rules).sort());
  });

  it('docs/configuration.md names every key of the configuration', async () => {
    const text = await readFile(path.join(repositoryRoot, 'docs', 'configuration.md'), 'utf8');
    const missing = [...keysOf(pairJsonSchema())].filter((key) => !new RegExp(`[\`"./]${key.replace('$', '\\$')}\\b`, 'u').test(text));
    expect(missing).to.deep.equal([]);
  });

  it('docs/errors.md lists every error code with the remedy that the code gives', async () => {
    expect((await firstColumn('errors.md')).sort()).to.deep.equal(Object.keys(errorRemedies).sort());
    const text = await readFile(path.join(repositoryRoot, 'docs', 'errors.md'), 'utf8');
    for (const [code, remedy] of Object.entries(errorRemedies)) expect(text).to.include(`| \`${code}\` | ${remedy} |`);
  });
});
