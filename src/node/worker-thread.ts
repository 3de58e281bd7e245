import type { Worker } from 'node:worker_threads';

import type { MirrorMessage, MirrorThread } from './mirror-messages.ts';

/** A worker as the thread of a mirror. */
export function workerThread(worker: Worker): MirrorThread {
  return {
    post: (call, transfer) => worker.postMessage(call, transfer),
    onMessage: (listener) => void worker.on('message', (message: MirrorMessage) => listener(message)),
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
