import { expect } from 'chai';

import { HotMirrorError } from '../../src/errors.ts';
import { devicePromises } from '../../src/device/promises.ts';
import type { DataConnection } from '../../src/mirror/data-connection.ts';
import type { MirrorProtocol } from '../../src/mirror/options.ts';
import { protocols } from '../../src/mirror/protocol.ts';
import { MemoryDevice } from '../../src/device/memory.ts';
import { loneTarget } from './support/lone-target.ts';
import { Endings } from './support/endings.ts';
import { GatedDevice } from './support/gated-device.ts';
import { MirrorPair, other, pattern } from './support/mirror-pair.ts';
import type { MirrorPairOptions, NodeName } from './support/mirror-pair.ts';
import { WornDisk } from './support/worn-disk.ts';

const block = 4_096;
const extent = 65_536;
const delayMs = 10;

/** A pair in service whose elements have a gate each. */
async function gatedPair(
  protocol: MirrorProtocol,
  options: MirrorPairOptions = {},
): Promise<{ readonly pair: MirrorPair; readonly gates: Readonly<Record<NodeName, GatedDevice>> }> {
  const gates: Partial<Record<NodeName, GatedDevice>> = {};
  const pair = new MirrorPair({
    ...{ protocol, delayMs, sizeBytes: 16 * extent },
    ...options,
    wrap: (device, what) => {
      const [node = '', disk] = what.split(':');
      if (disk !== 'disk') return device;
      const gate = new GatedDevice(device);
      gates[node as NodeName] = gate;
      return gate;
    },
  });
  await pair.start();
  return { pair, gates: gates as Record<NodeName, GatedDevice> };
}

const codeOf = (promise: Promise<unknown>): Promise<string> =>
  promise.then(
    () => 'done',
    (error: unknown) => (error instanceof HotMirrorError ? error.code : String(error)),
  );

const goAlone = (pair: MirrorPair, node: NodeName, number: number): Promise<void> =>
  pair.clock.settled(
    pair.mirror(node).goAlone({ epoch: { number, owner: node }, rule: 'alone', connectionId: pair.mirror(node).state().connectionId }),
    1_000,
    'going alone',
  );

const whole = (pair: MirrorPair): boolean => {
  const { serving, peerElement, dirtyBytes } = pair.mirror('alpha').state();
  return serving === 'yes' && peerElement === 'uptodate' && dirtyBytes === 0;
};

