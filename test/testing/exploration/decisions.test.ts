import { expect } from 'chai';

import type { Clock } from '../../../src/clock/clock.ts';
import type { Epoch } from '../../../src/epoch.ts';
import { compareEpochs, noEpoch } from '../../../src/epoch.ts';
import type { WhenAlone } from '../../../src/failover/alone.ts';
import { mayGoAlone } from '../../../src/failover/alone.ts';
import type { BootEvidence, BootRecord } from '../../../src/failover/boot.ts';
import { decideBoot } from '../../../src/failover/boot.ts';
import type { HandoverOffer } from '../../../src/failover/handover.ts';
import { judgeOffer } from '../../../src/failover/handover.ts';
import type { PairRecord } from '../../../src/failover/pair-record.ts';
import { newPairRecord } from '../../../src/failover/pair-record.ts';
import type { TakeoverEvidence } from '../../../src/failover/takeover.ts';
import { mayTakeOver } from '../../../src/failover/takeover.ts';
import { LifeWatch } from '../../../src/heartbeat/link-watch.ts';
import { watchTimes } from '../../../src/heartbeat/options.ts';
import { judge } from '../../../src/heartbeat/verdict.ts';
import { Lease } from '../../../src/mirror/lease.ts';
import type { LineageView, SyncDecision } from '../../../src/mirror/lineage.ts';
import { decideSync } from '../../../src/mirror/lineage.ts';
import { rules } from '../../../src/rules.ts';
import { combinations } from '../../failover/support/combinations.ts';

/** What two nodes decide from both sides of one world: the single decisions are enumerated beside the functions themselves. */

const a = (number: number): Epoch => ({ number, owner: 'alpha' });
const b = (number: number): Epoch => ({ number, owner: 'beta' });
const told = (what: string, count: number): void => console.log(`      ${String(count)} ${what}`);

