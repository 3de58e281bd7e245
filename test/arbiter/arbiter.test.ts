import { expect } from 'chai';

import { MemoryArbiter } from '../../src/arbiter/memory.ts';
import { OperatorArbiter } from '../../src/arbiter/operator.ts';
import type { HotMirrorError } from '../../src/errors.ts';
import { noEpoch } from '../../src/epoch.ts';

const { signal } = new AbortController();
const alpha1 = { number: 1, owner: 'alpha' };
const alpha2 = { number: 2, owner: 'alpha' };
const beta2 = { number: 2, owner: 'beta' };

describe('MemoryArbiter', () => {
  it('arbiter.cas: of two that ask for one epoch one gets it, and asking again is a success', async () => {
    const arbiter = new MemoryArbiter();
    await arbiter.grant(noEpoch, alpha1, signal);
    const [first, second] = await Promise.all([arbiter.grant(alpha1, alpha2, signal), arbiter.grant(alpha1, beta2, signal)]);
    expect(first).to.deep.equal({ granted: true, epoch: alpha2 });
    expect(second).to.deep.include({ granted: false, current: alpha2 });
    expect((await arbiter.grant(alpha1, alpha2, signal)).granted).to.equal(true);
  });

  it('hands a grant back only while it is the current one', async () => {
    const arbiter = new MemoryArbiter();
    await arbiter.grant(noEpoch, alpha1, signal);
    await arbiter.grant(alpha1, beta2, signal);
    expect((await arbiter.handBack(alpha2, alpha1, signal)).granted).to.equal(false);
    expect((await arbiter.handBack(beta2, alpha1, signal)).granted).to.equal(true);
    expect(await arbiter.current(signal)).to.deep.equal(alpha1);
  });

  it('rejects while it cannot be reached, and for an epoch that is not the next one', async () => {
    const arbiter = new MemoryArbiter();
    arbiter.reachable = false;
    const error = await arbiter.current(signal).catch((reason: unknown) => reason);
    expect((error as HotMirrorError).code).to.equal('HM_CONNECT_FAILED');
    expect(await arbiter.grant(noEpoch, alpha2, signal).catch((reason: unknown) => reason)).to.be.instanceOf(RangeError);
    await arbiter.close();
  });
});

describe('OperatorArbiter', () => {
  it('grants only what an operator approved, once, and otherwise says what to do', async () => {
    const arbiter = new OperatorArbiter(alpha1);
    expect(arbiter.capabilities.automatic).to.equal(false);
    const refused = await arbiter.grant(alpha1, beta2);
    expect(refused).to.deep.include({ granted: false, current: alpha1 });
    expect('because' in refused && refused.because).to.include('approve 2/beta');
    arbiter.approve(beta2);
    expect((await arbiter.grant(alpha1, alpha2)).granted).to.equal(false);
    expect((await arbiter.grant(alpha1, beta2)).granted).to.equal(true);
    expect((await arbiter.grant(alpha1, beta2)).granted).to.equal(true);
    expect(await arbiter.current()).to.deep.equal(beta2);
    expect((await arbiter.handBack(beta2, alpha1)).granted).to.equal(true);
    expect((await arbiter.handBack(beta2, alpha1)).granted).to.equal(true);
    expect((await arbiter.handBack(alpha2, noEpoch)).granted).to.equal(false);
    expect((await arbiter.grant(alpha1, beta2)).granted).to.equal(false);
    await arbiter.close();
  });

  it('learns from the node that asks what the pair has recorded', async () => {
    const arbiter = new OperatorArbiter();
    arbiter.approve(beta2);
    expect((await arbiter.grant(alpha1, beta2)).granted).to.equal(true);
  });

  it('takes no approval of what is past', () => {
    const arbiter = new OperatorArbiter(beta2);
    expect(() => arbiter.approve(alpha2)).to.throw(RangeError);
  });
});
