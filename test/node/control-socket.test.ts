import { mkdir, stat, writeFile } from 'node:fs/promises';
import type { Socket } from 'node:net';
import { connect, createServer } from 'node:net';
import { once } from 'node:events';
import { fork } from 'node:child_process';
import path from 'node:path';

import { expect } from 'chai';

import { HotMirrorError } from '../../src/errors.ts';
import { askNode } from '../../src/node/control-client.ts';
import type { ControlHandlers, LoggedEvent } from '../../src/node/control-protocol.ts';
import type { ControlSocket, ControlSocketOptions } from '../../src/node/control-socket.ts';
import { assertSocketPath, openControlSocket } from '../../src/node/control-socket.ts';
import { VirtualClock } from '../../src/testing/virtual-clock.ts';
import { exampleStatus, refusingHandlers } from './fake-node.ts';
import { withFolder } from './temporary-folder.ts';

const clock = new VirtualClock();

async function refusalOf(promise: Promise<unknown>): Promise<HotMirrorError> {
  return promise.then(
    () => expect.fail('it succeeded'),
    (error: unknown) => error as HotMirrorError,
  );
}

async function withSocket(
  handlers: Partial<ControlHandlers>,
  use: (socketPath: string, socket: ControlSocket) => Promise<void>,
  limits: NonNullable<ControlSocketOptions['limits']> = {},
): Promise<void> {
  await withFolder(async (folder) => {
    const socketPath = path.join(folder, 'run', 'control.sock');
    const socket = await openControlSocket({
      path: socketPath,
      handlers: { ...refusingHandlers, ...handlers },
      limits,
    });
    try {
      await use(socketPath, socket);
    } finally {
      await socket.close();
    }
  });
}

async function connected(socketPath: string): Promise<Socket> {
  const socket = connect(socketPath);
  socket.on('error', () => undefined);
  await once(socket, 'connect');
  return socket;
}

function closed(socket: Socket): Promise<void> {
  return new Promise((resolve) => socket.once('close', () => resolve()));
}

/** Something that happens once and is waited for. */
class Signal {
  give: () => void = () => undefined;
  readonly given: Promise<void> = new Promise((resolve) => (this.give = resolve));
}

