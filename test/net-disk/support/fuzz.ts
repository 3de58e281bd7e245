import type { AllocationPiece, BlockDevice, Done } from '../../../src/device/block-device.ts';
import { MemoryDevice } from '../../../src/device/memory.ts';
import { baseAllocation, commandFlags, commands, options } from '../../../src/net-disk/protocol.ts';
import { SeededRandom } from '../../../src/testing/seeded-random.ts';
import { LoneSession } from './lone-session.ts';
import { bytesOf, clientFlags, go, named, option, request } from './nbd-bytes.ts';

const sizeBytes = 2 ** 20;
const requestBytes = 65_536;
const limits = { requestBytes, windowBytes: 4 * requestBytes, requests: 16 };

/** What a number of hostile sessions came to. */
export interface FuzzReport {
  readonly sessions: number;
  readonly bytes: number;
  /** Sessions that the server ended because of what came. */
  readonly hungUp: number;
  readonly requests: number;
}

/** A disk that knows what it was asked, and insists that it is asked for what it has. */
class AskedDevice extends MemoryDevice {
  asked = 0;

  override read(...[offsetBytes, into, done]: Parameters<BlockDevice['read']>): void {
    this.#note(offsetBytes, into.byteLength);
    super.read(offsetBytes, into, done);
  }

  override write(...[offsetBytes, from, how, done]: Parameters<BlockDevice['write']>): void {
    this.#note(offsetBytes, from.byteLength);
    super.write(offsetBytes, from, how, done);
  }

  override writeZeroes(...[offsetBytes, lengthBytes, how, done]: Parameters<BlockDevice['writeZeroes']>): void {
    this.#note(offsetBytes, 0, lengthBytes);
    super.writeZeroes(offsetBytes, lengthBytes, how, done);
  }

  allocation(offsetBytes: number, lengthBytes: number, mostPieces: number): readonly AllocationPiece[] {
    this.#note(offsetBytes, 0, lengthBytes);
    const firstBytes = Math.min(lengthBytes, 512);
    const pieces = [
      { lengthBytes: firstBytes, hole: true },
      { lengthBytes: lengthBytes - firstBytes, hole: false },
    ];
    return pieces.filter((piece) => piece.lengthBytes > 0).slice(0, mostPieces);
  }

  override flush(done: Done): void {
    this.asked += 1;
    super.flush(done);
  }

  #note(offsetBytes: number, carriedBytes: number, lengthBytes: number = carriedBytes): void {
    this.asked += 1;
    if (carriedBytes > requestBytes) throw new Error(`${String(carriedBytes)} bytes at once`);
    if (offsetBytes < 0 || offsetBytes + lengthBytes > this.sizeBytes)
      throw new Error(`asked for ${String(lengthBytes)} at ${String(offsetBytes)}`);
  }
}

/** A well-behaved session, as one run of bytes. */
function recording(random: SeededRandom): Uint8Array {
  const contexts = bytesOf(named('d'), [32, 1], named(baseAllocation));
  const haggling = [
    ...[clientFlags, option(options.structuredReply), option(options.list), option(options.setMetaContext, contexts)],
    random.below(4) === 0 ? option(options.exportName, bytesOf('d')) : go('d', [1, 2]),
  ];
  const requests = Array.from({ length: 1 + random.below(12) }, (_, index) => anyRequest(random, BigInt(index)));
  return bytesOf(...haggling, ...requests, request(commands.disconnect, { cookie: 99n }));
}

function anyRequest(random: SeededRandom, cookie: bigint): Uint8Array {
  const offsetBytes = 512 * random.below(sizeBytes / 512);
  const lengthBytes = 512 * (1 + random.below(8));
  const flags = random.below(3) === 0 ? commandFlags.fua : 0;
  const command =
    [commands.read, commands.write, commands.flush, commands.writeZeroes, commands.cache, commands.blockStatus][random.below(6)] ??
    commands.read;
  if (command === commands.write) return request(command, { cookie, flags, offsetBytes, payload: random.bytes(lengthBytes) });
  return request(command, command === commands.flush ? { cookie, flags } : { cookie, flags, offsetBytes, lengthBytes });
}

/** Bytes changed, left out, repeated or put in, or another length where one might stand. */
function mutated(bytes: Uint8Array, random: SeededRandom): Uint8Array {
  let result: Uint8Array = bytes.slice();
  for (let left = 1 + random.below(4); left > 0; left -= 1) {
    const at = random.below(result.byteLength);
    const kind = random.below(5);
    if (kind === 0) result[at] = random.below(256);
    else if (kind === 1) result = result.slice(0, at);
    else if (kind === 2) result = bytesOf(result.subarray(0, at), random.bytes(random.below(64)), result.subarray(at));
    else if (kind === 3) result = bytesOf(result.subarray(0, at), result.subarray(at + random.below(32)));
    else if (at + 4 <= result.byteLength)
      new DataView(result.buffer, result.byteOffset).setUint32(
        at,
        [0, 1, 0xffff_ffff, 0x8000_0000, 2 ** 20, 0xffff_fe00][random.below(6)] ?? 0,
      );
    if (result.byteLength === 0) break;
  }
  return result;
}

/** Feeds mutated sessions to a server; throws where it crashes, asks its device for what that does not have, or neither goes on nor ends. */
export async function fuzzSessions(seed: number, sessions: number): Promise<FuzzReport> {
  const random = new SeededRandom(seed);
  const report = { sessions, bytes: 0, hungUp: 0, requests: 0 };
  for (let count = 0; count < sessions; count += 1) {
    const device = new AskedDevice({ sizeBytes });
    const lone = new LoneSession({ exports: [{ name: 'd', device }], limits, chunkBytes: 256 * 1024 });
    lone.slow = random.below(3) === 0;
    const bytes = mutated(recording(random), random);
    for (let at = 0; at < bytes.byteLength && lone.wireEnded === null;) {
      const taken = lone.feed(bytes.subarray(at, at + 1 + random.below(5_000)));
      at += taken;
      if (taken > 0) continue;
      lone.drain();
      await lone.clock.runFor(1);
      if (lone.stopped) throw new Error(`seed ${String(seed)}, session ${String(count)}: it takes nothing any more`);
    }
    lone.drain();
    lone.session.lost();
    report.bytes += bytes.byteLength;
    report.hungUp += lone.wireEnded === 'destroy' ? 1 : 0;
    report.requests += device.asked;
  }
  return report;
}
