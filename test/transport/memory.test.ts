import { expect } from 'chai';

import type { HotMirrorError } from '../../src/errors.ts';
import { SeededRandom } from '../../src/testing/seeded-random.ts';
import { transportConformance } from '../../src/testing/transport-conformance.ts';
import type { TransportFixture } from '../../src/testing/transport-conformance.ts';
import { VirtualClock } from '../../src/testing/virtual-clock.ts';
import { MemoryNetwork } from '../../src/transport/memory.ts';
import type { LinkConditions, MemoryLink } from '../../src/transport/memory.ts';
import type { Connection, Transport } from '../../src/transport/transport.ts';
import { smallLimits } from './tcp-fixture.ts';

function memoryFixture(conditions: LinkConditions, seed = 1): Promise<TransportFixture> {
  const clock = new VirtualClock();
  const network = new MemoryNetwork({ clock, random: new SeededRandom(seed) });
  const link = network.link('data', { nodes: ['alpha', 'beta'], conditions, limits: smallLimits });
  const [a, b] = withoutDuplicates(link.transport('alpha'), link.transport('beta'));
  return Promise.resolve({
    a,
    b,
    settle: (promise) => clock.settled(promise, 60_000),
    dispose: () => Promise.resolve(),
  });
}

/** Two transports whose listeners tell of a connection once its dialler has it, and never of one that nobody dialled. */
function withoutDuplicates(...transports: readonly [Transport, Transport]): readonly [Transport, Transport] {
  const dialled = new Set<string>();
  const waiting = new Map<string, () => void>();
  const wrap = (transport: Transport): Transport => ({
    capabilities: transport.capabilities,
    description: transport.description,
    dial: async (signal) => {
      const connection = await transport.dial(signal);
      dialled.add(connection.id);
      waiting.get(connection.id)?.();
      return connection;
    },
    listen: (handlers) =>
      transport.listen({
        accepted: (connection) => {
          waiting.set(connection.id, () => {
            handlers.accepted(connection);
          });
        },
      }),
  });
  return [wrap(transports[0]), wrap(transports[1])];
}

const harsh: LinkConditions = {
  delayMs: 1,
  jitterMs: 4,
  lostPerMillion: 50_000,
  retransmitMs: 20,
  duplicatePerMillion: 400_000,
  clogPerMillion: 20_000,
  clogMs: 30,
};

