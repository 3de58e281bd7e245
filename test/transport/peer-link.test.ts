import { expect } from 'chai';

import type { HotMirrorError } from '../../src/errors.ts';
import { SeededRandom } from '../../src/testing/seeded-random.ts';
import { VirtualClock } from '../../src/testing/virtual-clock.ts';
import { MemoryNetwork } from '../../src/transport/memory.ts';
import type { MemoryLink } from '../../src/transport/memory.ts';
import { PeerLink } from '../../src/transport/peer-link.ts';
import type { Connection, Transport } from '../../src/transport/transport.ts';

const retryMinMs = 100;
const retryMaxMs = 2_000;
const dialDeadlineMs = 1_000;
const plentyMs = 20_000;

/** One node's use of a link: what it was told, in order. */
class User {
  readonly link: PeerLink;
  readonly told: string[] = [];
  readonly ends: (HotMirrorError | null)[] = [];
  readonly received: string[] = [];
  current: Connection | null = null;

  constructor(transport: Transport, preferOwnDial: boolean, clock: VirtualClock, seed: number) {
    this.link = new PeerLink({
      transport,
      preferOwnDial,
      clock,
      random: new SeededRandom(seed),
      retryMinMs,
      retryMaxMs,
      dialDeadlineMs,
      listener: {
        connected: (connection) => {
          this.told.push(`connected ${connection.id}`);
          this.current = connection;
          connection.receive({
            frame: (bytes) => void this.received.push(Buffer.from(bytes).toString()),
            closed: (error) => {
              this.told.push(`closed ${connection.id}`);
              this.ends.push(error);
              this.current = null;
            },
          });
        },
        unreachable: (error) => void this.told.push(error.code),
      },
    });
  }
}

