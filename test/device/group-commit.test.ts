import { expect } from 'chai';

import type { Done } from '../../src/device/block-device.ts';
import { GroupCommit } from '../../src/device/group-commit.ts';
import { HotMirrorError } from '../../src/errors.ts';

describe('GroupCommit (write.flush)', () => {
  let syncs: Done[];
  let commit: GroupCommit;
  let log: string[];
  const flush = (name: string): void => {
    commit.flush((error) => log.push(error ? `${name} ${error.code}` : name));
  };
  beforeEach(() => {
    syncs = [];
    log = [];
    commit = new GroupCommit((done) => syncs.push(done));
  });

  it('lets nobody join a flush already in flight', () => {
    flush('a');
    flush('b');
    flush('c');
    expect(syncs).to.have.length(1);
    syncs[0]?.(null);
    expect(log).to.deep.equal(['a']);
    expect(syncs).to.have.length(2);
    syncs[1]?.(null);
    expect(log).to.deep.equal(['a', 'b', 'c']);
    expect(syncs).to.have.length(2);
  });

  it('lets a flush asked for by a completion join the group after the one that has just begun', () => {
    commit.flush(() => {
      flush('from a completion');
    });
    flush('b');
    syncs[0]?.(null);
    syncs[1]?.(null);
    expect(log).to.deep.equal(['b']);
    syncs[2]?.(null);
    expect(log).to.deep.equal(['b', 'from a completion']);
  });

  it('fails for good after one failure: the kernel reports lost pages once', () => {
    flush('a');
    flush('b');
    syncs[0]?.(new HotMirrorError('HM_IO_FLUSH', 'EIO'));
    flush('c');
    expect(log).to.deep.equal(['a HM_IO_FLUSH', 'b HM_IO_FLUSH', 'c HM_IO_FLUSH']);
    expect(syncs).to.have.length(1);
  });

  it('is idle when nobody waits', async () => {
    await commit.idle();
    flush('a');
    flush('b');
    const idle = commit.idle().then(() => log.push('idle'));
    syncs[0]?.(null);
    syncs[1]?.(null);
    await idle;
    expect(log).to.deep.equal(['a', 'b', 'idle']);
  });
});
