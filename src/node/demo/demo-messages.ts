import type { SerializedError } from '../../errors.ts';
import type { LoggedEvent, NodeStatus } from '../control-protocol.ts';

/** What the parent asks a node's process; every request gets one answer with its id. */
export type DemoRequest =
  | { readonly id: number; readonly ask: 'status' }
  | { readonly id: number; readonly ask: 'write'; readonly offsetBytes: number; readonly bytes: Uint8Array }
  | { readonly id: number; readonly ask: 'read'; readonly offsetBytes: number; readonly lengthBytes: number }
  | { readonly id: number; readonly ask: 'flush' }
  | { readonly id: number; readonly ask: 'recover' }
  | { readonly id: number; readonly ask: 'close' };

/** What a node's process says. */
export type DemoMessage =
  | { readonly say: 'ready' }
  | { readonly say: 'failed'; readonly error: SerializedError }
  | { readonly say: 'event'; readonly event: LoggedEvent }
  | { readonly say: 'done'; readonly id: number; readonly result: NodeStatus | Uint8Array | null }
  | { readonly say: 'refused'; readonly id: number; readonly error: SerializedError };

/** The name of the one mirror of a demonstration. */
export const demoMirror = 'm0';
