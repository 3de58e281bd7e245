import { commands } from '../../../src/net-disk/protocol.ts';
import type { SeededRandom } from '../../../src/testing/seeded-random.ts';
import { request } from '../../net-disk/support/nbd-bytes.ts';
import { NbdClient } from '../../net-disk/support/nbd-client.ts';

const blockBytes = 4096;
const depth = 16;
const simpleReplyBytes = 16;

/** What became of the writes to one block. */
interface BlockHistory {
  /** Numbers of the writes to it, in order; the block is full of one of them. */
  readonly issued: number[];
  /** The latest that was acknowledged; 0: none. */
  acknowledged: number;
}

/** A client that writes numbered blocks at random, never two to one block at a time, and remembers what was acknowledged. */
export class AcknowledgedWrites {
  readonly #random: SeededRandom;
  readonly #blocks: Map<number, BlockHistory> = new Map();
  readonly #blockCount: number;
  acknowledged = 0;

  constructor(random: SeededRandom, sizeBytes: number) {
    this.#random = random;
    this.#blockCount = Math.floor(sizeBytes / blockBytes);
  }

  /** Writes until the server is gone; resolves to when that is, once the client may write. */
  async begin(socket: string): Promise<{ readonly ended: Promise<void> }> {
    const client = await NbdClient.using({ path: socket }, 'm0');
    return { ended: this.#write(client) };
  }

  async #write(client: NbdClient): Promise<void> {
    const underWay = new Map<bigint, { readonly block: number; readonly number: number }>();
    for (let number = 1; ; number += 1) {
      const block = this.#freeBlock([...underWay.values()].map((each) => each.block));
      const history = this.#blocks.get(block) ?? { issued: [], acknowledged: 0 };
      this.#blocks.set(block, history);
      history.issued.push(number);
      underWay.set(BigInt(number), { block, number });
      client.send(request(commands.write, { cookie: BigInt(number), offsetBytes: block * blockBytes, payload: contentOf(number) }));
      if (underWay.size < depth) continue;
      try {
        const { cookie, error } = await client.reply(simpleReplyBytes);
        const written = underWay.get(cookie);
        if (!written || error !== 0) return;
        underWay.delete(cookie);
        this.#blocks.get(written.block)!.acknowledged = written.number;
        this.acknowledged += 1;
      } catch {
        return;
      }
    }
  }

  /** Reads all of it through another server; names the blocks that hold less than was acknowledged. */
  async lost(socket: string): Promise<string[]> {
    const client = await NbdClient.using({ path: socket }, 'm0');
    const lost: string[] = [];
    for (const [block, { issued, acknowledged }] of this.#blocks) {
      client.send(request(commands.read, { cookie: 1n, offsetBytes: block * blockBytes, lengthBytes: blockBytes }));
      const { data } = await client.reply(28 + blockBytes);
      const may = issued.filter((number) => number >= acknowledged);
      const holds = may.some((number) => Buffer.compare(data, contentOf(number)) === 0);
      // What was never acknowledged may be there or not.
      if (!holds && acknowledged > 0) lost.push(`block ${String(block)} lacks write ${String(acknowledged)}`);
    }
    client.send(request(commands.disconnect, { cookie: 2n }));
    await client.end();
    return lost;
  }

  #freeBlock(taken: readonly number[]): number {
    for (;;) {
      const block = this.#random.below(this.#blockCount);
      if (!taken.includes(block)) return block;
    }
  }
}

function contentOf(number: number): Uint8Array {
  const words = new Uint32Array(blockBytes / 4).fill(number);
  return new Uint8Array(words.buffer);
}
