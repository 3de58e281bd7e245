import { expect } from 'chai';

import type { Epoch } from '../../src/epoch.ts';
import { noEpoch } from '../../src/epoch.ts';
import type { GiverEvidence, HandoverOffer, TakerEvidence } from '../../src/failover/handover.ts';
import { handoverObstacles, isHopeless, judgeOffer } from '../../src/failover/handover.ts';
import type { PairRecord } from '../../src/failover/pair-record.ts';
import { newPairRecord } from '../../src/failover/pair-record.ts';
import type { ElementState, MirrorView } from '../../src/failover/ports.ts';
import { combinations } from './support/combinations.ts';

const a = (number: number): Epoch => ({ number, owner: 'alpha' });
const b = (number: number): Epoch => ({ number, owner: 'beta' });
const fresh = newPairRecord({ primary: 'alpha', standby: 'beta' }, 'auto');
const states: readonly ElementState[] = ['uptodate', 'consistent', 'outdated', 'inconsistent', 'failed', 'off', 'absent'];

describe('judgeOffer', () => {
  it('accepts only from an element fit to serve, in an epoch above its own that it never refused, over the whole input space', () => {
    const records: PairRecord[] = [
      ...combinations<Pick<PairRecord, 'epoch' | 'refused' | 'intent' | 'conflict'>>({
        epoch: [noEpoch, a(1), b(1), a(2), b(2), a(3)],
        refused: [0, 2, 3],
        intent: [null, b(2)],
        conflict: [null, b(1)],
      }),
    ].map((change) => ({ ...fresh, ...change }));
    const offers = [...combinations<HandoverOffer>({ epoch: [b(2), a(2)], from: [a(1)], final: [false, true], force: [false, true] })];
    for (const { record, offer, element, leaving, handingBack } of combinations<{
      record: PairRecord;
      offer: HandoverOffer;
      element: ElementState;
      leaving: boolean;
      handingBack: Epoch | null;
    }>({
      record: records,
      offer: offers,
      element: states,
      leaving: [false, true],
      handingBack: [null, b(2), b(3)],
    })) {
      const evidence: TakerEvidence = { node: 'beta', record, mirrors: [{ name: 'm0', element }], leaving, handingBack };
      const { answer } = judgeOffer(offer, evidence);
      const where = JSON.stringify([offer, evidence]);
      if (answer === 'accept') {
        expect(record.epoch.number, where).to.be.below(offer.epoch.number);
        expect(record.refused, where).to.be.below(offer.epoch.number);
        expect(handingBack?.number, where).not.to.equal(offer.epoch.number);
        expect([offer.epoch.owner, record.intent, record.conflict, leaving], where).to.deep.equal(['beta', null, null, false]);
        expect(element === 'uptodate' || (offer.force && ['consistent', 'outdated'].includes(element)), where).to.equal(true);
        expect(record.epoch.number === 1 && record.epoch.owner === 'beta', where).to.equal(false);
      }
      if (answer === 'refuse' && record.refused < 2 && record.epoch.number < 2) expect(handingBack?.number, where).not.to.equal(2);
      if (answer === 'refuse' && record.refused < 2 && record.epoch.number < 2) expect(offer.final, where).to.equal(true);
      if (answer === 'accepted-before') expect(record.epoch, where).to.deep.equal(offer.epoch);
    }
  });
});

describe('handoverObstacles', () => {
  const mirror: GiverEvidence['mirrors'][number] = { name: 'm0', connection: 'connected', peerElement: 'uptodate', resync: null };
  const peer = (element: ElementState): NonNullable<GiverEvidence['peer']> => ({
    leaving: false,
    mirrors: [{ name: 'm0', element, epoch: a(1), connection: 'connected', serving: 'no' }],
  });
  const ready: GiverEvidence = { rule: 'handover', peer: peer('uptodate'), serving: true, mirrors: [mirror], force: false };

  it('has none for a healthy pair, and names the rule for everything else', () => {
    expect(handoverObstacles(ready)).to.deep.equal([]);
    const resync = { doneBytes: 0, totalBytes: 1, bytesPerSecond: 1, remainingMs: 1 };
    const unready: Partial<GiverEvidence>[] = [
      { peer: null },
      { peer: { ...peer('uptodate'), leaving: true } },
      { mirrors: [{ ...mirror, resync }] },
      ...(['connecting', 'standalone', 'split-brain', 'unrelated'] as const).map((connection) => ({
        mirrors: [{ ...mirror, connection }],
      })),
      ...states.filter((element) => element !== 'uptodate').map((peerElement) => ({ mirrors: [{ ...mirror, peerElement }] })),
    ];
    for (const change of unready) {
      const [first] = handoverObstacles({ ...ready, rule: 'recover.ready', ...change });
      expect(first?.rule, JSON.stringify(change)).to.equal('recover.ready');
      expect(handoverObstacles({ ...ready, ...change, force: true }), 'force gives no licence while this node serves').to.not.deep.equal(
        [],
      );
    }
  });

  it('looks at the taker’s elements alone while nobody serves, and force accepts a complete older one', () => {
    const idle = { ...ready, serving: false, mirrors: [{ ...mirror, connection: 'connecting' as const }] };
    for (const element of states) {
      expect(handoverObstacles({ ...idle, peer: peer(element) }).length === 0).to.equal(element === 'uptodate');
      const forced = handoverObstacles({ ...idle, peer: peer(element), force: true }).length === 0;
      expect(forced).to.equal(['uptodate', 'consistent', 'outdated'].includes(element));
    }
  });

  it('knows what no waiting mends', () => {
    const hopeless = (change: Partial<MirrorView>): boolean =>
      isHopeless({ connection: 'connected', peerElement: 'inconsistent', ...change });
    expect([hopeless({}), hopeless({ connection: 'connecting' })]).to.deep.equal([false, false]);
    expect([
      hopeless({ connection: 'split-brain' }),
      hopeless({ connection: 'unrelated' }),
      hopeless({ peerElement: 'failed' }),
    ]).to.deep.equal([true, true, true]);
  });
});
