import type { BlockDevice } from '../device/block-device.ts';
import type { HotMirrorError } from '../errors.ts';
import type { ActivityLog } from './activity-log.ts';
import type { Counters } from './counters.ts';
import type { ElementStore } from './element-store.ts';
import type { Lease } from './lease.ts';

/** What serving tells its mirror. */
export interface ServingHandlers {
  /** Requests wait for the peer, or go on again. */
  changed(): void;
  /** A new generation is durable (rule lineage.mint). */
  minted(generation: string): void;
  /** A write failed here and reached the peer, and no resync is under way that would mend it. */
  differing(): void;
  /** What this node's element could not read was read from the peer's and written back. */
  repaired(offsetBytes: number, lengthBytes: number): void;
  /** This node's element has failed, and the peer cannot be served through any more: serving must end. */
  bereft(error: HotMirrorError, because: string): void;
  /** The element or its metadata failed: serving goes on through the peer, or must end. */
  failed(error: HotMirrorError): void;
}

/** What serving is made of. */
export interface ServingOptions {
  readonly device: BlockDevice;
  readonly store: ElementStore;
  readonly activity: ActivityLog;
  readonly lease: Lease;
  readonly counters: Counters;
  /** This node's element has failed. */
  readonly hasFailed: () => boolean;
  readonly queuedRequests: number;
  readonly newGeneration: () => string;
  readonly handlers: ServingHandlers;
}
