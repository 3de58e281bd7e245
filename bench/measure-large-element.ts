import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const program = fileURLToPath(new URL('./large-element.js', import.meta.url));

/** What the first copy of an element, begun, takes; of both nodes in one process. */
export interface LargeElement {
  /** One of each node. */
  readonly createdMs: readonly number[];
  readonly loadedMs: number;
  /** From the handshake until everything is marked and durable. */
  readonly markedMs: number;
  readonly stoppedMs: number;
  /** Left to copy when it was stopped. */
  readonly dirtyBytes: number;
  readonly peakMebibytes: number;
}

/** In a process of its own, whose memory is told. */
export async function measureLargeElement(gibibytes: number): Promise<LargeElement> {
  const { stdout } = await promisify(execFile)(process.execPath, ['--enable-source-maps', program, String(gibibytes)]);
  return JSON.parse(stdout) as LargeElement;
}
