import { EventEmitter, once } from 'node:events';
import { MessageChannel, Worker } from 'node:worker_threads';
import type { MessagePort } from 'node:worker_threads';

import { expect } from 'chai';

import { HotMirrorError } from '../../src/errors.ts';
import { threadPorts } from '../../src/node/serial-port-client.ts';
import { mostUntakenBytes, SerialPortHost } from '../../src/node/serial-port-host.ts';
import type { PortNews } from '../../src/node/serial-port-messages.ts';
import type { OpenPort, OpenSerialPort } from '../../src/transport/serial.ts';
import { transportConformance } from '../../src/testing/transport-conformance.ts';
import { hostedMockFixture } from '../transport/serial-fixture.ts';

const address = { path: '/dev/ttyS0', baudRate: 9_600, rtscts: true };
const workerUrl = new URL('serial-port-worker.js', import.meta.url);

type Told = (error?: Error | null) => void;

/** A port of the main thread whose system takes and closes when the test says so. */
class FakePort extends EventEmitter implements OpenSerialPort {
  readonly written: { readonly bytes: Uint8Array; readonly taken: Told }[] = [];
  closing: Told | null = null;

  write(bytes: Uint8Array, taken: Told): void {
    this.written.push({ bytes, taken });
    this.emit('asked');
  }

  close(closed: Told): void {
    this.closing = closed;
    this.emit('asked');
  }

  /** The device is free. */
  free(): void {
    this.emit('close', null);
    this.closing?.(null);
  }
}

async function failureOf(promise: Promise<unknown>): Promise<Error & { readonly code?: string }> {
  return promise.then(
    () => expect.fail('it succeeded'),
    (error: unknown) => error as Error,
  );
}

/** Resolves with what the callback is called with. */
function told(begin: (tell: Told) => void): Promise<Error | null | undefined> {
  return new Promise((resolve) => begin(resolve));
}

/** Long enough for what was sent to arrive. */
async function soon(): Promise<void> {
  for (let turn = 0; turn < 10; turn += 1) await new Promise((resolve) => setImmediate(resolve));
}

