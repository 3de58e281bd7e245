import type { BlockDevice } from '../device/block-device.ts';
import type { HotMirrorError } from '../errors.ts';
import type { Counters } from './counters.ts';
import type { DataConnection } from './data-connection.ts';
import type { Findings } from './findings.ts';
import type { MirrorProtocol } from './options.ts';
import type { PreImages } from './pre-images.ts';
import type { TargetPhase } from './target-phase.ts';

/** What a target session tells its mirror. */
export interface TargetHandlers {
  /** The source offers its lineage: flush is done, make it durable, then call `adopted`. */
  adopt(body: Uint8Array, adopted: () => void): void;
  /** The source completes requests by this protocol from here on; by async it acknowledges at most so many bytes that this element lacks. */
  protocol(protocol: MirrorProtocol, mayLoseBytes: number): void;
  /** The source serves through this element alone: flush is done, make it a generation of its own, durably, then call `detached`. */
  detach(body: Uint8Array, detached: () => void): void;
  /** The source goes on without this element: make it durable that it is behind, then call `recorded`. */
  behind(recorded: () => void): void;
  /** The element could not take a write or flush. */
  failed(error: HotMirrorError): void;
  /** What a verify found here, or that it was waived. */
  changed(): void;
}

/** What a target session is made of. */
export interface TargetSessionOptions {
  readonly data: DataConnection;
  readonly device: BlockDevice;
  /** Size of the mirror. */
  readonly sizeBytes: number;
  /** Unit of dirty tracking, and of comparisons. */
  readonly extentBytes: number;
  readonly findings: Pick<Findings, 'add' | 'clear'>;
  readonly counters: Counters;
  /** Keeps what is overwritten; null where nothing is kept. */
  readonly images: PreImages | null;
  /** What the source may still ask of the lineage. */
  readonly phase: TargetPhase;
  readonly handlers: TargetHandlers;
}
