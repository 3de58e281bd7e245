import { expect } from 'chai';

import { SeededRandom } from '../../../src/testing/seeded-random.ts';
import { transportConformance } from '../../../src/testing/transport-conformance.ts';
import { VirtualClock } from '../../../src/testing/virtual-clock.ts';
import type { Connection } from '../../../src/transport/transport.ts';
import { mailboxTransport, noReservationKey, ScsiBus } from '../../../src/transport/scsi-sim/index.ts';
import type { ScsiPort, ScsiResult } from '../../../src/transport/scsi-sim/index.ts';
import {
  decodeSlot,
  encodeSlot,
  longestNoticeBytes,
  longestSlotMessageBytes,
  slotBytes,
} from '../../../src/transport/scsi-sim/mailbox-slot.ts';
import { alphaId, betaId, commonOptions, mailboxFixture } from './scsi-fixture.ts';

const slot = {
  incarnation: '0123456789abcdef',
  beat: 4_294_967_295,
  sent: 7,
  to: betaId,
  takenFrom: 'fedcba9876543210',
  taken: 3,
  notice: Buffer.alloc(longestNoticeBytes, 1),
  message: Buffer.alloc(longestSlotMessageBytes, 2),
};

describe('transport/scsi-sim/mailbox', () => {
  transportConformance({ describe, it }, { name: 'mailbox on a shared unit, virtual time', create: mailboxFixture });

  describe('a slot', () => {
    it('reads back as it was written', () => {
      expect(decodeSlot(encodeSlot(slot))).to.deep.equal(slot);
      const empty = { ...slot, notice: Buffer.alloc(0), message: Buffer.alloc(0) };
      expect(decodeSlot(encodeSlot(empty))).to.deep.equal(empty);
    });

    it('that was never written, or has one wrong bit anywhere, is none', () => {
      expect(decodeSlot(new Uint8Array(slotBytes))).to.equal(null);
      const bytes = encodeSlot(slot);
      for (let at = 0; at < slotBytes; at += 1) {
        bytes[at] = (bytes[at] ?? 0) ^ 16;
        expect(decodeSlot(bytes), `byte ${String(at)}`).to.equal(null);
        bytes[at] = (bytes[at] ?? 0) ^ 16;
      }
    });

    it('takes no longer notice or message', () => {
      expect(() => encodeSlot({ ...slot, notice: Buffer.alloc(longestNoticeBytes + 1) })).to.throw(RangeError);
      expect(() => encodeSlot({ ...slot, message: Buffer.alloc(longestSlotMessageBytes + 1) })).to.throw(RangeError);
    });
  });

  it('that loses its bus while it takes its place tells so, and looks for it again', async () => {
    const clock = new VirtualClock();
    const bus = new ScsiBus({ clock, random: new SeededRandom(1) });
    const inner = bus.port(alphaId);
    let attempts = 0;
    const port: ScsiPort = {
      ...{ id: alphaId, description: inner.description },
      attach: async (host) => {
        attempts += 1;
        const attachment = await inner.attach(host);
        attachment.detach();
        host.detached('lost');
        return attachment;
      },
    };
    const transport = mailboxTransport({ ...commonOptions(clock), pollMs: 5, port, peerId: betaId, node: 'alpha', peer: 'beta' });
    void transport.listen({ accepted: () => undefined }).catch(() => undefined);
    await clock.runFor(10_000);
    expect(attempts).to.be.above(2);
  });

  it('connects within 10 polls and answers within 2, whatever moments both ends look at, and dial at', async () => {
    const pollMs = 100;
    const busMs = 20;
    for (let apartMs = 0; apartMs < pollMs; apartMs += 9) {
      const clock = new VirtualClock();
      const bus = new ScsiBus({ clock, random: new SeededRandom(1) });
      const common = { ...commonOptions(clock), pollMs };
      const alpha = mailboxTransport({ ...common, port: bus.port(alphaId), peerId: betaId, node: 'alpha', peer: 'beta' });
      const beta = mailboxTransport({ ...common, port: bus.port(betaId), peerId: alphaId, node: 'beta', peer: 'alpha' });
      const accepted = new Promise<Connection>((resolve) => void alpha.listen({ accepted: resolve }));
      await clock.runFor(apartMs);
      void beta.listen({ accepted: () => undefined });
      void alpha.dial().catch(() => undefined);
      const dialled = await clock.settled(beta.dial(), 10 * pollMs + busMs);
      const other = await clock.settled(accepted, pollMs);
      other.receive({ frame: () => other.send([Buffer.from('an answer')]), closed: () => undefined });
      await clock.runFor(10 * pollMs + apartMs);
      const answered = new Promise<void>((resolve) => dialled.receive({ frame: () => resolve(), closed: () => undefined }));
      dialled.send([Buffer.from('a token')]);
      await clock.settled(answered, 2 * pollMs + busMs);
    }
  });

  it('falls silent for a node that the unit no longer lets write', async () => {
    const clock = new VirtualClock();
    const bus = new ScsiBus({ clock, random: new SeededRandom(1) });
    const common = { ...commonOptions(clock), pollMs: 5 };
    const alpha = mailboxTransport({ ...common, port: bus.port(alphaId), peerId: betaId, node: 'alpha', peer: 'beta' });
    const beta = mailboxTransport({ ...common, port: bus.port(betaId), peerId: alphaId, node: 'beta', peer: 'alpha' });
    const accepted = new Promise<Connection>((resolve) => void alpha.listen({ accepted: resolve }));
    const dialled = await clock.settled(beta.dial(), 10_000);
    const ends: string[] = [];
    for (const [name, connection] of [
      ['beta', dialled],
      ['alpha', await accepted],
    ] as const)
      connection.receive({ frame: () => undefined, closed: (error) => void ends.push(`${name} ${error?.code ?? 'in order'}`) });

    const fencer = bus.attach(5, { received: () => true, detached: () => undefined });
    const out = { op: 'persistent-reserve-out', key: '00000000000000aa', serviceKey: noReservationKey, type: 5 } as const;
    const statusOf = async (result: Promise<ScsiResult>): Promise<string> => (await clock.settled(result, 1_000)).status;
    expect(await statusOf(fencer.execute(0, { op: 'test-unit-ready' }))).to.equal('check-condition');
    const register = { ...out, action: 'register', key: noReservationKey, serviceKey: out.key } as const;
    expect(await statusOf(fencer.execute(0, register))).to.equal('good');
    expect(await statusOf(fencer.execute(0, { ...out, action: 'reserve' }))).to.equal('good');

    dialled.send([Buffer.from('a token')]);
    await clock.runFor(2_000);
    expect(ends).to.include('beta HM_CONNECTION_LOST');
  });
});
