import { expect } from 'chai';

import { noReservationKey } from '../../../src/transport/scsi-sim/index.ts';
import type { ReservationType } from '../../../src/transport/scsi-sim/index.ts';
import { BusBench } from './bus-bench.ts';
import type { TestHost } from './bus-bench.ts';

const conflict = 'reservation-conflict';
const keyA = '00000000000000aa';
const keyB = '00000000000000bb';
const keyC = '00000000000000cc';

describe('transport/scsi-sim/reservations', () => {
  let bench: BusBench;
  let a: TestHost;
  let b: TestHost;
  let c: TestHost;

  beforeEach(async () => {
    bench = new BusBench();
    [a, b, c] = [await bench.host(7), await bench.host(6), await bench.host(5)];
  });

  async function register(host: TestHost, key: string): Promise<void> {
    expect(await bench.out(host, 'register', { serviceKey: key })).to.equal('good');
  }

  /** A holds a reservation of this type, and B is registered; C is not. */
  async function reserved(type: ReservationType): Promise<void> {
    await register(a, keyA);
    await register(b, keyB);
    expect(await bench.out(a, 'reserve', { key: keyA, type })).to.equal('good');
  }

  describe('RESERVE and RELEASE (SPC-2)', () => {
    beforeEach(async () => expect(await bench.status(a, { op: 'reserve' })).to.equal('good'));

    it('keep everybody else from the unit', async () => {
      for (const op of ['test-unit-ready', 'reserve', 'persistent-reserve-in'] as const)
        expect(await bench.status(b, { op }), op).to.equal(conflict);
      expect(await bench.read(b)).to.equal(conflict);
      expect(await bench.write(b, 'x')).to.equal(conflict);
      expect(await bench.write(a, 'x')).to.equal('good');
    });

    it('let everybody ask who is there, and what happened', async () => {
      for (const op of ['inquiry', 'request-sense'] as const) expect(await bench.status(b, { op }), op).to.equal('good');
    });

    it('may be repeated by the holder, and are undone by nobody else: a RELEASE of another is GOOD and does nothing', async () => {
      expect(await bench.status(a, { op: 'reserve' })).to.equal('good');
      expect(await bench.status(b, { op: 'release' })).to.equal('good');
      expect(await bench.read(b)).to.equal(conflict);
      expect(await bench.status(a, { op: 'release' })).to.equal('good');
      expect(await bench.read(b)).to.equal('good');
    });

    it('are undone by a bus reset', async () => {
      bench.bus.reset();
      expect(await bench.read(b)).to.equal('SCSI bus reset occurred');
      expect(await bench.read(b)).to.equal('good');
    });

    it('exclude persistent reservations, also for the holder, and are excluded by them', async () => {
      for (const host of [a, b]) expect(await bench.out(host, 'register', { serviceKey: keyA })).to.equal(conflict);
      await bench.status(a, { op: 'release' });
      await register(a, keyA);
      for (const host of [a, b])
        for (const op of ['reserve', 'release'] as const) expect(await bench.status(host, { op })).to.equal(conflict);
    });
  });

  describe('REGISTER', () => {
    it('wants zero as the key of a host that is not registered, and the registered key of one that is', async () => {
      expect(await bench.out(a, 'register', { key: keyB, serviceKey: keyA })).to.equal(conflict);
      await register(a, keyA);
      expect(await bench.out(a, 'register', { serviceKey: keyC })).to.equal(conflict);
      expect(await bench.out(a, 'register', { key: keyA, serviceKey: keyC })).to.equal('good');
      expect((await bench.report(b)).keys).to.deep.equal([keyC]);
    });

    it('AND IGNORE EXISTING KEY wants none', async () => {
      await register(a, keyA);
      expect(await bench.out(a, 'register-and-ignore', { key: keyB, serviceKey: keyC })).to.equal('good');
      expect((await bench.report(b)).keys).to.deep.equal([keyC]);
    });

    it('of zero ends the registration; of a host without one it changes nothing', async () => {
      await register(a, keyA);
      const { generation } = await bench.report(a);
      expect(await bench.out(b, 'register')).to.equal('good');
      expect((await bench.report(a)).generation).to.equal(generation);
      expect(await bench.out(a, 'register', { key: keyA })).to.equal('good');
      expect(await bench.report(a)).to.deep.equal({ generation: generation + 1, keys: [], reservation: null });
    });

    it('of zero by the holder ends the reservation, and the other registrants hear of it', async () => {
      await reserved(5);
      expect(await bench.out(a, 'register', { key: keyA })).to.equal('good');
      expect((await bench.report(c)).reservation).to.equal(null);
      expect(await bench.attention(b)).to.equal('reservations released');
      expect(await bench.attention(c)).to.equal('good');
    });

    it('is there for a host whom the reservation keeps out', async () => {
      await reserved(6);
      await register(c, keyC);
      expect(await bench.write(c, 'x')).to.equal('good');
    });
  });

  describe('RESERVE of a persistent reservation', () => {
    it('is for registrants with their key', async () => {
      expect(await bench.out(a, 'reserve')).to.equal(conflict);
      await register(a, keyA);
      expect(await bench.out(a, 'reserve', { key: keyB })).to.equal(conflict);
      expect(await bench.out(a, 'reserve', { key: keyA })).to.equal('good');
      expect((await bench.report(b)).reservation).to.deep.equal({ key: keyA, type: 5 });
    });

    it('is GOOD again for the same, and a conflict for another type or another host', async () => {
      await reserved(5);
      expect(await bench.out(a, 'reserve', { key: keyA, type: 5 })).to.equal('good');
      expect(await bench.out(a, 'reserve', { key: keyA, type: 6 })).to.equal(conflict);
      expect(await bench.out(b, 'reserve', { key: keyB, type: 5 })).to.equal(conflict);
    });

    it('is not counted by the generation', async () => {
      await register(a, keyA);
      const { generation } = await bench.report(a);
      await bench.out(a, 'reserve', { key: keyA });
      await bench.out(a, 'release', { key: keyA });
      expect((await bench.report(a)).generation).to.equal(generation);
    });

    it('write exclusive, registrants only: others may read and not write', async () => {
      await reserved(5);
      expect([await bench.read(b), await bench.write(b, 'b')]).to.deep.equal(['good', 'good']);
      expect([await bench.read(c), await bench.write(c, 'c')]).to.deep.equal(['good', conflict]);
      expect(await bench.letter(a)).to.equal('b');
    });

    it('exclusive access, registrants only: others may not read either; they may ask whether the unit is ready, and for the reservation', async () => {
      await reserved(6);
      expect([await bench.read(b), await bench.write(b, 'b')]).to.deep.equal(['good', 'good']);
      expect([await bench.read(c), await bench.write(c, 'c')]).to.deep.equal([conflict, conflict]);
      expect(await bench.status(c, { op: 'test-unit-ready' })).to.equal('good');
      expect((await bench.report(c)).reservation).to.deep.equal({ key: keyA, type: 6 });
    });

    it('survives a bus reset and the death of its holder', async () => {
      await reserved(6);
      a.attachment.detach();
      bench.bus.reset();
      expect(await bench.read(c)).to.equal(conflict);
      const again = await bench.host(7);
      expect(await bench.read(again)).to.equal('good');
    });
  });

  describe('RELEASE of a persistent reservation', () => {
    beforeEach(() => reserved(5));

    it('by the holder lets everybody in, and the other registrants hear of it', async () => {
      expect(await bench.out(a, 'release', { key: keyA })).to.equal('good');
      expect(await bench.attention(b)).to.equal('reservations released');
      expect(await bench.write(c, 'c')).to.equal('good');
    });

    it('by another registrant is GOOD and changes nothing', async () => {
      expect(await bench.out(b, 'release', { key: keyB })).to.equal('good');
      expect((await bench.report(b)).reservation).to.deep.equal({ key: keyA, type: 5 });
    });

    it('of another type is an invalid release; by no registrant a conflict', async () => {
      expect(await bench.out(a, 'release', { key: keyA, type: 6 })).to.equal('invalid release of persistent reservation');
      expect(await bench.out(c, 'release', { key: keyC })).to.equal(conflict);
    });
  });

  it('CLEAR removes everything, and the other registrants hear that they were preempted', async () => {
    await reserved(6);
    expect(await bench.out(c, 'clear')).to.equal(conflict);
    expect(await bench.out(b, 'clear', { key: keyB })).to.equal('good');
    expect(await bench.attention(a)).to.equal('reservations preempted');
    expect(await bench.report(c)).to.deep.include({ keys: [], reservation: null });
  });

  describe('PREEMPT', () => {
    it('of the holder takes over the reservation: the holder is a registrant no more and hears of it', async () => {
      await reserved(5);
      const { generation } = await bench.report(b);
      expect(await bench.out(b, 'preempt', { key: keyB, serviceKey: keyA, type: 5 })).to.equal('good');
      expect(await bench.report(b)).to.deep.equal({ generation: generation + 1, keys: [keyB], reservation: { key: keyB, type: 5 } });
      expect(await bench.write(a, 'a')).to.equal(conflict);
      expect(await bench.attention(a)).to.equal('registrations preempted');
    });

    it('to another type tells the registrants that remain', async () => {
      await reserved(5);
      await register(c, keyC);
      expect(await bench.out(b, 'preempt', { key: keyB, serviceKey: keyA, type: 6 })).to.equal('good');
      expect(await bench.attention(c)).to.equal('reservations released');
      expect(await bench.attention(b)).to.equal('good');
    });

    it('of another registrant removes only that', async () => {
      await reserved(5);
      expect(await bench.out(a, 'preempt', { key: keyA, serviceKey: keyB })).to.equal('good');
      expect(await bench.report(a)).to.deep.include({ keys: [keyA], reservation: { key: keyA, type: 5 } });
      expect(await bench.write(b, 'b')).to.equal(conflict);
      expect(await bench.attention(b)).to.equal('registrations preempted');
    });

    it('by the holder of itself changes the type in place', async () => {
      await reserved(5);
      expect(await bench.out(a, 'preempt', { key: keyA, serviceKey: keyA, type: 6 })).to.equal('good');
      expect(await bench.report(a)).to.deep.include({ keys: [keyB, keyA], reservation: { key: keyA, type: 6 } });
    });

    it('of a key that nobody has is a conflict; of zero a wrong parameter; by no registrant a conflict', async () => {
      await reserved(5);
      expect(await bench.out(a, 'preempt', { key: keyA, serviceKey: keyC })).to.equal(conflict);
      expect(await bench.out(a, 'preempt', { key: keyA, serviceKey: noReservationKey })).to.equal('invalid field in parameter list');
      expect(await bench.out(c, 'preempt', { serviceKey: keyA })).to.equal(conflict);
    });
  });

  describe('what was under way when its host was preempted', () => {
    const mediumMs = 50;

    /** B preempts A while A's write is inside the unit; tells how that write ended, and what the block holds. */
    async function preempted(action: 'preempt' | 'preempt-and-abort'): Promise<readonly [string, string]> {
      bench = new BusBench({ mediumMs });
      [a, b] = [await bench.host(7), await bench.host(6)];
      await reserved(5);
      await bench.write(a, 'o');
      const late = a.attachment.execute(0, { op: 'write', block: 0, data: Buffer.alloc(512, 'l') });
      await bench.clock.runFor(mediumMs / 5);
      expect(await bench.out(b, action, { key: keyB, serviceKey: keyA })).to.equal('good');
      const { status } = await bench.clock.settled(late, 1_000);
      return [status, await bench.letter(b)];
    }

    it('lands late after PREEMPT', async () => expect(await preempted('preempt')).to.deep.equal(['good', 'l']));

    it('never lands after PREEMPT AND ABORT', async () =>
      expect(await preempted('preempt-and-abort')).to.deep.equal(['task-aborted', 'o']));
  });

  describe('a unit attention', () => {
    it('is told once, in place of a command, which is not begun; first of all that the unit was switched on', async () => {
      const fresh = bench.freshHost(3);
      expect(await bench.write(fresh, 'x')).to.equal('power on occurred');
      expect(await bench.letter(fresh)).to.equal('\0');
      expect(await bench.write(fresh, 'x')).to.equal('good');
    });

    it('is left alone by INQUIRY, and fetched by REQUEST SENSE', async () => {
      const fresh = bench.freshHost(3);
      expect(await bench.status(fresh, { op: 'inquiry' })).to.equal('good');
      const sense = await bench.run(fresh, { op: 'request-sense' });
      expect(sense.status === 'good' && [sense.data[0], sense.data[2], sense.data[12], sense.data[13]]).to.deep.equal([0x70, 6, 0x29, 1]);
      expect(await bench.attention(fresh)).to.equal('good');
    });

    it('stays pending while a conflict comes first (SAM: precedence of status)', async () => {
      const fresh = bench.freshHost(3);
      await reserved(6);
      expect(await bench.read(fresh)).to.equal(conflict);
      expect(await bench.out(fresh, 'reserve')).to.equal(conflict);
      expect(await bench.attention(fresh)).to.equal('power on occurred');
    });

    it('of a reset replaces those before it', async () => {
      await reserved(5);
      await bench.out(a, 'release', { key: keyA });
      bench.bus.reset();
      expect(await bench.attention(b)).to.equal('SCSI bus reset occurred');
      expect(await bench.attention(b)).to.equal('good');
    });

    it('waits for a host that is away', async () => {
      await reserved(5);
      b.attachment.detach();
      await bench.out(a, 'release', { key: keyA });
      expect(await bench.attention(bench.freshHost(6))).to.equal('reservations released');
    });
  });
});
