import { parentPort } from 'node:worker_threads';

import type { MirrorThreadPort } from '../../src/node/mirror-messages.ts';
import { serveMirror } from '../../src/node/mirror-host.ts';
import { FakeMirror } from './fake-mirror.ts';

// A worker with a fake mirror in it.
serveMirror(parentPort as unknown as MirrorThreadPort, () => Promise.resolve(new FakeMirror()));
