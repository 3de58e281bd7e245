import type { Counters } from './counters.ts';
import type { DataConnection } from './data-connection.ts';
import type { DigestName } from './digests.ts';
import type { WhenCongested } from './options.ts';
import type { ProtocolInForce } from './protocol.ts';
import type { ResyncRate } from './resync-rate.ts';

/** What a source session needs to know of its mirror. */
export interface SourceSessionOptions {
  readonly data: DataConnection;
  readonly extentBytes: number;
  readonly windowBytes: number;
  readonly resyncWindowBytes: number;
  /** By which elements are compared, where the peer can. */
  readonly digest: DigestName;
  readonly counters: Counters;
  /** Measures how long the application's writes take. */
  readonly rate: ResyncRate;
  readonly protocol: ProtocolInForce;
  readonly whenCongested: WhenCongested;
  /** There is room in a window again. */
  readonly room: () => void;
  /** The target has taken over the lineage. */
  readonly adopted: () => void;
}