describe('The protocols', () => {
  describe('write.both', () => {
    const completions: Readonly<Record<MirrorProtocol, readonly (string | null)[]>> = {
      sync: [null, null, null, 'done'],
      memsync: [null, null, 'done', 'done'],
      async: ['done', 'done', 'done', 'done'],
    };
    for (const protocol of protocols) {
      it(`${protocol}: a write completes when the target has applied, received, or is about to get it`, async () => {
        const { pair, gates } = await gatedPair(protocol);
        const endings = new Endings();
        // Its region is in the activity log from here on.
        await pair.write('alpha', block, pattern(block, 1));
        gates.beta.shut();
        pair.mirror('alpha').write(0, pattern(block, 1), {}, endings.next());
        const seen = [endings.codes[0]];
        await pair.clock.runFor(delayMs + 5);
        seen.push(endings.codes[0]);
        await pair.clock.runFor(delayMs + 5);
        seen.push(endings.codes[0]);
        gates.beta.open();
        await pair.clock.runFor(delayMs + 5);
        seen.push(endings.codes[0]);
        expect(seen).to.deep.equal(completions[protocol]);
        expect(pair.identical).to.equal(true);
      });

      it(`${protocol}: no write completes before the local element holds it`, async () => {
        const { pair, gates } = await gatedPair(protocol);
        const endings = new Endings();
        gates.alpha.shut();
        pair.mirror('alpha').write(0, pattern(block, 1), {}, endings.next());
        await pair.clock.runFor(10 * delayMs);
        expect(endings.codes).to.deep.equal([null]);
        gates.alpha.open();
        expect(endings.codes).to.deep.equal(['done']);
      });
    }

    it('async: no more than the window is acknowledged ahead of the target, and a write longer than it waits as by sync', async () => {
      const { pair, gates } = await gatedPair('async', { limits: { windowBytes: 2 * block } });
      const endings = new Endings();
      gates.beta.shut();
      for (let at = 0; at < 4; at += 1) pair.mirror('alpha').write(at * block, pattern(block, 1), {}, endings.next());
      pair.mirror('alpha').writeZeroes(4 * block, block, {}, endings.next());
      pair.mirror('alpha').write(8 * block, pattern(3 * block, 1), {}, endings.next());
      await pair.clock.runFor(10 * delayMs);
      expect(endings.codes).to.deep.equal(['done', 'done', null, null, null, null]);
      gates.beta.open();
      await pair.clock.runFor(10 * delayMs);
      expect(endings.codes).to.deep.equal(['done', 'done', 'done', 'done', 'done', 'done']);
      gates.beta.shut();
      pair.mirror('alpha').write(8 * block, pattern(3 * block, 2), {}, endings.next());
      await pair.clock.runFor(10 * delayMs);
      expect(endings.codes.at(-1)).to.equal(null);
      gates.beta.open();
      await pair.clock.runFor(10 * delayMs);
      expect(endings.codes.at(-1)).to.equal('done');
      expect(pair.identical).to.equal(true);
    });

    for (const kind of ['Uint8Array', 'Buffer'] as const)
      it(`async: the caller may use its ${kind} again as soon as the write is complete`, async () => {
        const { pair } = await gatedPair('async');
        const bytes = kind === 'Buffer' ? Buffer.from(pattern(block, 1)) : pattern(block, 1);
        pair.mirror('alpha').write(0, bytes, {}, () => bytes.fill(2));
        await pair.clock.runFor(10 * delayMs);
        expect(pair.disks.beta.contents.subarray(0, block)).to.deep.equal(pattern(block, 1));
      });

    it('memsync: the target says that it received a frame before it applies anything of it, once', () => {
      const told: string[] = [];
      const device = new MemoryDevice({ sizeBytes: extent });
      const write = device.write.bind(device);
      device.write = (offsetBytes, from, options, done) => {
        told.push(`write ${String(offsetBytes)}`);
        write(offsetBytes, from, options, done);
      };
      const data = {
        send: (name: string, a: number) => void told.push(`${name} ${String(a)}`),
        flush: () => undefined,
        hold: () => undefined,
      };
      const session = loneTarget(data as unknown as DataConnection, device);
      const empty = new Uint8Array(0);
      session.message({ name: 'protocol', a: protocols.indexOf('memsync'), b: 0, body: empty });
      const frame = [1, 2, 3].map((a) => ({ name: 'write' as const, a, b: a * block, body: pattern(block, a) }));
      session.arrived(frame);
      for (const message of frame) session.message(message);
      session.acknowledge();
      expect(told).to.deep.equal([
        'received 3',
        `write ${String(block)}`,
        `write ${String(2 * block)}`,
        `write ${String(3 * block)}`,
        'ack 3',
      ]);
      const beyond = [4, 5].map((a) => ({ name: 'write' as const, a, b: a === 5 ? extent : 0, body: pattern(block, a) }));
      expect(() => session.arrived(beyond)).to.throw('beyond the mirror');
      expect(told.length).to.equal(5);
    });

    it('memsync: what the target said that it received is applied before its element is judged (takeover.seal)', async () => {
      const { pair, gates } = await gatedPair('memsync');
      gates.beta.shut();
      const first = pair.write('alpha', 0, pattern(block, 1));
      await first;
      // It depends on the first, so it waits in the target's hands and not in its device.
      await pair.write('alpha', block, pattern(block, 2));
      pair.kill('alpha');
      const sealed = pair.mirror('beta').seal();
      await pair.clock.runFor(10 * delayMs);
      gates.beta.open();
      const { element } = await pair.clock.settled(sealed, 1_000, 'the seal');
      expect(element).to.equal('uptodate');
      expect(pair.identical).to.equal(true);
    });

    it('tells what a takeover may lose: nothing but by async, where it is the window', async () => {
      for (const protocol of protocols) {
        const { pair } = await gatedPair(protocol, { limits: { windowBytes: 3 * block } });
        await pair.clock.runFor(10 * delayMs);
        expect(pair.mirror('beta').state()).to.include({ protocol, mayLoseBytes: protocol === 'async' ? 3 * block : 0 });
        expect(pair.mirror('alpha').state()).to.include({ protocol, mayLoseBytes: null });
      }
    });
  });

  describe('write.flush', () => {
    for (const protocol of protocols) {
      it(`${protocol}: a flush completes when the writes of every caller before it are durable on both elements`, async () => {
        const { pair, gates } = await gatedPair(protocol);
        const [first, second] = [devicePromises(pair.mirror('alpha')), devicePromises(pair.mirror('alpha'))];
        const writes = [first.write(0, pattern(block, 1)), second.write(5 * extent, pattern(block, 2))];
        await pair.clock.settled(Promise.all(writes), 1_000, 'the writes');
        gates.beta.shut();
        const before = [gates.alpha.flushes, gates.beta.flushes] as const;
        const endings = new Endings();
        pair.mirror('alpha').flush(endings.next());
        await pair.clock.runFor(10 * delayMs);
        expect(endings.codes).to.deep.equal([null]);
        gates.beta.open();
        await pair.clock.runFor(10 * delayMs);
        expect(endings.codes).to.deep.equal(['done']);
        expect([gates.alpha.flushes, gates.beta.flushes]).to.deep.equal(before.map((count) => count + 1));
        expect(pair.identical).to.equal(true);
      });

      it(`${protocol}: a write with FUA completes when it is durable on both elements`, async () => {
        const { pair, gates } = await gatedPair(protocol);
        const endings = new Endings();
        const before = gates.beta.flushes;
        gates.beta.shut();
        pair.mirror('alpha').write(0, pattern(block, 1), { fua: true }, endings.next());
        await pair.clock.runFor(10 * delayMs);
        expect(endings.codes).to.deep.equal([null]);
        gates.beta.open();
        await pair.clock.runFor(10 * delayMs);
        expect(endings.codes).to.deep.equal(['done']);
        expect(gates.beta.flushes).to.equal(before + 1);
      });
    }
  });

  describe('write.order', () => {
    for (const protocol of ['memsync', 'async'] as const) {
      it(`${protocol}: the target applies nothing before what was complete when it was issued`, async () => {
        const { pair, gates } = await gatedPair(protocol);
        gates.beta.shut();
        const from = gates.beta.asked.length;
        await pair.write('alpha', 0, pattern(block, 1));
        await pair.write('alpha', extent, pattern(block, 2));
        await pair.clock.runFor(10 * delayMs);
        // The device may carry out in any order what it has been asked for.
        expect(gates.beta.asked.slice(from)).to.deep.equal([0]);
        gates.beta.pass(0);
        expect(gates.beta.asked.slice(from)).to.deep.equal([0, extent]);
      });

      it(`${protocol}: the target may apply together what was under way together`, async () => {
        const { pair, gates } = await gatedPair(protocol);
        gates.alpha.shut();
        gates.beta.shut();
        const from = gates.beta.asked.length;
        for (const at of [0, 1, 2]) pair.mirror('alpha').write(at * extent, pattern(block, 1), {}, () => undefined);
        await pair.clock.runFor(10 * delayMs);
        expect(gates.beta.asked.slice(from)).to.deep.equal([0, extent, 2 * extent]);
      });
    }

    for (const protocol of protocols) {
      it(`${protocol}: writes that overlap end up alike on both elements`, async () => {
        const { pair } = await gatedPair(protocol);
        const endings = new Endings();
        for (let at = 0; at < 20; at += 1) {
          pair.mirror('alpha').write((at % 3) * block, pattern(2 * block, at + 1), {}, endings.next());
          if (at % 4 === 0) await pair.clock.runFor(3);
        }
        await pair.clock.runFor(20 * delayMs);
        expect(endings.codes).to.deep.equal(new Array(20).fill('done'));
        expect(pair.identical).to.equal(true);
      });
    }
  });

  describe('write.inflight', () => {
    for (const protocol of protocols) {
      it(`${protocol}: what was acknowledged and no flush covers is dirty when the link drops, what a flush covers is not`, async () => {
        const { pair } = await gatedPair(protocol);
        await pair.write('alpha', 0, pattern(block, 1));
        await pair.flush('alpha');
        await pair.write('alpha', 2 * extent, pattern(block, 2));
        await pair.write('alpha', 5 * extent, pattern(block, 3));
        pair.link.cut();
        pair.link.break();
        await pair.until(() => pair.mirror('alpha').state().connection !== 'connected', 'the loss');
        expect(pair.mirror('alpha').snapshot().dirty).to.deep.equal([
          { first: 2, count: 1 },
          { first: 5, count: 1 },
        ]);
        pair.link.heal();
        await pair.until(() => whole(pair), 'the resync');
        expect(pair.identical).to.equal(true);
      });
    }
  });

  describe('write.degraded', () => {
    for (const protocol of protocols) {
      it(`${protocol}: without the peer nothing completes before this node may go alone, and then under a generation of its own`, async () => {
        const { pair, gates } = await gatedPair(protocol);
        const endings = new Endings();
        pair.link.cut();
        gates.alpha.shut();
        // By async it is queued to the link, and lost with it before the local element holds it.
        pair.mirror('alpha').write(0, pattern(block, 1), {}, endings.next());
        pair.link.break();
        await pair.until(() => pair.mirror('alpha').state().serving === 'parked', 'the loss');
        pair.mirror('alpha').write(extent, pattern(block, 2), {}, endings.next());
        gates.alpha.open();
        await pair.clock.runFor(10_000);
        expect(endings.codes).to.deep.equal([null, null]);
        const { currentId } = pair.mirror('alpha').state();
        await goAlone(pair, 'alpha', 2);
        await pair.clock.runFor(10);
        expect(endings.codes).to.deep.equal(['done', 'done']);
        expect(pair.mirror('alpha').state().currentId).not.to.equal(currentId);
        pair.link.heal();
        await pair.until(() => whole(pair), 'the resync');
        expect(pair.identical).to.equal(true);
      });
    }
  });

  describe('lineage.equal', () => {
    for (const protocol of protocols) {
      it(`${protocol}: after a crash of the source alone ${protocol === 'async' ? 'it' : 'the target'} is the source`, async () => {
        const { pair } = await gatedPair(protocol);
        await pair.write('alpha', 0, pattern(block, 1));
        pair.link.cut();
        // By async it completes, and never reaches the target.
        pair.mirror('alpha').write(extent, pattern(block, 2), {}, () => undefined);
        pair.kill('alpha');
        await pair.clock.runFor(2_000);
        pair.link.heal();
        await pair.open('alpha');
        const source = protocol === 'async' ? 'alpha' : 'beta';
        await pair.until(() => pair.mirror(source).state().peerElement === 'uptodate', 'the resync');
        expect(pair.mirror(source).state().role).to.equal('source');
        expect(pair.identical).to.equal(true);
        expect(pair.disks.alpha.contents[extent]).to.equal(protocol === 'async' ? 2 : 0);
      });
    }

    it('async: is forgotten by both elements once a source by another protocol has made them equal', async () => {
      const { pair } = await gatedPair('async');
      expect(pair.mirror('alpha').snapshot().metadata.mayBeAhead).to.equal(true);
      await pair.clock.settled(pair.mirror('alpha').setProtocol('sync'), 1_000, 'the switch');
      expect(pair.mirror('alpha').snapshot().metadata.mayBeAhead).to.equal(false);
      expect(pair.mirror('beta').snapshot().metadata.mayBeAhead).to.equal(false);
    });
  });

  describe('setProtocol', () => {
    it('holds back the stronger promise until what was queued is durable on both elements', async () => {
      const { pair, gates } = await gatedPair('async');
      gates.beta.shut();
      await pair.write('alpha', 0, pattern(block, 1));
      let switched = false;
      const change = pair
        .mirror('alpha')
        .setProtocol('sync')
        .then(() => (switched = true));
      const endings = new Endings();
      pair.mirror('alpha').write(block, pattern(block, 2), {}, endings.next());
      await pair.clock.runFor(10 * delayMs);
      expect([switched, ...endings.codes]).to.deep.equal([false, null]);
      gates.beta.open();
      await pair.clock.settled(change, 1_000, 'the switch');
      expect(endings.codes).to.deep.equal(['done']);
      await pair.clock.runFor(2 * delayMs);
      expect(pair.mirror('beta').state()).to.include({ protocol: 'sync', mayLoseBytes: 0 });
      expect(pair.names('alpha')).to.include('protocol:changed');
    });

    it('leaves nothing of what was queued in the cache of its own element alone', async () => {
      const { pair, gates } = await gatedPair('async');
      await pair.write('alpha', 0, pattern(block, 1));
      const before = gates.alpha.flushes;
      await pair.clock.settled(pair.mirror('alpha').setProtocol('sync'), 1_000, 'the switch');
      expect(gates.alpha.flushes).to.equal(before + 1);
    });

    it('stays with async where its own element cannot be flushed', async () => {
      const worn = new WornDisk(block);
      const wrap: MirrorPairOptions['wrap'] = (device, what) => (what === 'alpha:disk' ? worn.wrap(device) : device);
      const pair = await new MirrorPair({ protocol: 'async', delayMs, wrap }).start();
      worn.failFlushes = true;
      const refusal = pair.mirror('alpha').setProtocol('sync');
      expect(await pair.clock.settled(codeOf(refusal), 1_000, 'the refusal')).to.equal('HM_REFUSED');
      expect(pair.mirror('alpha').state()).to.include({ protocol: 'async', element: 'failed', serving: 'yes' });
    });

    it('refuses to leave async without the peer, and stays with it', async () => {
      const { pair } = await gatedPair('async');
      await pair.write('alpha', 0, pattern(block, 1));
      pair.link.cut();
      await pair.until(() => pair.mirror('alpha').state().serving === 'parked', 'the loss');
      const refusal = pair.mirror('alpha').setProtocol('sync');
      expect(await pair.clock.settled(codeOf(refusal), 1_000, 'the refusal')).to.equal('HM_REFUSED');
      expect(pair.mirror('alpha').state().protocol).to.equal('async');
    });

    it('is durable here, and known to the target, before the first request completes by async', async () => {
      const { pair, gates } = await gatedPair('sync');
      const endings = new Endings();
      const change = pair.mirror('alpha').setProtocol('async');
      gates.beta.shut();
      pair.mirror('alpha').write(0, pattern(block, 1), {}, endings.next());
      await pair.clock.runFor(10 * delayMs);
      expect(endings.codes).to.deep.equal([null]);
      gates.beta.open();
      await pair.clock.settled(change, 1_000, 'the switch');
      expect(pair.mirror('alpha').snapshot().metadata.mayBeAhead).to.equal(true);
      expect(pair.mirror('beta').state().protocol).to.equal('async');
    });

    for (const [from, to] of [
      ['sync', 'memsync'],
      ['memsync', 'sync'],
      ['async', 'memsync'],
    ] as const) {
      it(`switches from ${from} to ${to} under writes, and the pair stays equal`, async () => {
        const { pair } = await gatedPair(from);
        const endings = new Endings();
        for (let at = 0; at < 40; at += 1) {
          pair.mirror('alpha').write((at % 5) * block, pattern(block, at + 1), {}, endings.next());
          if (at === 20) void pair.mirror('alpha').setProtocol(to);
          await pair.clock.runFor(2);
        }
        await pair.clock.runFor(20 * delayMs);
        expect(endings.codes).to.deep.equal(new Array(40).fill('done'));
        expect(pair.mirror('alpha').state().protocol).to.equal(to);
        expect(pair.identical).to.equal(true);
      });
    }

    it('counts on the node that serves, whatever the other is configured with', async () => {
      const { pair } = await gatedPair('sync');
      await pair.clock.settled(pair.mirror('alpha').setProtocol('async'), 1_000, 'the switch');
      const { connectionId } = pair.mirror('alpha').state();
      pair.link.break();
      await pair.until(() => whole(pair) && pair.mirror('alpha').state().connectionId !== connectionId, 'the new connection');
      await pair.clock.runFor(4 * delayMs);
      expect(pair.mirror('beta').state().protocol).to.equal('async');
      const { handedOver } = await pair.clock.settled(pair.mirror('alpha').demote(), 5_000, 'the end of serving');
      expect(handedOver).to.equal(true);
      await pair.clock.settled(pair.mirror('beta').promote({ epoch: { number: 2, owner: 'beta' }, alone: false }), 5_000, 'the promotion');
      await pair.until(() => pair.mirror('beta').state().role === 'source', 'the new direction');
      await pair.clock.runFor(10 * delayMs);
      expect(pair.mirror(other('beta')).state().protocol).to.equal('sync');
      expect(pair.mirror('alpha').snapshot().metadata.mayBeAhead).to.equal(false);
    });
  });

  describe('reads', () => {
    it('show by async what is acknowledged, and never what is under way', async () => {
      const { pair, gates } = await gatedPair('async');
      gates.beta.shut();
      await pair.write('alpha', 0, pattern(block, 1));
      expect(await pair.read('alpha', 0, block)).to.deep.equal(pattern(block, 1));
      gates.alpha.shut();
      const endings = new Endings();
      pair.mirror('alpha').write(0, pattern(block, 2), {}, endings.next());
      pair.mirror('alpha').read(0, new Uint8Array(block), endings.next());
      await pair.clock.runFor(10 * delayMs);
      expect(endings.codes).to.deep.equal([null, null]);
      gates.alpha.open();
      expect(endings.codes).to.deep.equal(['done', 'done']);
    });
  });
});
