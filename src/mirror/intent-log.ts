import type { BlockDevice } from '../device/block-device.ts';
import { HotMirrorError } from '../errors.ts';
import { regionsOf } from './activity-log.ts';
import type { ActivityLog } from './activity-log.ts';
import type { Counters } from './counters.ts';
import { flushElement } from './element-lifecycle.ts';
import type { ElementStore } from './element-store.ts';
import type { Request } from './request.ts';
import type { SourceSession } from './source.ts';

/** What the intent log is made of. */
export interface IntentLogOptions {
  readonly activity: ActivityLog;
  readonly store: ElementStore;
  readonly counters: Counters;
  /** Regions that the next writes need, at most as many as the log holds, whether or not they are in it; none while nothing may be issued. */
  readonly needed: () => ReadonlySet<number>;
  readonly device: BlockDevice;
  /** The connection to the peer; null while there is none. */
  readonly session: () => SourceSession | null;
  /** More regions are durable: waiting writes may go on. */
  readonly logged: () => void;
  readonly failed: (error: HotMirrorError) => void;
}

/**
 * Keeps the durable activity log ahead of the writes (rule write.intent): one metadata write serves every write that waits, and a full log makes room
 * by flushing both elements.
 */
export class IntentLog {
  readonly #options: IntentLogOptions;
  #running = false;
  #finished: (() => void)[] = [];
  #flushes: (() => void)[] = [];

  constructor(options: IntentLogOptions) {
    this.#options = options;
  }

  /** Makes what is wanted durable; tells by `logged`. */
  log(): void {
    if (this.#running) return;
    this.#running = true;
    this.#run().then(
      () => {
        this.#running = false;
        this.#options.logged();
      },
      (error: unknown) => {
        this.#running = false;
        this.#options.failed(HotMirrorError.from(error, 'HM_STATE_UNWRITABLE', 'the activity log could not be written'));
      },
    );
  }

  /** A request is complete: a region may have become free of writes. */
  requestFinished(): void {
    if (this.#finished.length > 0) for (const resolve of this.#finished.splice(0)) resolve();
  }

  /** A flush of the target that also ends when the session does. */
  sessionFlush(session: SourceSession): Promise<void> {
    return new Promise((resolve) => {
      this.#flushes.push(resolve);
      session.flush(resolve);
    });
  }

  /** No confirmation comes any more; the extents concerned are dirty now, which serves as well. */
  sessionLost(): void {
    for (const resolve of this.#flushes.splice(0)) resolve();
    this.requestFinished();
  }

  async #run(): Promise<void> {
    const { activity, store, counters } = this.#options;
    for (let missing = this.#missing(); missing.length > 0; missing = this.#missing()) {
      if (activity.free === 0) {
        await this.#makeRoom();
        continue;
      }
      const added = missing.slice(0, activity.free);
      counters.activityLog.misses += added.length;
      const activeRegions = [...activity.regions, ...added];
      await store.update(() => ({ activeRegions }), false);
      activity.add(added);
      this.#options.logged();
    }
  }

  /** Flushes both elements; this one while alone, where the durable dirty map takes the place of the other's flush. */
  async #flushBoth(): Promise<void> {
    const { device, session: connected } = this.#options;
    const session = connected();
    // What the target holds durably may lie in this node's cache alone: a power cut would take it unsaid.
    if (session) await Promise.all([flushElement(device), this.sessionFlush(session)]);
    else await flushElement(device);
  }

  #missing(): readonly number[] {
    return [...this.#options.needed()].filter((region) => !this.#options.activity.has(region));
  }

  /** Rule write.intent: a region leaves after flushes on both elements cover its writes, or its dirty bits are durable. */
  async #makeRoom(): Promise<void> {
    const { activity, store, needed } = this.#options;
    // What the next writes need stays, or two of them could push each other out for ever while neither may be issued.
    const checkpoint = activity.checkpoint(needed());
    if (checkpoint.candidates === 0) {
      await new Promise<void>((resolve) => this.#finished.push(resolve));
      return;
    }
    this.#options.counters.activityLog.checkpoints += 1;
    await this.#flushBoth();
    this.#flushes = [];
    await store.persistDirty();
    const leaving = checkpoint.quiet();
    const activeRegions = activity.regions.filter((region) => !leaving.includes(region));
    await store.update(() => ({ activeRegions }), false);
    activity.drop(leaving);
  }
}

/** Queued writes whose regions are made durable together. */
const intentLookahead = 64;

/** The regions that the next writes of this queue need, as many as the log holds. */
export function neededRegions(queue: readonly Request[], capacity: number): ReadonlySet<number> {
  const needed = new Set<number>();
  for (const { kind, offsetBytes, lengthBytes } of queue.slice(0, intentLookahead)) {
    if (kind === 'flush') continue;
    const more = regionsOf(offsetBytes, lengthBytes).filter((region) => !needed.has(region));
    if (needed.size > 0 && needed.size + more.length > capacity) break;
    for (const region of more) needed.add(region);
  }
  return needed;
}
