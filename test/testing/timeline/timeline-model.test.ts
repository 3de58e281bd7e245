import { expect } from 'chai';

import type { TimelineEntry } from '../../../src/testing/timeline/entry.ts';
import type { TimelineLane, TimelineModel } from '../../../src/testing/timeline/model.ts';
import { timelineModel } from '../../../src/testing/timeline/timeline-model.ts';
import { Story, takeoverStory } from './sample-entries.ts';

function laneOf({ groups }: TimelineModel, group: string, label: string): TimelineLane | undefined {
  return groups.find(({ title }) => title === group)?.lanes.find((lane) => lane.label === label);
}

/** The spans of a lane as `label from-to`. */
function spansOf(model: TimelineModel, group: string, label: string): readonly string[] {
  return (laneOf(model, group, label)?.spans ?? []).map(({ label: state, fromMs, toMs }) => `${state} ${String(fromMs)}-${String(toMs)}`);
}

function labelsOf(model: TimelineModel, group: string): readonly string[] {
  return model.groups.find(({ title }) => title === group)?.lanes.map(({ label }) => label) ?? [];
}

/** An entry of the log of a real node, which has wall time only. */
function logged(atMs: number, event: string, text: string, more: Partial<TimelineEntry> = {}): TimelineEntry {
  return { schema: 1, seq: 1, time: new Date(Date.UTC(2026, 0, 2) + atMs).toISOString(), node: 'beta', event, class: 0, text, ...more };
}

describe('timelineModel, of a simulation', () => {
  const model = timelineModel(takeoverStory());

  it('shows virtual time, the world, each node and the links', () => {
    expect(model).to.include({ axis: 'virtual', originMs: 0, startMs: 0 });
    expect(model.groups.map(({ title }) => title)).to.deep.equal(['world', 'alpha', 'beta', 'links']);
  });

  it('shows which node served when, and that the other took over', () => {
    expect(spansOf(model, 'alpha', 'state')).to.deep.equal([
      'booting 0-240',
      'serving 240-8000',
      'down 8000-11000',
      'booting 11000-11260',
      'passive 11260-14470',
      `serving 14470-${String(model.endMs)}`,
    ]);
    expect(spansOf(model, 'beta', 'state'))
      .to.include('serving 9060-14050')
      .and.to.include('stopping 14050-14450');
    expect(spansOf(model, 'beta', 'mode')).to.include('fallback 9060-14450');
    expect(spansOf(model, 'beta', 'epoch')).to.deep.equal([
      '1/alpha 240-9060',
      '2/beta 9060-14450',
      `3/alpha 14450-${String(model.endMs)}`,
    ]);
  });

  it('shows what became of a mirror, and that it ends with the process', () => {
    expect(spansOf(model, 'alpha', 'm0 serving').slice(0, 4)).to.deep.equal([
      'serving 260-4301',
      'parked 4301-4421',
      'alone 4421-5960',
      'serving 5960-8000',
    ]);
    expect(spansOf(model, 'beta', 'm0 element')).to.include('outdated 4400-5962');
    expect(spansOf(model, 'alpha', 'm0 element')).to.include('inconsistent 11272-13080');
  });

  it('shows how far a resync was', () => {
    const [first] = laneOf(model, 'alpha', 'm0 resync')?.spans ?? [];
    expect(first).to.include({ look: 'resync', fromMs: 260, toMs: 1_470 });
    expect(first?.progress?.map(([, fraction]) => fraction)).to.deep.equal([0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1]);
  });

  it('shows a link as it is, cut one way or both, and as each node sees it', () => {
    expect(spansOf(model, 'links', 'data m0')).to.deep.equal([
      'open 0-4000',
      'cut 4000-5200',
      'cut from alpha 5200-5800',
      `open 5800-${String(model.endMs)}`,
    ]);
    expect(labelsOf(model, 'links')).to.deep.equal(['data m0', 'lan', 'line'].flatMap((link) => [link, 'seen by alpha', 'seen by beta']));
    const lan = model.groups.at(-1)?.lanes[5];
    expect(lan?.spans.map(({ label }) => label)).to.deep.equal(['up', 'late', 'down', 'up']);
    expect(lan?.ticks.length).to.be.greaterThan(50);
  });

  it('shows writes from issue to acknowledgement, and those that were never answered', () => {
    const requests = laneOf(model, 'alpha', 'm0 writes')?.requests ?? [];
    const open = requests.filter(({ outcome }) => outcome === 'open');
    expect(requests.length).to.be.greaterThan(300);
    expect(open.length).to.be.within(1, 5);
    for (const { toMs } of open) expect([8_000, model.endMs]).to.include(toMs);
    expect(requests.map(({ fromMs }) => fromMs)).to.deep.equal(requests.map(({ fromMs }) => fromMs).toSorted((one, other) => one - other));
    expect(laneOf(model, 'beta', 'm0 reads, flushes')?.ticks.length).to.be.greaterThan(5);
  });

  it('flags faults and orders on the world, and decisions on their node', () => {
    expect(laneOf(model, 'world', 'faults')?.marks.map(({ atMs }) => atMs)).to.deep.equal([4_000, 8_000, 11_000]);
    expect(laneOf(model, 'world', 'operator')?.marks.map(({ kind }) => kind)).to.deep.equal(['order', 'order']);
    const entries = takeoverStory();
    expect(laneOf(model, 'beta', 'decisions')?.marks.map(({ entry }) => entries[entry]?.event)).to.deep.equal([
      'peer:changed',
      'boot:decided',
      'peer:changed',
      'takeover:decided',
      'lineage:decided',
      'handover:finished',
    ]);
  });

  it('shows service steps, and which of them failed', () => {
    const story = new Story();
    story.steps(0, 'beta', ['attach']);
    story.tell(100, 'beta', 'step:started', 'mount started', { evidence: { step: 'mount' } });
    story.tell(160, 'beta', 'step:failed', 'mount failed: busy', { class: 3, evidence: { step: 'mount' } });
    const spans = laneOf(timelineModel(story.entries()), 'beta', 'service steps')?.spans;
    expect(spans?.map(({ label, look }) => [label, look])).to.deep.equal([
      ['attach', 'step'],
      ['mount', 'brokenStep'],
    ]);
  });

  it('shows a broken invariant, a pause and manual control', () => {
    const story = new Story();
    story.node(0, 'alpha', 'serving', 'normal', 1, 'alpha');
    story.tell(5, 'alpha', 'node:state', 'paused', {
      evidence: { state: 'paused', mode: 'normal', epoch: 1, owner: 'alpha', control: 'manual' },
    });
    story.tell(9, 'world', 'invariant:broken', 'two owners', { class: 3, evidence: { invariant: 'one-owner' } });
    const model = timelineModel(story.entries());
    expect(laneOf(model, 'world', 'invariants')?.marks).to.deep.equal([{ atMs: 9, kind: 'broken', entry: 2 }]);
    expect(spansOf(model, 'alpha', 'state')).to.deep.equal(['serving 0-5', 'paused 5-9']);
    expect(spansOf(model, 'alpha', 'control')).to.deep.equal(['manual 5-9']);
  });
});

