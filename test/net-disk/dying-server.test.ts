import path from 'node:path';

import { expect } from 'chai';

import type { Clock } from '../../src/clock/clock.ts';
import { systemClock } from '../../src/clock/system-clock.ts';
import { devicePromises } from '../../src/device/promises.ts';
import type { DevicePromises } from '../../src/device/promises.ts';
import { NetDiskDevice } from '../../src/net-disk/net-disk-device.ts';
import { commands } from '../../src/net-disk/protocol.ts';
import { SeededRandom } from '../../src/testing/seeded-random.ts';
import { temporaryFolder } from '../device/temporary-folder.ts';
import { ScriptedServer } from './support/scripted-server.ts';

const block = 512;
const blocks = 8;
const patienceMs = 1_000_000;

describe('A net disk whose server dies at random', function () {
  this.timeout(60_000);

  it('loses nothing, and never has something older written over what is durable', async () => {
    // The pauses between attempts are what takes time.
    const clock: Clock = { ...systemClock, timer: (delayMs, fire) => systemClock.timer(delayMs / 100, fire) };
    const limits = { connectDeadlineMs: patienceMs, silenceMs: patienceMs, reconnectMs: patienceMs };
    const folder = await temporaryFolder();
    const socket = path.join(folder.path, 'd');
    const server = await ScriptedServer.listen(socket, blocks * block);
    try {
      for (let seed = 1; seed <= 20; seed += 1) {
        const disk = await NetDiskDevice.open(`nbd+unix:///d?socket=${socket}`, { clock, limits });
        await dieAtRandom(new SeededRandom(seed), server, devicePromises(disk));
        await disk.close();
      }
    } finally {
      await server.stop();
      await folder.remove();
    }
  });
});

/** Writes with versions while the server dies at random moments, with or without having done what it did not answer. */
async function dieAtRandom(random: SeededRandom, server: ScriptedServer, use: DevicePromises): Promise<void> {
  let version = 0;
  const newest = new Array<number>(blocks).fill(0);
  const durable = new Array<number>(blocks).fill(0);
  const of = (bytes: Uint8Array): number => bytes[0]! * 256 + bytes[1]!;
  const rolledBack: string[] = [];
  server.instead = (request) => {
    if (request.command === commands.write)
      for (let at = 0; at < request.lengthBytes; at += block)
        if (of(request.payload.subarray(at)) < durable[(request.offsetBytes + at) / block]!) rolledBack.push(server.log.at(-1)!);
    if (random.below(8) > 0) return false;
    if (random.below(2) > 0) server.carryOut(request);
    server.crash();
    return true;
  };
  for (let round = 0; round < 25; round += 1) {
    const flushed = [...newest];
    const requests = Array.from({ length: 1 + random.below(6) }, async () => {
      if (random.below(5) === 0) {
        await use.flush();
        flushed.forEach((value, at) => (durable[at] = Math.max(durable[at]!, value)));
        return;
      }
      const first = random.below(blocks);
      const count = 1 + random.below(blocks - first);
      version += 1;
      const bytes = new Uint8Array(count * block).map((_, at) => (at % 2 === 0 ? version >> 8 : version & 255));
      const [mine, fua] = [version, random.below(4) === 0];
      for (let at = first; at < first + count; at += 1) newest[at] = mine;
      await use.write(first * block, bytes, { fua });
      if (fua) for (let at = first; at < first + count; at += 1) durable[at] = Math.max(durable[at]!, mine);
    });
    await Promise.all(requests);
  }
  server.crash();
  await use.flush();
  server.instead = () => false;
  expect(rolledBack).to.deep.equal([]);
  expect(newest.map((_, at) => of(server.durable.subarray(at * block)))).to.deep.equal(newest);
}
