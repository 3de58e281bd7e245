import { expect } from 'chai';

import type { HotMirrorError } from '../../../src/errors.ts';
import { SeededRandom } from '../../../src/testing/seeded-random.ts';
import { Inbox } from '../../../src/testing/transport-subject.ts';
import { longestTransferBytes, ScsiBus, scsiTransport } from '../../../src/transport/scsi-sim/index.ts';
import { BusBench } from './bus-bench.ts';
import { commonOptions } from './scsi-fixture.ts';

const send = (text: string) => ({ op: 'send', data: Buffer.from(text) }) as const;

describe('transport/scsi-sim/bus', () => {
  describe('its hosts', () => {
    it('hear each other by SEND, and read what the other lets be read by RECEIVE', async () => {
      const bench = new BusBench();
      const [a, b] = [await bench.host(7), await bench.host(6)];
      expect(await bench.status(a, send('hello'), 6)).to.equal('good');
      expect(b.heard).to.deep.equal(['7: hello']);
      b.attachment.setNotice(Buffer.from('here'));
      const read = await bench.run(a, { op: 'receive' }, 6);
      expect(read.status === 'good' && Buffer.from(read.data).toString()).to.equal('here');
      expect(await bench.status(a, { op: 'test-unit-ready' }, 6)).to.equal('good');
      expect(await bench.status(a, { op: 'read', block: 0, count: 1 }, 6)).to.equal('invalid command operation code');
    });

    it('get BUSY from one that has no room', async () => {
      const bench = new BusBench();
      const [a, b] = [await bench.host(7), await bench.host(6)];
      b.busy = true;
      expect(await bench.status(a, send('hello'), 6)).to.equal('busy');
      expect(b.heard).to.deep.equal([]);
    });

    it('wait for the selection of one that is not there, and hear so; nobody selects himself', async () => {
      const bench = new BusBench({ selectionTimeoutMs: 250 });
      const a = await bench.host(7);
      const beganMs = bench.clock.nowMs();
      expect(await bench.status(a, send('hello'), 4)).to.equal('selection-timeout');
      expect(bench.clock.nowMs() - beganMs).to.be.within(250, 251);
      expect(await bench.status(a, send('hello'), 7)).to.equal('selection-timeout');
    });

    it('have an id each, which no other takes, and none that is no id', async () => {
      const { bus } = new BusBench();
      const host = { received: () => true, detached: () => undefined };
      const taken = (id: number): string => {
        try {
          bus.attach(id, host);
          return 'given';
        } catch (error) {
          return (error as HotMirrorError).code;
        }
      };
      expect([taken(7), taken(7), taken(0), taken(15)]).to.deep.equal(['given', 'HM_ADDRESS_IN_USE', 'HM_ADDRESS_IN_USE', 'given']);
      for (const id of [-1, 16, 1.5, NaN]) expect(() => bus.port(id)).to.throw(RangeError);
    });

    it('that leave get no answers any more', async () => {
      const bench = new BusBench();
      const a = await bench.host(7);
      const running = a.attachment.execute(0, { op: 'test-unit-ready' });
      a.attachment.detach();
      expect((await running).status).to.equal('detached');
      expect((await a.attachment.execute(0, { op: 'test-unit-ready' })).status).to.equal('detached');
      expect(a.detached).to.deep.equal(['left']);
    });

    it('may queue a bounded number of commands', async () => {
      const bench = new BusBench();
      const a = await bench.host(7);
      const statuses = Array.from({ length: 70 }, () => a.attachment.execute(0, { op: 'test-unit-ready' }).then(({ status }) => status));
      const all = await bench.clock.settled(Promise.all(statuses), 1_000);
      expect(all.filter((status) => status === 'task-set-full')).to.have.length(6);
      expect(all.filter((status) => status === 'good')).to.have.length(64);
    });
  });

  it('gives way by priority: ids 7 to 0, then 15 to 8, whoever asked first', async () => {
    const bench = new BusBench();
    const ids = [8, 1, 15, 7, 6, 14];
    const hosts = [];
    for (const id of ids) hosts.push(await bench.host(id));
    const order: number[] = [];
    const all = hosts.map((host) => host.attachment.execute(0, { op: 'inquiry' }).then(() => order.push(host.id)));
    await bench.clock.settled(Promise.all(all), 1_000);
    expect(order).to.deep.equal([7, 6, 1, 15, 14, 8]);
  });

  it('carries one command at a time, at its pace', async () => {
    const bench = new BusBench({ bytesPerMs: 1_000, commandMs: 1 });
    const [a, b] = [await bench.host(7), await bench.host(6)];
    const beganMs = bench.clock.nowMs();
    const long = a.attachment.execute(0, { op: 'write', block: 0, data: new Uint8Array(10_240) });
    const short = b.attachment.execute(0, { op: 'inquiry' });
    await bench.clock.settled(Promise.all([long, short]), 1_000);
    expect(bench.clock.nowMs() - beganMs).to.be.closeTo(12.24, 0.01);
  });

  describe('its shared unit', () => {
    it('keeps what is written, whoever reads', async () => {
      const bench = new BusBench({ unitBlocks: 8 });
      const [a, b] = [await bench.host(7), await bench.host(6)];
      expect(await bench.write(a, 'k', 7)).to.equal('good');
      expect(await bench.letter(b, 7)).to.equal('k');
    });

    it('refuses what lies beyond its end, is no whole block, or is too long', async () => {
      const bench = new BusBench({ unitBlocks: 8 });
      const a = await bench.host(7);
      const statuses = [];
      for (const command of [
        { op: 'read', block: 8, count: 1 },
        { op: 'read', block: 7, count: 2 },
        { op: 'write', block: 0, data: new Uint8Array(511) },
        { op: 'read', block: -1, count: 1 },
        { op: 'read', block: 0, count: 2 ** 40 },
        { op: 'write', block: 0, data: new Uint8Array(longestTransferBytes + 512) },
        { op: 'send', data: new Uint8Array(1) },
      ] as const)
        statuses.push(await bench.status(a, command));
      expect(statuses).to.deep.equal([
        ...['logical block address out of range', 'logical block address out of range', 'invalid field in CDB', 'invalid field in CDB'],
        ...['invalid field in CDB', 'invalid field in CDB', 'invalid command operation code'],
      ]);
    });
  });

  describe('its faults', () => {
    it('a bus error takes down every host, and what was under way', async () => {
      const bench = new BusBench();
      const [a, b] = [await bench.host(7), await bench.host(6)];
      const running = [a, b].map((host) => host.attachment.execute(0, { op: 'test-unit-ready' }));
      bench.bus.breakDown();
      expect([a.detached, b.detached]).to.deep.equal([['bus-error'], ['bus-error']]);
      expect((await Promise.all(running)).map(({ status }) => status)).to.deep.equal(['detached', 'detached']);
      expect(bench.bus.hosts).to.deep.equal([]);
    });

    it('a transport tells its node of the bus error, once, and ends its connections', async () => {
      const bench = new BusBench();
      const down: string[] = [];
      const [a, b] = (
        [
          ['alpha', 7, 'beta', 6],
          ['beta', 6, 'alpha', 7],
        ] as const
      ).map(([node, id, peer, peerId]) =>
        scsiTransport({
          ...commonOptions(bench.clock),
          ...{ node, peer, port: bench.bus.port(id), peerId, onBusError: (error) => down.push(`${node}: ${error.message}`) },
        }),
      );
      const inbox = new Inbox();
      await b!.listen({ accepted: (connection) => connection.receive(inbox) });
      const dialled = await bench.clock.settled(a!.dial(), 1_000);
      const own = new Inbox();
      dialled.receive(own);
      bench.bus.breakDown();
      await bench.clock.runFor(0);
      expect(down).to.have.length(2);
      expect(down[0]).to.include('a SCSI bus error: every host on the bus goes down with it');
      expect([...own.ends, ...inbox.ends].map((error) => error?.code)).to.deep.equal(['HM_CONNECTION_LOST', 'HM_CONNECTION_LOST']);
    });

    it('without the machine at one end it lacks a terminator: commands are lost, or changed unnoticed, until it has one again', async () => {
      const bench = new BusBench({ unterminated: { lostPerMillion: 400_000, garbledPerMillion: 400_000 } });
      const [a] = [await bench.host(7), await bench.host(6)];
      bench.bus.remove(6);
      expect(bench.bus.terminated).to.equal(false);
      const seen = new Set<string>();
      for (let round = 0; round < 60; round += 1) {
        const result = await bench.run(a, { op: 'read', block: 0, count: 1 });
        seen.add(result.status === 'good' ? (result.data.some((byte) => byte !== 0) ? 'garbled' : 'good') : result.status);
      }
      expect([...seen].sort()).to.deep.equal(['garbled', 'good', 'transport-error']);
      bench.bus.terminate();
      for (let round = 0; round < 60; round += 1) expect(await bench.letter(a)).to.equal('\0');
    });

    it('a lost command may have taken effect', async () => {
      const bench = new BusBench({ unterminated: { lostPerMillion: 1_000_000, garbledPerMillion: 0 } });
      const a = await bench.host(7);
      const effects = new Set<string>();
      for (let block = 0; block < 40; block += 1) {
        bench.bus.remove(6);
        expect(await bench.write(a, 'w', block)).to.equal('transport-error');
        bench.bus.terminate();
        effects.add(await bench.letter(a, block));
      }
      expect([...effects].sort()).to.deep.equal(['\0', 'w']);
    });

    it('over an unterminated bus frames arrive as they were sent, or the connection ends', async () => {
      const ends = new Set<string>();
      for (let seed = 1; seed <= 40; seed += 1) {
        const bench = new BusBench({
          random: new SeededRandom(seed),
          unterminated: { lostPerMillion: 150_000, garbledPerMillion: 30_000 },
        });
        const common = commonOptions(bench.clock, seed);
        const a = scsiTransport({ ...common, node: 'alpha', peer: 'beta', port: bench.bus.port(7), peerId: 6 });
        const b = scsiTransport({ ...common, node: 'beta', peer: 'alpha', port: bench.bus.port(6), peerId: 7 });
        const inbox = new Inbox();
        await b.listen({ accepted: (connection) => connection.receive(inbox) });
        const dialled = await bench.clock.settled(a.dial(), 1_000);
        dialled.receive(new Inbox());
        bench.bus.remove(5);
        const sent = Array.from({ length: 50 }, (_, index) => `token ${String(index)}`);
        for (const token of sent) {
          dialled.send([Buffer.from(token)]);
          await bench.clock.runFor(20);
        }
        bench.bus.terminate();
        await bench.clock.runFor(30_000);
        const got = inbox.frames.map(String);
        expect(got).to.deep.equal(sent.slice(0, got.length));
        if (got.length < sent.length) expect(inbox.ends).to.have.length(1);
        ends.add(inbox.ends[0]?.code ?? 'none');
        dialled.destroy();
        await bench.clock.runFor(5_000);
      }
      expect([...ends]).to.have.members(['none', 'HM_CONNECTION_LOST']);
    });
  });

  it('refuses settings that are none', () => {
    const { clock } = new BusBench();
    for (const wrong of [{ unitId: 16 }, { unitBlocks: 0 }, { bytesPerMs: 0 }])
      expect(() => new ScsiBus({ clock, random: new SeededRandom(1), ...wrong })).to.throw(RangeError);
  });
});
