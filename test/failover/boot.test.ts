import { expect } from 'chai';

import type { Epoch } from '../../src/epoch.ts';
import { compareEpochs, noEpoch } from '../../src/epoch.ts';
import type { BootDecision, BootEvidence, BootRecord } from '../../src/failover/boot.ts';
import { decideBoot } from '../../src/failover/boot.ts';
import { combinations } from './support/combinations.ts';

const homes = { primary: 'alpha', standby: 'beta' };
const a = (number: number): Epoch => ({ number, owner: 'alpha' });
const b = (number: number): Epoch => ({ number, owner: 'beta' });

function record(epoch: Epoch, change: Partial<BootRecord> = {}): BootRecord {
  return { epoch, homes, released: null, intent: null, conflict: null, ...change };
}

const records: readonly (BootRecord | null)[] = [
  null,
  record(a(1)),
  record(b(1)),
  record(a(2)),
  record(b(2)),
  record(a(1), { released: b(2) }),
  record(b(1), { released: a(2) }),
  record(a(1), { intent: b(2) }),
  record(b(1), { intent: a(2) }),
  record(a(2), { conflict: b(2) }),
  record(b(2), { conflict: a(2) }),
];

type Peer = NonNullable<BootEvidence['peer']>;

const peers: readonly (Peer | null)[] = [
  null,
  ...[...combinations<Peer>({ record: records, elementEpoch: [noEpoch, a(1), b(2)], serving: [false, true] })],
];

const space = {
  node: ['alpha'],
  peerNode: ['beta'],
  own: records,
  elementEpoch: [noEpoch, a(1), b(1), a(2), b(3)],
  elements: ['uptodate', 'consistent', 'unfit'] as const,
  peer: peers,
  waited: [false, true],
  arbiter: ['none', 'unreachable', a(1), b(1), a(2), b(2), a(3)] as const,
  bootAlone: ['wait', 'serve'] as const,
  operator: [false, true],
  overrides: [[], ['takeover.arbiter']] as const,
};

function decide(evidence: Partial<BootEvidence>): BootDecision {
  return decideBoot({
    node: 'alpha',
    peerNode: 'beta',
    own: record(a(1)),
    elementEpoch: a(1),
    elements: 'uptodate',
    peer: { record: record(a(1)), elementEpoch: a(1), serving: false },
    waited: true,
    arbiter: 'none',
    bootAlone: 'wait',
    operator: false,
    overrides: [],
    ...evidence,
  });
}

const outcome = ({ action, rule }: BootDecision): string => `${action} ${rule}`;

function mayServe(evidence: BootEvidence): boolean {
  const { own, peer, elements, arbiter, elementEpoch } = evidence;
  if (!own || !peer?.record || own.epoch.owner !== 'alpha' || own.released || own.intent || own.conflict) return false;
  const equal = compareEpochs(own.epoch, peer.record.epoch) === 'equal' && !peer.record.intent && !peer.serving;
  const highest = elementEpoch.number <= own.epoch.number && peer.elementEpoch.number <= own.epoch.number;
  const granted = typeof arbiter === 'string' || arbiter.number <= own.epoch.number;
  const released = peer.record.released !== null;
  return equal && highest && elements === 'uptodate' && (granted || released);
}

function mayServeAlone(evidence: BootEvidence): boolean {
  const { own, peer, waited, elements, arbiter, operator, bootAlone, overrides } = evidence;
  if (peer || !waited || own?.epoch.owner !== 'alpha' || own.released || own.intent || own.conflict || elements === 'unfit') return false;
  if (arbiter === 'none' || overrides.length > 0) return operator || bootAlone === 'serve';
  return (
    arbiter !== 'unreachable' &&
    (arbiter.number <= own.epoch.number || (arbiter.owner === 'alpha' && arbiter.number === own.epoch.number + 1))
  );
}

