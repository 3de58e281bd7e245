import { open } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { join } from 'node:path';

import { expect } from 'chai';

import { PooledReads, readsAtOnce } from '../../src/device/pooled-reads.ts';
import { HotMirrorError } from '../../src/errors.ts';
import { temporaryFolder } from './temporary-folder.ts';

const blockBytes = 512;
const blocks = 64;

describe('Reads in the pool', () => {
  let folder: Awaited<ReturnType<typeof temporaryFolder>>;
  let file: FileHandle;
  /** What the calling thread finds; differs from the file, so that it shows who read. */
  let here: HotMirrorError | number;
  let reads: PooledReads;

  beforeEach(async () => {
    folder = await temporaryFolder();
    file = await open(join(folder.path, 'element'), 'w+');
    await file.write(new Uint8Array(blocks * blockBytes).fill(1));
    here = 2;
    reads = new PooledReads({
      fd: file.fd,
      path: 'the element',
      mostAtOnce: 2,
      readHere: (_offsetBytes, into) => {
        if (here instanceof HotMirrorError) return here;
        into.fill(here);
        return null;
      },
    });
  });

  afterEach(async () => {
    await reads.idle();
    await file.close();
    await folder.remove();
  });

  const ask = (block: number): Promise<number | string> => {
    const into = new Uint8Array(blockBytes);
    return new Promise((resolve) =>
      reads.read(block * blockBytes, into, (error) => resolve(error ? error.code : new Set(into).size === 1 ? (into[0] ?? -1) : 'torn')),
    );
  };

  it('find what the file holds', async () => {
    expect(await Promise.all(Array.from({ length: blocks }, (_, block) => ask(block)))).to.deep.equal(new Array(blocks).fill(1));
  });

  it('find what was there when they were asked for, whatever is changed before they end', async () => {
    const asked = Array.from({ length: blocks }, (_, block) => ask(block));
    reads.beforeChange(4 * blockBytes, 2 * blockBytes);
    // Of those that wait for their turn as well.
    reads.beforeChange(60 * blockBytes, blockBytes);
    here = 3;
    reads.beforeChange(0, blocks * blockBytes);
    const found = await Promise.all(asked);
    expect([3, 4, 5, 6, 60, 61].map((block) => found[block])).to.deep.equal([3, 2, 2, 3, 2, 3]);
  });

  it('fail where what was there cannot be read before it is changed', async () => {
    const asked = ask(7);
    here = new HotMirrorError('HM_IO_READ', 'a bad block');
    reads.beforeChange(7 * blockBytes, blockBytes);
    expect(await asked).to.equal('HM_IO_READ');
  });

  it('fail where the file ends before them', async () => {
    expect(await ask(blocks)).to.equal('HM_IO_READ');
  });

  it('end after their call, also those that were read before a change', async () => {
    let inCall = true;
    const ended: boolean[] = [];
    for (let block = 0; block < blocks; block += 1) reads.read(block * blockBytes, new Uint8Array(blockBytes), () => ended.push(inCall));
    reads.beforeChange(0, blocks * blockBytes);
    inCall = false;
    await reads.idle();
    expect(ended).to.deep.equal(new Array(blocks).fill(false));
  });

  it('are at most an eighth of the pool at once, from two to eight', () => {
    const sizes = [undefined, '', 'many', '-1', '0', '1', '4', '64', '1024'];
    expect(sizes.map(readsAtOnce)).to.deep.equal([2, 2, 2, 2, 2, 2, 2, 8, 8]);
  });
});
