import { transportConformance } from '../../../src/testing/transport-conformance.ts';
import { BusProcess } from './bus-process.ts';
import { busFixture, servedFixture } from './scsi-fixture.ts';

describe('transport/scsi-sim/scsi-transport', () => {
  transportConformance({ describe, it }, { name: 'scsi-sim, one process, virtual time', create: busFixture });

  describe('over a bus that another process serves', function () {
    this.timeout(30_000); // real sockets on a machine that may be busy

    let bus: BusProcess;
    before(async () => {
      bus = await BusProcess.start();
    });
    after(() => bus.end());

    transportConformance({ describe, it }, { name: 'scsi-sim, served', create: () => Promise.resolve(servedFixture(bus)) });
  });
});
