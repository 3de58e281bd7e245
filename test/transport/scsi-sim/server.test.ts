import { chown, mkdtemp, rm, stat, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';

import { expect } from 'chai';

import { sleep } from '../../../src/clock/clock.ts';
import { systemClock } from '../../../src/clock/system-clock.ts';
import { systemRandom } from '../../../src/clock/system-random.ts';
import type { HotMirrorError } from '../../../src/errors.ts';
import { Inbox } from '../../../src/testing/transport-subject.ts';
import { FrameEncoder } from '../../../src/transport/framing.ts';
import { ScsiBus, scsiSocketPort, scsiTransport, serveScsiBus } from '../../../src/transport/scsi-sim/index.ts';
import type { DetachReason, ScsiBusServer, ScsiCommand } from '../../../src/transport/scsi-sim/index.ts';
import { parseToBus, parseToHost } from '../../../src/transport/scsi-sim/wire.ts';
import { skipBecause } from '../../support/skip.ts';

const quiet = { received: () => true, detached: () => undefined };

describe('transport/scsi-sim/server', function () {
  this.timeout(30_000); // real sockets on a machine that may be busy

  let folder: string;
  let socket: string;
  let bus: ScsiBus;
  let server: ScsiBusServer;

  beforeEach(async () => {
    folder = await mkdtemp(path.join(tmpdir(), 'hotmirror-bus-'));
    socket = path.join(folder, 'bus.sock');
    bus = new ScsiBus({ clock: systemClock, random: systemRandom, selectionTimeoutMs: 1 });
    server = await serveScsiBus({ path: socket, bus, clock: systemClock });
  });
  afterEach(async () => {
    await server.close();
    await rm(folder, { recursive: true });
  });

  const port = (id: number) => scsiSocketPort({ path: socket, id, clock: systemClock });
  const codeOf = (attempt: Promise<unknown>): Promise<string> =>
    attempt.then(
      () => 'none',
      (error: unknown) => (error as HotMirrorError).code,
    );

  it('listens at a socket of its owner alone, which is gone afterwards', async () => {
    expect((await stat(socket)).mode & 0o777).to.equal(0o600);
    await server.close();
    expect(await codeOf(port(7).attach(quiet))).to.equal('HM_CONNECT_FAILED');
  });

  it('takes no place on a bus that another user serves', async function () {
    if (process.geteuid?.() !== 0) skipBecause(this, 'only root can give a file to another user');
    await chown(socket, 54_321, 54_321);
    expect(await codeOf(port(7).attach(quiet))).to.equal('HM_SOCKET_OWNER');
    expect(bus.hosts).to.deep.equal([]);
  });

  it('does not take the socket of another bus, nor a file that is none', async () => {
    expect(await codeOf(serveScsiBus({ path: socket, bus, clock: systemClock }))).to.equal('HM_ADDRESS_IN_USE');
    const file = path.join(folder, 'file');
    await writeFile(file, 'kept');
    expect(await codeOf(serveScsiBus({ path: file, bus, clock: systemClock }))).to.equal('HM_ADDRESS');
    expect(await codeOf(serveScsiBus({ path: path.join(folder, 'x'.repeat(120)), bus, clock: systemClock }))).to.equal('HM_ADDRESS');
  });

  it('carries every command and result as it is', async () => {
    const a = await port(7).attach(quiet);
    const here = bus.attach(6, quiet);
    here.setNotice(Buffer.from('notice'));
    const commands: readonly (readonly [number, ScsiCommand])[] = [
      [0, { op: 'test-unit-ready' }],
      [0, { op: 'request-sense' }],
      [0, { op: 'inquiry' }],
      [0, { op: 'write', block: 1, data: Buffer.alloc(512, 'w') }],
      [0, { op: 'read', block: 1, count: 1 }],
      [0, { op: 'read', block: 1, count: 1_000 }],
      [0, { op: 'reserve' }],
      [0, { op: 'persistent-reserve-in' }],
      [0, { op: 'release' }],
      [0, { op: 'persistent-reserve-out', action: 'register', key: '0000000000000000', serviceKey: 'abcdefabcdefabcd', type: 6 }],
      [0, { op: 'persistent-reserve-in' }],
      [6, { op: 'receive' }],
      [6, { op: 'send', data: new Uint8Array(0) }],
      [5, { op: 'send', data: new Uint8Array(1) }],
    ];
    const statuses = [];
    for (const [target, command] of commands) {
      const result = await a.execute(target, command);
      statuses.push(result.status === 'check-condition' ? result.sense.text : result.status);
      if (command.op === 'read' && result.status === 'good') expect(Buffer.from(result.data).toString()).to.equal('w'.repeat(512));
      if (command.op === 'receive' && result.status === 'good') expect(Buffer.from(result.data).toString()).to.equal('notice');
    }
    expect(statuses).to.deep.equal([
      ...[
        'power on occurred',
        'good',
        'good',
        'good',
        'good',
        'invalid field in CDB',
        'good',
        'reservation-conflict',
        'good',
        'good',
        'good',
      ],
      ...['good', 'good', 'selection-timeout'],
    ]);
    a.detach();
  });

  it('gives a place once, and frees it when its process is gone', async () => {
    const first = await port(7).attach(quiet);
    expect(await codeOf(port(7).attach(quiet))).to.equal('HM_ADDRESS_IN_USE');
    first.detach();
    (await port(7).attach(quiet)).detach();
  });

  it('tells a host why it is no longer on the bus', async () => {
    const reasons: DetachReason[] = [];
    for (const fault of [() => bus.breakDown(), () => bus.remove(7), () => void server.close()]) {
      const gone = new Promise<DetachReason>((resolve) => {
        void port(7)
          .attach({ received: () => true, detached: resolve })
          .then(fault);
      });
      reasons.push(await gone);
    }
    expect(reasons).to.deep.equal(['bus-error', 'removed', 'lost']);
  });

  it('ends a process that sends garbage, and no other', async () => {
    const healthy = await port(7).attach(quiet);
    const said = (text: string): Uint8Array => Buffer.concat(new FrameEncoder(2 ** 20).frame([Buffer.from(text)]));
    const wrong = [
      Buffer.from('GET / HTTP/1.1\r\n\r\n'),
      Buffer.alloc(100_000, 0xff),
      said('no JSON'),
      said('{"say":"attach","id":16}'),
      said('{"say":"run","tag":1,"target":0,"command":{"op":"inquiry"}}'),
      said(JSON.stringify({ say: 'attach', id: 'x'.repeat(200_000) })),
    ];
    for (const bytes of wrong) {
      const stranger = connect(socket);
      stranger.on('error', () => undefined);
      stranger.resume().write(bytes);
      await new Promise((resolve) => stranger.once('close', resolve));
    }
    expect((await healthy.execute(0, { op: 'inquiry' })).status).to.equal('good');
    expect(bus.hosts).to.deep.equal([7]);
    healthy.detach();
  });

  it('lets a process leave a bounded number of messages untaken: then others get BUSY', async () => {
    const stranger = connect(socket);
    stranger.on('error', () => undefined);
    stranger.resume();
    stranger.write(Buffer.concat(new FrameEncoder(1_000).frame([Buffer.from('{"say":"attach","id":3}')])));
    while (!bus.hosts.includes(3)) await sleep(systemClock, 5);
    const a = bus.attach(7, quiet);
    const statuses: string[] = [];
    for (let index = 0; index < 65; index += 1) statuses.push((await a.execute(3, { op: 'send', data: Buffer.from('x') })).status);
    expect(statuses.slice(-2)).to.deep.equal(['good', 'busy']);
    stranger.destroy();
  });

  it('may come later than who listens on it, and go and come back', async () => {
    const common = { pair: 'example', purpose: 'monitor:scsi', key: null, clock: systemClock, random: systemRandom };
    const alpha = scsiTransport({ ...common, port: port(7), peerId: 6, node: 'alpha', peer: 'beta' });
    const beta = scsiTransport({ ...common, port: port(6), peerId: 7, node: 'beta', peer: 'alpha' });
    await server.close();
    const listener = await beta.listen({ accepted: (connection) => connection.receive(new Inbox()) });
    expect(await codeOf(alpha.dial())).to.equal('HM_CONNECT_FAILED');
    for (let round = 0; round < 2; round += 1) {
      server = await serveScsiBus({ path: socket, bus, clock: systemClock });
      while (!bus.hosts.includes(6)) await sleep(systemClock, 50);
      const inbox = new Inbox();
      (await alpha.dial()).receive(inbox);
      await server.close();
      expect((await inbox.end())?.code).to.equal('HM_CONNECTION_LOST');
    }
    await listener.close();
  });

  it('reads only what it knows', () => {
    for (const text of ['', '1', '{}', '{"say":"run"}', '{"say":"notice","data":"%"}', '{"say":"took","more":1}'])
      expect(() => parseToBus(text), text).to.throw('cannot be read');
    for (const text of ['{"say":"done","tag":1}', '{"say":"message","from":16,"data":""}', '{"say":"detached","reason":"x"}'])
      expect(() => parseToHost(text), text).to.throw('cannot be read');
  });
});
