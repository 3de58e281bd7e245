import { MessageChannel, Worker } from 'node:worker_threads';

import { openSystemPort } from '../transport/serial-port.ts';
import type { MirrorSource, MirrorThreadSource } from './mirror-assembly.ts';
import type { MirrorMessage, MirrorThread } from './mirror-messages.ts';
import { SerialPortHost } from './serial-port-host.ts';

/** Starts the thread of a mirror. When it was terminated, no serial port is open for it any more. */
export function mirrorThread(source: MirrorSource): MirrorThread {
  const { port1: orders, port2: serialPorts } = new MessageChannel();
  const host = new SerialPortHost(orders, openSystemPort);
  const workerData: MirrorThreadSource = { ...source, serialPorts };
  const thread = workerThread(new Worker(new URL('./mirror-worker.js', import.meta.url), { workerData, transferList: [serialPorts] }));
  return {
    ...thread,
    async terminate() {
      await thread.terminate();
      await host.close();
    },
  };
}

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
