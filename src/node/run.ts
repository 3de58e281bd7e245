import { HotMirrorNode } from './hotmirror-node.ts';
import type { RunOptions } from './programs.ts';
import { toldLines } from './told-lines.ts';
import { pairWarnings, warningLines } from './warnings.ts';

/** Runs a node until the signal aborts; then stops it in order. */
export async function runNode({ signal, ready, warn, onRenewal, ...options }: RunOptions): Promise<void> {
  const node = await HotMirrorNode.start(options);
  const { control, warnings = [] } = node.status();
  for (const line of [...pairWarnings(control, options.loaded.config), ...warnings].flatMap(warningLines)) warn(line);
  const told = toldLines();
  node.log.subscribe((event) => {
    const line = told(event);
    if (line !== null) warn(line);
  });
  const stopRenewals = onRenewal(() => void node.renewKeys());
  ready();
  await new Promise<void>((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });
  stopRenewals();
  await node.close();
}
