import { MessageChannel } from 'node:worker_threads';

import { serveMirror } from '../../src/node/mirror-host.ts';
import type { MirrorMessage, MirrorThread } from '../../src/node/mirror-messages.ts';
import type { FakeMirror } from './fake-mirror.ts';

/** A thread that is none: the mirror sits behind a message channel. `end` is how it dies. */
export function channelThread(mirror: FakeMirror): { readonly thread: MirrorThread; readonly end: (because: string) => void } {
  const { port1, port2 } = new MessageChannel();
  serveMirror(port2, () => Promise.resolve(mirror));
  let ended: (because: string) => void = () => undefined;
  const end = (because: string): void => {
    port1.close();
    ended(because);
  };
  const thread: MirrorThread = {
    post: (call, transfer) => port1.postMessage(call, transfer),
    onMessage: (listener) => void port1.on('message', (message: MirrorMessage) => listener(message)),
    onEnd: (listener) => (ended = listener),
    terminate() {
      end('terminated');
      return Promise.resolve();
    },
  };
  return { thread, end };
}