describe('The pure decisions, from both sides at once', () => {
  const generations = ['g1', 'g2', 'g3'];

  /** Every way in which an element can stand among three generations. */
  function* lineages(): Generator<Pick<LineageView, 'mirrorId' | 'sizeBytes' | 'current' | 'base' | 'history'>> {
    yield { mirrorId: null, sizeBytes: null, current: null, base: null, history: [] };
    for (const current of generations) {
      const others = generations.filter((id) => id !== current);
      for (const base of [null, ...others]) {
        for (const history of [[], ...others.map((id) => [id]), others]) yield { mirrorId: 'm', sizeBytes: 1_024, current, base, history };
      }
    }
  }

  interface Rest {
    readonly state: LineageView['state'];
    readonly crashed: boolean;
    readonly serving: boolean;
    readonly servedEpoch: number;
    readonly dirtyExtents: number;
    readonly resyncId: string | null;
    readonly gaveWayTo: string | null;
    readonly discardable: boolean;
    readonly through: null;
    readonly mayBeAhead: boolean;
    readonly behind: boolean;
  }

  const rests = [
    ...combinations<Rest>({
      state: ['consistent', 'inconsistent', 'failed'],
      crashed: [false, true],
      serving: [false, true],
      servedEpoch: [1, 2],
      dirtyExtents: [0, 1],
      resyncId: [null],
      gaveWayTo: [null],
      discardable: [false],
      through: [null],
      mayBeAhead: [false],
      behind: [false],
    }),
    ...combinations<Rest>({
      state: ['consistent'],
      crashed: [false, true],
      serving: [false, true],
      servedEpoch: [1, 2],
      dirtyExtents: [0, 1],
      resyncId: [null],
      gaveWayTo: [null],
      discardable: [false],
      mayBeAhead: [true],
      behind: [false],
      through: [null],
    }),
    ...combinations<Rest>({
      state: ['uptodate', 'outdated', 'off'],
      crashed: [false],
      serving: [false],
      servedEpoch: [1],
      dirtyExtents: [0],
      resyncId: ['r'],
      gaveWayTo: [null],
      discardable: [false],
      through: [null],
      mayBeAhead: [false],
      behind: [false],
    }),
  ];

  const describeDecision = (decision: SyncDecision, swapped: boolean): string => {
    if (decision.kind === 'refuse') return `${decision.outcome} ${decision.rule}`;
    const source = (decision.source === 'alpha') === swapped ? 'second' : 'first';
    return `${source} ${decision.scope} ${decision.rule}`;
  };

  it('lineage.decide: exchanged elements give the exchanged decision, and nothing newer is overwritten by anything older', function () {
    this.timeout(120_000);
    const views = [...lineages()].map((lineage) => rests.map((rest) => ({ ...lineage, ...rest, deviceBytes: 1_024 })));
    const outcomes = new Map<string, number>();
    let pairs = 0;
    for (const [at, ones] of views.entries()) {
      for (const others of views.slice(at)) {
        for (const one of ones) {
          for (const other of others) {
            pairs += 1;
            const decision = decideSync({ ...one, node: 'alpha' }, { ...other, node: 'beta' });
            const exchanged = decideSync({ ...other, node: 'alpha' }, { ...one, node: 'beta' });
            const [mine, theirs] = [describeDecision(decision, false), describeDecision(exchanged, true)];
            outcomes.set(decision.rule, (outcomes.get(decision.rule) ?? 0) + 1);
            const alike = mine === theirs || (mine.includes(' nothing ') && theirs.includes(' nothing '));
            if (!alike) expect.fail(`${mine}, but exchanged ${theirs}: ${JSON.stringify([one, other])}`);
            const fault = faultOf(decision, one, other);
            if (fault !== null) expect.fail(`${fault}: ${JSON.stringify([decision, one, other])}`);
          }
        }
      }
    }
    told(`pairs of elements, by ${String(outcomes.size)} rules`, pairs);
    expect(pairs).to.be.above(1_000_000);
    expect([...outcomes.keys()]).to.include.members([
      ...['lineage.blank', 'lineage.fill', 'lineage.equal', 'lineage.base', 'lineage.history', 'lineage.split'],
      ...['lineage.unrelated', 'lineage.direction', 'lineage.source', 'lineage.serving', 'resync.progress'],
    ]);
  });

  type Side = Omit<LineageView, 'node'>;

  function faultOf(decision: SyncDecision, one: Side, other: Side): string | null {
    if (!(decision.rule in rules)) return 'no rule is cited';
    if (decision.kind === 'refuse') return null;
    const [source, target] = decision.source === 'alpha' ? [one, other] : [other, one];
    if (decision.source === decision.target) return 'one node is both';
    if (['inconsistent', 'failed', 'off'].includes(source.state) || source.current === null) return 'the source is no source';
    if (target.serving || ['failed', 'off'].includes(target.state)) return 'the target is no target';
    const unusable = (side: Side): boolean => ['inconsistent', 'failed', 'off'].includes(side.state);
    const ahead = source.current === target.current && target.mayBeAhead && !unusable(source) && !unusable(target);
    if (ahead && source.servedEpoch < target.servedEpoch) return 'the target may hold what was completed by async and the source lacks';
    const older = source.current !== target.current && [target.base, ...target.history].includes(source.current);
    if (older) return 'the target descends from the source';
    if (decision.scope === 'nothing' && (source.current !== target.current || target.state === 'inconsistent')) return 'something differs';
    const known = target.current === null || target.current === source.current || source.base === target.current;
    if (decision.scope === 'union' && !known && source.resyncId === null) return 'no map is relative to what the target holds';
    return null;
  }

  const homes = { primary: 'alpha', standby: 'beta' };
  const record = (epoch: Epoch, change: Partial<BootRecord> = {}): BootRecord => {
    return { epoch, homes, released: null, intent: null, conflict: null, ...change };
  };
  const records: readonly (BootRecord | null)[] = [
    null,
    ...[1, 2, 3].flatMap((number) => [record(a(number)), record(b(number))]),
    ...[1, 2].flatMap((number) => [record(a(number), { released: b(number + 1) }), record(b(number), { released: a(number + 1) })]),
    ...[1, 2].flatMap((number) => [record(a(number), { intent: b(number + 1) }), record(b(number), { intent: a(number + 1) })]),
    record(a(2), { conflict: b(2) }),
    record(b(2), { conflict: a(2) }),
  ];

  /** What two nodes hold, and which of them hears the other. */
  interface BootWorld {
    readonly records: readonly [BootRecord | null, BootRecord | null];
    readonly elements: readonly [Epoch, Epoch];
    readonly hears: readonly [boolean, boolean];
    readonly arbiter: BootEvidence['arbiter'];
    readonly bootAlone: 'wait' | 'serve';
    readonly operator: boolean;
  }

  function bootOf(world: BootWorld, side: 0 | 1): ReturnType<typeof decideBoot> {
    const other = side === 0 ? 1 : 0;
    return decideBoot({
      node: side === 0 ? 'alpha' : 'beta',
      peerNode: side === 0 ? 'beta' : 'alpha',
      own: world.records[side],
      elementEpoch: world.elements[side],
      elements: 'uptodate',
      peer: world.hears[side] ? { record: world.records[other], elementEpoch: world.elements[other], serving: false } : null,
      waited: true,
      arbiter: world.arbiter,
      bootAlone: world.bootAlone,
      operator: world.operator,
      overrides: [],
    });
  }

  it('boot: of two nodes with any records, elements and hearing, both serve only by bootAlone or an operator, deaf and without an arbiter', function () {
    this.timeout(120_000);
    const both = (one: BootRecord | null, other: BootRecord | null): readonly [BootRecord | null, BootRecord | null] => [one, other];
    const space = {
      records: records.flatMap((one) => records.map((other) => both(one, other))),
      elements: [noEpoch, a(1), a(2), b(2)].flatMap((one) => [noEpoch, b(1), b(2), a(2)].map((other) => [one, other] as const)),
      hears: [[true, true] as const, [true, false] as const, [false, true] as const, [false, false] as const],
      arbiter: ['none', 'unreachable', a(1), b(1), a(2), b(2), a(3), b(4)] as const,
      bootAlone: ['wait', 'serve'] as const,
      operator: [false, true],
    };
    let worlds = 0;
    let owners = 0;
    for (const world of combinations<BootWorld>(space)) {
      worlds += 1;
      const decisions = [bootOf(world, 0), bootOf(world, 1)] as const;
      if (!decisions.every(({ rule }) => rule in rules)) expect.fail(`no rule is cited: ${JSON.stringify(decisions)}`);
      if (!decisions.every(({ action }) => action === 'serve' || action === 'serve-alone')) continue;
      owners += 1;
      const where = JSON.stringify([world, decisions.map(({ action }) => action)]);
      if (world.hears.some(Boolean)) expect.fail(`one hears the other: ${where}`);
      if (world.arbiter === 'none') {
        if (world.bootAlone !== 'serve' && !world.operator) expect.fail(`nobody allowed it: ${where}`);
        continue;
      }
      // With an arbiter each is only let ask it, and it grants the next epoch once.
      const [mine, theirs] = world.records.map((one) => one?.epoch ?? noEpoch) as [Epoch, Epoch];
      if (compareEpochs(mine, theirs) === 'equal') expect.fail(`both own one epoch: ${where}`);
    }
    told(`worlds of two booting nodes; in ${String(owners)} both may serve or ask to`, worlds);
    expect(worlds).to.be.above(400_000);
    expect(owners).to.be.above(0);
  });

  /** Compare-and-set, as rule arbiter.cas has it. */
  class Grants {
    current: Epoch = a(1);

    grant(from: Epoch, to: Epoch): boolean {
      if (compareEpochs(this.current, to) === 'equal') return true;
      if (compareEpochs(this.current, from) !== 'equal') return false;
      this.current = to;
      return true;
    }
  }

  interface Cut {
    readonly whenAlone: WhenAlone;
    readonly peerBehind: boolean;
    readonly silent: readonly [boolean, boolean];
    readonly element: 'uptodate' | 'consistent';
    readonly control: 'auto' | 'manual';
    readonly first: 'alpha' | 'beta';
  }

  /** What a serving alpha and a passive beta come to when nothing is heard between them. */
  function cutApart({ whenAlone, peerBehind, silent, element, control, first }: Cut): { readonly alpha: boolean; readonly beta: boolean } {
    const alone = mayGoAlone({
      mirror: 'm0',
      ownElement: true,
      peerBehind,
      peer: silent[0] ? 'down' : 'suspect',
      reachable: false,
      silence: { silent: silent[0], countedFromMs: 0, lastHeardMs: 0, deadlineMs: 1_000, earliestMs: 1_000 },
      handshaking: false,
      reconnectFromMs: 0,
      nowMs: 5_000,
      mayBeTakenOver: false,
      fence: false,
      arbiter: whenAlone === 'arbiter',
      whenAlone,
      bootAlone: 'wait',
      operator: false,
      overrides: [],
    });
    const evidence: TakeoverEvidence = {
      control,
      watch: 'normal',
      peer: silent[1] ? 'down' : 'suspect',
      verdict: { rule: 'watch.all', because: 'every link is silent', evidence: {} },
      mirrors: [{ name: 'm0', element: peerBehind ? 'outdated' : element, findingBytes: 0 }],
      arbiter: whenAlone === 'arbiter' ? 'unasked' : 'none',
      fence: 'none',
      byOperator: false,
      force: false,
      overrides: [],
    };
    const arbiter = new Grants();
    const asks = {
      alpha: (): boolean => alone.action === 'go' || (alone.action === 'ask-arbiter' && arbiter.grant(a(1), a(2))),
      beta: (): boolean => {
        if (!mayTakeOver(evidence).allowed) return false;
        if (whenAlone !== 'arbiter') return true;
        return mayTakeOver({ ...evidence, arbiter: arbiter.grant(a(1), b(2)) ? 'granted' : 'refused' }).allowed;
      },
    };
    const outcome = { alpha: false, beta: false };
    for (const node of first === 'alpha' ? (['alpha', 'beta'] as const) : (['beta', 'alpha'] as const)) outcome[node] = asks[node]();
    return outcome;
  }

  it('takeover.unfenced: cut apart, a serving and a passive node both go on by continue alone, never by freeze or arbiter', () => {
    const owners: Record<WhenAlone, number> = { continue: 0, freeze: 0, arbiter: 0 };
    const alone: Record<WhenAlone, number> = { continue: 0, freeze: 0, arbiter: 0 };
    for (const cut of combinations<Cut>({
      whenAlone: ['continue', 'freeze', 'arbiter'],
      peerBehind: [false, true],
      silent: [
        [false, false],
        [false, true],
        [true, false],
        [true, true],
      ],
      element: ['uptodate', 'consistent'],
      control: ['auto', 'manual'],
      first: ['alpha', 'beta'],
    })) {
      const { alpha, beta } = cutApart(cut);
      if (alpha && beta) owners[cut.whenAlone] += 1;
      if (alpha !== beta) alone[cut.whenAlone] += 1;
    }
    expect(owners).to.deep.equal({ continue: 2, freeze: 0, arbiter: 0 });
    for (const count of Object.values(alone)) expect(count).to.be.above(0);
  });

  it('serve.lease, timing.lease: whatever arrives late or not at all, the lease is over before the peer may say down', () => {
    const times = watchTimes({ intervalMs: 200, deadlineMs: 1_000 });
    const leaseMs = 750;
    let moments = 0;
    let last = 0;
    for (const { sentMs, thereMs, backMs, lost, atMs } of combinations<Record<'sentMs' | 'thereMs' | 'backMs' | 'lost' | 'atMs', number>>({
      sentMs: [0, 200, 400],
      thereMs: [0, 1, 150, 600],
      backMs: [0, 1, 150, 600, 900],
      lost: [0, 1],
      atMs: Array.from({ length: 61 }, (_, step) => step * 50),
    })) {
      // One probe that both know of, and perhaps a later one whose answer is lost: it can only help the peer to wait.
      const heardMs = [sentMs + thereMs, ...(lost === 1 ? [sentMs + 200 + thereMs] : [])].filter((heard) => heard <= atMs);
      if (heardMs.length === 0) continue;
      const lease = new Lease(
        clockAt(() => atMs),
        leaseMs,
        times.deadlineMs,
      );
      if (sentMs + thereMs + backMs <= atMs) lease.renew(sentMs);
      const watch = new LifeWatch(0);
      for (const heard of heardMs) watch.heard(heard);
      const { lastSeenMs } = watch;
      const source = { name: 's', state: watch.state(atMs, times), silentMs: watch.silentMs(atMs), borneMs: times.deadlineMs, lastSeenMs };
      const verdict = judge({
        ...{ nowMs: atMs, deadlineMs: times.deadlineMs, watch: 'normal', pausedBecause: [], seen: true, unseenBecause: null, left: false },
        ...{ links: [source], sources: [] },
      });
      moments += 1;
      if (verdict.state === 'down') last += 1;
      expect(verdict.state === 'down' && lease.valid(), JSON.stringify({ sentMs, thereMs, backMs, lost, atMs })).to.equal(false);
    }
    told(`moments; in ${String(last)} the peer is down`, moments);
    expect(last).to.be.above(1_000);
  });

  it('handover: a taker that has durably refused never accepts that epoch again, and one that has accepted never refuses it', () => {
    const fresh = newPairRecord(homes, 'auto');
    const offers = [
      ...combinations<HandoverOffer>({ epoch: [b(2), b(3)], from: [a(1), a(2)], final: [false, true], force: [false, true] }),
    ];
    let sequences = 0;
    for (const epoch of [noEpoch, a(1), a(2), b(1)]) {
      for (const refused of [0, 2, 3]) {
        for (const elements of combinations<{ first: 'uptodate' | 'outdated'; second: 'uptodate' | 'inconsistent' }>({
          first: ['uptodate', 'outdated'],
          second: ['uptodate', 'inconsistent'],
        })) {
          for (const offer of offers) {
            const own: PairRecord = { ...fresh, epoch, refused };
            const judged = (mine: PairRecord, element: 'uptodate' | 'outdated' | 'inconsistent', again: HandoverOffer): string =>
              judgeOffer(again, { node: 'beta', record: mine, mirrors: [{ name: 'm0', element }], leaving: false, handingBack: null })
                .answer;
            const answer = judged(own, elements.first, offer);
            if (answer !== 'accept' && answer !== 'refuse') continue;
            const after = answer === 'accept' ? { ...own, epoch: offer.epoch } : { ...own, refused: Math.max(refused, offer.epoch.number) };
            for (const again of offers.filter((one) => one.epoch.number === offer.epoch.number)) {
              sequences += 1;
              expect(judged(after, elements.second, again)).to.equal(answer === 'accept' ? 'accepted-before' : 'refuse');
            }
          }
        }
      }
    }
    expect(sequences).to.be.above(1_000);
  });
});

function clockAt(nowMs: () => number): Clock {
  return { nowMs, wallMs: nowMs, timer: () => ({ cancel: () => undefined }), drain: () => Promise.resolve() };
}
