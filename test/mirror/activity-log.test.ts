import { expect } from 'chai';

import { ActivityLog, regionBytes, regionsOf } from '../../src/mirror/activity-log.ts';

describe('ActivityLog', () => {
  it('covers a range once all of its regions are durable (write.intent)', () => {
    const log = new ActivityLog(4);
    expect(regionsOf(regionBytes - 512, 1_024)).to.deep.equal([0, 1]);
    expect(log.covers(regionBytes - 512, 1_024)).to.equal(false);
    log.add([1]);
    expect(log.covers(regionBytes - 512, 1_024)).to.equal(false);
    expect(log.covers(regionBytes, 512)).to.equal(true);
    log.add([0]);
    expect(log.covers(regionBytes - 512, 1_024)).to.equal(true);
    expect(log.free).to.equal(2);
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
