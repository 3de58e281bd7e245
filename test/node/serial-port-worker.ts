import { parentPort, workerData } from 'node:worker_threads';
import type { MessagePort } from 'node:worker_threads';

import type { HotMirrorError } from '../../src/errors.ts';
import { threadPorts } from '../../src/node/serial-port-client.ts';
import { openSystemPort } from '../../src/transport/serial-port.ts';

// A worker that opens a port: in the main thread where it is given the way there, else itself. It tells what became of that.
const orders = workerData as MessagePort | null;
const openPort = orders ? threadPorts(orders) : openSystemPort;
openPort({ path: '/dev/ttyS0', baudRate: 9_600, rtscts: false }).then(
  () => parentPort?.postMessage('opened'),
  (error: unknown) => {
    const { code, remedy } = error as HotMirrorError;
    parentPort?.postMessage({ code, remedy });
  },
);