describe('transport/peer-link', () => {
  let clock: VirtualClock;
  let network: MemoryNetwork;
  let cable: MemoryLink;
  let alpha: User;
  let beta: User;

  const agree = (): boolean => alpha.current !== null && alpha.current.id === beta.current?.id;

  function build(seed: number, delayMs = 1): void {
    clock = new VirtualClock();
    network = new MemoryNetwork({ clock, random: new SeededRandom(seed) });
    cable = network.link('data', { nodes: ['alpha', 'beta'], conditions: { delayMs } });
    alpha = new User(cable.transport('alpha'), true, clock, seed + 1);
    beta = new User(cable.transport('beta'), false, clock, seed + 2);
  }

  beforeEach(() => build(1));

  afterEach(async () => {
    await clock.settled(Promise.all([alpha.link.stop(), beta.link.stop()]), plentyMs);
    await clock.runFor(1_000); // what was on the line
    expect(clock.pendingTimers, 'timers left after stop').to.equal(0);
  });

  it('makes one connection, that both ends hold and may use', async () => {
    await alpha.link.start();
    await beta.link.start();
    await clock.until(agree, plentyMs);
    alpha.current?.send([Buffer.from('to beta')]);
    beta.current?.send([Buffer.from('to alpha')]);
    await clock.runFor(10);
    expect(beta.received).to.deep.equal(['to beta']);
    expect(alpha.received).to.deep.equal(['to alpha']);
    await clock.runFor(plentyMs);
    expect(alpha.told.filter((told) => told.startsWith('connected'))).to.have.length(1);
  });

  it('of two connections keeps the one that the preferred side dialled, at both ends, and tells the end of the other first', async () => {
    for (let seed = 0; seed < 50; seed += 1) {
      build(seed, 150);
      await alpha.link.start();
      await beta.link.start();
      await clock.runFor(plentyMs);
      expect(agree(), `seed ${String(seed)}`).to.equal(true);
      expect(alpha.current?.dialled, `seed ${String(seed)}`).to.equal(true);
      let open: string | null = null;
      for (const told of beta.told.filter((line) => line.startsWith('c'))) {
        const [what, id] = told.split(' ');
        expect(what === 'connected' ? open : id, beta.told.join(', ')).to.equal(what === 'connected' ? null : open);
        open = what === 'connected' ? (id ?? '') : null;
      }
      await clock.settled(Promise.all([alpha.link.stop(), beta.link.stop()]), plentyMs);
    }
  });

  it('works where only one direction can be dialled', async () => {
    alpha = new User(withoutDial(cable.transport('alpha')), true, clock, 7);
    await alpha.link.start();
    await beta.link.start();
    await clock.until(agree, plentyMs);
    expect(beta.current?.dialled).to.equal(true);
    await clock.runFor(plentyMs);
    expect(agree()).to.equal(true);
  });

  it('dials for ever, each wait within its bound, and comes back after an outage', async () => {
    await beta.link.start();
    await clock.runFor(60_000);
    const tries = beta.told.filter((told) => told === 'HM_CONNECT_FAILED').length;
    expect(tries).to.be.within(60_000 / (retryMaxMs + 10), 120);
    await alpha.link.start();
    await clock.until(agree, retryMaxMs + 100);
  });

  it('goes on with the restarted process of a peer that died', async () => {
    await alpha.link.start();
    await beta.link.start();
    await clock.until(agree, plentyMs);
    network.kill('beta');
    await clock.until(() => alpha.ends.length > 0, 10);
    expect(alpha.ends[0]?.code).to.equal('HM_CONNECTION_LOST');
    const dead = beta;
    expect(dead.ends).to.deep.equal([]);
    beta = new User(cable.transport('beta'), false, clock, 9);
    await beta.link.start();
    await clock.until(agree, plentyMs);
    await clock.settled(dead.link.stop(), plentyMs);
  });

  it('turns a second connection away while it may be a race, and takes it for the loss of the first later', async () => {
    await alpha.link.start();
    await beta.link.start();
    await clock.until(agree, plentyMs);
    const second = await clock.settled(cable.transport('beta').dial(), plentyMs);
    let ended = false;
    second.receive({ frame: () => undefined, closed: () => void (ended = true) });
    await clock.until(() => ended, 100);
    expect(agree()).to.equal(true);
    await clock.runFor(dialDeadlineMs);
    const third = await clock.settled(cable.transport('beta').dial(), plentyMs);
    await clock.until(() => alpha.current?.id === third.id, 100);
    expect(alpha.ends.map((error) => error?.code)).to.deep.equal(['HM_CONNECTION_LOST']);
    third.destroy();
    await clock.until(agree, plentyMs);
  });

  it('begins anew after redial, not at once, and backs off further while connections do not last', async () => {
    await alpha.link.start();
    await beta.link.start();
    await clock.until(agree, plentyMs);
    let connections = 0;
    for (const fromMs = clock.nowMs(); clock.nowMs() < fromMs + 60_000;) {
      const since = clock.nowMs();
      alpha.link.redial();
      await clock.until(() => alpha.current === null, 10);
      await clock.until(agree, plentyMs);
      expect(clock.nowMs() - since).to.be.at.least(retryMinMs);
      connections += 1;
    }
    expect(connections).to.be.below(150);
  });

  it('stays silent while a cable is pulled, and uses what is left after it is mended', async () => {
    await alpha.link.start();
    await beta.link.start();
    await clock.until(agree, plentyMs);
    cable.cut();
    alpha.current?.send([Buffer.from('late')]);
    await clock.runFor(plentyMs);
    expect(alpha.ends).to.deep.equal([]);
    cable.heal();
    await clock.until(() => beta.received.includes('late'), 100);
  });

  it('start() rejects where another listens, and may be repeated', async () => {
    const other = await cable.transport('alpha').listen({ accepted: () => undefined });
    await alpha.link.start().then(
      () => expect.fail('listened twice'),
      (error: unknown) => expect((error as HotMirrorError).code).to.equal('HM_ADDRESS_IN_USE'),
    );
    await other.close();
    await alpha.link.start();
  });
});

function withoutDial(transport: Transport): Transport {
  return {
    capabilities: transport.capabilities,
    description: transport.description,
    dial: (signal) => new Promise((_resolve, reject) => signal?.addEventListener('abort', () => reject(new Error('given up')))),
    listen: (handlers) => transport.listen(handlers),
  };
}
