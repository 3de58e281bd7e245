import { EventEmitter } from 'node:events';
import { readFile } from 'node:fs/promises';

import { expect } from 'chai';

import { HotMirrorError } from '../../src/errors.ts';
import type { EventBase } from '../../src/events.ts';
import type { HeartbeatMonitor } from '../../src/heartbeat/heartbeat-monitor.ts';
import type { Json } from '../../src/heartbeat/types.ts';
import { ConfigComparison, compareConfigs, configPortrait } from '../../src/node/config-comparison.ts';
import type { ConfigPortrait } from '../../src/node/config-comparison.ts';
import { parseConfig } from '../../src/node/config.ts';

type File = Record<string, object>;

describe('ConfigComparison', () => {
  let office: File;
  let nowMs = 0;

  before(async () => {
    office = JSON.parse(await readFile(new URL('../../../test/support/office-pair.json', import.meta.url), 'utf8')) as File;
  });

  const portrait = (file: Record<string, unknown>): ConfigPortrait =>
    configPortrait({ config: parseConfig(file, { folder: '/srv' }), written: file });
  const monitorWith = (times: object): File => ({ ...office, monitor: { ...office['monitor'], ...times } });
  const patient = (): File => monitorWith({ initialGraceMs: 60_000 });

  it('files that say the same are the same, whatever the order of their keys', () => {
    const reversed = Object.fromEntries(Object.entries(office).reverse());
    const same = [
      reversed,
      { ...office, $schema: 'x' },
      { ...office, monitor: Object.fromEntries(Object.entries(office['monitor']!).reverse()) },
    ];
    for (const file of same) expect(compareConfigs(portrait(office), portrait(file), 'beta')).to.deep.equal({ sections: [], unsafe: null });
  });

  it('tells the sections that differ, and those that only one has', () => {
    const sections = (mine: ConfigPortrait, theirs: ConfigPortrait): readonly string[] => compareConfigs(mine, theirs, 'beta').sections;
    expect(sections(portrait(office), portrait(patient()))).to.deep.equal(['monitor']);
    const later = { ...portrait(office), digests: { ...portrait(office).digests, quorum: '1' } };
    expect(sections(portrait(office), later)).to.deep.equal(['quorum']);
    expect(sections(later, portrait(office))).to.deep.equal(['quorum']);
  });

  it('timing.lease: a node whose deadline does not outlast the lease of the other could take over while that still completes', () => {
    const usual = portrait(office);
    const { deadlineMs, leaseMs } = usual;
    const unsafe = (mine: ConfigPortrait, theirs: ConfigPortrait): string | null => compareConfigs(mine, theirs, 'beta').unsafe;
    expect(unsafe(usual, { ...usual, deadlineMs: leaseMs })).to.match(/^beta: it may take over after/u);
    expect(unsafe({ ...usual, deadlineMs: leaseMs }, usual)).to.match(/^this node: it may take over after/u);
    expect(unsafe(usual, { ...usual, deadlineMs: leaseMs + 1 })).to.equal(null);
    expect(unsafe(usual, { ...usual, leaseMs: deadlineMs })).to.not.equal(null);
  });

  /** A node whose peer answers as it is told. */
  function node(mine: ConfigPortrait, request: (body: Json) => Promise<Json>) {
    const told: string[] = [];
    const events = new EventEmitter();
    const clock = { nowMs: () => nowMs };
    const tell = (event: string, { text, rule }: Omit<EventBase, 'atMs'>): void => void told.push([event, rule, text].join(' '));
    const monitor = { events, request } as unknown as Pick<HeartbeatMonitor, 'events' | 'request'>;
    const comparison = new ConfigComparison({ mine, peer: 'beta', monitor, clock, tell });
    const answers = async (): Promise<void> => {
      events.emit('peer:answered', {});
      await new Promise((resolve) => setImmediate(resolve));
    };
    const up = (): Promise<void> => {
      events.emit('peer:changed', { from: 'down', to: 'up' });
      return answers();
    };
    return { comparison, told, events, answers, up };
  }

  const said = (of: ConfigPortrait): Promise<Json> => Promise.resolve({ ...of } as unknown as Json);
  const asked = (of: ConfigPortrait): Json => ({ kind: 'configuration', ...of });

  it('asks a peer that comes up, tells once what differs, warns while it is there, and tells when it agrees', async () => {
    let theirs = portrait(patient());
    const { comparison, told, events, up } = node(portrait(office), () => said(theirs));
    await up();
    await up();
    expect(comparison.warnings).to.have.length(1);
    expect(comparison.warnings[0]).to.not.have.property('rule');
    events.emit('peer:changed', { from: 'up', to: 'down' });
    expect(comparison.warnings).to.deep.equal([]);
    theirs = portrait(office);
    await up();
    expect(comparison.warnings).to.deep.equal([]);
    theirs = { ...portrait(patient()), deadlineMs: 1 };
    await up();
    expect(comparison.warnings[0]).to.have.property('rule', 'timing.lease');
    expect(told.map((line) => line.split(',')[0])).to.deep.equal([
      'config:differs  beta runs with another configuration',
      'config:agrees  beta runs with the same configuration',
      'config:differs timing.lease beta runs with another configuration',
    ]);
    comparison.close();
  });

  it('learns as much from being asked, and asks no more', async () => {
    let requests = 0;
    const { comparison, told, answers } = node(portrait(office), () => {
      requests += 1;
      return said(portrait(office));
    });
    expect(comparison.answer(asked(portrait(patient())))).to.deep.equal({ ...portrait(office) });
    expect(told).to.have.length(1);
    expect(comparison.answer({ kind: 'watch-order' })).to.equal(null);
    expect(comparison.answer(null)).to.equal(null);
    await answers();
    expect(requests).to.equal(0);
  });

  it('does not know of a peer that compares nothing, and refuses nonsense', async () => {
    for (const answer of [Promise.reject(new HotMirrorError('HM_PROTOCOL', 'none of these')), Promise.resolve({ digests: 7 })]) {
      const { comparison, told, up } = node(portrait(office), () => answer);
      comparison.answer(asked(portrait(patient())));
      await up();
      expect(comparison.warnings).to.deep.equal([]);
      expect(told).to.have.length(1);
    }
    const { comparison } = node(portrait(office), () => Promise.resolve(null));
    const many = Object.fromEntries(Array.from({ length: 33 }, (_, index) => [`s${String(index)}`, '']));
    for (const digests of [7, { monitor: 7 }, { 'a\nb': '' }, many] as Json[])
      expect(() => comparison.answer({ ...(asked(portrait(office)) as object), digests })).to.throw(HotMirrorError, 'makes no sense');
  });

  it('asks again, less and less often, whom no request reached, and once a version that compares nothing', async () => {
    let requests = 0;
    let outcome = new HotMirrorError('HM_PEER_UNREACHABLE', 'no link is up');
    const { answers } = node(portrait(office), () => {
      requests += 1;
      return Promise.reject(outcome);
    });
    for (const secondsLater of [0, 4, 1, 9, 1]) {
      nowMs += secondsLater * 1_000;
      await answers();
    }
    expect(requests).to.equal(3);
    outcome = new HotMirrorError('HM_PROTOCOL', 'none of these');
    for (let minutes = 0; minutes < 3; minutes += 1) {
      nowMs += 60_000;
      await answers();
    }
    expect(requests).to.equal(4);
  });

  it('neither asks nor answers nor hears once it is closed', async () => {
    let requests = 0;
    const { comparison, events, told, up } = node(portrait(office), () => {
      requests += 1;
      return said(portrait(patient()));
    });
    events.emit('peer:answered', {});
    comparison.close();
    await up();
    expect(requests).to.equal(1);
    expect(told).to.deep.equal([]);
    expect(() => comparison.answer(asked(portrait(office))))
      .to.throw(HotMirrorError)
      .with.property('code', 'HM_CLOSED');
  });
});
