import { expect } from 'chai';
import fc from 'fast-check';

import type { MonitorPort } from '../../src/failover/ports.ts';
import type { PeerAnswered, PeerChanged } from '../../src/heartbeat/events.ts';
import type { HeartbeatMonitor } from '../../src/heartbeat/heartbeat-monitor.ts';
import type { PeerAnswer } from '../../src/heartbeat/types.ts';
import { Pair, deadlineMs, initialGraceMs, intervalMs } from './pair.ts';

/** How each link stands and the peer, in few words. */
function picture(monitor: HeartbeatMonitor): string {
  const { state, peer, links } = monitor.status();
  return [state, peer, ...links.map((link) => `${link.name}:${link.state}`)].join(' ');
}

describe('HeartbeatMonitor', () => {
  let pair: Pair;
  beforeEach(() => {
    pair = new Pair();
  });
  afterEach(async () => {
    await pair.end();
    expect(pair.clock.pendingTimers).to.equal(0);
  });

  it('fits the port of the orchestrator as it is', () => {
    const port: MonitorPort = pair.monitor('alpha');
    expect(port.peerState()).to.equal('unknown');
  });

  it('refuses times and links that cannot be watched (timing.deadline, watch.start)', () => {
    const bad = [
      { deadlineMs: 2 * intervalMs - 1 },
      { initialGraceMs: 2 * deadlineMs - 1 },
      { intervalMs: 0 },
      { intervalMs: Number.NaN },
      { links: [] },
    ];
    for (const overrides of bad) expect(() => pair.monitor('alpha', overrides), JSON.stringify(overrides)).to.throw(RangeError);
    const transport = pair.link('net').transport('alpha');
    expect(() =>
      pair.monitor('alpha', {
        links: [
          { name: 'x', transport },
          { name: 'x', transport },
        ],
      }),
    ).to.throw(RangeError);
  });

  it('watch.token: both nodes answer tokens on every link, with their report', async () => {
    const { alpha, beta } = await pair.steady();
    const answers: PeerAnswer[] = [];
    const stop = alpha.onAnswer((answer) => answers.push(answer));
    await pair.clock.runFor(5 * intervalMs);
    stop();
    await pair.clock.runFor(5 * intervalMs);
    expect([picture(alpha), picture(beta)]).to.deep.equal(['normal up net:up line:up', 'normal up net:up line:up']);
    for (const link of ['net', 'line']) expect(answers.filter((answer) => answer.link === link)).to.have.length(5);
    for (const { probeSentMs, heardMs, report } of answers) expect([heardMs - probeSentMs, report]).to.deep.equal([2, { from: 'beta' }]);
    expect(alpha.status().links[0]).to.include({ rttMs: 2 });
  });

  it('serve.lease: an answer tells when its token was sent, however late it comes', async () => {
    const { alpha } = await pair.steady();
    const answers: PeerAnswered[] = [];
    pair.link('line').cut();
    await pair.clock.runFor(intervalMs);
    pair.link('net').cut('beta');
    alpha.events.on('peer:answered', (answer) => answers.push(answer));
    const cutMs = pair.clock.nowMs();
    await pair.clock.runFor(deadlineMs / 2);
    expect(answers).to.deep.equal([]);
    pair.link('net').heal();
    await pair.clock.runFor(5);
    expect(answers[0]?.probeSentMs).to.be.within(cutMs, cutMs + intervalMs);
    expect(answers[0]?.heardMs).to.be.at.least(cutMs + deadlineMs / 2);
  });

  it('watch.all: an hour over steady links changes nothing', async function () {
    this.timeout(60_000);
    const { alpha, beta } = await pair.steady(
      { intervalMs: 5_000, deadlineMs: 15_000, initialGraceMs: 30_000 },
      { intervalMs: 5_000, deadlineMs: 15_000, initialGraceMs: 30_000 },
    );
    await pair.clock.runFor(40_000);
    pair.log.length = 0;
    await pair.clock.runFor(3_600_000);
    expect(pair.log).to.deep.equal([]);
    expect([alpha.peerState(), beta.peerState()]).to.deep.equal(['up', 'up']);
  });

  it('watch.all: one silent link of two is a link failure and nothing else', async () => {
    const { alpha } = await pair.steady();
    const classes: number[] = [];
    alpha.events.on('link:changed', (event) => classes.push(event.class));
    pair.link('net').cut();
    await pair.clock.runFor(10 * deadlineMs);
    expect(picture(alpha)).to.equal('normal up net:down line:up');
    expect(pair.log.filter((line) => line.startsWith('alpha'))).to.deep.equal([
      'alpha link:changed net late',
      'alpha link:changed net down',
    ]);
    expect(classes).to.deep.equal([0, 1]);
    pair.link('net').heal();
    await pair.clock.runFor(deadlineMs);
    expect(picture(alpha)).to.equal('normal up net:up line:up');
  });

  it('watch.all: when every link falls silent the peer is down, after the deadline and at most an interval later, with the evidence', async () => {
    for (let phase = 0; phase < 20; phase += 1) {
      const fresh = new Pair(['net', 'line'], 1, phase);
      const { alpha, beta } = await fresh.steady();
      const verdicts: PeerChanged[] = [];
      alpha.events.on('peer:changed', (event) => verdicts.push(event));
      await fresh.clock.runFor(phase * (intervalMs / 20));
      if (phase % 2 === 0) await fresh.kill('beta', beta);
      else for (const link of fresh.links) link.cut();
      await fresh.clock.runFor(deadlineMs * 3);
      expect(verdicts.map(({ to }) => to)).to.deep.equal(['suspect', 'down']);
      const down = verdicts[1];
      const links = down?.evidence?.['links'] as readonly { readonly silentMs: number; readonly lastSeenMs: number }[];
      for (const { silentMs } of links) expect(silentMs).to.be.above(deadlineMs);
      const lastHeardMs = Math.max(...links.map(({ lastSeenMs }) => lastSeenMs));
      // Far within the interval that the rule allows: the monitor wakes up for the threshold.
      expect((down?.atMs ?? 0) - lastHeardMs).to.be.within(deadlineMs, deadlineMs + intervalMs / 20);
      expect(down).to.include({ rule: 'watch.all', class: 1 });
      expect(alpha.verdict()).to.include({ state: 'down', rule: 'watch.all' });
      await fresh.end();
    }
  });

  it('watch.token: a late link is probed each twentieth of the interval', async () => {
    const { alpha } = await pair.steady();
    for (const link of pair.links) link.cut('beta');
    await pair.clock.runFor(intervalMs * 2);
    const sent = (): number => (alpha.snapshot()['links'] as readonly { readonly sequence: number }[])[0]?.sequence ?? 0;
    const before = sent();
    await pair.clock.runFor(intervalMs);
    expect(sent() - before).to.be.within(18, 20);
  });

  it('watch.all: a data link that is heard keeps the peer up, and falls silent like any other', async () => {
    const { alpha, beta } = await pair.steady();
    await pair.kill('beta', beta);
    for (let at = 0; at < 50; at += 1) {
      alpha.heard('m0', { atMs: pair.clock.nowMs() });
      await pair.clock.runFor(deadlineMs / 10);
    }
    expect(picture(alpha)).to.equal('normal up net:down line:down');
    expect(alpha.freshSilence(0).silent).to.equal(false);
    const lastMs = pair.clock.nowMs() - deadlineMs / 10;
    await pair.clock.until(() => alpha.peerState() === 'down', 2 * deadlineMs);
    expect(pair.clock.nowMs() - lastMs).to.be.within(deadlineMs, deadlineMs + intervalMs);
  });

  it('watch.pause: what the sockets hold is drained before anything is judged', async () => {
    const inSocket: { deliver: () => void } = { deliver: () => undefined };
    const { clock } = pair;
    const draining = {
      nowMs: () => clock.nowMs(),
      wallMs: () => clock.wallMs(),
      timer: clock.timer.bind(clock),
      drain: () => {
        inSocket.deliver();
        return clock.drain();
      },
    };
    const { alpha, beta } = await pair.steady({ clock: draining });
    await pair.kill('beta', beta);
    const lastSeenMs = alpha.status().links.map((link) => link.lastSeenMs ?? 0);
    const dueMs = clock.nowMs() - Math.min(...lastSeenMs) + deadlineMs;
    inSocket.deliver = () => {
      if (clock.nowMs() > dueMs) alpha.heard('m0', { atMs: clock.nowMs() });
    };
    await clock.runFor(2 * deadlineMs);
    expect(pair.log).not.to.include('alpha peer:changed down watch.all');
    expect(alpha.peerState()).to.equal('up');
  });

  it('watch.pause: an old sign of life that comes late makes nobody judge before the sockets are drained', async () => {
    const { alpha, beta } = await pair.steady();
    await pair.kill('beta', beta);
    const lastSeenMs = alpha.status().links.map((link) => link.lastSeenMs ?? 0);
    await pair.clock.runFor(deadlineMs - Math.min(...lastSeenMs) - 5);
    const states: string[] = [];
    pair.clock.timer(0, () => {
      alpha.heard('m0', { atMs: 0 });
      states.push(alpha.peerState());
    });
    await pair.clock.sleepThrough(10);
    expect([...states, alpha.peerState()]).to.deep.equal(['suspect', 'down']);
  });

  it('watch.pause: after a pause of its own no verdict falls before a fresh deadline, and a living peer stays up', async () => {
    const { alpha, beta } = await pair.steady();
    const late: number[] = [];
    alpha.onOverslept((lateMs) => late.push(lateMs));
    await pair.clock.sleepThrough(20 * deadlineMs);
    expect(alpha.verdict().state).to.equal('up');
    await pair.clock.runFor(2 * deadlineMs);
    expect(pair.log.filter((line) => line.includes('peer:changed'))).to.deep.equal([]);
    expect(late).to.have.length(1);
    expect(late[0]).to.be.within(19 * deadlineMs, 20 * deadlineMs);

    await pair.kill('beta', beta);
    await pair.clock.runFor(deadlineMs / 2);
    await pair.clock.sleepThrough(20 * deadlineMs);
    const wokeMs = pair.clock.nowMs();
    await pair.clock.until(() => alpha.peerState() === 'down', 2 * deadlineMs);
    expect(pair.clock.nowMs() - wokeMs).to.be.within(deadlineMs, deadlineMs + intervalMs);
  });

  it('watch.pause: a verdict from before the pause is not repeated until a fresh deadline has passed', async () => {
    const { alpha, beta } = await pair.steady();
    await pair.kill('beta', beta);
    await pair.clock.runFor(2 * deadlineMs);
    expect(alpha.peerState()).to.equal('down');
    const woke: string[] = [];
    pair.clock.timer(0, () => woke.push(`${alpha.verdict().state} ${alpha.verdict().rule} ${String(alpha.freshSilence(0).silent)}`));
    await pair.clock.sleepThrough(deadlineMs);
    expect(woke).to.deep.equal(['suspect watch.pause false']);
    expect(alpha.peerState()).to.equal('suspect');
    await pair.clock.runFor(deadlineMs + intervalMs);
    expect(alpha.peerState()).to.equal('down');
  });

  it('watch.pause: a jump between wall and monotonic clock counts as a pause', async () => {
    const { alpha, beta } = await pair.steady();
    await pair.kill('beta', beta);
    await pair.clock.runFor(deadlineMs * 0.9);
    pair.clock.jumpWall(-60_000);
    const jumpedMs = pair.clock.nowMs();
    expect(alpha.freshSilence(0)).to.include({ silent: false, countedFromMs: jumpedMs });
    await pair.clock.until(() => alpha.peerState() === 'down', 3 * deadlineMs);
    expect(pair.clock.nowMs() - jumpedMs).to.be.within(deadlineMs, deadlineMs + 2 * intervalMs);
    expect(pair.log).to.include('alpha monitor:overslept');
  });

  it('watch.start: no verdict about a peer never seen, unless an operator allows it', async () => {
    const alpha = pair.monitor('alpha');
    await alpha.start();
    await pair.clock.runFor(10 * initialGraceMs);
    expect(picture(alpha)).to.equal('normal unknown net:down line:down');
    expect(alpha.verdict().rule).to.equal('watch.start');
    expect(alpha.freshSilence(0).silent).to.equal(true);
    alpha.judgeUnseen('beta is scrap');
    await pair.clock.runFor(intervalMs);
    expect(alpha.verdict()).to.include({ state: 'down', rule: 'watch.all' });
    expect(alpha.verdict().evidence['unseenBecause']).to.equal('beta is scrap');
  });

  it('watch.start: no verdict before the initial grace', async () => {
    const alpha = pair.monitor('alpha', { initialGraceMs: 10_000 });
    const beta = pair.monitor('beta');
    await Promise.all([alpha.start(), beta.start()]);
    const startMs = pair.clock.nowMs();
    let changes = 0;
    alpha.onChange(() => (changes += 1));
    await pair.clock.runFor(deadlineMs);
    await pair.kill('beta', beta);
    await pair.clock.runFor(9_900 - deadlineMs);
    expect([alpha.watchState(), alpha.peerState(), alpha.verdict().rule]).to.deep.equal(['grace', 'suspect', 'watch.start']);
    const before = changes;
    await pair.clock.until(() => alpha.peerState() === 'down', 1_000);
    expect(pair.clock.nowMs() - startMs).to.be.within(10_000, 10_000 + 5);
    expect(changes).to.be.above(before);
  });

  it('watch.live: interval and deadline change while it runs', async () => {
    const { alpha, beta } = await pair.steady();
    alpha.configure({ intervalMs: 50, deadlineMs: 300 });
    await pair.clock.runFor(1_000);
    await pair.kill('beta', beta);
    const diedMs = pair.clock.nowMs();
    await pair.clock.until(() => alpha.peerState() === 'down', 1_000);
    expect(pair.clock.nowMs() - diedMs).to.be.within(200, 350);
    alpha.configure({ deadlineMs: 60_000 });
    await pair.clock.runFor(100);
    expect([alpha.peerState(), alpha.watchState()]).to.deep.equal(['suspect', 'normal']);
    expect(() => {
      alpha.configure({ deadlineMs: 1 });
    }).to.throw(RangeError);
    expect(() => {
      alpha.configure({ intervalMs: 40_000 });
    }).to.throw(RangeError);
  });

  it('watch.live: an initial grace that still runs grows with the deadline', async () => {
    const alpha = pair.monitor('alpha');
    await alpha.start();
    alpha.configure({ deadlineMs: 10_000 });
    await pair.clock.runFor(19_000);
    expect(alpha.watchState()).to.equal('grace');
    await pair.clock.runFor(1_000);
    expect(alpha.watchState()).to.equal('normal');
  });

  it('watch.live: no verdict stands while anyone pauses, and reasons are a set', async () => {
    const { alpha, beta } = await pair.steady();
    await pair.kill('beta', beta);
    await pair.clock.runFor(2 * deadlineMs);
    alpha.pause('resync');
    alpha.pause('resync');
    alpha.pause('operator');
    expect([alpha.watchState(), alpha.peerState(), alpha.verdict().rule]).to.deep.equal(['paused', 'suspect', 'takeover.auto']);
    alpha.resume('resync');
    await pair.clock.runFor(2 * deadlineMs);
    expect([alpha.watchState(), alpha.peerState()]).to.deep.equal(['paused', 'suspect']);
    alpha.resume('operator');
    expect(alpha.peerState()).to.equal('suspect');
    await pair.clock.runFor(1);
    expect([alpha.watchState(), alpha.peerState()]).to.deep.equal(['normal', 'down']);
  });

  it('node.leave: a peer that says goodbye has left, whatever follows, until it starts anew', async () => {
    const { alpha, beta } = await pair.steady();
    pair.link('line').cut();
    await pair.clock.runFor(1);
    const before = pair.clock.nowMs();
    await pair.close(beta, { leave: true });
    expect(pair.clock.nowMs() - before).to.be.below(deadlineMs * 3);
    expect(alpha.verdict()).to.include({ state: 'left', rule: 'node.leave' });
    expect(alpha.reachable()).to.equal(false);
    pair.link('line').heal();
    // What a data link brought before the goodbye may be told after it.
    alpha.heard('m0', { atMs: before });
    await pair.clock.runFor(20 * deadlineMs);
    expect(picture(alpha)).to.equal('normal left net:down line:down');
    const again = pair.monitor('beta');
    await again.start();
    await pair.clock.until(() => alpha.peerState() === 'up', 5_000);
    expect(pair.log.filter((line) => line.startsWith('alpha peer'))).to.deep.equal([
      'alpha peer:changed left node.leave',
      'alpha peer:changed up watch.all',
    ]);
  });

  it('node.leave: a sign of life on a data link after the goodbye ends it, for the peer has started anew', async () => {
    const { alpha, beta } = await pair.steady();
    await pair.close(beta, { leave: true });
    await pair.clock.runFor(20 * deadlineMs);
    expect(alpha.peerState()).to.equal('left');
    alpha.heard('m0', { atMs: pair.clock.nowMs() });
    expect(alpha.peerState()).not.to.equal('left');
    await pair.clock.runFor(2 * deadlineMs);
    expect(alpha.verdict()).to.include({ state: 'down', rule: 'watch.all' });
  });

  it('node.leave: a node that leaves before it has answered anything says goodbye until it is known', async () => {
    const { alpha, beta } = await pair.steady();
    await pair.kill('beta', beta);
    await pair.clock.runFor(2 * deadlineMs);
    const again = pair.monitor('beta');
    await again.start();
    await pair.clock.until(() => alpha.peerState() === 'up', 5_000);
    const before = pair.clock.nowMs();
    await pair.close(again, { leave: true });
    expect(pair.clock.nowMs() - before).to.be.below(deadlineMs);
    expect(alpha.verdict()).to.include({ state: 'left', rule: 'node.leave' });
  });

  it('node.leave: the confirmation is awaited for at most a deadline', async () => {
    const { alpha, beta } = await pair.steady();
    for (const link of pair.links) link.cut('alpha');
    const before = pair.clock.nowMs();
    let left = false;
    const closing = beta.close({ leave: true }).then(() => (left = true));
    await pair.clock.until(() => alpha.peerState() === 'left', 100);
    await pair.clock.runFor(deadlineMs - 50);
    expect(left).to.equal(false);
    await pair.clock.settled(closing, 5_000);
    expect(pair.clock.nowMs() - before).to.be.below(deadlineMs + 2_000 + 1);
  });

  it('a restarted peer is seen again, and is up', async () => {
    const { alpha, beta } = await pair.steady();
    const former = alpha.snapshot()['peerRun'];
    await pair.kill('beta', beta);
    await pair.clock.runFor(3 * deadlineMs);
    expect(alpha.peerState()).to.equal('down');
    await pair.monitor('beta', { links: pair.links.map((link) => ({ name: link.name, transport: link.transport('beta') })) }).start();
    await pair.clock.until(() => alpha.peerState() === 'up', deadlineMs);
    await pair.clock.runFor(deadlineMs);
    expect(picture(alpha)).to.equal('normal up net:up line:up');
    expect(alpha.snapshot()['peerRun']).not.to.equal(former);
  });

  it('alone: fresh silence needs a full deadline of probes after the loss, over every link', async () => {
    const { alpha, beta } = await pair.steady();
    const lostMs = pair.clock.nowMs();
    expect(alpha.freshSilence(lostMs)).to.include({ silent: false, countedFromMs: lostMs });
    await pair.kill('beta', beta);
    await pair.clock.until(() => alpha.freshSilence(lostMs).silent, 3 * deadlineMs, 'fresh silence');
    const { earliestMs } = alpha.freshSilence(lostMs);
    expect(pair.clock.nowMs()).to.be.within(earliestMs, earliestMs + 2 * intervalMs);
    expect(alpha.freshSilence(pair.clock.nowMs())).to.include({ silent: false });
    await pair.clock.sleepThrough(5 * deadlineMs);
    expect(alpha.freshSilence(lostMs)).to.include({ silent: false });
  });

  it('after close no event follows, no timer is left, and requests reject with HM_CLOSED', async () => {
    const { alpha, beta } = await pair.steady();
    const waiting = alpha.request('x', { deadlineMs: 1_000 }).catch((error: unknown) => (error as { code: string }).code);
    await pair.close(alpha);
    expect(await waiting).to.equal('HM_CLOSED');
    const late = await alpha.request('x', { deadlineMs: 1_000 }).catch((error: unknown) => (error as { code: string }).code);
    expect(late).to.equal('HM_CLOSED');
    expect(() => {
      alpha.configure({ intervalMs: 100 });
    })
      .to.throw()
      .with.property('code', 'HM_CLOSED');
    alpha.heard('m0', { atMs: 0 });
    const told = pair.log.filter((line) => line.startsWith('alpha')).length;
    await pair.close(beta);
    await alpha.close();
    await pair.clock.runFor(10);
    expect(pair.clock.pendingTimers).to.equal(0);
    expect(pair.log.filter((line) => line.startsWith('alpha'))).to.have.length(told);
  });

  it('start rejects where a link cannot listen, and leaves nothing behind', async () => {
    await pair
      .link('line')
      .transport('alpha')
      .listen({ accepted: () => undefined });
    const alpha = pair.monitor('alpha');
    const error = await pair.clock.settled(
      alpha.start().catch((cause: unknown) => cause),
      5_000,
    );
    expect(error).to.have.property('code', 'HM_ADDRESS_IN_USE');
    expect(pair.clock.pendingTimers).to.equal(0);
  });

  it('a snapshot is plain data, and the same schedule gives the same', async () => {
    const run = async (): Promise<string> => {
      const fresh = new Pair(['net', 'line'], 3, 7);
      const { alpha, beta } = await fresh.steady();
      fresh.link('net').break();
      await fresh.clock.runFor(5_000);
      const text = JSON.stringify([alpha.snapshot(), beta.snapshot(), fresh.log]);
      expect(JSON.parse(text)).to.deep.equal([alpha.snapshot(), beta.snapshot(), fresh.log]);
      await fresh.end();
      return text;
    };
    expect(await run()).to.equal(await run());
  });

  it('watch.all: over any schedule of faults, a verdict falls only where no link brought anything for a deadline', async function () {
    this.timeout(120_000);
    const silencesAtVerdicts: number[] = [];
    const fault = fc.record({
      link: fc.constantFrom('net', 'line'),
      what: fc.constantFrom('cut', 'cut-beta', 'heal', 'break', 'sleep', 'wall'),
      forMs: fc.integer({ min: 1, max: 1_500 }),
    });
    await fc.assert(
      fc.asyncProperty(fc.integer(), fc.array(fault, { maxLength: 12 }), async (seed, faults) => {
        const fresh = new Pair(['net', 'line'], 2, seed);
        const { alpha } = await fresh.steady();
        let freshSinceMs = 0;
        alpha.events.on('monitor:overslept', ({ atMs }) => (freshSinceMs = atMs));
        alpha.events.on('peer:changed', ({ to, atMs }) => {
          if (to !== 'down') return;
          const silences = alpha.status().links.map(({ lastSeenMs }) => lastSeenMs ?? Infinity);
          silencesAtVerdicts.push(Math.min(...silences, atMs - freshSinceMs));
        });
        for (const { link, what, forMs } of faults) {
          if (what === 'cut') fresh.link(link).cut();
          else if (what === 'cut-beta') fresh.link(link).cut('beta');
          else if (what === 'heal') fresh.link(link).heal();
          else if (what === 'break') fresh.link(link).break();
          else if (what === 'wall') fresh.clock.jumpWall(forMs);
          else await fresh.clock.sleepThrough(forMs);
          await fresh.clock.runFor(forMs);
        }
        for (const link of fresh.links) link.heal();
        await fresh.clock.until(() => picture(alpha) === 'normal up net:up line:up', 10 * deadlineMs, 'all is well again');
        await fresh.end();
        expect(fresh.clock.pendingTimers).to.equal(0);
      }),
      { numRuns: 40, seed: 1 },
    );
    expect(silencesAtVerdicts).to.have.length.above(5);
    expect(Math.min(...silencesAtVerdicts)).to.be.above(deadlineMs);
  });
});