describe('decideBoot', () => {
  it('never serves without the grounds that semantics 9 asks for, over its whole input space', () => {
    const counts = new Map<string, number>();
    for (const evidence of combinations<BootEvidence>(space)) {
      const { action, because } = decideBoot(evidence);
      counts.set(action, (counts.get(action) ?? 0) + 1);
      if (action === 'serve' && !mayServe(evidence)) expect.fail(`serves: ${because} ${JSON.stringify(evidence)}`);
      if (action === 'serve-alone' && !mayServeAlone(evidence)) expect.fail(`serves alone: ${because} ${JSON.stringify(evidence)}`);
      const conflict =
        evidence.own && evidence.peer?.record && compareEpochs(evidence.own.epoch, evidence.peer.record.epoch) === 'conflict';
      if (conflict && !['split', 'adopt'].includes(action)) expect.fail(`one epoch, two owners: ${action} ${JSON.stringify(evidence)}`);
    }
    for (const action of ['serve', 'serve-alone', 'passive', 'wait', 'adopt', 'split', 'resume-takeover', 'hand-back', 'send-handover']) {
      expect(counts.get(action) ?? 0, action).to.be.greaterThan(0);
    }
  }).timeout(20_000);

  it('of two nodes that see each other, at most one is told to serve', () => {
    for (const { own, theirs, arbiter } of combinations<{
      own: BootRecord | null;
      theirs: BootRecord | null;
      arbiter: BootEvidence['arbiter'];
    }>({
      own: records,
      theirs: records,
      arbiter: space.arbiter,
    })) {
      const seen = (mine: BootRecord | null): Peer => ({ record: mine, elementEpoch: noEpoch, serving: false });
      const alpha = decide({ own, peer: seen(theirs), elementEpoch: noEpoch, arbiter });
      const beta = decide({ node: 'beta', peerNode: 'alpha', own: theirs, peer: seen(own), elementEpoch: noEpoch, arbiter });
      expect(alpha.action === 'serve' && beta.action === 'serve', JSON.stringify([own, theirs])).to.equal(false);
    }
  });

  const peer = (one: BootRecord | null, more: Partial<Peer> = {}): Peer => ({
    record: one,
    elementEpoch: noEpoch,
    serving: false,
    ...more,
  });

  const rows: readonly (readonly [string, Partial<BootEvidence>, string])[] = [
    ['equal records: the owner serves', {}, 'serve boot.equal'],
    ['equal records: the other is passive', { own: record(b(1)), elementEpoch: noEpoch, peer: peer(record(b(1))) }, 'passive boot.equal'],
    ['equal records: serving needs uptodate elements', { elements: 'consistent' }, 'wait boot.uptodate'],
    ['equal records: not while the peer says that it serves', { peer: peer(record(a(1)), { serving: true }) }, 'wait boot.equal'],
    ['the higher epoch of the peer is written', { peer: peer(record(b(2))) }, 'adopt boot.higher'],
    ['the higher epoch of the peer’s elements is written', { peer: peer(record(a(1)), { elementEpoch: b(2) }) }, 'adopt boot.higher'],
    ['the higher epoch of the own elements is written', { elementEpoch: b(2) }, 'adopt boot.higher'],
    ['the owner of the higher epoch waits until the peer has written it', { own: record(a(2)) }, 'wait boot.higher'],
    ['one epoch with two owners', { peer: peer(record(b(1))) }, 'split boot.conflict'],
    ['one epoch with two owners, known from before', { own: record(a(1), { conflict: b(1) }), peer: null }, 'split boot.conflict'],
    ['a split ends with a higher epoch', { own: record(a(1), { conflict: b(1) }), peer: peer(record(b(2))) }, 'adopt boot.higher'],
    ['the peer has an intent', { peer: peer(record(a(1), { intent: b(2) })) }, 'wait boot.intent'],
    [
      'the own intent survived a crash',
      { own: record(b(1), { intent: a(2) }), elementEpoch: noEpoch, peer: null },
      'resume-takeover takeover.commit',
    ],
    [
      'the own intent and a living peer',
      { own: record(b(1), { intent: a(2) }), elementEpoch: noEpoch, peer: peer(record(b(1))) },
      'resume-takeover takeover.commit',
    ],
    ['the arbiter granted the peer an epoch above both', { arbiter: b(2) }, 'wait boot.arbiter'],
    ['the arbiter granted this node an epoch above both, and the peer lives', { arbiter: a(2) }, 'hand-back boot.arbiter'],
    ['an open release: the giver sends again', { own: record(a(1), { released: b(2) }), arbiter: b(2) }, 'send-handover handover'],
    [
      'an open release: the taker waits for the offer',
      { own: record(b(1)), elementEpoch: noEpoch, peer: peer(record(b(1), { released: a(2) })), arbiter: a(2) },
      'passive boot.equal',
    ],
    ['own record missing: not without the peer', { own: null, peer: null, bootAlone: 'serve', operator: true }, 'wait boot.norecord'],
    [
      'own record missing: the maximum of elements, peer and arbiter',
      { own: null, elementEpoch: a(1), peer: peer(record(a(1))), arbiter: b(2) },
      'adopt boot.norecord',
    ],
    ['own record missing: two blank nodes', { own: null, elementEpoch: noEpoch, peer: peer(null) }, 'wait boot.norecord'],
    [
      'own record missing: the elements and the peer disagree',
      { own: null, elementEpoch: a(1), peer: peer(record(b(1))) },
      'split boot.conflict',
    ],
    ['own record missing: the peer is taking over', { own: null, peer: peer(record(a(1), { intent: b(2) })) }, 'wait boot.intent'],
    ['peer unreachable: not before the grace is over', { peer: null, waited: false, bootAlone: 'serve' }, 'wait watch.start'],
    ['peer unreachable: wait is the default', { peer: null }, 'wait boot.alone'],
    ['peer unreachable: the policy says serve', { peer: null, bootAlone: 'serve', elements: 'consistent' }, 'serve-alone boot.alone'],
    ['peer unreachable: an operator says so', { peer: null, operator: true }, 'serve-alone boot.alone'],
    ['peer unreachable: the arbiter may grant', { peer: null, arbiter: a(1) }, 'serve-alone boot.alone'],
    ['peer unreachable: the arbiter granted this node before its crash', { peer: null, arbiter: a(2) }, 'serve-alone boot.alone'],
    [
      'peer unreachable: the arbiter granted the peer',
      { peer: null, arbiter: b(2), bootAlone: 'serve', operator: true },
      'wait boot.arbiter',
    ],
    ['peer unreachable: so is the arbiter', { peer: null, arbiter: 'unreachable', bootAlone: 'serve', operator: true }, 'wait boot.alone'],
    [
      'peer unreachable: so is the arbiter, and an operator names the rule',
      { peer: null, arbiter: 'unreachable', operator: true, overrides: ['takeover.arbiter'] },
      'serve-alone boot.alone',
    ],
    ['peer unreachable: something was released', { peer: null, own: record(a(1), { released: b(2) }), operator: true }, 'wait boot.alone'],
    [
      'peer unreachable: this was not the last owner',
      { peer: null, own: record(b(1)), elementEpoch: noEpoch, operator: true },
      'wait boot.alone',
    ],
    ['peer unreachable: an element is not even consistent', { peer: null, elements: 'unfit', operator: true }, 'wait boot.alone'],
    [
      'an owner that is neither node',
      { own: record({ number: 1, owner: 'gamma' }), elementEpoch: noEpoch, peer: peer(record({ number: 1, owner: 'gamma' })) },
      'wait boot.conflict',
    ],
  ];

  for (const [title, evidence, expected] of rows) {
    it(`${expected.split(' ')[1] ?? ''}: ${title}`, () => {
      expect(outcome(decide(evidence))).to.equal(expected);
    });
  }

  it('names the original’s four combinations of modes', () => {
    const name = (own: Epoch, theirs: Epoch): unknown => decide({ own: record(own), peer: peer(record(theirs)) }).evidence['combination'];
    expect([name(a(1), a(1)), name(a(1), b(2)), name(b(2), a(1)), name(b(2), b(2))]).to.deep.equal([
      'normal/normal',
      'normal/fallback',
      'fallback/normal',
      'fallback/fallback',
    ]);
    expect(decide({ own: null, peer: null }).evidence['combination']).to.equal('unknown/unknown');
  });
});
