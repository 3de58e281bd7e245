import path from 'node:path';

import { expect } from 'chai';

import { sleep } from '../../src/clock/clock.ts';
import { systemClock } from '../../src/clock/system-clock.ts';
import { devicePromises } from '../../src/device/promises.ts';
import type { DevicePromises } from '../../src/device/promises.ts';
import { HotMirrorError } from '../../src/errors.ts';
import type { NetDiskDeviceLimits } from '../../src/net-disk/client-limits.ts';
import { pauseBeforeMs } from '../../src/net-disk/kept-connection.ts';
import { NetDiskDevice } from '../../src/net-disk/net-disk-device.ts';
import type { NetDiskServerNews } from '../../src/net-disk/net-disk-device.ts';
import { commands, errors, optionReplies, transmissionFlags } from '../../src/net-disk/protocol.ts';
import { temporaryFolder } from '../device/temporary-folder.ts';
import { ScriptedServer } from './support/scripted-server.ts';
import type { ServerRequest } from './support/scripted-server.ts';

const sizeBytes = 64 * 1024;
const block = 512;
const filled = (value: number, lengthBytes = block): Uint8Array => new Uint8Array(lengthBytes).fill(value);
/** Tests don't wait for long: what should not come about has so much time. */
const soonMs = 400;
const short: Partial<NetDiskDeviceLimits> = { silenceMs: 200, reconnectMs: 600, connectDeadlineMs: 300 };

const codeOf = (promise: Promise<unknown>): Promise<string> =>
  promise.then(
    () => 'none',
    (error: unknown) => (error instanceof HotMirrorError ? error.code : String(error)),
  );

async function until(fits: () => boolean): Promise<void> {
  while (!fits()) await sleep(systemClock, 5);
}

