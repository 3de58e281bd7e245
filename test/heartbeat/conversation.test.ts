import { expect } from 'chai';

import type { HeartbeatMonitor } from '../../src/heartbeat/heartbeat-monitor.ts';
import type { Message } from '../../src/heartbeat/token.ts';
import { Pair, ScriptedPeer, deadlineMs, intervalMs } from './pair.ts';

function rejected(monitor: HeartbeatMonitor): number {
  return (monitor.snapshot()['links'] as readonly { readonly rejected: number }[]).reduce((sum, link) => sum + link.rejected, 0);
}

describe('what a peer may say', () => {
  let pair: Pair;
  let alpha: HeartbeatMonitor;
  let peer: ScriptedPeer;

  beforeEach(async () => {
    pair = new Pair(['net']);
    alpha = pair.monitor('alpha');
    await alpha.start();
    peer = new ScriptedPeer(pair);
    await peer.dial('net');
    await pair.clock.runFor(2);
  });
  afterEach(async () => {
    peer.connection?.destroy();
    await pair.end();
    expect(pair.clock.pendingTimers).to.equal(0);
  });

  it('watch.token: the first message of a connection is a token, and a token is answered with its sequence and nonce', async () => {
    expect(peer.received[0]?.kind).to.equal('token');
    await peer.say(peer.token(5));
    expect(peer.last('answer')).to.deep.equal({ kind: 'answer', sequence: 5, nonce: '0123456789abcdef', report: { from: 'alpha' } });
    expect(alpha.peerState()).to.equal('up');
  });

  it('trust: a token that is replayed is no sign of life and is not answered', async () => {
    await peer.say(peer.token(5));
    await pair.clock.runFor(intervalMs);
    const before = alpha.status().links[0]?.lastSeenMs ?? 0;
    const answers = peer.received.filter(({ kind }) => kind === 'answer').length;
    await peer.say(peer.token(5), peer.token(4));
    expect(alpha.status().links[0]?.lastSeenMs).to.equal(before + 3);
    expect(peer.received.filter(({ kind }) => kind === 'answer')).to.have.length(answers);
    expect(rejected(alpha)).to.equal(2);
    expect(peer.ended).to.deep.equal([]);
  });

  it('trust: forged and replayed answers are ignored and counted, and are no evidence', async () => {
    await peer.say(peer.token(1));
    const answers: number[] = [];
    alpha.onAnswer(({ probeSentMs }) => answers.push(probeSentMs));
    const { sequence, nonce } = peer.last('token');
    const answer: Message = { kind: 'answer', sequence, nonce, report: null };
    await peer.say({ ...answer, nonce: 'ffffffffffffffff' }, { ...answer, sequence: sequence + 50 });
    expect([answers.length, rejected(alpha)]).to.deep.equal([0, 2]);
    await peer.say(answer);
    expect([answers.length, rejected(alpha)]).to.deep.equal([1, 2]);
    await peer.say(answer);
    expect([answers.length, rejected(alpha)]).to.deep.equal([1, 3]);
    expect(pair.log.filter((line) => line.includes('frame:rejected'))).to.have.length(1);
  });

  it('trust: garbage ends that connection with HM_PROTOCOL, never in a verdict', async () => {
    const garbage = [
      Buffer.from('{'),
      Buffer.from('null'),
      Buffer.from('{"kind":"token"}'),
      new Uint8Array(1_000).fill(0xff),
      new Uint8Array(0),
    ];
    for (const [at, bytes] of garbage.entries()) {
      await peer.say(peer.token(at + 1));
      peer.connection?.send([bytes]);
      await pair.clock.runFor(5);
      expect(peer.ended).to.have.length(at + 1);
      expect(alpha.peerState()).to.equal('up');
      await pair.clock.runFor(intervalMs);
      await peer.dial('net');
    }
    expect(rejected(alpha)).to.equal(garbage.length);
    expect(pair.log).to.include('alpha frame:rejected net HM_PROTOCOL');
    expect(pair.log.filter((line) => /suspect|down/.test(line))).to.deep.equal([]);
  });

  const nonsense: Readonly<Record<string, (peer: ScriptedPeer, own: string) => readonly Message[]>> = {
    'anything before the first token': () => [{ kind: 'reply', to: 'ffffffffffffffff', number: 1, outcome: { ok: 1 } }],
    'another start within a connection': (it) => [it.token(1), it.token(2, 'aaaaaaaaaaaaaaaa')],
    'this node’s own start': (it, own) => [it.token(1, own)],
  };
  for (const [what, messages] of Object.entries(nonsense)) {
    it(`trust: ${what} ends the connection`, async () => {
      await peer.say(...messages(peer, peer.last('token').run));
      await pair.clock.runFor(5);
      expect(peer.ended).to.have.length(1);
      expect(rejected(alpha)).to.equal(1);
    });
  }

  /** Answers the last token that this peer got. */
  const answer = (from: ScriptedPeer): Message => {
    const { sequence, nonce } = from.last('token');
    return { kind: 'answer', sequence, nonce, report: { from: from.run } };
  };

  describe('of two starts', () => {
    let successor: ScriptedPeer;

    /** The first start of the peer is heard, then its successor. */
    beforeEach(async () => {
      await peer.say(peer.token(1));
      peer.connection?.destroy();
      await pair.clock.runFor(5);
      successor = new ScriptedPeer(pair, 'aaaaaaaaaaaaaaaa');
      await successor.dial('net');
      await successor.say(successor.token(1));
    });
    afterEach(() => successor.connection?.destroy());

    const present = (): unknown => alpha.snapshot()['peerRun'];

    it('trust: the former may say only tokens, which are answered, for what may renew a lease is a sign of life', async () => {
      successor.connection?.destroy();
      await pair.clock.runFor(5);
      await peer.dial('net');
      const before = rejected(alpha);
      await peer.say(
        peer.token(9),
        { kind: 'goodbye', run: peer.run },
        { kind: 'request', to: peer.last('token').run, number: 1, body: 1 },
      );
      expect(rejected(alpha)).to.equal(before + 2);
      expect(peer.last('answer').sequence).to.equal(9);
      expect([alpha.peerState(), present()]).to.deep.equal(['up', 'aaaaaaaaaaaaaaaa']);
    });

    it('trust: an answer to a token from before the successor showed itself proves nothing', async () => {
      // The token that the former answers left before the successor’s arrived.
      const early = new Pair(['net', 'line']);
      const watcher = early.monitor('alpha');
      await watcher.start();
      const [first, second] = [new ScriptedPeer(early), new ScriptedPeer(early, 'aaaaaaaaaaaaaaaa')];
      await first.dial('net');
      await early.clock.runFor(2);
      await first.say(first.token(1));
      const late = answer(first);
      await second.dial('line');
      await early.clock.runFor(2);
      await second.say(second.token(1));
      const heard: unknown[] = [];
      watcher.onAnswer(({ report }) => heard.push(report));
      await first.say(late);
      expect([heard, watcher.snapshot()['peerRun']]).to.deep.equal([[], second.run]);
      first.connection?.destroy();
      second.connection?.destroy();
      await early.end();
    });

    it('trust: whoever answers what was asked after the other showed itself is the present one, whichever name came last', async () => {
      successor.connection?.destroy();
      await pair.clock.runFor(5);
      await peer.dial('net');
      await peer.say(peer.token(9));
      expect(present()).to.equal(successor.run);
      const heard: unknown[] = [];
      alpha.onAnswer(({ report }) => heard.push(report));
      await peer.say(answer(peer));
      expect([heard, present(), alpha.peerState()]).to.deep.equal([[{ from: peer.run }], peer.run, 'up']);
    });

    it('node.leave: a goodbye counts of a start that has answered: the late one of a start that is over is not its successor’s', async () => {
      await successor.say({ kind: 'goodbye', run: successor.run });
      expect(alpha.peerState()).to.equal('up');
      await pair.clock.runFor(intervalMs);
      await successor.say(answer(successor), { kind: 'goodbye', run: successor.run });
      expect(alpha.peerState()).to.equal('left');
    });
  });

  it('node.leave: a goodbye is confirmed each time it is said, and tokens of the one who left do not bring it back', async () => {
    await peer.say(peer.token(1));
    await pair.clock.runFor(intervalMs);
    await peer.say(answer(peer), { kind: 'goodbye', run: peer.run }, { kind: 'goodbye', run: peer.run }, peer.token(2));
    expect(peer.received.filter(({ kind }) => kind === 'farewell')).to.deep.equal([
      { kind: 'farewell', run: peer.run },
      { kind: 'farewell', run: peer.run },
    ]);
    expect(alpha.peerState()).to.equal('left');
    await pair.clock.runFor(5 * deadlineMs);
    expect(alpha.peerState()).to.equal('left');
  });

  it('a connection that stays silent beyond the deadline is given up, so that a healed link is noticed by a new one', async () => {
    await peer.say(peer.token(1));
    await pair.clock.runFor(deadlineMs + intervalMs);
    expect(peer.ended).to.have.length(1);
    expect(alpha.status().links[0]?.state).to.equal('down');
  });
});

