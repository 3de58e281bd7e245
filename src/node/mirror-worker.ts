import { parentPort, workerData } from 'node:worker_threads';

import { mirrorEventNames } from '../mirror/mirror-events.ts';
import { assembleMirror } from './mirror-assembly.ts';
import type { MirrorSource } from './mirror-assembly.ts';
import { serveMirror } from './mirror-host.ts';
import type { MirrorThreadPort } from './mirror-messages.ts';

/**
 * The thread of one mirror: its element, metadata and data link live here, so that a busy or stalled disk never looks like a dead node.
 * Run as a worker with a {@link MirrorSource}, never imported.
 */
const port = parentPort as MirrorThreadPort;

serveMirror(port, async () => {
  const mirror = await assembleMirror(workerData as MirrorSource);
  for (const name of mirrorEventNames) {
    mirror.events.on(name, (payload: unknown) => {
      port.postMessage({ kind: 'event', event: { name, payload } });
    });
  }
  mirror.onHeard((atMs) => {
    port.postMessage({ kind: 'heard', atMs });
  });
  return mirror;
});
