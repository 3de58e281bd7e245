import type { Clock } from '../clock/clock.ts';
import type { Random } from '../clock/random.ts';
import type { BlockDevice } from '../device/block-device.ts';
import type { Epoch } from '../epoch.ts';
import type { HotMirrorError } from '../errors.ts';
import type { Transport } from '../transport/transport.ts';
import type { Counters } from './counters.ts';
import type { ElementStore } from './element-store.ts';
import type { Findings } from './findings.ts';
import type { Lease } from './lease.ts';
import type { MirrorEventName } from './mirror-events.ts';
import type { MirrorLimits, WhenCongested, WhenSplit } from './options.ts';
import type { Preservation } from './preservation.ts';
import type { ProtocolInForce } from './protocol.ts';
import type { ResyncControl } from './resync-control.ts';
import type { Serving } from './serving.ts';

/** What replication tells the mirror that it belongs to. */
export interface ReplicationHost {
  /** The pair's epoch as this node knows it. */
  epoch(): Epoch;
  /** A frame carried a higher or conflicting epoch. */
  heardEpoch(epoch: Epoch): void;
  /** The peer answered a probe: an authenticated sign of life. */
  heard(): void;
  emit(name: MirrorEventName, eventClass: 0 | 1 | 2 | 3, text: string, extra?: Record<string, unknown>): void;
  changed(): void;
  /** The element or its metadata failed; resolves when that is durable, or cannot be. */
  failed(error: HotMirrorError): Promise<void>;
}

/** What replication is made of. */
export interface ReplicationOptions {
  readonly name: string;
  readonly node: string;
  readonly peer: string;
  readonly preferOwnDial: boolean;
  readonly protocol: ProtocolInForce;
  readonly whenCongested: WhenCongested;
  readonly whenSplit: WhenSplit;
  readonly preservation: Preservation;
  readonly device: BlockDevice;
  readonly transport: Transport;
  readonly clock: Clock;
  readonly random: Random;
  readonly limits: MirrorLimits;
  readonly store: ElementStore;
  readonly counters: Counters;
  readonly findings: Findings;
  /** What operators decide of resyncs. */
  readonly control: ResyncControl;
  readonly serving: Serving;
  readonly lease: Lease;
  readonly host: ReplicationHost;
}
