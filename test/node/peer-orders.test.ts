import { expect } from 'chai';

import { HotMirrorError } from '../../src/errors.ts';
import type { Json } from '../../src/failover/ports.ts';
import type { HeartbeatMonitor } from '../../src/heartbeat/heartbeat-monitor.ts';
import type { ControlStream, WishProgress } from '../../src/node/control-protocol.ts';
import type { MirrorOrder, OrderResult } from '../../src/node/mirror-orders.ts';
import { PeerOrders } from '../../src/node/peer-orders.ts';
import { SeededRandom } from '../../src/testing/seeded-random.ts';
import { Pair } from '../heartbeat/pair.ts';

const verify: MirrorOrder = { order: 'verify', mirror: 'files', wish: 'find' };
const found: OrderResult = {
  ...{ changed: true, text: 'files: 512 of 4096 bytes compared differ', differingBytes: 512, comparedBytes: 4096, unreadableBytes: 0 },
  ...{ extents: [{ first: 0, count: 1 }], repaired: false },
};

type CarryOut = (order: MirrorOrder, stream: ControlStream<WishProgress>) => Promise<OrderResult>;

/** Two monitors in virtual time; beta carries out what alpha orders, and answers nothing else. */
class OrderingPair {
  readonly pair = new Pair();
  readonly told: WishProgress[] = [];
  /** Who gave the latest order. */
  client = new AbortController();
  readonly #random = new SeededRandom(1);
  #alpha: PeerOrders | null = null;
  #beta: PeerOrders | null = null;
  #betaMonitor: HeartbeatMonitor | null = null;

