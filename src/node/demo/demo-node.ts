import { systemClock } from '../../clock/system-clock.ts';
import { systemRandom } from '../../clock/system-random.ts';
import { HotMirrorError } from '../../errors.ts';
import { loadConfig } from '../config.ts';
import { HotMirrorNode } from '../hotmirror-node.ts';
import { demoMirror } from './demo-messages.ts';
import type { DemoMessage, DemoRequest } from './demo-messages.ts';

/**
 * The process of one node in a demonstration: it embeds the library as a product would, and does what its parent asks over IPC.
 * Run with the configuration file and the node's name, never imported.
 */
const [configFile = '', nodeName = ''] = process.argv.slice(2);

// Without its parent it has no purpose and must leave nothing behind.
process.on('disconnect', () => process.exit(1));

const say = (message: DemoMessage): void => {
  if (process.connected) process.send?.(message);
};

async function answer(node: HotMirrorNode, request: DemoRequest): Promise<Extract<DemoMessage, { say: 'done' }>['result']> {
  const mirror = node.mirror(demoMirror);
  switch (request.ask) {
    case 'status':
      return node.status();
    case 'write':
      await mirror.write(request.offsetBytes, request.bytes);
      return null;
    case 'read':
      return mirror.read(request.offsetBytes, request.lengthBytes);
    case 'flush':
      await mirror.flush();
      return null;
    case 'recover':
      await node.orchestrator.recover();
      return null;
    case 'close':
      await node.close();
      return null;
  }
}

async function run(): Promise<void> {
  const loaded = await loadConfig(configFile);
  const node = await HotMirrorNode.start({ loaded, node: nodeName, clock: systemClock, random: systemRandom });
  node.log.subscribe((event) => {
    say({ say: 'event', event });
  });
  process.on('message', (request: DemoRequest) => {
    answer(node, request).then(
      (result) => {
        say({ say: 'done', id: request.id, result });
        if (request.ask === 'close') process.disconnect();
      },
      (error: unknown) => {
        say({ say: 'refused', id: request.id, error: HotMirrorError.from(error, 'HM_INTERNAL', request.ask).toJSON() });
      },
    );
  });
  say({ say: 'ready' });
}

run().catch((error: unknown) => {
  say({ say: 'failed', error: HotMirrorError.from(error, 'HM_INTERNAL', `node ${nodeName}`).toJSON() });
  process.exitCode = 1;
  process.disconnect();
});
