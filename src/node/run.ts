import { notYetDone } from './config.ts';
import { HotMirrorNode } from './hotmirror-node.ts';
import type { RunOptions } from './programs.ts';

/** What ends a worry that a line before has told. */
const allClear: ReadonlySet<string> = new Set(['writes:resumed', 'resync:finished', 'service:started', 'element:attached']);

/** Runs a node until the signal aborts; then stops it in order. */
export async function runNode({ signal, ready, warn, ...options }: RunOptions): Promise<void> {
  const node = await HotMirrorNode.start(options);
  for (const text of notYetDone(options.loaded.config)) warn(text);
  for (const { because } of node.orchestrator.status().warnings) warn(because);
  node.log.subscribe((event) => {
    if (event.class > 0 || allClear.has(event.event)) warn(`class ${String(event.class)}: ${event.event}: ${event.text}`);
  });
  ready();
  await new Promise<void>((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });
  await node.close();
}
