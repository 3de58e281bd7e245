import { expect } from 'chai';

import { decideSync } from '../../src/mirror/lineage.ts';
import type { LineageView } from '../../src/mirror/lineage.ts';

const states = ['uptodate', 'consistent', 'outdated', 'inconsistent', 'failed', 'off'] as const;
const mirrorId = 'm';

const view = (node: string, changes: Partial<LineageView> = {}): LineageView => ({
  node,
  mirrorId,
  sizeBytes: 1024,
  deviceBytes: 1024,
  state: 'consistent',
  current: 'g1',
  base: null,
  history: [],
  servedEpoch: 0,
  mayBeAhead: false,
  crashed: false,
  serving: false,
  dirtyExtents: 0,
  resyncId: null,
  gaveWayTo: null,
  discardable: false,
  behind: false,
  through: null,
  ...changes,
});

/** How two elements can be related: what each says of its generations. */
const relations: Readonly<Record<string, readonly [Partial<LineageView>, Partial<LineageView>]>> = {
  bothBlank: [
    { current: null, mirrorId: null, sizeBytes: null },
    { current: null, mirrorId: null, sizeBytes: null },
  ],
  blank: [{}, { current: null, mirrorId: null, sizeBytes: null }],
  blankResumed: [{ resyncId: 'r' }, { current: null, mirrorId: null, sizeBytes: null, resyncId: 'r' }],
  equal: [{}, {}],
  base: [{ current: 'g2', base: 'g1' }, {}],
  history: [{ current: 'g3', base: 'g2', history: ['g1'] }, {}],
  historyResumed: [{ current: 'g3', base: 'g2', history: ['g1'], resyncId: 'r' }, { resyncId: 'r' }],
  split: [
    { current: 'g2', base: 'g1' },
    { current: 'g3', base: 'g1' },
  ],
  ancestor: [
    { current: 'g3', base: 'g2', history: ['g1'] },
    { current: 'g5', base: 'g4', history: ['g1'] },
  ],
  splitGaveWay: [
    { current: 'g2', base: 'g1' },
    { current: 'g3', base: 'g1', gaveWayTo: 'g2' },
  ],
  splitBothGaveWay: [
    { current: 'g2', base: 'g1', gaveWayTo: 'g3' },
    { current: 'g3', base: 'g1', gaveWayTo: 'g2' },
  ],
  splitGaveWayToOther: [
    { current: 'g2', base: 'g1' },
    { current: 'g3', base: 'g1', gaveWayTo: 'g9' },
  ],
  splitDiscardable: [
    { current: 'g2', base: 'g1' },
    { current: 'g3', base: 'g1', discardable: true },
  ],
  splitBothDiscardable: [
    { current: 'g2', base: 'g1', discardable: true },
    { current: 'g3', base: 'g1', discardable: true },
  ],
  ancestorGaveWay: [
    { current: 'g3', base: 'g2', history: ['g1'] },
    { current: 'g5', base: 'g4', history: ['g1'], gaveWayTo: 'g3' },
  ],
  ancestorGaveWayResumed: [
    { current: 'g3', base: 'g2', history: ['g1'], resyncId: 'r' },
    { current: 'g5', base: 'g4', history: ['g1'], gaveWayTo: 'g3', resyncId: 'r' },
  ],
  survivorWentOn: [
    { current: 'g6', base: 'g2', history: ['g1'] },
    { current: 'g3', base: 'g1', gaveWayTo: 'g2' },
  ],
  unrelatedGaveWay: [{}, { current: 'g9', gaveWayTo: 'g1' }],
  through: [{ through: 'g2' }, { current: 'g2', base: 'g1' }],
  throughNotMinted: [{ through: 'g2' }, {}],
  throughOvertaken: [{ through: 'g2' }, { current: 'g3', base: 'g2', history: ['g1'] }],
  throughBlank: [{ through: 'g2' }, { current: null, mirrorId: null, sizeBytes: null }],
  throughOtherMirror: [{ through: 'g2' }, { current: 'g2', base: 'g1', mirrorId: 'other' }],
  throughBoth: [{ through: 'g1' }, { through: 'g1' }],
  crossed: [
    { current: 'g2', base: 'g3' },
    { current: 'g3', base: 'g2' },
  ],
  unrelated: [{}, { current: 'g9' }],
  otherMirror: [{}, { mirrorId: 'other' }],
};

