import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { connect, createServer } from 'node:net';
import type { AddressInfo, Socket } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';

import { expect } from 'chai';

import { takeOver } from '../../src/transport/taken-over-socket.ts';

/** What this relies on is not documented: these tests run on every version of Node that is supported (test/e2e/nodes.test.ts). */
describe('takeOver', () => {
  let folder: string;
  let cleanups: (() => unknown)[] = [];

  beforeEach(async () => {
    folder = await mkdtemp(path.join(tmpdir(), 'hotmirror-'));
  });

  afterEach(async () => {
    for (const cleanup of cleanups.reverse()) cleanup();
    cleanups = [];
    await rm(folder, { recursive: true, force: true });
  });

  /** The two ends of a connection; the accepted one has read nothing. */
  async function connected(over: 'tcp' | 'unix'): Promise<{ readonly client: Socket; readonly accepted: Socket }> {
    const server = createServer({ allowHalfOpen: true, pauseOnConnect: true });
    server.listen(over === 'unix' ? path.join(folder, 'socket') : { host: '127.0.0.1', port: 0 });
    await once(server, 'listening');
    cleanups.push(() => server.close());
    const client = connect(over === 'unix' ? { path: path.join(folder, 'socket') } : { port: (server.address() as AddressInfo).port });
    cleanups.push(() => client.destroy());
    const [accepted] = (await once(server, 'connection')) as [Socket];
    return { client, accepted };
  }

  for (const over of ['tcp', 'unix'] as const) {
    it(`reads an accepted connection (${over}) into memory of one's own, and tells of its end`, async () => {
      const { client, accepted } = await connected(over);
      const memory = Buffer.alloc(8);
      const read: Buffer[] = [];
      const taken = takeOver(accepted, {
        buffer: () => memory,
        callback: (lengthBytes, into) => {
          expect(into).to.equal(memory);
          read.push(Buffer.from(memory.subarray(0, lengthBytes)));
          return true;
        },
      });
      expect(taken, 'this version of Node has no handle to take over').not.to.equal(null);
      cleanups.push(() => taken?.destroy());
      const ended = once(taken!, 'end');
      client.end('twenty-one bytes long');
      taken?.resume();
      await ended;
      expect(Buffer.concat(read).toString()).to.equal('twenty-one bytes long');
      taken?.write('still open');
      expect(String(await once(client, 'data'))).to.equal('still open');
    });
  }

  it('stops reading where it is told to, and goes on', async () => {
    const { client, accepted } = await connected('tcp');
    let bytes = 0;
    const taken = takeOver(accepted, {
      buffer: Buffer.alloc(4),
      callback: (lengthBytes) => {
        bytes += lengthBytes;
        return false;
      },
    });
    cleanups.push(() => taken?.destroy());
    client.write('eight by');
    taken?.resume();
    while (bytes < 4) await new Promise((resolve) => setTimeout(resolve, 1));
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(bytes).to.equal(4);
    taken?.resume();
    while (bytes < 8) await new Promise((resolve) => setTimeout(resolve, 1));
  });
});
