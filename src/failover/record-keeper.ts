import PQueue from 'p-queue';

import { compareEpochs } from '../epoch.ts';
import type { Epoch } from '../epoch.ts';
import { HotMirrorError } from '../errors.ts';
import type { PairRecord, PairRecordStore } from './pair-record.ts';

/** Changes and questions that may wait for their turn; more reject with `HM_BUSY`. */
const maxWaiting = 256;

/** Told after each durable change: what it was for, and the record before and after. */
export type RecordListener = (why: string, after: PairRecord, before: PairRecord) => void;

/**
 * The one way to the pair record of this node: changes take effect one after the other, each is durable before it counts, and a change that could
 * not be written never was. What must not happen at the same time as a change runs in {@link RecordKeeper.exclusively}.
 */
export class RecordKeeper {
  readonly #node: string;
  readonly #store: PairRecordStore;
  readonly #listener: RecordListener;
  readonly #queue = new PQueue({ concurrency: 1 });
  #record: PairRecord;
  /** The store holds a record, so that there is something to go back to. */
  #exists = false;
  #doubtful = false;

  /** `node` is this one. `initial` counts until {@link RecordKeeper.load} has found a record or the first change is written. */
  constructor(node: string, store: PairRecordStore, initial: PairRecord, listener: RecordListener) {
    this.#node = node;
    this.#store = store;
    this.#record = initial;
    this.#listener = listener;
  }

  /** What is durable now. */
  get record(): PairRecord {
    return this.#record;
  }

  /** Rejects as the store does: a node whose record is damaged must not start as if it had none. */
  async load(): Promise<void> {
    const loaded = await this.#store.load();
    this.#exists = loaded !== null;
    this.#record = loaded ?? this.#record;
  }

  /** A write failed, and a crash may bring back what it would have written: an epoch of this node, say, of which the other one never heard. */
  get doubtful(): boolean {
    return this.#doubtful;
  }

  /** Writes the record as it is where that is doubtful. */
  settle(): Promise<void> {
    return this.exclusively(async (record) => {
      if (!this.#doubtful) return;
      await this.#store.write(record);
      this.#doubtful = false;
    });
  }

  /**
   * Writes what `change` makes of the record; nothing when it gives the record back as it was. `change` runs when all earlier changes are durable,
   * directly before the write, and may throw to refuse.
   */
  change(why: string, change: (record: PairRecord) => PairRecord): Promise<PairRecord> {
    return this.exclusively((record) => this.#write(why, record, change(record)));
  }

  /** Runs `task` while no change can begin. It must not wait for a change itself. */
  exclusively<T>(task: (record: PairRecord) => Promise<T>): Promise<T> {
    if (this.#queue.size >= maxWaiting) return Promise.reject(new HotMirrorError('HM_BUSY', 'too many changes of the pair record wait'));
    return this.#queue.add(() => task(this.#record));
  }

  async #write(why: string, before: PairRecord, after: PairRecord): Promise<PairRecord> {
    if (after === before) return before;
    try {
      await this.#store.write(after);
    } catch (error) {
      if (this.#exists && claims(before, after, this.#node)) await this.#takeBack(before);
      // What makes this node yield is never undone: that it was written in part is to the good, and whoever asked for it asks again.
      else this.#doubtful = false;
      throw HotMirrorError.from(error, 'HM_STATE_UNWRITABLE', `the pair record could not be written (${why})`);
    }
    this.#exists = true;
    this.#doubtful = false;
    this.#record = after;
    this.#listener(why, after, before);
    return after;
  }

  async #takeBack(before: PairRecord): Promise<void> {
    try {
      await this.#store.write(before);
      this.#doubtful = false;
    } catch {
      // The write that failed is reported; this one is tried again.
      this.#doubtful = true;
    }
  }

  /** Resolves when nothing waits and nothing runs. */
  idle(): Promise<void> {
    return this.#queue.onIdle();
  }
}

/** Whether a change gives this node an epoch, or says that it is about to take one. */
function claims(before: PairRecord, after: PairRecord, node: string): boolean {
  const claimed = (epoch: Epoch | null, earlier: Epoch | null): boolean =>
    epoch !== null && epoch.owner === node && (earlier === null || compareEpochs(epoch, earlier) !== 'equal');
  return claimed(after.epoch, before.epoch) || claimed(after.intent, before.intent);
}
