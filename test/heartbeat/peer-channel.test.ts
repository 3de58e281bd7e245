import { expect } from 'chai';

import { HotMirrorError } from '../../src/errors.ts';
import type { HeartbeatMonitor } from '../../src/heartbeat/heartbeat-monitor.ts';
import { outstandingRequests } from '../../src/heartbeat/peer-channel.ts';
import { maxBodyBytes } from '../../src/heartbeat/token.ts';
import type { Message } from '../../src/heartbeat/token.ts';
import type { Json } from '../../src/heartbeat/types.ts';
import { Pair, ScriptedPeer, deadlineMs, intervalMs } from './pair.ts';

type Outcome = { readonly ok: Json } | { readonly code: string; readonly error: HotMirrorError };

describe('HeartbeatMonitor.request', () => {
  let pair: Pair;
  /** Bodies that beta acted on. */
  let acted: Json[];
  let answer: (body: Json) => Promise<Json>;

  beforeEach(() => {
    pair = new Pair();
    acted = [];
    answer = (body) => Promise.resolve({ did: body });
  });
  afterEach(async () => {
    await pair.end();
    expect(pair.clock.pendingTimers).to.equal(0);
  });

  const answering = {
    answer: (body: Json): Promise<Json> => {
      acted.push(body);
      return answer(body);
    },
  };

  async function outcome(promise: Promise<Json>, withinMs = 30_000): Promise<Outcome> {
    const settled = promise.then(
      (ok): Outcome => ({ ok }),
      (error: unknown): Outcome => ({ code: error instanceof HotMirrorError ? error.code : String(error), error: error as HotMirrorError }),
    );
    return pair.clock.settled(settled, withinMs);
  }

  const ask = (monitor: HeartbeatMonitor, body: Json, requestMs = 2_000): Promise<Outcome> =>
    outcome(monitor.request(body, { deadlineMs: requestMs }));

  it('brings a request to the peer and its reply back, in both directions at once', async () => {
    const { alpha, beta } = await pair.steady(answering, answering);
    const both = await Promise.all([ask(alpha, { ask: 1 }), ask(beta, [2])]);
    expect(both).to.deep.equal([{ ok: { did: { ask: 1 } } }, { ok: { did: [2] } }]);
  });

  it('brings the refusal of the peer back with its code, rule and details', async () => {
    const { alpha } = await pair.steady({}, answering);
    answer = () => Promise.reject(new HotMirrorError('HM_REFUSED', 'not now', { rule: 'handover', details: { epoch: 3 } }));
    const refusal = await ask(alpha, 'release');
    expect(refusal).to.have.property('code', 'HM_REFUSED');
    expect('error' in refusal && refusal.error)
      .to.include({ message: 'not now', rule: 'handover' })
      .and.have.deep.property('details', { epoch: 3 });
    answer = () => {
      throw new TypeError('a bug');
    };
    expect(await ask(alpha, 'x')).to.have.property('code', 'HM_INTERNAL');
    answer = () => Promise.resolve('x'.repeat(maxBodyBytes));
    expect(await ask(alpha, 'x')).to.have.property('code', 'HM_INTERNAL');
    answer = () => Promise.reject(new HotMirrorError('HM_BUSY', 'odd', { details: { big: 1n } }));
    expect(await ask(alpha, 'x')).to.have.property('code', 'HM_BUSY');
  });

  it('is refused by a node that answers no requests', async () => {
    const { alpha } = await pair.steady();
    expect(await ask(alpha, 'x')).to.have.property('code', 'HM_NOT_SUPPORTED');
  });

  it('rejects at once with HM_PEER_UNREACHABLE while no link is up', async () => {
    const { alpha, beta } = await pair.steady({}, answering);
    await pair.kill('beta', beta);
    await pair.clock.runFor(5);
    expect(alpha.reachable()).to.equal(false);
    const before = pair.clock.nowMs();
    expect(await ask(alpha, 'x')).to.have.property('code', 'HM_PEER_UNREACHABLE');
    expect(pair.clock.nowMs()).to.equal(before);
  });

  it('acts once on a request that went out on two links because the first fell silent', async () => {
    const { alpha } = await pair.steady({}, answering);
    pair.link('net').cut('beta');
    pair.link('line').cut('alpha');
    const waiting = ask(alpha, 'once', 4_000);
    await pair.clock.runFor(500);
    expect(acted).to.deep.equal(['once']);
    pair.link('net').heal();
    pair.link('line').heal();
    expect(await waiting).to.deep.equal({ ok: { did: 'once' } });
    await pair.clock.runFor(10 * deadlineMs);
    expect(acted).to.deep.equal(['once']);
  });

  it('goes out on the other link at once when the connection drops, and is acted on once', async () => {
    const { alpha } = await pair.steady({}, answering);
    let release = (): void => undefined;
    answer = (body) =>
      new Promise(
        (resolve) =>
          (release = () => {
            resolve({ did: body });
          }),
      );
    const waiting = ask(alpha, 'slow', 10_000);
    await pair.clock.runFor(5);
    pair.link('net').break();
    await pair.clock.runFor(5);
    pair.link('line').break();
    await pair.clock.runFor(2 * intervalMs);
    release();
    expect(await waiting).to.deep.equal({ ok: { did: 'slow' } });
    expect(acted).to.deep.equal(['slow']);
  });

  it('answers a copy that comes after the reply was lost with the same reply', async () => {
    const { alpha } = await pair.steady({}, answering);
    for (const link of pair.links) link.cut('beta');
    const waiting = ask(alpha, 'again', 8_000);
    await pair.clock.runFor(50);
    expect(acted).to.deep.equal(['again']);
    for (const link of pair.links) link.break();
    for (const link of pair.links) link.heal();
    expect(await waiting).to.deep.equal({ ok: { did: 'again' } });
    expect(acted).to.deep.equal(['again']);
  });

  it("rejects with HM_REQUEST_TIMEOUT after the deadline, and the late reply is nobody's", async () => {
    const { alpha } = await pair.steady({}, answering);
    let release = (): void => undefined;
    answer = () =>
      new Promise(
        (resolve) =>
          (release = () => {
            resolve('late');
          }),
      );
    const before = pair.clock.nowMs();
    expect(await ask(alpha, 'x', 700)).to.have.property('code', 'HM_REQUEST_TIMEOUT');
    expect(pair.clock.nowMs() - before).to.equal(700);
    release();
    await pair.clock.runFor(deadlineMs);
    expect(pair.log).to.deep.equal([]);
  });

  it('rejects when the peer starts anew: its new life is not asked what the former was', async () => {
    const { alpha, beta } = await pair.steady({}, answering);
    answer = () => new Promise(() => undefined);
    const waiting = ask(alpha, 'x', 30_000);
    await pair.clock.runFor(10);
    await pair.kill('beta', beta);
    await pair.monitor('beta', answering).start();
    expect(await waiting).to.have.property('code', 'HM_REQUEST_TIMEOUT');
    answer = (body) => Promise.resolve({ did: body });
    expect(await ask(alpha, 'y')).to.deep.equal({ ok: { did: 'y' } });
    expect(acted).to.deep.equal(['x', 'y']);
  });

  it('serves the numbers of an asker that started anew', async () => {
    const { alpha } = await pair.steady({}, answering);
    expect(await ask(alpha, 'first')).to.deep.equal({ ok: { did: 'first' } });
    await pair.kill('alpha', alpha);
    const again = pair.monitor('alpha');
    await again.start();
    await pair.clock.until(() => again.reachable(), 5_000);
    expect(await ask(again, 'second')).to.deep.equal({ ok: { did: 'second' } });
    expect(acted).to.deep.equal(['first', 'second']);
  });

  it('is given up by its signal, and bounded in number, length and time', async () => {
    const { alpha } = await pair.steady({}, answering);
    answer = () => new Promise(() => undefined);
    const controller = new AbortController();
    const waiting = outcome(alpha.request('x', { deadlineMs: 1_000, signal: controller.signal }));
    controller.abort();
    expect(await waiting).to.have.property('code', 'HM_ABORTED');
    expect(await outcome(alpha.request('x', { deadlineMs: 1_000, signal: controller.signal }))).to.have.property('code', 'HM_ABORTED');
    expect(await ask(alpha, 'x'.repeat(maxBodyBytes)))
      .to.have.property('error')
      .that.is.instanceOf(RangeError);
    expect(await ask(alpha, 'x', 0))
      .to.have.property('error')
      .that.is.instanceOf(RangeError);
    const many = Array.from({ length: outstandingRequests + 1 }, (_, at) => ask(alpha, at, 500));
    const outcomes = await Promise.all(many);
    expect(outcomes.at(-1)).to.have.property('code', 'HM_BUSY');
  });

  it('acts once on a request however many copies a peer sends, and never on one for a former start or too old', async () => {
    const alpha = pair.monitor('alpha', answering);
    await alpha.start();
    const peer = new ScriptedPeer(pair);
    await peer.dial('net');
    await peer.say(peer.token(1));
    const to = peer.last('token').run;
    await peer.say(...[1, 1, 2, 1].map((number) => ({ kind: 'request', to, number, body: number }) as const));
    expect(acted).to.deep.equal([1, 2]);
    await peer.say({ kind: 'request', to, number: 1, body: 'again' });
    expect(acted).to.deep.equal([1, 2]);
    expect(peer.last('reply')).to.deep.include({ number: 1, outcome: { ok: { did: 1 } } });
    await peer.say({ kind: 'request', to: 'ffffffffffffffff', number: 3, body: 3 });
    expect(peer.last('reply').outcome).to.have.nested.property('error.code', 'HM_REQUEST_TIMEOUT');
    for (let number = 4; number < 600; number += 1) await peer.say({ kind: 'request', to, number, body: number });
    await peer.say({ kind: 'request', to, number: 1, body: 1 });
    expect(peer.last('reply').outcome).to.have.nested.property('error.code', 'HM_REQUEST_TIMEOUT');
    expect(acted.filter((body) => body === 1)).to.have.length(1);
  });

  it('acts once on a request of a start that was taken for over and proved the present one', async () => {
    const alpha = pair.monitor('alpha', answering);
    await alpha.start();
    const [peer, other] = [new ScriptedPeer(pair), new ScriptedPeer(pair, 'aaaaaaaaaaaaaaaa')];
    const request = (number: number): Message => ({ kind: 'request', to: peer.last('token').run, number, body: number });
    await peer.dial('net');
    await peer.say(peer.token(1));
    await peer.say(request(1));
    await other.dial('line');
    await other.say(other.token(1));
    await pair.clock.runFor(intervalMs);
    const { sequence, nonce } = peer.last('token');
    await peer.say({ kind: 'answer', sequence, nonce, report: null }, request(1), request(2));
    expect(acted).to.deep.equal([1, 2]);
    other.connection?.destroy();
  });
});
