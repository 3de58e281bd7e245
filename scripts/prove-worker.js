import { parentPort, workerData } from 'node:worker_threads';

/** Runs seeds of one proof, one at a time, for scripts/prove.js. */
const proof = await import(workerData.url);
parentPort.on('message', async (seed) => {
  try {
    await proof.run(seed);
    parentPort.postMessage(null);
  } catch (error) {
    parentPort.postMessage(String(error.stack ?? error));
  }
});