describe('control socket', () => {
  it('answers a request, in a folder and with a mode for its owner only', () =>
    withSocket({ status: () => Promise.resolve(exampleStatus) }, async (socketPath) => {
      expect(await askNode(socketPath, 'status', {}, { clock })).to.deep.equal(exampleStatus);
      expect((await stat(socketPath)).mode & 0o777).to.equal(0o600);
      expect((await stat(path.dirname(socketPath))).mode & 0o777).to.equal(0o700);
    }));

  it('carries a refusal with its rule and details', () =>
    withSocket(
      {
        fallback: ({ force, overrides }) =>
          Promise.reject(new HotMirrorError('HM_REFUSED', 'no', { rule: 'takeover.dead', details: { force, overrides: [...overrides] } })),
      },
      async (socketPath) => {
        const error = await refusalOf(askNode(socketPath, 'fallback', { force: true, overrides: ['takeover.fence'] }, { clock }));
        expect(error.toJSON()).to.deep.equal({
          code: 'HM_REFUSED',
          message: 'no',
          rule: 'takeover.dead',
          details: { force: true, overrides: ['takeover.fence'] },
        });
      },
    ));

  it('wraps what a handler throws by mistake', () =>
    withSocket({ status: () => Promise.reject(new TypeError('oops')) }, async (socketPath) => {
      expect(await refusalOf(askNode(socketPath, 'status', {}, { clock }))).to.include({ code: 'HM_INTERNAL', message: 'status: oops' });
    }));

  it('streams progress in order before the result', () =>
    withSocket(
      {
        recover: async (_, { progress }) => {
          for (const text of ['one', 'two', 'three']) await progress({ text });
          return { changed: true, text: 'done' };
        },
      },
      async (socketPath) => {
        const seen: string[] = [];
        const result = await askNode(
          socketPath,
          'recover',
          { force: false, overrides: [] },
          { clock, onProgress: ({ text }) => seen.push(text) },
        );
        expect(seen).to.deep.equal(['one', 'two', 'three']);
        expect(result).to.deep.equal({ changed: true, text: 'done' });
      },
    ));

  it('tells the handler when the client has gone', async () => {
    const started = new Signal();
    const noticed = new Signal();
    await withSocket(
      {
        events: async (_, { signal }) => {
          started.give();
          await once(signal, 'abort');
          noticed.give();
          return null;
        },
      },
      async (socketPath) => {
        const abort = new AbortController();
        const asked = refusalOf(askNode(socketPath, 'events', { follow: true }, { clock, signal: abort.signal }));
        await started.given;
        abort.abort();
        expect(await asked).to.include({ code: 'HM_ABORTED' });
        await noticed.given;
      },
    );
  });

  it('lets a fast handler wait for a slow client, so that everything arrives within the bound', () => {
    const events = 5000;
    return withSocket(
      {
        events: async (_, { progress }) => {
          for (let seq = 1; seq <= events; seq += 1) await progress({ seq, text: 'x'.repeat(1000) } as LoggedEvent);
          return null;
        },
      },
      async (socketPath) => {
        const seen: number[] = [];
        await askNode(socketPath, 'events', { follow: false }, { clock, onProgress: ({ seq }) => seen.push(seq) });
        expect(seen).to.deep.equal(Array.from({ length: events }, (_, at) => at + 1));
      },
      { unsentBytes: 100_000 },
    );
  });

  it('cuts off a client that leaves too much unread', () =>
    withSocket(
      {
        events: (_, { progress }) => {
          for (let each = 0; each < 4; each += 1) void progress({ text: 'x'.repeat(200_000) } as LoggedEvent);
          return Promise.resolve(null);
        },
      },
      async (socketPath) => {
        expect(await refusalOf(askNode(socketPath, 'events', { follow: false }, { clock }))).to.include({ code: 'HM_CONNECTION_LOST' });
      },
      { unsentBytes: 100_000 },
    ));

  it('cuts off whoever sends no request, and serves the others', () =>
    withSocket({ status: () => Promise.resolve(exampleStatus) }, async (socketPath) => {
      const bad = [
        'hello\n',
        '{}\n',
        '{"id":1,"command":"dance","params":{}}\n',
        '{"id":1,"command":"status","params":{"x":1}}\n',
        'x'.repeat(300_000),
      ];
      for (const line of [
        ...bad,
        '{"id":1,"command":"fallback","params":{"force":true,"overrides":["no.rule"]}}\n',
        '{"id":-1,"command":"status","params":{}}\n',
      ]) {
        const socket = await connected(socketPath);
        const ended = closed(socket);
        socket.write(line);
        await ended;
      }
      expect(await askNode(socketPath, 'status', {}, { clock })).to.deep.equal(exampleStatus);
    }));

  it('bounds clients and the requests of one client', () =>
    withSocket(
      { status: () => new Promise(() => undefined) },
      async (socketPath) => {
        const greedy = await connected(socketPath);
        const ended = closed(greedy);
        for (const id of [1, 2, 3]) greedy.write(`{"id":${String(id)},"command":"status","params":{}}\n`);
        await ended;
        const patient = [await connected(socketPath), await connected(socketPath)];
        expect(await refusalOf(askNode(socketPath, 'status', {}, { clock }))).to.include({ code: 'HM_CONNECTION_LOST' });
        for (const socket of patient) socket.destroy();
      },
      { connections: 2, requestsPerClient: 2 },
    ));

  it('refuses a second node, and the first goes on', () =>
    withSocket({ status: () => Promise.resolve(exampleStatus) }, async (socketPath) => {
      const second = await refusalOf(openControlSocket({ path: socketPath, handlers: refusingHandlers }));
      expect(second).to.include({ code: 'HM_NODE_RUNNING' });
      expect(await askNode(socketPath, 'status', {}, { clock })).to.deep.equal(exampleStatus);
    }));

  it('lets exactly one of several nodes that start at once have the socket, also over a dead one', () =>
    withFolder(async (folder) => {
      const socketPath = path.join(folder, 'control.sock');
      await leaveDeadSocket(socketPath);
      const opened = await Promise.allSettled([1, 2, 3, 4].map(() => openControlSocket({ path: socketPath, handlers: refusingHandlers })));
      const winners = opened.flatMap((each) => (each.status === 'fulfilled' ? [each.value] : []));
      expect(winners).to.have.length(1);
      await Promise.all(winners.map((socket) => socket.close()));
    }));

  it('replaces the socket of a node that was killed', () =>
    withFolder(async (folder) => {
      const socketPath = path.join(folder, 'control.sock');
      await leaveDeadSocket(socketPath);
      expect(await refusalOf(askNode(socketPath, 'status', {}, { clock }))).to.include({ code: 'HM_NO_NODE' });
      const socket = await openControlSocket({
        path: socketPath,
        handlers: { ...refusingHandlers, status: () => Promise.resolve(exampleStatus) },
      });
      expect(await askNode(socketPath, 'status', {}, { clock })).to.deep.equal(exampleStatus);
      await socket.close();
      expect(await refusalOf(stat(socketPath))).to.have.property('code', 'ENOENT');
    }));

  it('leaves alone what is no socket', () =>
    withFolder(async (folder) => {
      const file = path.join(folder, 'control.sock');
      await writeFile(file, 'precious');
      expect(await refusalOf(openControlSocket({ path: file, handlers: refusingHandlers }))).to.include({
        code: 'HM_STATE_UNWRITABLE',
      });
      expect((await stat(file)).isFile()).to.equal(true);
    }));

  it('says that a path is too long for a socket', async () => {
    const longest = `/${'s'.repeat(106)}`;
    expect(() => assertSocketPath(longest)).not.to.throw();
    expect(() => assertSocketPath(`${longest}s`))
      .to.throw('107 at most')
      .with.property('code', 'HM_CONFIG');
    const error = await refusalOf(openControlSocket({ path: `${longest}s`, handlers: refusingHandlers }));
    expect(error).to.include({ code: 'HM_CONFIG' });
  });

  it('ends its clients when it is closed', () =>
    withFolder(async (folder) => {
      const socketPath = path.join(folder, 'control.sock');
      const socket = await openControlSocket({
        path: socketPath,
        handlers: { ...refusingHandlers, status: () => new Promise(() => undefined) },
      });
      const asked = refusalOf(askNode(socketPath, 'status', {}, { clock }));
      await connected(socketPath);
      await socket.close();
      expect(await asked).to.include({ code: 'HM_CONNECTION_LOST' });
    }));
});

