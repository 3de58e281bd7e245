import type { Epoch } from '../../src/epoch.ts';

interface Write {
  readonly value: number;
  readonly node: string;
  readonly block: number;
  readonly issuedMs: number;
  /** Infinity until it is acknowledged, or its value has been seen. */
  seenMs: number;
}

/** What the application did and was told, and whether that is what one disk with one owner would have told it. */
export class History {
  /** What broke a rule, in words. */
  readonly problems: string[] = [];
  acknowledged = 0;
  readonly #writes: Write[] = [];
  #highest: Epoch = { number: 0, owner: '' };

  /** A write is issued, with a value that no other write has. */
  issue(node: string, block: number, nowMs: number): Write {
    const write = { value: this.#writes.length + 1, node, block, issuedMs: nowMs, seenMs: Infinity };
    this.#writes.push(write);
    return write;
  }

  acknowledge(write: Write, nowMs: number): void {
    write.seenMs = Math.min(write.seenMs, nowMs);
    this.acknowledged += 1;
  }

  /** A reply came from this node in this epoch: it must be the owner, and no later owner may have replied before. */
  replied(node: string, epoch: Epoch, what: string): void {
    const { number, owner } = epoch;
    const highest = this.#highest;
    if (owner !== node) this.problems.push(`${what} answered by ${node} in epoch ${number} of ${owner}`);
    if (number < highest.number || (number === highest.number && owner !== highest.owner))
      this.problems.push(
        `two owners: ${what} answered by ${node} in epoch ${number} of ${owner} after ${highest.number} of ${highest.owner}`,
      );
    if (number > highest.number) this.#highest = epoch;
  }

  /** A value was found in a block by a read from `fromMs` to `toMs`: no write acknowledged before may be missing. */
  found(block: number, value: number, fromMs: number, toMs: number, where: string): void {
    const writes = this.#writes.filter((write) => write.block === block);
    const write = writes.find((each) => each.value === value);
    if (value !== 0 && !write) {
      this.problems.push(`invented: ${where} found ${value} in block ${block}, which nobody wrote there`);
      return;
    }
    const seenMs = write?.seenMs ?? -1;
    const newer = writes.find((each) => each.issuedMs > seenMs && each.seenMs < fromMs);
    if (newer)
      this.problems.push(`lost: ${where} found ${value} in block ${block}, but ${newer.value} stood at ${newer.node} from ${newer.seenMs}`);
    // Once seen it counts as acknowledged: it may not vanish again.
    if (write && write.seenMs > toMs) write.seenMs = toMs;
  }
}