describe('timelineModel, of the log of a real node', () => {
  const lived = [
    logged(0, 'boot:decided', 'beta: wait, the peer has not answered', { rule: 'boot.alone', evidence: { action: 'wait' } }),
    logged(100, 'link:changed', 'Monitor link net is up (was down).', { evidence: { link: 'net', to: 'up' } }),
    logged(110, 'peer:changed', 'alpha is up (was unknown): heard on net.', { evidence: { to: 'up' } }),
    logged(120, 'link:connected', 'the data link is connected to alpha', { mirror: 'm0' }),
    logged(130, 'epoch:raised', 'the epoch is 1/alpha', { evidence: { epoch: { number: 1, owner: 'alpha' } } }),
    logged(140, 'boot:decided', 'beta: passive, alpha owns epoch 1/alpha', { rule: 'boot.equal', evidence: { action: 'passive' } }),
    logged(150, 'lineage:decided', 'copy', { mirror: 'm0', evidence: { source: 'alpha', target: 'beta', scope: 'full' } }),
    logged(500, 'resync:finished', 'this element is the same as the source', { mirror: 'm0' }),
    logged(900, 'link:lost', 'the data link is lost', { class: 1, mirror: 'm0' }),
    logged(950, 'peer:changed', 'alpha is suspect (was up): every link is late.', { evidence: { to: 'suspect' } }),
    logged(1_000, 'link:changed', 'Monitor link net is down (was late): connect ECONNREFUSED.', {
      class: 1,
      evidence: { link: 'net', to: 'down' },
    }),
    logged(1_010, 'peer:changed', 'alpha is down (was suspect): every link is silent.', { class: 1, evidence: { to: 'down' } }),
    logged(1_020, 'takeover:decided', 'beta is about to take over', { rule: 'takeover.commit' }),
    logged(1_030, 'mode:changed', 'the mode is fallback: beta owns the service', { class: 2, evidence: { mode: 'fallback' } }),
    logged(1_040, 'service:started', 'beta serves epoch 2/beta', { class: 2 }),
    logged(1_050, 'step:started', 'mount started', { evidence: { step: 'mount' } }),
    logged(1_090, 'step:finished', 'mount finished', { evidence: { step: 'mount' } }),
    logged(2_000, 'link:connected', 'the data link is connected to alpha', { mirror: 'm0' }),
    logged(2_010, 'lineage:decided', 'copy', { mirror: 'm0', evidence: { source: 'beta', target: 'alpha', scope: 'union' } }),
    logged(2_020, 'resync:started', '5 extents are copied to alpha', { mirror: 'm0' }),
    logged(2_500, 'resync:finished', 'both elements are the same', { mirror: 'm0' }),
    logged(3_000, 'element:failed', 'the element failed', { class: 3, mirror: 'm0' }),
    logged(3_100, 'control:changed', 'control is manual', { evidence: { control: 'manual' } }),
    logged(4_000, 'boot:decided', 'beta: wait, it starts again', { rule: 'boot.alone', evidence: { action: 'wait' } }),
    logged(4_100, 'boot:decided', 'beta: passive, alpha owns', { rule: 'boot.equal', evidence: { action: 'passive' } }),
    logged(4_200, 'frame:rejected', 'noise'),
  ];
  const model = timelineModel(lived);

  it('shows wall time from the first event', () => {
    expect(model).to.include({ axis: 'wall', originMs: Date.UTC(2026, 0, 2), startMs: 0, endMs: 4_200 });
  });

  it('derives what the node was, and that it did not run before it booted again', () => {
    expect(spansOf(model, 'beta', 'state')).to.deep.equal([
      'booting 0-140',
      'passive 140-1040',
      'serving 1040-3100',
      'not running 3100-4000',
      'booting 4000-4100',
      'passive 4100-4200',
    ]);
    expect(spansOf(model, 'beta', 'mode')).to.deep.equal(['fallback 1030-3100']);
    expect(spansOf(model, 'beta', 'epoch')).to.deep.equal(['1/alpha 130-3100']);
    expect(spansOf(model, 'beta', 'service steps')).to.deep.equal(['mount 1050-1090']);
  });

  it('derives what its mirror was', () => {
    expect(spansOf(model, 'beta', 'm0 serving')).to.deep.equal(['alone 1040-2010', 'serving 2010-3100']);
    expect(spansOf(model, 'beta', 'm0 element')).to.deep.equal(['inconsistent 150-500', 'uptodate 500-3000', 'failed 3000-3100']);
    expect(spansOf(model, 'beta', 'm0 resync')).to.deep.equal(['resync 2020-2500']);
  });

  it('derives what it saw of the links, by name', () => {
    expect(spansOf(model, 'links', 'data m0 seen by beta')).to.deep.equal(['connected 120-900', 'lost 900-2000', 'connected 2000-3100']);
    expect(spansOf(model, 'links', 'net seen by beta')).to.deep.equal(['up 100-1000', 'down 1000-3100']);
  });

  it('shows parked writes, going alone, and a refused epoch', () => {
    const parked = timelineModel([
      logged(0, 'service:started', 'beta serves', { mirror: 'm0' }),
      logged(10, 'writes:parked', 'requests wait for the peer', { mirror: 'm0' }),
      logged(20, 'alone:decided', 'm0 without its peer: go, the peer is outdated', { mirror: 'm0', evidence: { action: 'go' } }),
      logged(30, 'writes:parked', 'requests wait for the peer', { mirror: 'm0' }),
      logged(40, 'writes:resumed', 'requests complete again', { mirror: 'm0' }),
      logged(50, 'epoch:refused', 'epoch 3/alpha was heard of', { mirror: 'm0' }),
      logged(60, 'service:stopped', 'beta no longer serves'),
      logged(70, 'frame:rejected', 'noise'),
    ]);
    expect(spansOf(parked, 'beta', 'm0 serving')).to.deep.equal([
      'alone 0-10',
      'parked 10-20',
      'alone 20-30',
      'parked 30-40',
      'alone 40-50',
    ]);
    expect(spansOf(parked, 'beta', 'm0 element')).to.deep.equal(['uptodate 0-50', 'consistent 50-70']);
  });

  it('marks decisions and failures, but not suspicion', () => {
    const events = laneOf(model, 'beta', 'decisions')?.marks.map(({ entry }) => lived[entry]?.event);
    expect(events?.filter((event) => event === 'peer:changed')).to.have.length(2);
    expect(events).to.include('element:failed').and.not.to.include('frame:rejected');
  });

  it('takes an empty log, one entry, and times that are no times', () => {
    expect(timelineModel([])).to.deep.include({ groups: [], times: [] });
    expect(timelineModel([logged(0, 'service:started', 'beta serves')]).endMs).to.equal(0);
    const broken = timelineModel([logged(0, 'a:b', ''), { ...logged(0, 'service:started', ''), time: 'noon' }, logged(9, 'a:b', '')]);
    expect(broken.times).to.deep.equal([0, 0, 9]);
  });

  it('takes 100,000 entries', () => {
    const story = new Story();
    story.writes(0, 1_100_000, 'alpha', 1);
    const entries = story.entries();
    expect(entries.length).to.be.greaterThan(95_000);
    expect(laneOf(timelineModel(entries), 'alpha', 'm0 writes')?.requests).to.have.length(Math.ceil(1_100_000 / 23));
  });
});