describe('serial ports of the main thread, for another one', () => {
  let device: FakePort;
  let opening: OpenPort;
  let host: SerialPortHost;
  let orders: MessagePort;
  let openPort: OpenPort;

  beforeEach(() => {
    device = new FakePort();
    opening = () => Promise.resolve(device);
    const { port1, port2 } = new MessageChannel();
    host = new SerialPortHost(port1, (asked) => opening(asked));
    orders = port2;
    openPort = threadPorts(orders);
  });

  afterEach(async () => {
    const closed = host.close();
    device.free();
    await closed;
    orders.close();
  });

  it('are opened with the address that was asked for', async () => {
    const asked: unknown[] = [];
    opening = (given) => {
      asked.push(given);
      return Promise.resolve(device);
    };
    await openPort(address);
    expect(asked).to.deep.equal([address]);
  });

  it('carry bytes both ways, and say when the system has taken those that were written', async () => {
    const port = await openPort(address);
    const came = new Promise<Uint8Array>((resolve) => port.on('data', resolve));
    device.emit('data', Buffer.from('from the line'));
    expect(Buffer.from(await came).toString()).to.equal('from the line');

    let taken = 0;
    const both = Promise.all(['one', 'two'].map((text) => told((tell) => port.write(Buffer.from(text), tell)).then(() => (taken += 1))));
    while (device.written.length < 2) await once(device, 'asked');
    expect(device.written.map(({ bytes }) => Buffer.from(bytes).toString())).to.deep.equal(['one', 'two']);
    await soon();
    expect(taken).to.equal(0);
    for (const write of device.written) write.taken(null);
    await both;
  });

  it('leave the bytes of a write to whoever wrote them', async () => {
    const port = await openPort(address);
    const bytes = new Uint8Array([1, 2, 3]);
    port.write(bytes, () => undefined);
    expect([...bytes]).to.deep.equal([1, 2, 3]);
  });

  it('tell of a write that failed', async () => {
    const port = await openPort(address);
    const failed = told((tell) => port.write(new Uint8Array(1), tell));
    await once(device, 'asked');
    device.written[0]?.taken(new Error('EIO'));
    expect(await failed)
      .to.be.instanceOf(Error)
      .with.property('message', 'EIO');
  });

  it('refuse a write while 16 wait', async () => {
    const port = await openPort(address);
    for (let count = 0; count < 16; count += 1) port.write(new Uint8Array(1), () => undefined);
    expect(await told((tell) => port.write(new Uint8Array(1), tell))).to.include({ code: 'HM_SEND_WINDOW' });
  });

  it('drop what comes while the thread takes nothing, and go on once it has', async () => {
    const { port1: channel, port2 } = new MessageChannel();
    const news: PortNews[] = [];
    channel.on('message', (said: PortNews) => news.push(said));
    orders.postMessage({ address, channel: port2 }, [port2]);
    await once(channel, 'message');
    const half = Buffer.alloc(mostUntakenBytes / 2);
    for (let count = 0; count < 5; count += 1) device.emit('data', half);
    await soon();
    const whole = news.filter(({ kind }) => kind === 'data').length;
    expect(whole).to.equal(2);
    channel.postMessage({ kind: 'taken', bytes: half.length });
    await soon();
    device.emit('data', half);
    await soon();
    expect(news.filter(({ kind }) => kind === 'data').length).to.equal(whole + 1);
  });

  it('take far more than that from a thread that reads', async () => {
    const port = await openPort(address);
    const piece = Buffer.alloc(mostUntakenBytes / 2);
    let arrived = 0;
    port.on('data', (bytes) => (arrived += bytes.length));
    for (let count = 0; count < 10; count += 1) {
      device.emit('data', piece);
      await soon();
    }
    expect(arrived).to.equal(10 * piece.length);
  });

  it('cannot be opened for the reason for which the main thread cannot open them: code, rule and remedy of a HotMirrorError', async () => {
    const details = { remedy: 'Ask for it.' };
    opening = () => Promise.reject(new HotMirrorError('HM_DEVICE_IN_USE', 'somebody has it', { rule: 'trust', details }));
    const failure = await failureOf(openPort(address));
    expect(failure).to.be.instanceOf(HotMirrorError).and.include({ code: 'HM_DEVICE_IN_USE', message: 'somebody has it' });
    expect(failure).to.include({ rule: 'trust', remedy: 'Ask for it.' });
  });

  it('cannot be opened for a reason of the system: its words and code', async () => {
    opening = () => Promise.reject(Object.assign(new Error('Cannot lock port'), { code: 'EAGAIN' }));
    const failure = await failureOf(openPort(address));
    expect(failure).to.include({ message: 'Cannot lock port', code: 'EAGAIN' });
    expect(failure).not.to.be.instanceOf(HotMirrorError);
  });

  it('tell what goes wrong, and that their device is gone', async () => {
    const port = await openPort(address);
    const said: (string | undefined)[] = [];
    port.on('error', (error) => said.push(error?.message));
    const gone = told((tell) => port.on('close', tell));
    const unwritten = told((tell) => port.write(new Uint8Array(1), tell));
    device.emit('error', new Error('parity'));
    device.emit('close', new Error('disconnected'));
    expect(await gone).to.have.property('message', 'disconnected');
    expect(await unwritten).to.be.instanceOf(Error);
    expect(said).to.deep.equal(['parity']);
    expect(await told((tell) => port.write(new Uint8Array(1), tell))).to.include({ code: 'HM_CLOSED' });
  });

  it('are closed by the thread that has them, which hears when the device is free', async () => {
    const port = await openPort(address);
    let isFree = false;
    const closed = told((tell) => port.close(tell)).then(() => (isFree = true));
    await once(device, 'asked');
    await soon();
    expect(isFree).to.equal(false);
    device.free();
    await closed;
    device = new FakePort();
    await openPort(address);
  });

  it('are closed when the main thread says so: the other one hears it, and the devices are free', async () => {
    const port = await openPort(address);
    const gone = told((tell) => port.on('close', tell));
    let isFree = false;
    const closed = host.close().then(() => (isFree = true));
    await soon();
    expect(isFree).to.equal(false);
    device.free();
    await closed;
    await gone;
    expect(await failureOf(openPort(address))).to.include({ code: 'HM_CLOSED' });
  });

  it('are closed once they are open, where the main thread wants that before', async () => {
    let opened: (port: OpenSerialPort) => void = () => undefined;
    opening = () => new Promise((resolve) => (opened = resolve));
    const failure = failureOf(openPort(address));
    await soon();
    const closed = host.close();
    opened(device);
    await once(device, 'asked');
    expect(device.closing).to.be.a('function');
    device.free();
    await closed;
    expect(await failure).to.include({ code: 'HM_CLOSED' });
  });

  it('are closed when the thread that has them dies', async () => {
    const channel = new MessageChannel();
    const other = new SerialPortHost(channel.port1, () => Promise.resolve(device));
    const worker = new Worker(workerUrl, { workerData: channel.port2, transferList: [channel.port2] });
    expect(await once(worker, 'message')).to.deep.equal(['opened']);
    const asked = once(device, 'asked');
    await worker.terminate();
    await asked;
    expect(device.closing).to.be.a('function');
    device.free();
    await other.close();
  });

  it('are refused in any other thread by the package serialport, which would abort the process', async () => {
    const worker = new Worker(workerUrl, { workerData: null });
    const [failure] = (await once(worker, 'message')) as [{ readonly code: string; readonly remedy: string }];
    expect(failure.code).to.equal('HM_NOT_SUPPORTED');
    expect(failure.remedy).to.include('openPort');
    await worker.terminate();
  });

  describe('under a transport', function () {
    this.timeout(20_000); // real ports on a machine that may be busy

    transportConformance({ describe, it }, { name: 'serial, ports of another thread', create: () => Promise.resolve(hostedMockFixture()) });
  });
});