  /** `older`: beta's version takes no orders. */
  async start(carryOut: CarryOut, { older = false }: { readonly older?: boolean } = {}): Promise<this> {
    const refuses: CarryOut = () => Promise.reject(new Error('not expected'));
    const { alpha, beta } = await this.pair.steady({}, { answer: (body) => Promise.resolve(this.#answer(body, older)) });
    this.#betaMonitor = beta;
    this.#beta = this.#orders('alpha', beta, carryOut);
    this.#alpha = this.#orders('beta', alpha, refuses);
    return this;
  }

  #answer(body: Json, older: boolean): Json {
    const answer = older ? null : this.#beta?.answer(body);
    if (answer) return answer;
    throw new HotMirrorError('HM_PROTOCOL', 'the peer sent a request that makes no sense');
  }

  /** Hands beta a message, as it may come by another link and late. */
  hand(body: Json): Json {
    return this.#answer(body, false);
  }

  #orders(peer: string, monitor: HeartbeatMonitor, carryOut: CarryOut): PeerOrders {
    return new PeerOrders({ peer, monitor, clock: this.pair.clock, random: this.#random, carryOut });
  }

  /** Gives an order at alpha. */
  give(order: MirrorOrder = verify): Promise<OrderResult> {
    if (!this.#alpha) throw new Error('not started');
    const progress = (value: WishProgress): Promise<void> => Promise.resolve(void this.told.push(value));
    this.client = new AbortController();
    const given = this.#alpha.give(order, { signal: this.client.signal, progress });
    given.catch(() => undefined);
    return given;
  }

  /** Beta's process starts anew: it knows no order. */
  restartBeta(carryOut: CarryOut): void {
    if (this.#betaMonitor) this.#beta = this.#orders('alpha', this.#betaMonitor, carryOut);
  }
}

/** Ends by its signal only, and says when. */
function endless(ended: () => void): CarryOut {
  return (_order, { signal }) =>
    new Promise((_resolve, reject) => {
      signal.addEventListener('abort', () => {
        ended();
        reject(new HotMirrorError('HM_ABORTED', 'given up'));
      });
    });
}

async function refusalOf(promise: Promise<unknown>): Promise<HotMirrorError> {
  return promise.then(
    () => expect.fail('it succeeded'),
    (error: unknown) => error as HotMirrorError,
  );
}

describe('orders for the other node', () => {
  it('are carried out there, once, and their result comes back', async () => {
    const carriedOut: MirrorOrder[] = [];
    const world = await new OrderingPair().start((order) => Promise.resolve(carriedOut.push(order)).then(() => found));
    const given = world.give();
    await world.pair.clock.runFor(2_000);
    expect(await given).to.deep.equal(found);
    expect(carriedOut).to.deep.equal([verify]);
  });

  it('tell how far they are', async () => {
    const resync = { doneBytes: 1, totalBytes: 4096, bytesPerSecond: 10.5, remainingMs: null };
    let finish: (result: OrderResult) => void = () => undefined;
    const world = await new OrderingPair().start((_order, { progress }) => {
      void progress({ text: 'begun' });
      void progress({ text: 'a part is compared', mirror: 'files', resync });
      return new Promise((resolve) => (finish = resolve));
    });
    const given = world.give();
    await world.pair.clock.runFor(2_000);
    finish(found);
    await world.pair.clock.runFor(2_000);
    expect(await given).to.deep.equal(found);
    expect(world.told).to.deep.equal([{ text: 'a part is compared', mirror: 'files', resync }]);
  });

  it('fail with the error of the node that carried them out', async () => {
    const world = await new OrderingPair().start(() =>
      Promise.reject(new HotMirrorError('HM_REFUSED', 'a resync runs', { rule: 'verify' })),
    );
    const given = world.give();
    await world.pair.clock.runFor(2_000);
    expect(await refusalOf(given)).to.include({ code: 'HM_REFUSED', message: 'a resync runs', rule: 'verify' });
  });

  it('end there at once when whoever asked goes away', async () => {
    const ended: number[] = [];
    const world: OrderingPair = await new OrderingPair().start(endless(() => ended.push(world.pair.clock.nowMs())));
    const given = world.give();
    await world.pair.clock.runFor(5_000);
    expect(ended).to.deep.equal([]);
    world.client.abort();
    await world.pair.clock.runFor(100);
    expect(await refusalOf(given)).to.include({ code: 'HM_ABORTED' });
    expect(ended).to.have.lengthOf(1);
  });

  it('end there when nobody asks about them any more, though nobody said so', async () => {
    const ended: string[] = [];
    const world = await new OrderingPair().start(endless(() => ended.push('ended')));
    const given = world.give();
    await world.pair.clock.runFor(5_000);
    for (const link of world.pair.links) link.cut();
    await world.pair.clock.runFor(10_000);
    expect(await refusalOf(given))
      .to.have.property('code')
      .that.is.oneOf(['HM_PEER_UNREACHABLE', 'HM_REQUEST_TIMEOUT']);
    await world.pair.clock.runFor(10_000);
    expect(ended).to.deep.equal(['ended']);
  });

  it('are not begun anew by a question: a node that started meanwhile says that it does not know them', async () => {
    const world = await new OrderingPair().start(endless(() => undefined));
    const given = world.give();
    await world.pair.clock.runFor(1_000);
    world.restartBeta(() => Promise.resolve(found));
    await world.pair.clock.runFor(10_000);
    expect(await refusalOf(given)).to.include({ code: 'HM_CONNECTION_LOST' });
  });

  it('name the command to run on the other node where its version takes none', async () => {
    const world = await new OrderingPair().start(() => Promise.resolve(found), { older: true });
    const given = world.give();
    await world.pair.clock.runFor(2_000);
    const error = await refusalOf(given);
    expect(error).to.include({ code: 'HM_NOT_SUPPORTED' });
    expect(error.details?.['remedy']).to.contain('--node beta');
  });

  it('are bounded: of what the peer orders sixteen run, and those that have ended make room', async () => {
    const ends: ((result: OrderResult) => void)[] = [];
    const world = await new OrderingPair().start(() => new Promise((resolve) => ends.push(resolve)));
    const given = Array.from({ length: 16 }, () => world.give());
    await world.pair.clock.runFor(1_000);
    const [refused] = await Promise.all([refusalOf(world.give()), world.pair.clock.runFor(1_000)]);
    expect(refused).to.include({ code: 'HM_BUSY' });
    ends[0]?.(found);
    await world.pair.clock.runFor(1_000);
    expect(await given[0]).to.deep.equal(found);
    const late = world.give();
    await world.pair.clock.runFor(1_000);
    for (const end of ends) end(found);
    await world.pair.clock.runFor(1_000);
    expect(await late).to.deep.equal(found);
  });

  it('that were given up never begin, though their beginning comes after their end', async () => {
    const begun: MirrorOrder[] = [];
    const world = await new OrderingPair().start((order) => {
      begun.push(order);
      return Promise.resolve(found);
    });
    const message = { kind: 'mirror-order', id: 'late' };
    for (const step of [{ step: 'end' }, { step: 'begin', order: { ...verify } }]) {
      expect(() => world.hand({ ...message, ...step })).to.throw('given up');
    }
    expect(begun).to.deep.equal([]);
  });

  it('are orders, or are refused', async () => {
    const world = await new OrderingPair().start(() => Promise.resolve(found));
    const given = world.give({ order: 'erase', mirror: 'files' } as unknown as MirrorOrder);
    await world.pair.clock.runFor(2_000);
    expect(await refusalOf(given)).to.include({ code: 'HM_NOT_SUPPORTED' });
  });
});
