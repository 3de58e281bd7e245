import { transportConformance } from '../../../src/testing/transport-conformance.ts';
import { busFixture } from './scsi-fixture.ts';

describe('transport/scsi-sim/scsi-transport', () => {
  transportConformance({ describe, it }, { name: 'scsi-sim, one process, virtual time', create: busFixture });
});