function* everyView(node: string, lineage: Partial<LineageView>, ahead: readonly boolean[]): Generator<LineageView> {
  for (const state of states)
    for (const crashed of [false, true])
      for (const serving of [false, true])
        for (const servedEpoch of [1, 2])
          for (const dirtyExtents of [0, 3])
            for (const mayBeAhead of ahead)
              yield view(node, { ...lineage, state, crashed, serving, servedEpoch, dirtyExtents, mayBeAhead });
}

function* everyPair(): Generator<{ readonly relation: string; readonly a: LineageView; readonly b: LineageView }> {
  for (const [relation, [mine, theirs]] of Object.entries(relations)) {
    const ahead = relation === 'equal' ? [false, true] : [false];
    for (const a of everyView('alpha', mine, ahead)) for (const b of everyView('beta', theirs, ahead)) yield { relation, a, b };
  }
}

describe('decideSync', function () {
  // Millions of pairs of views.
  this.timeout(30_000);

  it('gives both nodes the same decision, whoever asks (lineage.decide)', () => {
    for (const { a, b } of everyPair()) {
      const [mine, theirs] = [JSON.stringify(decideSync(a, b)), JSON.stringify(decideSync(b, a))];
      if (mine !== theirs) expect.fail(`${mine} and ${theirs} from ${JSON.stringify([a, b])}`);
    }
  });

  it('never makes an unfinished or failed element a source, nor a serving node a target (lineage.source, lineage.serving)', () => {
    for (const { a, b } of everyPair()) {
      const decision = decideSync(a, b);
      if (decision.kind === 'refuse' || decision.rule === 'write.error') continue;
      const [source, target] = decision.source === 'alpha' ? [a, b] : [b, a];
      const wrong = ['inconsistent', 'failed', 'off'].includes(source.state) || target.serving || ['failed', 'off'].includes(target.state);
      if (wrong) expect.fail(`${JSON.stringify(decision)} from ${JSON.stringify([a, b])}`);
    }
  });

  it('lets a node whose element failed serve on only through what it served through, and never copies to or from it (write.error)', () => {
    let through = 0;
    for (const { a, b } of everyPair()) {
      const decision = decideSync(a, b);
      for (const [diskless, holder] of [
        [a, b],
        [b, a],
      ] as const) {
        const isDiskless = diskless.serving && diskless.through !== null && ['failed', 'off'].includes(diskless.state);
        const goesOn = decision.kind === 'sync' && decision.rule === 'write.error' && decision.source === diskless.node;
        const fits =
          isDiskless &&
          !holder.serving &&
          holder.mirrorId === diskless.mirrorId &&
          holder.current === diskless.through &&
          ['uptodate', 'consistent'].includes(holder.state);
        if (goesOn !== fits || (goesOn && decision.scope !== 'nothing') || (isDiskless && !goesOn && decision.kind === 'sync')) {
          expect.fail(`${JSON.stringify(decision)} from ${JSON.stringify([a, b])}`);
        }
        if (goesOn) through += 1;
      }
    }
    expect(through).to.be.above(0);
  });

  it('takes the one that was served last for the source where it may be ahead by async, whichever crashed (lineage.equal)', () => {
    for (const { relation, a, b } of everyPair()) {
      const usable = ![a, b].some(({ state }) => ['inconsistent', 'failed', 'off'].includes(state));
      const last = a.servedEpoch > b.servedEpoch ? a : b;
      if (relation !== 'equal' || !usable || !last.mayBeAhead || a.servedEpoch === b.servedEpoch) continue;
      const decision = decideSync(a, b);
      const wrong = decision.kind === 'sync' ? decision.source !== last.node : decision.rule !== 'lineage.serving';
      if (wrong) expect.fail(`${JSON.stringify(decision)} from ${JSON.stringify([a, b])}`);
    }
  });

  it('copies nothing only between usable elements of one generation that nothing marks as different (lineage.union)', () => {
    for (const { relation, a, b } of everyPair()) {
      const decision = decideSync(a, b);
      if (decision.kind === 'refuse' || decision.scope !== 'nothing' || decision.rule === 'write.error') continue;
      const equal = ['equal', 'throughNotMinted', 'throughBoth'].includes(relation);
      const wrong = !equal || a.dirtyExtents + b.dirtyExtents > 0 || a.state === 'inconsistent' || b.state === 'inconsistent';
      if (wrong) expect.fail(`${JSON.stringify(decision)} from ${JSON.stringify([a, b])}`);
    }
  });

  it('depends on the relation alone for who may copy at all', () => {
    const outcomes: Readonly<Record<string, readonly string[]>> = {
      bothBlank: ['standalone'],
      split: ['split-brain'],
      ancestor: ['split-brain'],
      crossed: ['split-brain'],
      splitBothGaveWay: ['split-brain'],
      splitGaveWayToOther: ['split-brain'],
      splitBothDiscardable: ['split-brain'],
      unrelated: ['unrelated'],
      unrelatedGaveWay: ['unrelated'],
      otherMirror: ['unrelated'],
      throughOtherMirror: ['unrelated', 'standalone'],
    };
    for (const { relation, a, b } of everyPair()) {
      const decision = decideSync(a, b);
      const outcome = decision.kind === 'sync' ? 'sync' : decision.outcome;
      const allowed = outcomes[relation] ?? ['sync', 'standalone'];
      if (!allowed.includes(outcome)) expect.fail(`${relation}: ${JSON.stringify(decision)}`);
      if (decision.kind === 'sync' && !relation.startsWith('through') && relation !== 'equal' && decision.source !== 'alpha')
        expect.fail(`${relation}: ${JSON.stringify(decision)}`);
    }
  });

  const rows: readonly (readonly [string, Partial<LineageView>, Partial<LineageView>, string])[] = [
    ['both blank', ...relations['bothBlank']!, 'refuse lineage.blank'],
    ['one blank', ...relations['blank']!, 'alpha full lineage.fill'],
    ['one blank, begun before', ...relations['blankResumed']!, 'alpha union resync.progress'],
    [
      'equal, alpha rolled back, beta crashed',
      { behind: true, dirtyExtents: 1 },
      { crashed: true, servedEpoch: 2 },
      'beta union lineage.equal',
    ],
    ['rolled back and then written alone', { base: 'g1', current: 'g2', behind: true }, {}, 'refuse lineage.split'],
    [
      'serves without an element',
      { state: 'failed', serving: true, through: 'g2' },
      { current: 'g2', base: 'g1' },
      'alpha nothing write.error',
    ],
    ['serves without an element, the peer is older', { state: 'failed', serving: true, through: 'g2' }, {}, 'refuse write.error'],
    [
      'serves without an element, the peer is newer',
      { state: 'failed', serving: true, through: 'g2' },
      { current: 'g3', base: 'g2' },
      'refuse write.error',
    ],
    [
      'serves without an element, the peer is outdated',
      { state: 'failed', serving: true, through: 'g2' },
      { current: 'g2', base: 'g1', state: 'outdated' },
      'refuse lineage.source',
    ],
    ['served without an element', { state: 'failed', through: 'g2' }, { current: 'g2', base: 'g1' }, 'refuse lineage.source'],
    ['equal, one crashed', { crashed: true, servedEpoch: 2 }, { dirtyExtents: 1 }, 'beta union lineage.equal'],
    [
      'equal, both crashed',
      { crashed: true, servedEpoch: 1 },
      { crashed: true, servedEpoch: 2, dirtyExtents: 1 },
      'beta union lineage.equal',
    ],
    [
      'equal, neither crashed, one serves',
      { serving: true, servedEpoch: 1 },
      { servedEpoch: 2, dirtyExtents: 1 },
      'alpha union lineage.equal',
    ],
    [
      'equal by async, the one served last crashed',
      { crashed: true, servedEpoch: 2, mayBeAhead: true },
      { servedEpoch: 1, dirtyExtents: 1 },
      'alpha union lineage.equal',
    ],
    [
      'equal, by async in an earlier epoch than the last, which crashed',
      { servedEpoch: 1, mayBeAhead: true, dirtyExtents: 1 },
      { crashed: true, servedEpoch: 2 },
      'alpha union lineage.equal',
    ],
    [
      'equal by async, a tie with something to copy',
      { crashed: true, mayBeAhead: true, servedEpoch: 1 },
      { dirtyExtents: 1, servedEpoch: 1 },
      'refuse lineage.direction',
    ],
    ['equal by async, one inconsistent', { state: 'inconsistent', servedEpoch: 2 }, { mayBeAhead: true }, 'beta union lineage.equal'],
    ['equal, neither crashed nor serves', { servedEpoch: 1 }, { servedEpoch: 2, dirtyExtents: 1 }, 'beta union lineage.equal'],
    ['equal, a tie with something to copy', { servedEpoch: 1, dirtyExtents: 1 }, { servedEpoch: 1 }, 'refuse lineage.direction'],
    ['equal, a tie of elements that never served', { servedEpoch: 0 }, { servedEpoch: 0, dirtyExtents: 1 }, 'beta union lineage.equal'],
    ['equal, a tie with nothing to copy', {}, {}, 'alpha nothing lineage.equal'],
    ['equal, one inconsistent', { state: 'inconsistent', servedEpoch: 2 }, { crashed: true }, 'beta union lineage.equal'],
    ['equal, the one that would be overwritten serves', { crashed: true, serving: true }, {}, 'refuse lineage.serving'],
    ['my base is your current', { base: 'g1', current: 'g2' }, {}, 'alpha union lineage.base'],
    ['your base is my current', {}, { base: 'g1', current: 'g2' }, 'beta union lineage.base'],
    ['your current is in my history', ...relations['history']!, 'alpha full lineage.history'],
    ['your current is in my history, begun before', ...relations['historyResumed']!, 'alpha union resync.progress'],
    ['bases equal, currents differ', ...relations['split']!, 'refuse lineage.split'],
    ['only a common ancestor', ...relations['ancestor']!, 'refuse lineage.split'],
    ['each descends from the other', ...relations['crossed']!, 'refuse lineage.split'],
    ['split, and beta gives way', ...relations['splitGaveWay']!, 'alpha union lineage.resolve'],
    ['split, and both were told to give way', ...relations['splitBothGaveWay']!, 'refuse lineage.split'],
    ['split, and the word is about another generation', ...relations['splitGaveWayToOther']!, 'refuse lineage.split'],
    ['only a common ancestor, and beta gives way', ...relations['ancestorGaveWay']!, 'alpha full lineage.resolve'],
    ['only a common ancestor, and beta is being overwritten', ...relations['ancestorGaveWayResumed']!, 'alpha union resync.progress'],
    ['the survivor was written alone once more', ...relations['survivorWentOn']!, 'alpha full lineage.resolve'],
    [
      'split, and beta serves although it gives way',
      { current: 'g2', base: 'g1' },
      { current: 'g3', base: 'g1', gaveWayTo: 'g2', serving: true },
      'refuse lineage.serving',
    ],
    [
      'split, and the survivor is inconsistent',
      { current: 'g2', base: 'g1', state: 'inconsistent' },
      { current: 'g3', base: 'g1', gaveWayTo: 'g2' },
      'refuse lineage.source',
    ],
    ['equal, a tie, and beta gives way', { dirtyExtents: 1 }, { gaveWayTo: 'g1' }, 'alpha union lineage.resolve'],
    ['split, and beta may be discarded', ...relations['splitDiscardable']!, 'alpha union lineage.unchanged'],
    ['split, and both may be discarded', ...relations['splitBothDiscardable']!, 'refuse lineage.split'],
    [
      'split, beta may be discarded, and the word of an operator is that alpha gives way',
      { current: 'g2', base: 'g1', gaveWayTo: 'g3' },
      { current: 'g3', base: 'g1', discardable: true },
      'beta union lineage.resolve',
    ],
    ['nothing in common, whatever was said', ...relations['unrelatedGaveWay']!, 'refuse lineage.unrelated'],
    ['nothing in common', ...relations['unrelated']!, 'refuse lineage.unrelated'],
    ['the newer one is inconsistent', { base: 'g1', current: 'g2', state: 'inconsistent' }, {}, 'refuse lineage.source'],
    ['the older one serves', { base: 'g1', current: 'g2' }, { serving: true }, 'refuse lineage.serving'],
    ['the older one has failed', { base: 'g1', current: 'g2' }, { state: 'failed' }, 'refuse lineage.source'],
    ['the target is too small', {}, { current: null, mirrorId: null, sizeBytes: null, deviceBytes: 512 }, 'refuse lineage.size'],
  ];
  for (const [title, mine, theirs, expected] of rows) {
    it(`decides the row "${title}": ${expected}`, () => {
      const decision = decideSync(view('alpha', mine), view('beta', theirs));
      const told = decision.kind === 'sync' ? `${decision.source} ${decision.scope} ${decision.rule}` : `refuse ${decision.rule}`;
      expect(told).to.equal(expected);
    });
  }
});