describe('transport/memory', () => {
  for (const delayMs of [0, 3]) {
    transportConformance({ describe, it }, { name: `memory, delay ${String(delayMs)} ms`, create: () => memoryFixture({ delayMs }) });
  }
  for (let seed = 1; seed <= 5; seed += 1) {
    const name = `memory, every condition that a connection survives, seed ${String(seed)}`;
    transportConformance({ describe, it }, { name, create: () => memoryFixture(harsh, seed) });
  }

  describe('has the faults of a cable and of a process', () => {
    let clock: VirtualClock;
    let network: MemoryNetwork;
    let cable: MemoryLink;
    let log: string[];

    beforeEach(() => {
      clock = new VirtualClock();
      network = new MemoryNetwork({ clock, random: new SeededRandom(1) });
      cable = network.link('data', { nodes: ['alpha', 'beta'], conditions: { delayMs: 2 }, limits: smallLimits });
      log = [];
    });

    const watch = (name: string, connection: Connection): Connection => {
      connection.receive({
        frame: (bytes) => void log.push(`${name} got ${Buffer.from(bytes).toString()}`),
        closed: (error) => void log.push(`${name} closed ${error?.code ?? 'in order'}`),
      });
      return connection;
    };

    async function connect(): Promise<[Connection, Connection]> {
      const accepted = new Promise<Connection>((resolve) => {
        void cable.transport('beta').listen({ accepted: resolve });
      });
      const dialled = await clock.settled(cable.transport('alpha').dial(), 100);
      return [watch('alpha', dialled), watch('beta', await accepted)];
    }

    it('cut holds what is sent, silently; heal lets it arrive, late and in order', async () => {
      const [a] = await connect();
      a.send([Buffer.from('one')]);
      cable.cut();
      a.send([Buffer.from('two')]);
      await clock.runFor(60_000);
      expect(log).to.deep.equal([]);
      expect(a.pendingBytes).to.be.above(0);
      cable.heal();
      await clock.runFor(10);
      expect(log).to.deep.equal(['beta got one', 'beta got two']);
    });

    it('cut from one node leaves the other way open', async () => {
      const [a, b] = await connect();
      cable.cut('alpha');
      a.send([Buffer.from('held')]);
      b.send([Buffer.from('through')]);
      await clock.runFor(100);
      expect(log).to.deep.equal(['alpha got through']);
    });

    it('is unsettled while a dial is under way or there are two connections', async () => {
      expect(cable.unsettled).to.equal(false);
      const connecting = connect();
      expect(cable.unsettled).to.equal(true);
      await connecting;
      expect(cable.unsettled).to.equal(false);
      const second = await clock.settled(cable.transport('alpha').dial(), 100);
      expect(cable.unsettled).to.equal(true);
      second.destroy();
      await clock.runFor(100);
      expect(cable.unsettled).to.equal(false);
    });

    it('is settled again once a connection that nobody dialled was turned away', async () => {
      cable.setConditions({ delayMs: 2, duplicatePerMillion: 1_000_000 });
      const accepted: Connection[] = [];
      await cable.transport('beta').listen({ accepted: (connection) => void accepted.push(connection) });
      await clock.settled(cable.transport('alpha').dial(), 100);
      expect(accepted).to.have.lengthOf(2);
      expect(cable.unsettled).to.equal(true);
      accepted[1]?.destroy();
      expect(cable.unsettled).to.equal(false);
    });

    it('a dial over a cut cable waits for heal, or gives up by its deadline', async () => {
      await connect();
      cable.cut();
      let code = '';
      const note = (error: unknown): void => void (code = (error as HotMirrorError).code);
      void cable.transport('alpha').dial().catch(note);
      await clock.runFor(smallLimits.handshakeDeadlineMs + 1);
      expect(code).to.equal('HM_CONNECT_FAILED');
      const dial = cable.transport('alpha').dial();
      await clock.runFor(100);
      cable.heal();
      expect((await clock.settled(dial, 100)).dialled).to.equal(true);
    });

    it('a dial that waited for heal arrives once, however often the cable is mended and cut', async () => {
      let accepted = 0;
      await cable.transport('beta').listen({ accepted: () => void (accepted += 1) });
      cable.cut();
      const dial = cable.transport('alpha').dial();
      await clock.runFor(100);
      for (let times = 0; times < 3; times += 1) {
        cable.heal();
        cable.cut('alpha');
      }
      await clock.runFor(100);
      expect(accepted).to.equal(0);
      cable.heal();
      cable.heal();
      await clock.settled(dial, 100);
      expect(accepted).to.equal(1);
    });

    it('cut, setConditions and transport know only the nodes of their link', () => {
      expect(() => cable.cut('gamma')).to.throw(RangeError, 'gamma');
      expect(() => cable.setConditions({}, 'gamma')).to.throw(RangeError, 'gamma');
      expect(() => cable.transport('gamma')).to.throw(RangeError, 'gamma');
    });

    it('a link may have a clock of its own', async () => {
      const own = new VirtualClock();
      const other = network.link('other', { nodes: ['alpha', 'beta'], clock: own });
      await other.transport('beta').listen({ accepted: () => undefined });
      const dial = other.transport('alpha').dial();
      expect([clock.pendingTimers, own.pendingTimers > 0]).to.deep.equal([0, true]);
      await own.settled(dial, 100);
    });

    it('uses the memory of frames again, and every frame stays what it was', async () => {
      const [a] = await connect();
      const second = new Promise<Connection>((resolve) => {
        void cable.transport('alpha').listen({ accepted: resolve });
      });
      const back = await clock.settled(cable.transport('beta').dial(), 100);
      const memory = new Set<ArrayBufferLike>();
      const wrong: number[] = [];
      let count = 0;
      (await second).receive({
        frame: (bytes) => {
          memory.add(bytes.buffer);
          if (!bytes.every((byte) => byte === count % 251)) wrong.push(count);
          count += 1;
        },
        closed: () => undefined,
      });
      for (let round = 0; round < 50; round += 1) {
        for (const length of [3_000, 4_000]) back.send([new Uint8Array(length).fill((2 * round + Number(length === 4_000)) % 251)]);
        await clock.runFor(10);
      }
      expect([count, wrong, memory.size]).to.deep.equal([100, [], 2]);
      a.destroy();
    });

    it('break ends both ends at once, and what was under way is lost', async () => {
      const [a] = await connect();
      a.send([Buffer.from('lost')]);
      cable.break();
      await clock.runFor(0);
      expect(log).to.deep.equal(['alpha closed HM_CONNECTION_LOST', 'beta closed HM_CONNECTION_LOST']);
      await clock.settled(cable.transport('alpha').dial(), 100);
    });

    it('a killed node hears nothing more; its peer hears of the loss as soon as the cable lets it', async () => {
      const [a] = await connect();
      a.send([Buffer.from('never read')]);
      cable.cut();
      network.kill('beta');
      await clock.runFor(60_000);
      expect(log).to.deep.equal([]);
      cable.heal();
      await clock.runFor(10);
      expect(log).to.deep.equal(['alpha closed HM_CONNECTION_LOST']);
      const dial = cable.transport('alpha').dial();
      let code = '';
      await clock.settled(
        dial.catch((error: unknown) => (code = (error as HotMirrorError).code)),
        100,
      );
      expect(code).to.equal('HM_CONNECT_FAILED');
    });

    it('overwrites a frame once its receiver returned', async () => {
      const [a] = await connect();
      const kept: Uint8Array[] = [];
      const second = new Promise<Connection>((resolve) => {
        void cable.transport('alpha').listen({ accepted: resolve });
      });
      const back = await clock.settled(cable.transport('beta').dial(), 100);
      (await second).receive({ frame: (bytes) => void kept.push(bytes), closed: () => undefined });
      back.send([Buffer.from('mine')]);
      await clock.runFor(10);
      expect(kept.map((bytes) => Buffer.from(bytes).toString('hex'))).to.deep.equal(['a5a5a5a5']);
      a.destroy();
    });
  });
});
