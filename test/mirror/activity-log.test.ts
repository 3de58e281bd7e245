import { expect } from 'chai';

import { ActivityLog, regionBytes } from '../../src/mirror/activity-log.ts';

describe('ActivityLog', () => {
  it('knows the regions of a range that are not durable yet (write.intent)', () => {
    const log = new ActivityLog(4);
    expect(log.missing(regionBytes - 512, 1_024)).to.deep.equal([0, 1]);
    log.add([1]);
    expect(log.missing(regionBytes - 512, 1_024)).to.deep.equal([0]);
    expect(log.free).to.equal(3);
  });

  it('refuses a write to a region that is not in the log (write.intent)', () => {
    expect(() => {
      new ActivityLog(4).issued(0, 512);
    }).to.throw('write.intent');
  });

  it('lets only regions leave that are free of writes, before a checkpoint and since', () => {
    const log = new ActivityLog(4);
    log.add([0, 1, 2]);
    log.issued(0, 512);
    log.issued(regionBytes, 512);
    log.finished(regionBytes, 512);
    const checkpoint = log.checkpoint();
    expect(checkpoint.candidates).to.equal(2);
    log.issued(2 * regionBytes, 512);
    log.finished(2 * regionBytes, 512);
    log.finished(0, 512);
    expect(checkpoint.quiet()).to.deep.equal([1]);
    log.drop([1]);
    expect(log.regions).to.deep.equal([0, 2]);
  });
});
