import { expect } from 'chai';

import type { Arbiter } from '../../src/arbiter/arbiter.ts';
import { MemoryArbiter } from '../../src/arbiter/memory.ts';
import type { Epoch } from '../../src/epoch.ts';
import { World } from './support/world.ts';

const a = (number: number): Epoch => ({ number, owner: 'alpha' });
const b = (number: number): Epoch => ({ number, owner: 'beta' });
const travelMs = 3;

/** An arbiter a few milliseconds away that loses the hand-backs it is told to lose, and remembers those that came. */
class DistantArbiter implements Arbiter {
  readonly inner: MemoryArbiter = new MemoryArbiter();
  readonly capabilities = this.inner.capabilities;
  readonly handedBack: string[] = [];
  losesHandBacks = false;
  world: World | null = null;

  current(signal: AbortSignal): Promise<Epoch> {
    return this.#travel(signal, () => this.inner.current(signal));
  }

  grant(...[from, to, signal]: Parameters<Arbiter['grant']>): ReturnType<Arbiter['grant']> {
    return this.#travel(signal, () => this.inner.grant(from, to, signal));
  }

  handBack(...[granted, earlier, signal]: Parameters<Arbiter['handBack']>): ReturnType<Arbiter['handBack']> {
    return this.#travel(signal, () => {
      if (this.losesHandBacks) throw new Error('lost');
      this.handedBack.push(`${String(granted.number)}/${granted.owner}`);
      return this.inner.handBack(granted, earlier, signal);
    });
  }

  close(): Promise<void> {
    return this.inner.close();
  }

  async #travel<T>(signal: AbortSignal, ask: () => Promise<T>): Promise<T> {
    await this.#pass();
    signal.throwIfAborted();
    const answer = await ask();
    await this.#pass();
    return answer;
  }

  #pass(): Promise<void> {
    return new Promise((resolve) => void this.world?.clock.timer(travelMs, resolve));
  }
}

describe('a grant that was never committed (rules takeover.commit, boot.arbiter)', () => {
  let arbiter: DistantArbiter;
  let world: World;
  const current = (): Promise<Epoch> => arbiter.inner.current(new AbortController().signal);
  const grantBehindTheirBacks = (from: Epoch, to: Epoch): Promise<unknown> => arbiter.inner.grant(from, to, new AbortController().signal);

  beforeEach(async () => {
    arbiter = new DistantArbiter();
    world = new World({ otherArbiter: arbiter });
    arbiter.world = world;
    await world.settle();
    await world.run(2_000);
  });

  it('is not handed back once it was committed, however long that was owed', async () => {
    world.crash('alpha');
    await grantBehindTheirBacks(a(1), a(2));
    arbiter.losesHandBacks = true;
    world.start('alpha');
    await world.run(3_000);
    expect(world.alpha.orchestrator.snapshot().pendingHandBack).to.deep.equal(a(2));
    world.partition();
    for (let waited = 0; waited < 20 && !world.alpha.orchestrator.snapshot().serving; waited += 1) await world.run(1_000);
    expect(world.alpha.orchestrator.snapshot().record.epoch).to.deep.equal(a(2));
    arbiter.losesHandBacks = false;
    await world.run(120_000);
    expect(arbiter.handedBack).to.deep.equal([]);
    expect(await current()).to.deep.equal(a(2));
    expect([world.serving, world.violations]).to.deep.equal([['alpha'], []]);
  });

  it('is handed back by a passive node that forgot it, once its peer waits for that', async () => {
    world.crash('alpha');
    await world.run(200);
    await grantBehindTheirBacks(a(1), b(2));
    world.start('alpha');
    await world.run(10_000);
    expect(arbiter.handedBack).to.deep.equal(['2/beta']);
    expect([world.serving, world.violations]).to.deep.equal([['alpha'], []]);
  });

  it('stays where it is while a hand-over to this node is under way', async () => {
    const given = world.alpha.orchestrator.switchover();
    await world.run(10_000);
    await given;
    expect(arbiter.handedBack).to.deep.equal([]);
    expect([world.serving, await current()]).to.deep.equal([['beta'], b(2)]);
  });
});
