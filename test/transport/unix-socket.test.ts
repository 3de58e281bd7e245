import { chown, mkdtemp, readdir, rename, rm, stat, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import type { Server } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';

import { expect } from 'chai';

import type { HotMirrorError } from '../../src/errors.ts';
import { assertTrustedOwner, listenAtFile, listenStaged } from '../../src/transport/unix-socket.ts';
import { skipBecause } from '../support/skip.ts';

const someoneElse = 54_321;

describe('transport/unix-socket', () => {
  let folder: string;
  let file: string;
  let server: Server;

  beforeEach(async () => {
    folder = await mkdtemp(path.join(tmpdir(), 'hotmirror-socket-'));
    file = path.join(folder, 'a.sock');
    server = createServer();
  });
  afterEach(async () => {
    server.close();
    await rm(folder, { recursive: true });
  });

  const modeOf = async (one: string): Promise<string> => ((await stat(one)).mode & 0o777).toString(8);
  const codeOf = (attempt: Promise<unknown>): Promise<string> =>
    attempt.then(
      () => 'none',
      (error: unknown) => (error as HotMirrorError).code,
    );

  it('makes a socket where its owner alone can reach it, and of mode 0600 before it has its name', async () => {
    const modes: string[] = [];
    await listenStaged(server, file, async (staged) => {
      modes.push(await modeOf(path.dirname(staged)), await modeOf(staged));
      await rename(staged, file);
    });
    expect(modes).to.deep.equal(['700', '600']);
    expect(await modeOf(file)).to.equal('600');
    expect(await readdir(folder)).to.deep.equal(['a.sock']);
  });

  it('leaves nothing behind of a socket that got no name', async () => {
    expect(await codeOf(listenStaged(server, file, () => Promise.reject(new Error('refused'))))).to.equal(undefined);
    expect(await readdir(folder)).to.deep.equal([]);
  });

  it('takes no place where another server is, or a file, and takes away only its own', async () => {
    const takeAway = await listenAtFile(server, file, 'nothing');
    const second = createServer();
    expect(await codeOf(listenAtFile(second, file, 'nothing'))).to.equal('HM_ADDRESS_IN_USE');
    await rm(file);
    await writeFile(file, 'kept');
    expect(await codeOf(listenAtFile(second, file, 'nothing'))).to.equal('HM_ADDRESS');
    await takeAway();
    expect(await readdir(folder)).to.deep.equal(['a.sock']);
  });

  it('trusts sockets of its own user and of root, and no other', async function () {
    expect(await codeOf(assertTrustedOwner(file))).to.equal('none');
    await listenAtFile(server, file, 'nothing');
    expect(await codeOf(assertTrustedOwner(file))).to.equal('none');
    expect(await codeOf(assertTrustedOwner('/'))).to.equal('none');
    if (process.geteuid?.() !== 0) skipBecause(this, 'only root can give a file to another user');
    await chown(file, someoneElse, someoneElse);
    expect(await codeOf(assertTrustedOwner(file))).to.equal('HM_SOCKET_OWNER');
  });
});
