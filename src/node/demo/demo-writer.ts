import { open } from 'node:fs/promises';

import type { Clock } from '../../clock/clock.ts';
import { sleep } from '../../clock/clock.ts';
import type { Random } from '../../clock/random.ts';
import type { DemoProcess } from './demo-process.ts';

const blockBytes = 4096;
const retryMs = 20;
const stampBytes = 8;

/** What may stand in a block: the last acknowledged write, or one of those that nobody answered since. */
interface Expected {
  acknowledged: bigint;
  readonly unanswered: Set<bigint>;
}

/** What the writer is made of. */
export interface DemoWriterOptions {
  readonly clock: Clock;
  readonly random: Random;
  /** Where it may write. */
  readonly roomAtBytes: number;
  readonly roomBytes: number;
  /** Writes at a time. */
  readonly depth: number;
  /** The process that serves now; null while nobody does. */
  readonly serving: () => DemoProcess | null;
}

/**
 * The client of a demonstration: writes numbered blocks to whoever serves, and remembers which were acknowledged to it.
 * A write counts as acknowledged when the answer reached this process; one that got no answer may or may not be there afterwards.
 */
export class DemoWriter {
  readonly #options: DemoWriterOptions;
  readonly #expected = new Map<number, Expected>();
  readonly #busy = new Set<number>();
  #number = 0n;
  #acknowledged = 0;
  #unanswered = 0;
  #lastAcknowledgedMs = -Infinity;
  #stopping = false;
  #running: Promise<unknown> = Promise.resolve();

  constructor(options: DemoWriterOptions) {
    this.#options = options;
  }

  get acknowledged(): number {
    return this.#acknowledged;
  }

  get unanswered(): number {
    return this.#unanswered;
  }

  /** When the last acknowledgement came. */
  get lastAcknowledgedMs(): number {
    return this.#lastAcknowledgedMs;
  }

  start(): void {
    this.#stopping = false;
    this.#running = Promise.all(Array.from({ length: this.#options.depth }, () => this.#write()));
  }

  /** Lets what is under way end. */
  async stop(): Promise<void> {
    this.#stopping = true;
    await this.#running;
  }

  /** Reads every block that was ever written from an element and counts acknowledged writes that are not there. */
  async lostIn(file: string): Promise<number> {
    const handle = await open(file);
    try {
      let lost = 0;
      const bytes = Buffer.alloc(blockBytes);
      for (const [block, expected] of this.#expected) {
        await handle.read(bytes, 0, blockBytes, this.#offsetOf(block));
        if (!holds(bytes, expected)) lost += 1;
      }
      return lost;
    } finally {
      await handle.close();
    }
  }

  async #write(): Promise<void> {
    const { clock, serving } = this.#options;
    while (!this.#stopping) {
      const process = serving();
      if (process) await this.#writeOnce(process);
      else await sleep(clock, retryMs);
    }
  }

  async #writeOnce(process: DemoProcess): Promise<void> {
    const block = this.#pickBlock();
    this.#number += 1n;
    const stamp = this.#number;
    const expected = this.#expected.get(block) ?? { acknowledged: 0n, unanswered: new Set<bigint>() };
    this.#expected.set(block, expected);
    this.#busy.add(block);
    expected.unanswered.add(stamp);
    try {
      await process.write(this.#offsetOf(block), blockOf(stamp));
      expected.acknowledged = stamp;
      expected.unanswered.clear();
      this.#acknowledged += 1;
      this.#lastAcknowledgedMs = this.#options.clock.nowMs();
    } catch {
      this.#unanswered += 1;
      await sleep(this.#options.clock, retryMs);
    } finally {
      this.#busy.delete(block);
    }
  }

  /** One write at a time to a block, so that the last acknowledged one is known. */
  #pickBlock(): number {
    const blocks = this.#options.roomBytes / blockBytes;
    for (;;) {
      const block = Math.floor(this.#options.random.fraction() * blocks);
      if (!this.#busy.has(block)) return block;
    }
  }

  #offsetOf(block: number): number {
    return this.#options.roomAtBytes + block * blockBytes;
  }
}

/** A block that says its number throughout, so that a torn one is found out. */
function blockOf(stamp: bigint): Uint8Array {
  return new Uint8Array(new BigUint64Array(blockBytes / stampBytes).fill(stamp).buffer);
}

function holds(bytes: Buffer, { acknowledged, unanswered }: Expected): boolean {
  const stamp = bytes.readBigUInt64LE(0);
  if (stamp !== acknowledged && !unanswered.has(stamp)) return false;
  return Buffer.compare(bytes, blockOf(stamp)) === 0;
}
