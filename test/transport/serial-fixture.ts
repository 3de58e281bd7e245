import { MessageChannel } from 'node:worker_threads';

import type { Clock } from '../../src/clock/clock.ts';
import type { Random } from '../../src/clock/random.ts';
import type { TransportFixture } from '../../src/testing/transport-conformance.ts';
import { threadPorts } from '../../src/node/serial-port-client.ts';
import { SerialPortHost } from '../../src/node/serial-port-host.ts';
import { SeededRandom } from '../../src/testing/seeded-random.ts';
import { VirtualClock } from '../../src/testing/virtual-clock.ts';
import { LineTransport } from '../../src/transport/serial-transport.ts';
import type { OpenPort, SerialTransportOptions } from '../../src/transport/serial.ts';
import { SerialLine } from '../../src/transport/serial-line.ts';
import { parseSerialUrl } from '../../src/transport/serial-url.ts';
import { SerialCable } from './serial-cable.ts';
import type { CableFaults } from './serial-cable.ts';
import { PseudoTerminals } from '../support/pseudo-terminals.ts';
import { openSystemPort } from '../../src/transport/serial-port.ts';
import { systemClock } from '../../src/clock/system-clock.ts';
import { systemRandom } from '../../src/clock/system-random.ts';
import { mockedPorts } from './serial-mock.ts';
import { key, tracked } from './tcp-fixture.ts';

/** Small enough that a test reaches them. */
export const smallSerialLimits = {
  maxFrameBytes: 32 * 1024,
  highWaterBytes: 20 * 1024,
  pendingBytes: 64 * 1024,
  closeDeadlineMs: 1_500,
  handshakeDeadlineMs: 3_000,
};

/** What a fixture of a serial line is made of. */
export interface SerialFixtureSetup {
  readonly devices: readonly [string, string];
  readonly openPort: OpenPort;
  readonly clock: Clock;
  readonly random: Random;
  readonly settle: TransportFixture['settle'];
  readonly limits?: SerialTransportOptions['limits'];
  readonly end?: () => unknown;
}

/** What the conformance suite needs, over a serial line. */
export function serialFixture(setup: SerialFixtureSetup): TransportFixture & { readonly lines: readonly [SerialLine, SerialLine] } {
  const { devices, clock, random, settle, openPort } = setup;
  const cleanups: (() => unknown)[] = [];
  const lineOf = (device: string): SerialLine => new SerialLine({ address: parseSerialUrl(device), openPort, clock, random });
  const [first, second] = [lineOf(devices[0]), lineOf(devices[1])];
  const common = { pair: 'example', purpose: 'monitor:line', key, clock, random, limits: setup.limits ?? smallSerialLimits };
  const alpha = { ...common, device: devices[0], node: 'alpha', peer: 'beta' };
  const beta = { ...common, device: devices[1], node: 'beta', peer: 'alpha' };
  return {
    a: tracked(new LineTransport(first, alpha), cleanups),
    b: tracked(new LineTransport(second, beta), cleanups),
    stranger: tracked(new LineTransport(first, { ...alpha, key: Buffer.alloc(32, 8) }), cleanups),
    lines: [first, second],
    settle,
    async raw(_listener, bytes) {
      const stream = await first.open();
      const ended = new Promise((resolve) => stream.on('end', resolve).on('close', resolve).on('error', resolve));
      stream.resume();
      stream.write(bytes);
      await ended;
      stream.destroy();
    },
    async dispose() {
      for (const cleanup of cleanups) await settle(Promise.resolve(cleanup()));
      await setup.end?.();
    },
  };
}

/** Over a cable in virtual time. */
export function virtualFixture(faults: CableFaults, seed = 1): TransportFixture {
  const clock = new VirtualClock();
  const random = new SeededRandom(seed);
  const cable = new SerialCable(clock, random, faults);
  return serialFixture({
    devices: ['serial:a?baudRate=4000000', 'serial:b?baudRate=4000000'],
    openPort: cable.open,
    clock,
    random,
    settle: (promise) => clock.settled(promise, 600_000),
  });
}

const real = { clock: systemClock, random: systemRandom, settle: <T>(promise: Promise<T>): Promise<T> => promise };

/** Over two pseudo-terminals, by the package `serialport`. */
export async function terminalFixture(): Promise<TransportFixture> {
  const terminals = await PseudoTerminals.create();
  return serialFixture({
    ...real,
    devices: [`serial:${terminals.one}?baudRate=4000000`, `serial:${terminals.other}?baudRate=4000000`],
    openPort: openSystemPort,
    end: () => terminals.end(),
  });
}

/** Over two mocks of the package `serialport`. */
export function mockFixture(): TransportFixture {
  return serialFixture({ ...real, devices: ['serial:/dev/a?baudRate=4000000', 'serial:/dev/b?baudRate=4000000'], openPort: mockedPorts() });
}

/** Over the same, with the ports behind a channel, as those of the main thread are for another one. */
export function hostedMockFixture(): TransportFixture {
  const { port1, port2: orders } = new MessageChannel();
  const host = new SerialPortHost(port1, mockedPorts());
  const devices = ['serial:/dev/a?baudRate=4000000', 'serial:/dev/b?baudRate=4000000'] as const;
  return serialFixture({ ...real, devices, openPort: threadPorts(orders), end: () => host.close() });
}
