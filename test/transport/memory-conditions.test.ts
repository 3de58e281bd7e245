import { expect } from 'chai';

import type { LinkConditions } from '../../src/transport/memory.ts';
import { Line } from './memory-line.ts';
import { smallLimits } from './tcp-fixture.ts';

const always = 1_000_000;
const half = 500_000;
const text = (value: string): Uint8Array => Buffer.from(value);

const upTo = (count: number): number[] => Array.from({ length: count }, (_, index) => index);

describe('conditions of a link in memory', () => {
  describe('delay', () => {
    it('is the time one way; a dial takes two of them, whether it is answered or refused', async () => {
      const line = new Line({ delayMs: 7 });
      const refused = line.cable.transport('alpha').dial();
      await line.clock.settled(
        refused.catch(() => undefined),
        100,
      );
      expect(line.clock.nowMs()).to.equal(14);
      const [a, b] = await line.connect();
      expect(line.clock.nowMs()).to.equal(28);
      expect(await line.travelTimes(a, 3, 1)).to.deep.equal([7, 7, 7]);
      expect(await line.travelTimes(b, 3, 10)).to.deep.equal([7, 7, 7]);
    });

    it('of 0 still lets nothing arrive within send', async () => {
      const line = new Line({});
      const [a] = await line.connect();
      a.send([text('now')]);
      expect(line.log).to.deep.equal([]);
      await line.clock.runFor(0);
      expect(line.log).to.deep.equal(['0 beta got now']);
    });

    it('asks chance for nothing, nor does any condition that is not set', async () => {
      const line = new Line({ delayMs: 1, retransmitMs: 10, clogMs: 10 });
      const [a] = await line.connect();
      await line.travelTimes(a, 100, 1);
      await line.clock.settled(a.close(), 100);
      expect(line.drawn).to.equal(0);
    });
  });

  describe('jitter', () => {
    it('is up to so much more, evenly spread', async () => {
      const line = new Line({});
      const [a] = await line.connect({ delayMs: 5, jitterMs: 20 });
      const times = await line.travelTimes(a, 400, 30);
      expect(Math.min(...times)).to.be.within(5, 5.5);
      expect(Math.max(...times)).to.be.within(24.5, 25);
      const quarters = [0, 1, 2, 3].map((quarter) => times.filter((time) => Math.floor((time - 5) / 5) === quarter).length);
      for (const count of quarters) expect(count).to.be.within(70, 130);
    });

    it('lets no frame arrive before an earlier one', async () => {
      const line = new Line({});
      const [a] = await line.connect({ jitterMs: 100 });
      const times = await line.travelTimes(a, 300, 1);
      expect(line.numbers).to.deep.equal(upTo(300));
      expect(new Set(times).size, 'frames that did not wait for others').to.be.above(5);
    });

    it('is different each way of a dial', async () => {
      const line = new Line({ delayMs: 10, jitterMs: 10 });
      await line.connect();
      expect(line.drawn).to.equal(2);
      expect(line.clock.nowMs()).to.be.within(20, 40);
    });
  });

  describe('loss', () => {
    it('delays a frame by whole repeats, and again with the same chance', async () => {
      const line = new Line({});
      const [a] = await line.connect({ delayMs: 1, lostPerMillion: half, retransmitMs: 10 });
      const repeats = (await line.travelTimes(a, 400, 1_000)).map((time) => (time - 1) / 10);
      const share = (count: number): number => repeats.filter((one) => one === count).length / repeats.length;
      expect(repeats.every(Number.isInteger)).to.equal(true);
      expect(share(0)).to.be.within(0.42, 0.58);
      expect(share(1)).to.be.within(0.18, 0.32);
      expect(share(2)).to.be.within(0.07, 0.18);
    });

    it('repeats after 200 ms by default, 15 times at most', async () => {
      const line = new Line({});
      const [a] = await line.connect({ delayMs: 1, lostPerMillion: always });
      expect(await line.travelTimes(a, 1, 1)).to.deep.equal([1 + 15 * 200]);
    });

    it('holds up those behind', async () => {
      const line = new Line({});
      const [a] = await line.connect({ lostPerMillion: always, retransmitMs: 10 });
      a.send([text('lost')]);
      line.cable.setConditions({ delayMs: 1 });
      a.send([text('behind')]);
      await line.clock.runFor(149);
      expect(line.log).to.deep.equal([]);
      await line.clock.runFor(1);
      expect(line.log).to.deep.equal(['150 beta got lost', '150 beta got behind']);
    });

    it('does not hold up the news that the other end is gone', async () => {
      const line = new Line({});
      const [a] = await line.connect({ delayMs: 1, lostPerMillion: always, retransmitMs: 10 });
      a.send([text('never')]);
      line.cable.setConditions({ delayMs: 1 });
      a.destroy();
      await line.clock.runFor(1);
      expect(line.log).to.deep.equal(['0 alpha closed in order', '1 beta closed HM_CONNECTION_LOST']);
    });
  });

  describe('corruption', () => {
    it('is found by the checksum: nothing of the frame arrives, this end tells HM_BAD_CHECKSUM and the other HM_CONNECTION_LOST', async () => {
      for (let seed = 1; seed <= 100; seed += 1) {
        const line = new Line({}, seed);
        const [a, b] = await line.connect({ delayMs: 2 });
        const bytes = line.random.bytes(seed);
        const before = Buffer.from(bytes);
        b.send([text('fine')]);
        a.send([text('whole')]);
        line.cable.setConditions({ delayMs: 2, corruptPerMillion: always }, 'alpha');
        a.send([bytes]);
        a.send([text('behind')]);
        await line.clock.runFor(10);
        expect(before.equals(bytes), 'the bytes of the sender changed').to.equal(true);
        expect(line.log, `seed ${String(seed)}`).to.have.members([
          '2 alpha got fine',
          '2 beta got whole',
          '2 beta closed HM_BAD_CHECKSUM',
          '4 alpha closed HM_CONNECTION_LOST',
        ]);
      }
    });

    it('meets empty frames too', async () => {
      const line = new Line({});
      const [a] = await line.connect({ delayMs: 1, corruptPerMillion: always });
      a.send([]);
      await line.clock.runFor(1);
      expect(line.log).to.deep.equal(['1 beta closed HM_BAD_CHECKSUM']);
    });

    it('meets the given share', async () => {
      const line = new Line({}, 3);
      for (let round = 0; round < 200; round += 1) {
        const [a] = await line.connect({ corruptPerMillion: half / 2 });
        a.send([text('once')]);
        await line.clock.runFor(0);
        a.destroy();
        await line.clock.runFor(0);
      }
      const damaged = line.log.filter((entry) => entry.endsWith('HM_BAD_CHECKSUM'));
      expect(damaged.length).to.be.within(35, 65);
    });

    it('does not meet dials, nor a goodbye', async () => {
      const line = new Line({ delayMs: 1, corruptPerMillion: always });
      const [a] = await line.connect();
      await line.clock.settled(a.close(), 100);
      expect(line.log).to.deep.equal(['3 beta closed in order', '4 alpha closed in order']);
    });
  });

  describe('duplication of dials', () => {
    const lostMs = 1 + smallLimits.handshakeDeadlineMs;

    it('gives the listener a second connection, which brings nothing and ends with HM_CONNECTION_LOST after the deadline of handshakes', async () => {
      const line = new Line({ delayMs: 1, duplicatePerMillion: always });
      const [a] = await line.connect();
      expect(line.accepted).to.have.length(2);
      expect(line.accepted.map(({ id }) => id === a.id)).to.deep.equal([true, false]);
      expect(line.accepted[1]).to.include({ dialled: false, peer: 'alpha' });
      line.accepted[1]?.send([text('anyone there?')]);
      a.send([text('mine')]);
      await line.clock.runFor(60_000);
      expect(line.log).to.deep.equal(['3 beta got mine', `${String(lostMs)} beta2 closed HM_CONNECTION_LOST`]);
    });

    it('may come long after the dial was answered', async () => {
      for (let seed = 1; ; seed += 1) {
        const line = new Line({ duplicatePerMillion: always, jitterMs: 1_000 }, seed);
        await line.listen();
        const dialled = await line.clock.settled(line.cable.transport('alpha').dial(), 10_000);
        if (line.accepted.length === 2) continue;
        await line.clock.runFor(1_000);
        expect(line.accepted.map(({ id }) => id === dialled.id)).to.deep.equal([true, false]);
        return;
      }
    });

    it('ends with HM_CONNECTION_LOST when the dialler is killed, and silently when the listener is', async () => {
      for (const node of ['alpha', 'beta'] as const) {
        const line = new Line({ delayMs: 1, duplicatePerMillion: always });
        await line.connect();
        line.network.kill(node);
        await line.clock.runFor(10);
        expect(line.log).to.deep.equal(
          node === 'alpha'
            ? ['3 beta closed HM_CONNECTION_LOST', '3 beta2 closed HM_CONNECTION_LOST']
            : ['3 alpha closed HM_CONNECTION_LOST'],
        );
        expect(line.clock.pendingTimers).to.equal(0);
      }
    });

    it('may be destroyed or closed by the listener; nobody answers a goodbye', async () => {
      const line = new Line({ duplicatePerMillion: always });
      await line.connect();
      line.accepted[1]?.destroy();
      await line.connect();
      void line.accepted[3]?.close();
      await line.clock.runFor(smallLimits.closeDeadlineMs);
      expect(line.log).to.deep.equal(['0 beta2 closed in order', `${String(smallLimits.closeDeadlineMs)} beta4 closed HM_CONNECTION_LOST`]);
      expect(line.clock.pendingTimers).to.equal(0);
    });

    it('comes to nothing where nobody listens, or where the dialler died meanwhile', async () => {
      const line = new Line({ delayMs: 1, duplicatePerMillion: always });
      const refused = line.cable.transport('alpha').dial();
      await line.clock.settled(
        refused.catch(() => undefined),
        100,
      );
      await line.listen();
      void line.cable.transport('alpha').dial();
      line.network.kill('alpha');
      await line.clock.runFor(100);
      expect(line.accepted).to.deep.equal([]);
      expect(line.clock.pendingTimers).to.equal(0);
    });
  });

  describe('clogging', () => {
    const happens = 0.1;
    const not = 0.9;
    const clogs: LinkConditions = { delayMs: 1, clogPerMillion: half, clogMs: 100 };

    it('lets the frame and all behind it wait, on every connection, then come at once; the other way is open', async () => {
      const line = new Line({});
      const [a, b] = await line.connect();
      const [c] = await line.connect();
      line.cable.setConditions(clogs, 'alpha');
      line.script.push(not, happens, not, not, not);
      a.send([text('before')]);
      a.send([text('clogs')]);
      b.send([text('other way')]);
      await line.clock.runFor(99);
      a.send([text('behind')]);
      c.send([text('beside')]);
      await line.clock.runFor(50);
      a.send([text('after')]);
      await line.clock.runFor(50);
      expect(line.log).to.deep.equal([
        '0 alpha got other way',
        '1 beta got before',
        '101 beta got clogs',
        '101 beta got behind',
        '101 beta2 got beside',
        '150 beta got after',
      ]);
    });

    it('holds up dials', async () => {
      const line = new Line({});
      const [a] = await line.connect();
      line.cable.setConditions(clogs, 'alpha');
      line.script.push(happens, not);
      a.send([text('clogs')]);
      await line.clock.settled(line.cable.transport('alpha').dial(), 1_000);
      expect(line.clock.nowMs()).to.equal(101);
    });

    it('goes on where another frame clogs the link meanwhile', async () => {
      const line = new Line({});
      const [a] = await line.connect(clogs);
      line.script.push(happens, happens, not);
      a.send([text('one')]);
      await line.clock.runFor(60);
      a.send([text('two')]);
      a.send([text('three')]);
      await line.clock.runFor(200);
      expect(line.log).to.deep.equal(['101 beta got one', '161 beta got two', '161 beta got three']);
    });
  });

  describe('setConditions', () => {
    it('counts from now on; frames on their way keep the time they were given', async () => {
      const line = new Line({});
      const [a] = await line.connect({ delayMs: 50 });
      a.send([text('slow')]);
      line.cable.setConditions({ delayMs: 1 });
      a.send([text('quick, but behind')]);
      await line.clock.runFor(60);
      a.send([text('quick')]);
      line.cable.setConditions({ delayMs: 50 });
      await line.clock.runFor(10);
      expect(line.log).to.deep.equal(['50 beta got slow', '50 beta got quick, but behind', '61 beta got quick']);
    });

    it('is for what one node sends, where that is named; what is absent is no more', async () => {
      const line = new Line({});
      const [a, b] = await line.connect({ delayMs: 5, jitterMs: 5 });
      line.cable.setConditions({ delayMs: 3 }, 'beta');
      a.send([text('as before')]);
      b.send([text('new')]);
      await line.clock.runFor(20);
      expect(line.log[0]).to.equal('3 alpha got new');
      expect(line.arrivals[1]).to.be.within(5, 10);
    });

    it('clears a clogged link', async () => {
      const line = new Line({});
      const [a] = await line.connect();
      const [c] = await line.connect({ clogPerMillion: always, clogMs: 100 });
      a.send([text('clogs')]);
      line.cable.setConditions({ delayMs: 1 });
      c.send([text('passes')]);
      await line.clock.runFor(100);
      expect(line.log).to.deep.equal(['1 beta2 got passes', '100 beta got clogs']);
    });

    it('throws RangeError for conditions that are none, and changes nothing then', async () => {
      const line = new Line({ delayMs: 4 });
      const [a] = await line.connect();
      const wrong: readonly (readonly [string, unknown])[] = [
        ['delayMs', -1],
        ['jitterMs', Number.NaN],
        ['retransmitMs', Number.POSITIVE_INFINITY],
        ['clogMs', 86_400_001],
        ['lostPerMillion', 1_000_001],
        ['corruptPerMillion', -0.5],
        ['duplicatePerMillion', '7'],
        ['clogPerMillion', undefined],
        ['latencyMs', 1],
      ];
      for (const [name, value] of wrong) {
        const conditions = { [name]: value } as LinkConditions;
        expect(() => line.cable.setConditions(conditions), name).to.throw(RangeError, name);
        expect(() => line.network.link('other', { nodes: ['alpha', 'beta'], conditions }), name).to.throw(RangeError, name);
      }
      expect(await line.travelTimes(a, 1, 10)).to.deep.equal([4]);
    });
  });

  it('take the same course for the same seed', async () => {
    const run = async (): Promise<string[]> => {
      const all = { delayMs: 1, jitterMs: 9, lostPerMillion: half / 4, corruptPerMillion: 3_000, clogPerMillion: 10_000, clogMs: 50 };
      const line = new Line({ ...all, duplicatePerMillion: half }, 42);
      for (let round = 0; round < 5; round += 1) {
        const [a, b] = await line.connect();
        await line.clock.runFor(line.random.below(20));
        for (const end of [a, b, a, b]) for (let count = 0; count < 25; count += 1) end.send([line.random.bytes(4)]);
        await line.clock.runFor(5_000);
      }
      return line.log;
    };
    const once = await run();
    expect(once.length).to.be.above(100);
    expect(await run()).to.deep.equal(once);
  });
});
