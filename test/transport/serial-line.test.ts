import { copyFile, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { pathToFileURL } from 'node:url';

import { expect } from 'chai';

import { HotMirrorError } from '../../src/errors.ts';
import { SeededRandom } from '../../src/testing/seeded-random.ts';
import { VirtualClock } from '../../src/testing/virtual-clock.ts';
import type { openSystemPort } from '../../src/transport/serial-port.ts';
import { serialTransport } from '../../src/transport/serial.ts';
import type { SerialTransport } from '../../src/transport/serial.ts';
import type { Connection } from '../../src/transport/transport.ts';
import { SerialCable } from './serial-cable.ts';
import { key } from './tcp-fixture.ts';

const hex = (random: SeededRandom): string => Buffer.from(random.bytes(8)).toString('hex');

/** Two nodes at a cable, and what their connections bring. */
class Desk {
  readonly clock = new VirtualClock();
  readonly random: SeededRandom;
  readonly cable: SerialCable;
  readonly log: string[] = [];
  readonly accepted: Connection[] = [];
  readonly rejected: HotMirrorError[] = [];

  constructor(seed = 1) {
    this.random = new SeededRandom(seed);
    this.cable = new SerialCable(this.clock, this.random);
  }

  transport(node: 'alpha' | 'beta', baudRate = 9_600): SerialTransport {
    return serialTransport({
      device: `serial:${node === 'alpha' ? 'a' : 'b'}?baudRate=${String(baudRate)}`,
      ...{ pair: 'example', node, peer: node === 'alpha' ? 'beta' : 'alpha', purpose: 'monitor:line' },
      ...{ key, clock: this.clock, random: this.random, openPort: this.cable.open },
    });
  }

  async listen(at: SerialTransport): Promise<void> {
    await at.listen({
      accepted: (connection) => void this.accepted.push(this.watch('beta', connection)),
      rejected: (error) => void this.rejected.push(error),
    });
  }

  /** A connection from alpha to beta. */
  async connect(
    a: SerialTransport = this.transport('alpha'),
    b: SerialTransport = this.transport('beta'),
  ): Promise<[Connection, Connection]> {
    await this.listen(b);
    const dialled = this.watch('alpha', await this.clock.settled(a.dial(), 60_000));
    await this.clock.until(() => this.accepted.length > 0, 60_000);
    const [accepted] = this.accepted;
    return [dialled, accepted!];
  }

  watch(name: string, connection: Connection): Connection {
    connection.receive({
      frame: (bytes) => void this.log.push(`${name} got ${Buffer.from(bytes).toString()}`),
      closed: (error) => void this.log.push(`${name} closed ${error?.code ?? 'in order'}`),
    });
    return connection;
  }

  async codeOf(promise: Promise<unknown>): Promise<[string, string]> {
    const caught = await this.clock.settled(
      promise.then(
        () => null,
        (error: unknown) => error,
      ),
      600_000,
    );
    return caught instanceof HotMirrorError ? [caught.code, caught.message] : ['', ''];
  }
}

const text = (value: string): [Uint8Array] => [Buffer.from(value)];

describe('transport/serial, a line', () => {
  it('takes less than a fifth of 9600 baud for tokens and answers of both nodes each second, and connects within two seconds', async () => {
    const desk = new Desk();
    const beganMs = desk.clock.nowMs();
    const [a, b] = await desk.connect();
    expect(desk.clock.nowMs() - beganMs).to.be.below(2_000);
    const mirrors = [
      { name: 'm0', element: 'uptodate', epoch: { number: 3, id: hex(desk.random) }, connection: 'connected', serving: 'yes' },
    ];
    const report = {
      schema: 1,
      node: 'alpha',
      control: 'auto',
      booting: false,
      serving: true,
      service: 'running',
      leaving: false,
      mirrors,
    };
    const nonces = Array.from({ length: 60 }, () => hex(desk.random));
    const [run, before] = [hex(desk.random), [...desk.cable.written.values()]];
    for (const [sequence, nonce] of nonces.entries()) {
      for (const [one, other] of [
        [a, b],
        [b, a],
      ] as const) {
        one.send(text(JSON.stringify({ kind: 'token', run, sequence, nonce })));
        await desk.clock.runFor(400);
        other.send(text(JSON.stringify({ kind: 'answer', sequence, nonce, report })));
        await desk.clock.runFor(100);
      }
    }
    const bytesPerSecond = [...desk.cable.written.values()].map((bytes, index) => (bytes - (before[index] ?? 0)) / nonces.length);
    expect(desk.log).to.have.lengthOf(4 * nonces.length);
    for (const bytes of bytesPerSecond) expect(bytes).to.be.within(100, 192);
  });

  it('outlives a cable that is pulled out and put back: what was sent meanwhile arrives once, in order, soon', async () => {
    const desk = new Desk();
    const [a, b] = await desk.connect();
    desk.cable.isCut = true;
    for (let index = 0; index < 5; index += 1) {
      a.send(text(`a${String(index)}`));
      b.send(text(`b${String(index)}`));
      await desk.clock.runFor(7_000);
    }
    expect(desk.log).to.deep.equal([]);
    desk.cable.isCut = false;
    await desk.clock.runFor(2_500);
    for (const [name, from] of [
      ['beta', 'a'],
      ['alpha', 'b'],
    ] as const) {
      const got = desk.log.filter((line) => line.startsWith(name));
      expect(got).to.deep.equal(Array.from({ length: 5 }, (_, index) => `${name} got ${from}${String(index)}`));
    }
  });

  it('opens a device again that went away, and the connection goes on', async () => {
    const desk = new Desk();
    const [a] = await desk.connect();
    desk.cable.pull('b');
    a.send(text('meanwhile'));
    await desk.clock.runFor(5_000);
    expect(desk.log).to.deep.equal(['beta got meanwhile']);
  });

  it('finds out that the peer is another process than the one it was connected to, and connects to that one', async () => {
    const desk = new Desk();
    const alpha = desk.transport('alpha');
    const [a] = await desk.connect(alpha);
    desk.cable.pull('b');
    await desk.listen(desk.transport('beta'));
    await desk.clock.runFor(2_000);
    a.send(text('to the one before'));
    await desk.clock.runFor(2_000);
    expect(desk.log).to.deep.equal(['alpha closed HM_CONNECTION_LOST']);
    const again = desk.watch('alpha', await desk.clock.settled(alpha.dial(), 60_000));
    again.send(text('to the new one'));
    await desk.clock.runFor(2_000);
    expect(desk.log.at(-1)).to.equal('beta got to the new one');
  });

  it('says of silence, and of another baud rate, what it is', async () => {
    const desk = new Desk();
    await desk.listen(desk.transport('beta', 19_200));
    const alpha = desk.transport('alpha');
    const [code, message] = await desk.codeOf(alpha.dial());
    expect(code).to.equal('HM_CONNECT_FAILED');
    expect(message).to.match(/no answer within \d+ ms$/u);
    for (let times = 0; times < 8; times += 1)
      desk.clock.timer(500 * times, () => {
        desk.cable.inject('a', Buffer.from(desk.random.bytes(100)));
      });
    const [again, noise] = await desk.codeOf(alpha.dial());
    expect([again, /bytes that are no packets; do both ends have the same baudRate\?$/u.test(noise)]).to.deep.equal([
      'HM_CONNECT_FAILED',
      true,
    ]);
    expect(alpha.counters.noiseBytes).to.be.above(400);
    expect(desk.accepted).to.have.lengthOf(0);
  });

  it('takes a plug that leads back for no peer', async () => {
    const desk = new Desk();
    const alpha = desk.transport('alpha');
    await desk.listen(alpha);
    desk.cable.carry = (_from, bytes) => {
      desk.cable.inject('a', bytes);
    };
    expect((await desk.codeOf(alpha.dial()))[0]).to.equal('HM_WRONG_PEER');
    expect(desk.accepted).to.have.lengthOf(0);
  });

  it('lets go of the device once nobody uses it, and of its timers', async () => {
    const desk = new Desk();
    const alpha = desk.transport('alpha');
    const listener = await alpha.listen({ accepted: () => undefined });
    expect((await desk.codeOf(alpha.dial(AbortSignal.abort())))[0]).to.equal('HM_ABORTED');
    expect((await desk.codeOf(alpha.dial()))[0]).to.equal('HM_CONNECT_FAILED');
    const closed = listener.close();
    await desk.clock.runFor(10_000);
    await closed;
    expect(desk.clock.pendingTimers).to.equal(0);
    await desk.cable.open({ path: 'a', baudRate: 9_600, rtscts: false });
    expect((await desk.codeOf(alpha.dial()))[0]).to.equal('HM_CONNECT_FAILED');
    expect((await desk.codeOf(alpha.listen({ accepted: () => undefined })))[0]).to.equal('HM_ADDRESS_IN_USE');
    await desk.clock.runFor(60_000);
    expect(desk.clock.pendingTimers).to.equal(0);
  });

  it('delivers nothing twice, whatever of it is put on the line again', async () => {
    const desk = new Desk();
    const seen: Buffer[] = [];
    desk.cable.tap = (at, bytes) => {
      if (at === 'b') seen.push(Buffer.from(bytes));
    };
    const [a] = await desk.connect();
    for (let index = 0; index < 20; index += 1) a.send(text(String(index)));
    await desk.clock.runFor(5_000);
    const once = [...desk.log];
    expect(once).to.have.lengthOf(20);
    const replay = async (): Promise<void> => {
      for (const bytes of [...seen, ...[...seen].reverse()]) {
        desk.cable.inject('b', bytes);
        await desk.clock.runFor(300);
      }
    };
    await replay();
    a.send(text('alive'));
    await desk.clock.runFor(2_000);
    expect(desk.log).to.deep.equal([...once, 'beta got alive']);
    const accepted = desk.accepted.length;
    a.destroy();
    await desk.clock.runFor(10_000);
    const after = desk.log.length;
    await replay();
    await desk.clock.runFor(60_000);
    expect([desk.log.length, desk.accepted.length]).to.deep.equal([after, accepted]);
  });

  it('listens at a device that is not there yet', async () => {
    const desk = new Desk();
    desk.cable.absent.add('b');
    const [a, b] = [desk.transport('alpha'), desk.transport('beta')];
    await desk.clock.settled(desk.listen(b), 100);
    desk.cable.absent.delete('b');
    await desk.clock.runFor(1_000);
    await desk.clock.settled(a.dial(), 60_000);
    expect(desk.accepted).to.have.lengthOf(1);
  });

  it('waits for a device that the line of before is about to leave, and not for longer', async () => {
    const desk = new Desk();
    const somebody = await desk.cable.open({ path: 'b', baudRate: 9_600, rtscts: false });
    const refused = desk.listen(desk.transport('beta')).catch((error: unknown) => error);
    await desk.clock.runFor(7_000);
    expect(await refused).to.have.property('code', 'HM_ADDRESS_IN_USE');
    const listening = desk.listen(desk.transport('beta'));
    await desk.clock.runFor(2_000);
    somebody.close(() => undefined);
    await desk.clock.settled(listening, 1_000);
  });

  it('goes on to send where everything is confirmed before the line counts as free', async () => {
    const desk = new Desk();
    desk.cable.isInstant = true;
    const [dialled] = await desk.connect();
    dialled.send([desk.random.bytes(4_000)]);
    await desk.clock.runFor(10_000);
    expect(desk.log.filter((line) => line.startsWith('beta got'))).to.have.lengthOf(1);
  });

  it('lets go of a device that went away, though the other end could not be told', async () => {
    const desk = new Desk();
    const [dialled] = await desk.connect();
    const address = { path: 'a', baudRate: 9_600, rtscts: false };
    desk.cable.pull('a');
    const somebodyElse = await desk.cable.open(address);
    dialled.destroy();
    await desk.clock.runFor(1_000);
    somebodyElse.close(() => undefined);
    await desk.clock.runFor(60_000);
    await desk.cable.open(address);
  });

  it('lets go of a device that takes nothing, though the other end could not be told', async () => {
    const desk = new Desk();
    const [dialled] = await desk.connect();
    desk.cable.isStuck = true;
    dialled.destroy();
    await desk.clock.runFor(10_000);
    await desk.cable.open({ path: 'a', baudRate: 9_600, rtscts: false });
  });

  it('ends though its device hangs in being closed', async () => {
    const desk = new Desk();
    const alpha = desk.transport('alpha');
    const listener = await alpha.listen({ accepted: () => undefined });
    desk.cable.hangsInClosing = true;
    await desk.clock.settled(listener.close(), 10_000);
    expect(desk.clock.pendingTimers).to.equal(0);
  });

  it('names the package that is missing', async () => {
    const folder = await mkdtemp(path.join(tmpdir(), 'hotmirror-alone-'));
    try {
      const built = path.join(import.meta.dirname, '..', '..', 'src');
      await mkdir(path.join(folder, 'transport'));
      await writeFile(path.join(folder, 'package.json'), '{"type":"module"}');
      for (const file of ['errors.js', 'transport/serial-port.js']) await copyFile(path.join(built, file), path.join(folder, file));
      const alone = (await import(pathToFileURL(path.join(folder, 'transport/serial-port.js')).href)) as {
        openSystemPort: typeof openSystemPort;
      };
      const failure: unknown = await alone
        .openSystemPort({ path: '/dev/null', baudRate: 9_600, rtscts: false })
        .catch((error: unknown) => error);
      expect(failure).to.have.property('code', 'HM_PACKAGE_MISSING');
      expect((failure as Error).message).to.include('npm install serialport');
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  });
});
