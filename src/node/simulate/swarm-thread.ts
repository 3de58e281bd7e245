import { Worker } from 'node:worker_threads';

import type { JobResult, SwarmJob } from '../../testing/swarm/job.ts';

/** The main thread's side of a worker that carries out jobs, one at a time. */
export interface SwarmThread {
  post(job: SwarmJob): void;
  onResult(listener: (result: JobResult) => void): void;
  /** The thread ended by itself. */
  onEnd(listener: (reason: string) => void): void;
  terminate(): Promise<void>;
}

/** Starts a worker of the swarm. */
export function startSwarmThread(): SwarmThread {
  const worker = new Worker(new URL('./swarm-worker.js', import.meta.url));
  return {
    post: (job) => worker.postMessage(job),
    onResult: (listener) => void worker.on('message', listener),
    onEnd(listener) {
      let reason: string | null = null;
      worker.on('error', (error) => (reason = error instanceof Error ? error.message : String(error)));
      worker.once('exit', (code) => listener(reason ?? `exit code ${String(code)}`));
    },
    async terminate() {
      await worker.terminate();
    },
  };
}
