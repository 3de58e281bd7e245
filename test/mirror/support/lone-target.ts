import type { BlockDevice } from '../../../src/device/block-device.ts';
import { Counters } from '../../../src/mirror/counters.ts';
import type { DataConnection } from '../../../src/mirror/data-connection.ts';
import { TargetPhase } from '../../../src/mirror/target-phase.ts';
import { TargetSession } from '../../../src/mirror/target.ts';
import { VirtualClock } from '../../../src/testing/virtual-clock.ts';

const nothing = (): undefined => undefined;

/** A target's session over a device, with no mirror around it: it changes no lineage, and nobody hears of it but the connection. */
export function loneTarget(data: DataConnection, device: BlockDevice): TargetSession {
  return new TargetSession({
    ...{ data, device, sizeBytes: device.sizeBytes, extentBytes: 65_536, images: null, phase: new TargetPhase(false) },
    findings: { add: () => true, clear: nothing },
    counters: new Counters(new VirtualClock()),
    handlers: { adopt: nothing, detach: nothing, behind: nothing, protocol: nothing, failed: nothing, changed: nothing },
  });
}
