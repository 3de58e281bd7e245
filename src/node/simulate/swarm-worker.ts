import { parentPort } from 'node:worker_threads';

import { simulatePair } from '../../testing/simulation/simulated-pair.ts';
import { carryOut } from '../../testing/swarm/job.ts';
import type { SwarmJob } from '../../testing/swarm/job.ts';
import { watchUncaught } from './watch-uncaught.ts';

// A simulation makes many errors that nobody reads: their stacks would take a tenth of its time.
Error.stackTraceLimit = 0;

/** A thread of the swarm: carries out one job after the other. Run as a worker, never imported. */
parentPort?.on('message', (job: SwarmJob) => {
  void carryOut(job, { start: simulatePair, watchUncaught }).then((result) => parentPort?.postMessage(result));
});
