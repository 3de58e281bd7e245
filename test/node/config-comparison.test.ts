import { EventEmitter } from 'node:events';
import { readFile } from 'node:fs/promises';

import { expect } from 'chai';

import { HotMirrorError } from '../../src/errors.ts';
import type { EventBase } from '../../src/events.ts';
import type { HeartbeatMonitor } from '../../src/heartbeat/heartbeat-monitor.ts';
import type { Json } from '../../src/heartbeat/types.ts';
import { ConfigComparison, configDigests, differingSections } from '../../src/node/config-comparison.ts';
import type { ConfigDigests } from '../../src/node/config-comparison.ts';
import { parseConfig } from '../../src/node/config.ts';

type File = Record<string, object>;

describe('ConfigComparison', () => {
  let office: File;

  before(async () => {
    office = JSON.parse(await readFile(new URL('../../../test/support/office-pair.json', import.meta.url), 'utf8')) as File;
  });

  const digests = (file: unknown, folder = '/srv'): ConfigDigests => configDigests({ config: parseConfig(file, { folder }), folder });
  const patient = (): File => ({ ...office, monitor: { ...office['monitor'], initialGraceMs: 60_000 } });

  it('files that say the same are the same, in whatever order, with defaults or without, and in whatever folder they are', () => {
    const mine = digests(office);
    expect(differingSections(mine, digests(office))).to.deep.equal([]);
    expect(differingSections(mine, digests(office, '/etc/hotmirror'))).to.deep.equal([]);
    expect(differingSections(mine, digests(Object.fromEntries(Object.entries(office).reverse())))).to.deep.equal([]);
    const absolute = { ...office, auth: { keyFile: '/srv/pair.key' } };
    expect(differingSections(digests(absolute), digests(absolute, '/etc/hotmirror'))).to.deep.equal([]);
  });

  it('tells the sections that differ, and those that only one has', () => {
    expect(differingSections(digests(office), digests(patient()))).to.deep.equal(['monitor']);
    const later = { ...digests(office), quorum: { asItIs: '1', fromFolder: '1' } };
    expect(differingSections(digests(office), later)).to.deep.equal(['quorum']);
    expect(differingSections(later, digests(office))).to.deep.equal(['quorum']);
  });

  /** Two nodes, each of which asks the other directly. */
  function node(mine: ConfigDigests, request: (body: Json) => Promise<Json>) {
    const told: string[] = [];
    const events = new EventEmitter();
    const tell = (event: string, { text, rule }: Omit<EventBase, 'atMs'>): void => void told.push([event, rule, text].join(' '));
    const monitor = { events, request } as unknown as Pick<HeartbeatMonitor, 'events' | 'request'>;
    const comparison = new ConfigComparison({ digests: mine, peer: 'beta', monitor, tell });
    const up = async (): Promise<void> => {
      events.emit('peer:changed', { from: 'down', to: 'up' });
      events.emit('peer:answered', {});
      await new Promise((resolve) => setImmediate(resolve));
    };
    return { comparison, told, events, up };
  }

  it('timing.lease: asks a peer that comes up, tells once what differs, warns until it agrees', async () => {
    let theirs = digests(patient());
    const { comparison, told, up } = node(digests(office), () => Promise.resolve({ digests: theirs } as unknown as Json));
    await up();
    await up();
    expect(comparison.warnings).to.have.length(1);
    expect(comparison.warnings[0]).to.include({ rule: 'timing.lease' });
    theirs = digests(office);
    await up();
    expect(comparison.warnings).to.deep.equal([]);
    expect(told).to.deep.equal([
      'config:differs timing.lease beta runs with another configuration: it differs in monitor',
      'config:agrees  beta runs with the same configuration again',
    ]);
    comparison.close();
  });

  it('learns as much from being asked', () => {
    const { comparison, told } = node(digests(office), () => Promise.reject(new Error('nobody asks')));
    const request = { kind: 'configuration', digests: digests(patient()) } as unknown as Json;
    expect(comparison.answer(request)).to.deep.equal({ digests: digests(office) });
    expect(told).to.have.length(1);
    expect(comparison.answer({ kind: 'watch-order' })).to.equal(null);
    expect(comparison.answer(null)).to.equal(null);
  });

  it('says nothing of a peer that does not answer or answers nonsense, and refuses nonsense', async () => {
    for (const answer of [Promise.reject(new HotMirrorError('HM_PROTOCOL', 'none of these')), Promise.resolve({ digests: 7 })]) {
      const { comparison, told, up } = node(digests(office), () => answer);
      await up();
      expect([told, comparison.warnings]).to.deep.equal([[], []]);
    }
    const { comparison } = node(digests(office), () => Promise.resolve(null));
    const many = Object.fromEntries(Array.from({ length: 33 }, (_, index) => [String(index), { asItIs: '', fromFolder: '' }]));
    for (const sent of [7, { monitor: 'x' }, { ['x'.repeat(65)]: { asItIs: '', fromFolder: '' } }, many] as Json[])
      expect(() => comparison.answer({ kind: 'configuration', digests: sent })).to.throw(HotMirrorError, 'makes no sense');
  });

  it('asks again whom a request did not reach, one request at a time, and a version that compares nothing once', async () => {
    let asked = 0;
    const outcomes: (() => Promise<Json>)[] = [
      () => Promise.reject(new HotMirrorError('HM_PEER_UNREACHABLE', 'no link is up')),
      () => Promise.reject(new HotMirrorError('HM_PROTOCOL', 'none of these')),
    ];
    const { events } = node(digests(office), () => {
      asked += 1;
      return outcomes.shift()!();
    });
    for (let answers = 0; answers < 4; answers += 1) {
      events.emit('peer:answered', {});
      events.emit('peer:answered', {});
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect(asked).to.equal(2);
  });

  it('neither asks nor hears once it is closed', async () => {
    let asked = 0;
    const { comparison, events, told, up } = node(digests(office), () => {
      asked += 1;
      return Promise.resolve({ digests: digests(patient()) } as unknown as Json);
    });
    events.emit('peer:answered', {});
    comparison.close();
    await up();
    expect(asked).to.equal(1);
    expect(told).to.deep.equal([]);
  });
});
