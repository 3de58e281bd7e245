import { expect } from 'chai';

import { HotMirrorError } from '../../src/errors.ts';
import { loadConfig } from '../../src/node/config.ts';
import type { MirrorStatus, NodeStatus } from '../../src/node/control-protocol.ts';
import { withElementRemedy } from '../../src/node/failed-element.ts';
import { MirrorFacts } from '../../src/node/mirror-facts.ts';
import { mirrorStatus } from '../../src/node/mirror-status.ts';
import { pairWarnings, warningLines, warningsOf, withPauseRemedy } from '../../src/node/warnings.ts';
import { FakeMirror } from './fake-mirror.ts';
import { exampleStatus } from './fake-node.ts';

const { config: exampleConfig } = await loadConfig(new URL('../../../test/support/office-pair.json', import.meta.url).pathname);

const status = (mirror: Partial<MirrorStatus>, rest: Partial<NodeStatus> = {}): NodeStatus => ({
  ...exampleStatus,
  control: 'manual',
  ...rest,
  mirrors: exampleStatus.mirrors.map((example) => ({ ...example, ...mirror })),
});
const warningsWith = (mirror: Partial<MirrorStatus>, rest: Partial<NodeStatus> = {}): readonly string[] =>
  warningsOf(status(mirror, rest)).flatMap(warningLines);

/** The remedy that an operator gets for a refusal by this rule. */
const remedyFor = (rule: string, mirror: Partial<MirrorStatus>, serving: boolean): unknown => {
  const refused = withElementRemedy(new HotMirrorError('HM_REFUSED', 'no', { rule }), status(mirror, { serving })) as HotMirrorError;
  return refused.details?.['remedy'] ?? null;
};

describe('The warnings of a node', () => {
  it('are none where all is well', () => {
    expect(warningsOf(status({}))).to.deep.equal([]);
  });

  it('tell why an element failed, why its server is away and why an export is missing', () => {
    const failed = warningsWith({ element: 'failed', elementFailed: 'the element failed: EIO' }, { serving: false });
    expect(failed[0]).to.equal('warning: files on north: the element failed: EIO');
    expect(failed[1]).to.match(/^ {2}remedy: .*stop this node.*init --force --blank --yes/u);
    expect(warningsWith({ elementServer: { state: 'lost', because: 'it died' } })).to.deep.equal([
      'warning: files on north: the NBD server of the element is lost: it died',
    ]);
    expect(warningsWith({ exportFailed: 'U cannot be opened' })).to.deep.equal(['warning: files on north: U cannot be opened']);
  });

  it('tell which element is the only one', () => {
    expect(warningsWith({ peerElement: 'outdated' })).to.deep.equal([
      'warning: files is complete on north alone: the other element is outdated',
    ]);
  });

  it('tell of a pause of the monitor that nobody takes over before it ends, once every link is down', () => {
    const monitor = {
      ...exampleStatus.monitor,
      state: 'paused',
      links: [{ name: 'net', state: 'down', lastSeenMs: 9, rttMs: 1 }],
    } as const;
    expect(warningsWith({}, { monitor })).to.deep.equal([
      'warning watch.live: no monitor link answers, and nobody takes over before the pause of the monitor ends',
      '  remedy: Run `hotmirror maintenance off`; then a node that stays silent for the deadline is taken over.',
    ]);
    expect(warningsWith({}, { monitor: { ...exampleStatus.monitor, state: 'paused' } })).to.deep.equal([]);
    const unreachable = new HotMirrorError('HM_PEER_UNREACHABLE', 'no monitor link to the peer is up');
    expect(withPauseRemedy(unreachable, { monitor })).to.deep.include({ code: 'HM_PEER_UNREACHABLE', rule: 'watch.live' });
    expect(withPauseRemedy(unreachable, exampleStatus)).to.equal(unreachable);
  });

  it('tell what the configuration risks, with its rule, beside the status of a pair that is well', () => {
    expect(pairWarnings('auto', exampleConfig).flatMap(warningLines)[0]).to.match(/^warning takeover\.unfenced: /u);
    expect(pairWarnings('manual', exampleConfig)).to.deep.equal([]);
  });
});

describe('The status of a mirror', () => {
  const told = (facts: MirrorFacts, view: object): MirrorStatus =>
    mirrorStatus({ facts, state: () => ({ ...new FakeMirror().state(), ...view }) }, { protocol: 'sync' }, null);
  const event = (name: string, text: string, eventClass: number, evidence = {}): Parameters<MirrorFacts['note']>[0] => ({
    name,
    payload: { text, class: eventClass, evidence },
  });

  it('tells why an export is missing until it is there, and of a service that is over nothing', () => {
    const facts = new MirrorFacts();
    facts.note(event('export:failed', 'no keys', 2));
    expect(told(facts, { serving: 'no' }).exportFailed).to.equal('no keys');
    facts.note(event('export:ready', 'keys', 0));
    expect(told(facts, { serving: 'no' })).not.to.have.property('exportFailed');
    facts.note(event('export:failed', 'address in use', 3));
    expect(told(facts, { serving: 'yes' }).exportFailed).to.equal('address in use');
    expect(told(facts, { serving: 'no' })).not.to.have.property('exportFailed');
    facts.note(event('export:opened', 'there', 0, { uri: 'nbd://h/m' }));
    expect(told(facts, { serving: 'yes' }))
      .to.include({ export: 'nbd://h/m' })
      .and.not.to.have.property('exportFailed');
  });

  it('tells why the element failed, also before the node was started, and only then', () => {
    const facts = new MirrorFacts();
    expect(told(facts, { element: 'uptodate' })).not.to.have.property('elementFailed');
    expect(told(facts, { element: 'failed' }).elementFailed).to.contain('before this node was started');
    facts.note(event('element:failed', 'the element failed: EIO', 1));
    facts.note(event('element:failed', 'the service ends', 3));
    expect(told(facts, { element: 'failed' }).elementFailed).to.equal('the element failed: EIO');
  });
});

describe('The remedy of a refusal that a failed element is behind (write.error)', () => {
  it('is to replace the disk of the node that has it, and never to wait', () => {
    for (const rule of ['handover', 'recover.ready', 'write.error'])
      expect(remedyFor(rule, { peerElement: 'failed' }, true), rule).to.match(/stop that node, .*init --force --blank --yes/u);
    for (const rule of ['handover', 'recover.ready', 'write.error', 'boot.uptodate', 'takeover.uptodate'])
      expect(remedyFor(rule, { element: 'failed' }, false), rule).to.match(/stop this node.*init --force --blank --yes/u);
  });

  it('says how the service goes on first, where the other node may not serve', () => {
    expect(remedyFor('write.error', { element: 'failed', peerElement: 'outdated' }, false)).to.match(
      /fallback --force --yes.*init --force/u,
    );
    expect(remedyFor('write.error', { element: 'failed', peerElement: 'uptodate' }, false)).not.to.contain('fallback');
  });

  it('is that of the rule where no element has failed, where the service goes on through the other node, and for another rule', () => {
    expect(remedyFor('handover', {}, true)).to.equal(null);
    expect(remedyFor('handover', { element: 'failed' }, true)).to.equal(null);
    expect(remedyFor('alone', { element: 'failed' }, false)).to.equal(null);
    const other = new HotMirrorError('HM_CLOSED', 'closed');
    expect(withElementRemedy(other, status({ element: 'failed' }))).to.equal(other);
  });
});