describe('the report', () => {
  it('that throws, or is too long, becomes null, and the token is answered', async () => {
    const pair = new Pair(['net']);
    const { alpha, beta } = await pair.steady({ report: () => 'x'.repeat(100_000) }, { report: () => JSON.parse('{') as string });
    const reports: unknown[] = [];
    for (const monitor of [alpha, beta]) monitor.onAnswer(({ report }) => reports.push(report));
    await pair.clock.runFor(intervalMs);
    expect(reports).to.deep.equal([null, null]);
    await pair.end();
  });

  it('that a link’s frames cannot hold becomes null on that link', async () => {
    const pair = new Pair([]);
    const narrow = pair.network.link('serial', { nodes: ['alpha', 'beta'], conditions: { delayMs: 1 }, limits: { maxFrameBytes: 200 } });
    const links = (node: string): { readonly links: readonly { name: string; transport: ReturnType<typeof narrow.transport> }[] } => {
      return { links: [{ name: 'serial', transport: narrow.transport(node) }] };
    };
    const { alpha } = await pair.steady(links('alpha'), {
      ...links('beta'),
      report: () => 'x'.repeat(200),
      answer: (body) => Promise.resolve(body),
    });
    const reports: unknown[] = [];
    alpha.onAnswer(({ report }) => reports.push(report));
    await pair.clock.runFor(intervalMs);
    expect(reports).to.deep.equal([null]);
    const refused = await alpha.request('x'.repeat(200), { deadlineMs: 1_000 }).catch((error: unknown) => error);
    expect(refused).to.have.property('code', 'HM_PEER_UNREACHABLE');
    expect(await pair.clock.settled(alpha.request('x', { deadlineMs: 1_000 }), 1_000)).to.equal('x');
    await pair.end();
  });
});
