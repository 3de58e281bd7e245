import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';

import { expect } from 'chai';

import { savedEvents } from '../../src/node/event-files.ts';
import { withFolder } from './temporary-folder.ts';

const line = (seq: number, text = 'x'): string => JSON.stringify({ schema: 1, seq, event: 'a:b', class: 0, text });

async function numbersIn(folder: string): Promise<readonly number[]> {
  const numbers: number[] = [];
  for await (const { seq } of (await savedEvents(folder)) ?? []) numbers.push(seq);
  return numbers;
}

describe('the event log of a node that does not run', () => {
  it('is the older file and then the newer one', () =>
    withFolder(async (folder) => {
      await writeFile(path.join(folder, 'events.jsonl'), `${line(3)}\n`);
      expect(await numbersIn(folder)).to.deep.equal([3]);
      await writeFile(path.join(folder, 'events.1.jsonl'), `${line(1)}\n${line(2)}\n`);
      expect(await numbersIn(folder)).to.deep.equal([1, 2, 3]);
    }));

  it('is none where there is no file', () =>
    withFolder(async (folder) => {
      expect(await savedEvents(folder)).to.equal(null);
      expect(await savedEvents(path.join(folder, 'absent'))).to.equal(null);
    }));

  it('ends before a line torn by a crash, which stays as it is', () =>
    withFolder(async (folder) => {
      const file = path.join(folder, 'events.jsonl');
      for (const torn of ['{"schema":1,"seq":2,"te', line(2)]) {
        await writeFile(file, `${line(1)}\n${torn}`);
        expect(await numbersIn(folder)).to.deep.equal([1]);
        expect(await readFile(file, 'utf8')).to.equal(`${line(1)}\n${torn}`);
      }
    }));

  it('passes over what is no event, also a line longer than any event, which it does not hold', () =>
    withFolder(async (folder) => {
      const long = line(2, 'y'.repeat(300_000));
      const nearly = line(4, 'z'.repeat(200_000));
      await writeFile(path.join(folder, 'events.jsonl'), `${line(1)}\ngarbage\n\n${long}\n${line(3)}\n${nearly}\n${line(5)}\n`);
      expect(await numbersIn(folder)).to.deep.equal([1, 3, 4, 5]);
    }));

  it('says so where it cannot be read', () =>
    withFolder(async (folder) => {
      const file = path.join(folder, 'a file');
      await writeFile(file, '');
      const error = await savedEvents(file).then(
        () => expect.fail('it was read'),
        (caught: unknown) => caught,
      );
      expect(error).to.have.property('code', 'HM_STATE_UNWRITABLE');
    }));
});
