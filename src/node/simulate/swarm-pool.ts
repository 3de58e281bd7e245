import type { Clock, Timer } from '../../clock/clock.ts';
import { HotMirrorError } from '../../errors.ts';
import { scheduleOf } from '../../testing/swarm/job.ts';
import type { JobResult, SwarmJob } from '../../testing/swarm/job.ts';
import type { SwarmThread } from './swarm-thread.ts';

/** What a {@link SwarmPool} is made of. */
export interface SwarmPoolOptions {
  /** Threads at once. */
  readonly size: number;
  readonly start: () => SwarmThread;
  readonly clock: Clock;
  /** Longest real time of one run, in ms; one that takes longer has broken `no-crash`. */
  readonly hungMs: number;
  /** Longest real time of a job that shrinks, in ms. */
  readonly shrinkMs: number;
}

interface Waiting {
  readonly job: SwarmJob;
  readonly resolve: (result: JobResult) => void;
  readonly reject: (error: HotMirrorError) => void;
}

/** Carries out jobs on several threads. A thread that hangs or dies is replaced, and what it did is a failure of its job. */
export class SwarmPool {
  readonly #options: SwarmPoolOptions;
  readonly #queue: Waiting[] = [];
  readonly #idle: PoolThread[] = [];
  readonly #threads = new Set<PoolThread>();
  #closed = false;

  constructor(options: SwarmPoolOptions) {
    this.#options = options;
  }

  /** How many jobs can be carried out at once. */
  get size(): number {
    return this.#options.size;
  }

  /** Carries out a job; they begin in the order in which they are given. Rejects with `HM_CLOSED` when the pool is closed first. */
  run(job: SwarmJob): Promise<JobResult> {
    return new Promise((resolve, reject) => {
      this.#queue.push({ job, resolve, reject });
      this.#next();
    });
  }

  /** Ends every thread, whatever it does. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#next();
    await Promise.all([...this.#threads].map((thread) => thread.close()));
    this.#threads.clear();
  }

  #next(): void {
    if (this.#closed) for (const { reject } of this.#queue.splice(0)) reject(new HotMirrorError('HM_CLOSED', 'the simulation was stopped'));
    while (this.#queue.length > 0) {
      const thread = this.#idle.pop() ?? this.#start();
      if (!thread) return;
      const { job, resolve, reject } = this.#queue.shift()!;
      thread.run(job).then((result) => {
        if (thread.ended) this.#threads.delete(thread);
        else this.#idle.push(thread);
        resolve(result);
        this.#next();
      }, reject);
    }
  }

  #start(): PoolThread | null {
    if (this.#threads.size >= this.#options.size) return null;
    const thread = new PoolThread(this.#options);
    this.#threads.add(thread);
    return thread;
  }
}

/** One thread with the job that it is at. */
class PoolThread {
  ended = false;
  readonly #thread: SwarmThread;
  readonly #clock: Clock;
  readonly #limits: Pick<SwarmPoolOptions, 'hungMs' | 'shrinkMs'>;
  #current: (Waiting & { readonly timer: Timer }) | null = null;

  constructor({ start, clock, ...limits }: SwarmPoolOptions) {
    this.#thread = start();
    this.#clock = clock;
    this.#limits = limits;
    this.#thread.onResult((result) => this.#take()?.resolve(result));
    this.#thread.onEnd((reason) => this.#fail(`its thread ended: ${reason}`));
  }

  run(job: SwarmJob): Promise<JobResult> {
    return new Promise((resolve, reject) => {
      const limitMs = job.shrinkRuns === 0 ? this.#limits.hungMs : this.#limits.shrinkMs;
      const timer = this.#clock.timer(limitMs, () => this.#fail(`it did not end within ${String(limitMs)} ms of real time`));
      this.#current = { job, resolve, reject, timer };
      this.#thread.post(job);
    });
  }

  async close(): Promise<void> {
    this.ended = true;
    this.#take()?.reject(new HotMirrorError('HM_CLOSED', 'the simulation was stopped'));
    await this.#thread.terminate();
  }

  #fail(text: string): void {
    this.ended = true;
    const failed = this.#take();
    if (failed) failed.resolve(crashed(failed.job, text));
    void this.#thread.terminate();
  }

  #take(): Waiting | null {
    const current = this.#current;
    this.#current = null;
    current?.timer.cancel();
    return current;
  }
}

/** The result of a run that gave none. */
function crashed(job: SwarmJob, text: string): JobResult {
  const { seed } = job;
  const failure = { seed, invariant: 'no-crash', text, lastEvents: [], schedule: scheduleOf(job), shrunk: null } as const;
  return { seed, acknowledged: 0, virtualMs: 0, failure, log: null };
}
