import { systemClock } from '../../../src/clock/system-clock.ts';
import { systemRandom } from '../../../src/clock/system-random.ts';
import { SeededRandom } from '../../../src/testing/seeded-random.ts';
import type { TransportFixture } from '../../../src/testing/transport-conformance.ts';
import { VirtualClock } from '../../../src/testing/virtual-clock.ts';
import { mailboxTransport, ScsiBus, scsiSocketPort, scsiTransport } from '../../../src/transport/scsi-sim/index.ts';
import type { ScsiPort, ScsiTransportOptions } from '../../../src/transport/scsi-sim/index.ts';
import { encodeMessage } from '../../../src/transport/scsi-sim/message.ts';
import { key, smallLimits, tracked } from '../tcp-fixture.ts';
import type { BusProcess } from './bus-process.ts';

export const alphaId = 7;
export const betaId = 6;
const strangersId = 3;

/** What both ends of a link between alpha and beta say alike. */
export function commonOptions(
  clock: VirtualClock,
  seed = 1,
): Pick<ScsiTransportOptions, 'pair' | 'purpose' | 'key' | 'clock' | 'random' | 'limits'> {
  return { pair: 'example', purpose: 'monitor:scsi', key, clock, random: new SeededRandom(seed), limits: smallLimits };
}

/** Puts bytes on the bus in the form of a connection to `to`; resolves when the other end has let go. */
export async function rawBytes(port: ScsiPort, to: number, bytes: Uint8Array): Promise<void> {
  const connection = '0123456789abcdef';
  let closed: () => void;
  const gone = new Promise<void>((resolve) => (closed = resolve));
  let opened: () => void;
  const open = new Promise<void>((resolve) => (opened = resolve));
  const attachment = await port.attach({
    received: (_from, data) => {
      if (data[2] === 1) opened();
      if (data[2] === 6) closed();
      return true;
    },
    detached: () => undefined,
  });
  const send = (message: Parameters<typeof encodeMessage>[0]) => attachment.execute(to, { op: 'send', data: encodeMessage(message) });
  await send({ kind: 'open', fromDialler: true, connection, number: 65_536, payload: new Uint8Array(0) });
  await open;
  const pieceBytes = 16_000;
  for (let at = 0, number = 0; at < bytes.length; at += pieceBytes, number += 1)
    await send({ kind: 'data', fromDialler: true, connection, number, payload: bytes.subarray(at, at + pieceBytes) });
  await gone;
  attachment.detach();
}

/** What the conformance suite needs, over a bus in this process and in virtual time. */
export function busFixture(): Promise<TransportFixture> {
  const clock = new VirtualClock();
  const bus = new ScsiBus({ clock, random: new SeededRandom(1) });
  const common = commonOptions(clock);
  const alpha = { ...common, port: bus.port(alphaId), peerId: betaId, node: 'alpha', peer: 'beta' };
  return Promise.resolve({
    a: scsiTransport(alpha),
    b: scsiTransport({ ...common, port: bus.port(betaId), peerId: alphaId, node: 'beta', peer: 'alpha' }),
    stranger: scsiTransport({ ...alpha, key: Buffer.alloc(32, 8) }),
    settle: (promise) => clock.settled(promise, 60_000),
    raw: (_listener, bytes) => rawBytes(bus.port(strangersId), betaId, bytes),
    dispose: () => Promise.resolve(),
  });
}

/** What the conformance suite needs, over a bus that another process serves. */
export function servedFixture(bus: BusProcess): TransportFixture {
  const cleanups: (() => unknown)[] = [];
  const port = (id: number): ScsiPort => scsiSocketPort({ path: bus.socket, id, clock: systemClock });
  const common = { pair: 'example', purpose: 'monitor:scsi', key, clock: systemClock, random: systemRandom, limits: smallLimits };
  const alpha = { ...common, port: port(alphaId), peerId: betaId, node: 'alpha', peer: 'beta' };
  return {
    a: tracked(scsiTransport(alpha), cleanups),
    b: tracked(scsiTransport({ ...common, port: port(betaId), peerId: alphaId, node: 'beta', peer: 'alpha' }), cleanups),
    stranger: scsiTransport({ ...alpha, key: Buffer.alloc(32, 8) }),
    settle: (promise) => promise,
    raw: (_listener, bytes) => rawBytes(port(strangersId), betaId, bytes),
    async dispose() {
      for (const cleanup of cleanups) await cleanup();
    },
  };
}

/** Frames that a mailbox carries in a moment, and that do not fit into its buffers. */
const mailboxLimits = {
  maxFrameBytes: 131_072,
  highWaterBytes: 16_384,
  pendingBytes: 524_288,
  closeDeadlineMs: 5_000,
  handshakeDeadlineMs: 10_000,
};

/** What the conformance suite needs, over slots of the shared unit and in virtual time. */
export function mailboxFixture(): Promise<TransportFixture> {
  const clock = new VirtualClock();
  const bus = new ScsiBus({ clock, random: new SeededRandom(1) });
  const common = { ...commonOptions(clock), limits: mailboxLimits, pollMs: 5 };
  const alpha = { ...common, port: bus.port(alphaId), peerId: betaId, node: 'alpha', peer: 'beta' };
  return Promise.resolve({
    a: mailboxTransport(alpha),
    b: mailboxTransport({ ...common, port: bus.port(betaId), peerId: alphaId, node: 'beta', peer: 'alpha' }),
    stranger: mailboxTransport({ ...alpha, key: Buffer.alloc(32, 8) }),
    settle: (promise) => clock.settled(promise, 60_000),
    dispose: () => Promise.resolve(),
  });
}