describe('A net disk whose server goes away', () => {
  let folder: Awaited<ReturnType<typeof temporaryFolder>>;
  let server: ScriptedServer;
  const disks: NetDiskDevice[] = [];
  const socket = (): string => path.join(folder.path, 'd');
  /** What the disk has told of its server. */
  const told: string[] = [];
  const onServer = ({ state, because }: NetDiskServerNews): void => void told.push(because ? `${state}: ${because.code}` : state);
  const opened = async (limits: Partial<NetDiskDeviceLimits> = {}): Promise<DevicePromises> => {
    const disk = await NetDiskDevice.open(`nbd+unix:///d?socket=${socket()}`, { clock: systemClock, limits, onServer });
    disks.push(disk);
    return devicePromises(disk);
  };
  const changes = (): readonly string[] => server.log.filter((line) => /^[wzt]/u.test(line));

  beforeEach(async () => {
    told.length = 0;
    folder = await temporaryFolder();
    server = await ScriptedServer.listen(socket(), sizeBytes);
  });

  afterEach(async () => {
    await server.stop();
    for (const disk of disks.splice(0)) await disk.close();
    await folder.remove();
  });

  describe('tells of it', () => {
    it('at once, though nobody asks anything of it, and once it is back', async () => {
      await opened();
      await server.stop();
      await until(() => told.length > 0);
      expect(told).to.deep.equal(['lost: HM_CONNECTION_LOST']);
      server = await ScriptedServer.listen(socket(), sizeBytes);
      await until(() => told.length > 1);
      expect(told).to.deep.equal(['lost: HM_CONNECTION_LOST', 'returned']);
    });

    it('as back once it has done something, and not where it is only connected', async () => {
      const use = await opened();
      server.instead = ({ connection, drop }) => {
        if (connection < 3) drop();
        return connection < 3;
      };
      await use.read(0, block);
      expect(server.connections).to.equal(3);
      expect(told).to.deep.equal(['lost: HM_CONNECTION_LOST', 'returned']);
    });

    it('where it is silent, and where it says that it goes', async () => {
      const use = await opened(short);
      let asked = 0;
      server.instead = ({ reply }) => {
        asked += 1;
        if (asked === 1) reply(errors.ESHUTDOWN);
        return asked < 3;
      };
      await use.read(0, block);
      expect(told).to.deep.equal(['lost: HM_CONNECTION_LOST', 'returned']);
    });

    it('as failed where it stays away, or comes back as another, and no more after that', async () => {
      const use = await opened(short);
      await server.stop();
      const error = (await use.flush().catch((cause: unknown) => cause)) as HotMirrorError;
      expect(error.code).to.equal('HM_IO_FLUSH');
      expect((error.cause as HotMirrorError).details?.['remedy'])
        .to.contain('not dialled again')
        .and.to.contain('init --force --blank');
      expect(told).to.deep.equal(['lost: HM_CONNECTION_LOST', 'failed: HM_CONNECT_FAILED']);
      server = await ScriptedServer.listen(socket(), sizeBytes);
      await sleep(systemClock, soonMs);
      expect(told).to.have.lengthOf(2);
    });

    it('as failed, and not first as lost, where it cannot be known what it still does', async () => {
      const use = await opened();
      server.instead = ({ command, reply }) => {
        if (command === commands.read) [0, 1].forEach(() => reply(0, filled(1)));
        return true;
      };
      const writing = codeOf(use.write(0, filled(1)));
      await use.read(block, block);
      expect(await writing).to.equal('HM_IO_WRITE');
      expect(told).to.deep.equal(['failed: HM_CONNECTION_LOST']);
    });

    it('not where it is closed, nor where a listener throws', async () => {
      const disk = await NetDiskDevice.open(`nbd+unix:///d?socket=${socket()}`, {
        clock: systemClock,
        onServer: (news) => {
          onServer(news);
          throw new Error('a listener');
        },
      });
      server.cut();
      await until(() => told.length === 2);
      await disk.close();
      await server.stop();
      await sleep(systemClock, soonMs / 8);
      expect(told).to.deep.equal(['lost: HM_CONNECTION_LOST', 'returned']);
    });
  });

  describe('closed meanwhile', () => {
    it('connects no more, and writes nothing over what another device wrote', async () => {
      const use = await opened();
      await use.write(0, filled(1));
      await server.stop();
      // It has noticed, and dials.
      await sleep(systemClock, soonMs / 8);
      await disks[0]!.close();
      server = await ScriptedServer.listen(socket(), sizeBytes);
      const next = await opened();
      await next.write(0, filled(2));
      await sleep(systemClock, soonMs);
      expect([server.disk[0], server.connections, server.clients]).to.deep.equal([2, 1, 1]);
    });

    it('waits for what it repeats already, and for no more', async () => {
      const use = await opened();
      for (let at = 0; at < 200; at += 1) await use.write((at % 128) * block, filled(at));
      const held: ServerRequest[] = [];
      server.instead = (request) => held.push(request) > 0;
      server.cut();
      await until(() => held.length > 0);
      const before = held.length;
      let closed = false;
      const closing = disks[0]!.close().then(() => (closed = true));
      await sleep(systemClock, soonMs / 4);
      expect(closed).to.equal(false);
      for (const request of held) request.reply(0);
      await closing;
      expect(held).to.have.lengthOf(before);
    });
  });

  describe('and may have lost what it had completed', () => {
    it('gets it again before anything else, each range as it was last, with its flags', async () => {
      const use = await opened();
      await use.write(0, filled(1, 4 * block));
      await use.writeZeroes(block, block, { noHole: true } as object);
      await use.trim(2 * block, block);
      await use.write(0, filled(2), { fua: true });
      await use.write(8 * block, filled(3));
      server.instead = ({ drop }) => {
        server.crash();
        drop();
        server.instead = () => false;
        return true;
      };
      server.log.length = 0;
      await use.write(3 * block, filled(4), { fua: true });
      expect(server.log).to.deep.equal(['w4@1536fua', 'w1@1536', 'z@512solid', 't@1024', 'w3@4096', 'w4@1536fua']);
      expect([0, 1, 3, 8].map((at) => server.disk[at * block])).to.deep.equal([2, 0, 4, 3]);
    });

    it('is not flushed before it has it again', async () => {
      const use = await opened();
      await use.write(0, filled(1));
      let repeated: ServerRequest | null = null;
      server.instead = (request) => {
        if (request.command === commands.write) repeated = request;
        return request.command === commands.write;
      };
      server.crash();
      let flushed = false;
      const flushing = use.flush().then(() => (flushed = true));
      await until(() => repeated !== null);
      await sleep(systemClock, soonMs / 4);
      expect([flushed, server.log.at(-1)]).to.deep.equal([false, 'w1@0']);
      repeated!.reply(0, server.carryOut(repeated!));
      await flushing;
      expect(server.durable[0]).to.equal(1);
    });

    it('fails for good where it does not take it again', async () => {
      const use = await opened();
      await use.write(0, filled(1));
      server.instead = ({ reply }) => {
        reply(errors.EIO);
        return true;
      };
      server.crash();
      expect(await codeOf(use.read(0, block))).to.equal('HM_IO_READ');
      server.instead = () => false;
      expect(await codeOf(use.flush())).to.equal('HM_IO_FLUSH');
    });
  });

  describe('and says nothing', () => {
    it('is left where it owes only what is read, also in the middle of it', async () => {
      const use = await opened(short);
      await use.write(0, filled(7));
      server.instead = ({ command, reply }) => {
        if (command === commands.read) reply(0, filled(9, 100));
        return command === commands.read;
      };
      const reading = use.read(0, block);
      await until(() => server.log.includes('r@0'));
      server.instead = () => false;
      expect(await reading).to.deep.equal(filled(7));
      expect(server.connections).to.equal(2);
    });

    it('is waited for where it owes changes; and fails for good where it does not answer, for it may still carry them out', async () => {
      const use = await opened(short);
      let late: ServerRequest | null = null;
      server.instead = (request) => {
        late ??= request;
        return true;
      };
      const begun = systemClock.nowMs();
      expect(await codeOf(use.write(0, filled(1)))).to.equal('HM_IO_WRITE');
      expect(systemClock.nowMs() - begun).to.be.lessThan(5_000);
      server.instead = () => false;
      server.carryOut(late!);
      expect(await codeOf(use.write(0, filled(2)))).to.equal('HM_IO_WRITE');
      expect([server.connections, server.disk[0]]).to.deep.equal([1, 1]);
    });

    it('gets nothing of it later that the system still had to send', async () => {
      const remote = await ScriptedServer.listen(null, sizeBytes);
      try {
        const disk = await NetDiskDevice.open(`nbd://127.0.0.1:${String(remote.port)}/d`, { clock: systemClock, limits: short });
        disks.push(disk);
        const use = devicePromises(disk);
        await use.write(0, filled(1), { fua: true });
        remote.instead = () => true;
        expect(await codeOf(use.write(0, filled(2)))).to.equal('HM_IO_WRITE');
        await until(() => remote.clients === 0);
        expect([remote.resets, remote.connections]).to.deep.equal([1, 1]);
      } finally {
        await remote.stop();
      }
    });

    it('goes on by another connection once it has answered its changes', async () => {
      const use = await opened({ ...short, reconnectMs: 5_000 });
      const held: ServerRequest[] = [];
      server.instead = (request) => held.push(request) > 0;
      const writing = use.write(0, filled(1));
      // The second is what asks whether its machine still knows the connection.
      await until(() => held.length > 1);
      const next = use.write(0, filled(2));
      server.instead = () => false;
      held[0]!.reply(0, server.carryOut(held[0]!));
      await Promise.all([writing, next]);
      expect([server.connections, server.disk[0]]).to.deep.equal([2, 2]);
    });

    it('is asked for nothing more over that connection, also of a write in many requests', async () => {
      server.blocks = [512, 512, 512];
      const use = await opened({ ...short, reconnectMs: 5_000 });
      const held: ServerRequest[] = [];
      server.instead = (request) => held.push(request) > 0;
      const writing = use.write(0, filled(1, 20 * block));
      await until(() => held.at(-1)?.command === commands.read);
      server.instead = () => false;
      server.log.length = 0;
      for (const request of held) request.reply(0, server.carryOut(request));
      await writing;
      expect([held.length, changes().length, server.connections]).to.deep.equal([9, 20, 2]);
    });

    it('is noticed while it gets again what it may have lost, and fails for good', async () => {
      const use = await opened(short);
      await use.write(0, filled(1));
      server.instead = () => true;
      server.cut();
      expect(await codeOf(use.write(block, filled(2)))).to.equal('HM_IO_WRITE');
    });
  });

  it('fails at once, and is not dialled again, where the connection ends in another way while it owes changes', async () => {
    const use = await opened();
    server.instead = ({ command, reply }) => {
      // It answers a read twice: what comes second nobody has asked.
      if (command === commands.read) [0, 1].forEach(() => reply(0, filled(1)));
      return true;
    };
    const writing = codeOf(use.write(0, filled(1)));
    await use.read(block, block);
    expect(await writing).to.equal('HM_IO_WRITE');
    await sleep(systemClock, soonMs / 4);
    expect(server.connections).to.equal(1);
  });

  describe('again and again', () => {
    it('fails for good once it has completed nothing for long, however often it answers a dial', async () => {
      const use = await opened(short);
      server.instead = ({ drop }) => {
        drop();
        return true;
      };
      expect(await codeOf(use.write(0, filled(1)))).to.equal('HM_IO_WRITE');
      expect(server.connections).to.be.within(2, 8);
    });

    it('has all its time anew after it has completed something', async () => {
      const use = await opened({ ...short, reconnectMs: 1_000 });
      let odd = false;
      server.instead = ({ command, drop }) => {
        odd = !odd && command === commands.read;
        if (odd) drop();
        return odd;
      };
      const endMs = systemClock.nowMs() + 2_000;
      while (systemClock.nowMs() < endMs) await use.read(0, block);
      expect(server.connections).to.be.greaterThan(10);
    });

    it('is dialled no more often where nobody waits for it', async () => {
      await opened();
      server.curt = true;
      server.cut();
      await sleep(systemClock, 2 * soonMs);
      expect(server.connections).to.be.within(3, 6);
      server.curt = false;
      expect(await devicePromises(disks[0]!).read(0, block)).to.deep.equal(filled(0));
    });

    it('is dialled less and less often, and at least every two seconds', () => {
      expect([0, 1, 2, 3, 5, 6, 1_000].map(pauseBeforeMs)).to.deep.equal([0, 100, 200, 400, 1_600, 2_000, 2_000]);
    });
  });

  describe('in order', () => {
    it('is asked again where it said ESHUTDOWN', async () => {
      const use = await opened();
      server.instead = ({ connection, reply }) => {
        if (connection === 1) reply(errors.ESHUTDOWN);
        return connection === 1;
      };
      await Promise.all([use.write(0, filled(1)), use.write(block, filled(2)), use.flush()]);
      expect([server.durable[0], server.durable[block], server.connections]).to.deep.equal([1, 2, 2]);
    });

    it('may know the export only later, or shut down while it is dialled', async () => {
      const use = await opened({ reconnectMs: 10_000 });
      server.refusal = optionReplies.unknown;
      server.cut();
      const writing = use.write(0, filled(1));
      await until(() => server.connections > 2);
      server.refusal = optionReplies.shutdown;
      await until(() => server.connections > 3);
      server.refusal = 0;
      await writing;
      expect(server.disk[0]).to.equal(1);
    });
  });

  describe('and comes back as another', () => {
    for (const [what, change, code] of [
      ['smaller', (): unknown => (server.sizeBytes = sizeBytes / 2), 'HM_ELEMENT_TOO_SMALL'],
      ['read-only', (): unknown => (server.flags |= transmissionFlags.readOnly), 'HM_DEVICE_ACCESS'],
      ['without FLUSH', (): unknown => (server.flags &= ~transmissionFlags.sendFlush), 'HM_NOT_SUPPORTED'],
      ['with larger blocks', (): unknown => (server.blocks = [4096, 4096, 65_536]), 'HM_NOT_SUPPORTED'],
    ] as const)
      it(`fails for good, and has nothing written to it: ${what}`, async () => {
        const use = await opened();
        await use.write(0, filled(1));
        change();
        server.cut();
        server.log.length = 0;
        const error = await use.write(0, filled(2)).catch((cause: unknown) => cause as HotMirrorError);
        expect((error as HotMirrorError).code).to.equal('HM_IO_WRITE');
        expect(((error as HotMirrorError).cause as HotMirrorError).code).to.equal(code);
        expect(changes()).to.deep.equal([]);
      });

    it('goes on where it has grown', async () => {
      const use = await opened();
      server.sizeBytes += block;
      server.cut();
      await use.write(0, filled(1));
      expect(disks[0]!.sizeBytes).to.equal(sizeBytes);
    });
  });
});
