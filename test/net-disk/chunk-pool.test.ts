import { expect } from 'chai';

import type { BlockDevice, Done } from '../../src/device/block-device.ts';
import { MemoryDevice } from '../../src/device/memory.ts';
import { ChunkHold, ChunkPool } from '../../src/net-disk/chunk-pool.ts';
import { commands } from '../../src/net-disk/protocol.ts';
import { LoneSession } from './support/lone-session.ts';
import { bytesOf, request } from './support/nbd-bytes.ts';

const kibibyte = 2 ** 10;
const mebibyte = 2 ** 20;
const chunkBytes = 256 * kibibyte;
const windowBytes = mebibyte;
const limits = { requestBytes: 64 * kibibyte, windowBytes };
/** What a connection may have of the pool beside its window. */
const besideBytes = 8 * chunkBytes;
/** Of a disk that holds what is asked at its beginning. */
const held = 0;
const atOnce = mebibyte / 2;

/** A disk that holds what is asked at its beginning until the test lets it go, and carries out the rest at once. */
class PartlyHeldDevice extends MemoryDevice {
  readonly held: (() => void)[] = [];

  override read(offsetBytes: number, into: Uint8Array, done: Done): void {
    this.#orHold(offsetBytes, () => super.read(offsetBytes, into, done));
  }

  override write(...[offsetBytes, from, options, done]: Parameters<BlockDevice['write']>): void {
    this.#orHold(offsetBytes, () => super.write(offsetBytes, from, options, done));
  }

  #orHold(offsetBytes: number, run: () => void): void {
    if (offsetBytes < atOnce) this.held.push(run);
    else run();
  }
}

/** Feeds a burst again and again while nothing that is held ends, then lets it end; returns how many bursts were taken before. */
async function burstsTaken(lone: LoneSession, device: PartlyHeldDevice, burst: Uint8Array, bursts: number): Promise<number> {
  let taken = 0;
  let fed = 0;
  for (let idle = 0; taken < bursts && idle < 3;) {
    const bytes = lone.feed(burst.subarray(fed));
    fed = (fed + bytes) % burst.byteLength;
    if (bytes > 0 && fed === 0) taken += 1;
    await lone.clock.runFor(0);
    idle = bytes > 0 ? 0 : idle + 1;
  }
  for (const letGo of device.held.splice(0)) letGo();
  await lone.clock.runFor(0);
  return taken;
}

describe('Memory of the connections of a net disk', () => {
  it('counts what is used of a chunk, and all of it once the connection goes on in another', () => {
    const pool = new ChunkPool({ chunkBytes, keptBytes: 4 * chunkBytes });
    const hold = new ChunkHold(pool);
    const first = hold.current;
    hold.use(512);
    hold.use(1_024);
    expect(hold.heldBytes).to.equal(1_536);
    hold.release(first, 1_024);
    expect(hold.heldBytes).to.equal(512);
    hold.turnOver(pool.take());
    expect(hold.heldBytes).to.equal(chunkBytes);
    hold.use(2_048);
    const whole = hold.takeWhole();
    expect(hold.heldBytes).to.equal(2 * chunkBytes + 2_048);
    hold.release(first, 512);
    hold.release(whole, chunkBytes / 2);
    expect(hold.heldBytes).to.equal(2_048);
    hold.release(hold.current, 2_048);
    expect(hold.heldBytes).to.equal(0);
    expect([pool.take(), pool.take()]).to.have.members([first, whole]);
  });

  const bursts = {
    writes: bytesOf(
      request(commands.write, { cookie: 1n, offsetBytes: held, payload: new Uint8Array(512) }),
      ...Array.from({ length: 9_500 }, () => request(commands.cache, { cookie: 2n, offsetBytes: 0, lengthBytes: 512 })),
    ),
    reads: bytesOf(
      request(commands.read, { cookie: 1n, offsetBytes: held, lengthBytes: 512 }),
      ...Array.from({ length: 4 }, () => request(commands.read, { cookie: 2n, offsetBytes: atOnce, lengthBytes: 64 * kibibyte - 512 })),
    ),
  };
  for (const [what, burst] of Object.entries(bursts))
    it(`keeps no more than a window and eight chunks where small ${what} wait, each in a chunk that is full of what was answered`, async () => {
      const device = new PartlyHeldDevice({ sizeBytes: mebibyte });
      const lone = LoneSession.using(device, { limits, chunkBytes });
      expect(await burstsTaken(lone, device, burst, 100)).to.be.within(2, 20);
      expect(lone.pool.mostLentBytes).to.be.at.most(windowBytes + besideBytes);
      expect(lone.pool.lentBytes).to.be.at.most(3 * chunkBytes);
      expect(lone.stopped).to.equal(false);
    });
});