describe('control client', () => {
  it('says that no node answers', () =>
    withFolder(async (folder) => {
      expect(await refusalOf(askNode(path.join(folder, 'none.sock'), 'status', {}, { clock }))).to.include({ code: 'HM_NO_NODE' });
    }));

  it('gives up on a node that is silent for too long, and leaves no timer', () =>
    withSocket({ status: () => new Promise(() => undefined) }, async (socketPath) => {
      const virtual = new VirtualClock();
      const asked = refusalOf(askNode(socketPath, 'status', {}, { clock: virtual, silenceMs: 5000 }));
      await virtual.runFor(5000);
      expect(await asked).to.include({ code: 'HM_REQUEST_TIMEOUT' });
      expect(virtual.pendingTimers).to.equal(0);
    }));

  it('notices that something else answers', () =>
    withFolder(async (folder) => {
      await mkdir(folder, { recursive: true });
      const socketPath = path.join(folder, 'other.sock');
      const server = createServer((socket) => socket.resume().end('HTTP/1.1 400 Bad Request\r\n\r\n'));
      await new Promise<void>((resolve) => server.listen(socketPath, resolve));
      expect(await refusalOf(askNode(socketPath, 'status', {}, { clock }))).to.include({ code: 'HM_PROTOCOL' });
      await new Promise((resolve) => server.close(resolve));
    }));
});

/** What a node killed by SIGKILL leaves behind. */
async function leaveDeadSocket(socketPath: string): Promise<void> {
  const child = fork(new URL('listen-and-wait.js', import.meta.url), [socketPath]);
  await once(child, 'message');
  child.kill('SIGKILL');
  await once(child, 'exit');
}
