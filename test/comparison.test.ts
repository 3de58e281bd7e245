import { readFile } from 'node:fs/promises';
import path from 'node:path';

import { expect } from 'chai';

import { rules } from '../src/rules.ts';
import { repositoryRoot } from './support/repository.ts';

const document = path.join(repositoryRoot, 'docs', 'comparison.md');

/** A test as the document names it: the file, then the title of the test in it. */
const namedTest = /`(?<file>test\/[^`]+\.test\.ts)`: “(?<title>[^”]+)”/gu;
const namedRule = /`(?<rule>[a-z]+\.[a-z]+)`/gu;

describe('docs/comparison.md', () => {
  it('names only tests that exist, each by its whole title', async () => {
    const named = [...(await readFile(document, 'utf8')).matchAll(namedTest)].map(
      ({ groups }) => groups as { file: string; title: string },
    );
    expect(named.length).to.be.above(40);
    for (const { file, title } of named) {
      const source = await readFile(path.join(repositoryRoot, file), 'utf8');
      const whole = [`it('${title}'`, `it("${title}"`, `it(\`${title}\``].some((start) => source.includes(start));
      expect(whole, `${file} has no test called "${title}"`).to.equal(true);
    }
  });

  it('names no test in any other form, which nobody would check', async () => {
    const text = await readFile(document, 'utf8');
    expect(text.match(/\.test\.ts/gu)?.length).to.equal([...text.matchAll(namedTest)].length);
  });

  it('cites only rules that exist', async () => {
    const cited = [...(await readFile(document, 'utf8')).matchAll(namedRule)].map(({ groups }) => groups?.['rule'] ?? '');
    expect(cited.filter((rule) => !Object.hasOwn(rules, rule))).to.deep.equal([]);
  });
});
