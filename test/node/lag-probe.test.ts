import { expect } from 'chai';

import { HealthWatch } from '../../src/heartbeat/health.ts';
import { lagProbe } from '../../src/node/lag-probe.ts';
import type { LaggingMirror } from '../../src/node/lag-probe.ts';
import { VirtualClock } from '../../src/testing/virtual-clock.ts';

const everyMs = 1_000;
const deadlineMs = 5_000;
const calm = { inside: 0, windowBytes: 0, resyncWindowBytes: 0, lagBytes: 0, unconfirmedMs: 0 };

/** A mirror whose thread answers while it is not held. */
class Thread implements LaggingMirror {
  readonly name: string;
  unconfirmedMs = 0;
  held = false;
  asked = 0;
  #release: () => void = () => undefined;

  constructor(name: string) {
    this.name = name;
  }

  async counters(): ReturnType<LaggingMirror['counters']> {
    this.asked += 1;
    if (this.held) await new Promise<void>((resolve) => (this.#release = resolve));
    return { queues: { ...calm, unconfirmedMs: this.unconfirmedMs } };
  }

  release(): void {
    this.held = false;
    this.#release();
  }
}

describe('The lag of the mirrors, as a health probe', () => {
  let clock: VirtualClock;
  let mirrors: readonly [Thread, Thread];
  let watch: HealthWatch;

  beforeEach(() => {
    clock = new VirtualClock();
    mirrors = [new Thread('m0'), new Thread('m1')];
    watch = new HealthWatch({ node: 'alpha', clock, probes: [lagProbe({ mirrors, everyMs, deadlineMs })] });
    watch.start();
  });

  afterEach(() => watch.close());

  const found = (): string =>
    watch.results().map(({ name, state, text }) => [name, state, ...(text === undefined ? [] : [text])].join(' '))[0] ?? '';

  it('is unknown until each thread has answered, then ok', async () => {
    await clock.runFor(0);
    expect(found()).to.equal('lag unknown');
    await clock.runFor(everyMs);
    expect(found()).to.equal('lag ok');
  });

  it('fails while a thread answers nothing for longer than the deadline, which is asked once, and is ok when it answers', async () => {
    await clock.runFor(2 * everyMs);
    mirrors[1].held = true;
    const { asked } = mirrors[1];
    await clock.runFor(deadlineMs);
    expect(found()).to.equal('lag ok');
    await clock.runFor(60_000);
    expect(found()).to.equal('lag failed the thread of mirror m1 has not answered for more than 5000 ms');
    expect(mirrors[1].asked).to.equal(asked + 1);
    mirrors[1].release();
    await clock.runFor(2 * everyMs);
    expect(found()).to.equal('lag ok');
  });

  it('fails while a peer has confirmed nothing for longer than the deadline', async () => {
    mirrors[0].unconfirmedMs = deadlineMs;
    await clock.runFor(3 * everyMs);
    expect(found()).to.equal('lag ok');
    mirrors[0].unconfirmedMs = deadlineMs + 1;
    await clock.runFor(2 * everyMs);
    expect(found()).to.equal('lag failed the peer has confirmed nothing of mirror m0 for more than 5000 ms');
  });

  it('fails with what a thread that has ended says', async () => {
    mirrors[0].counters = () => Promise.reject(new Error('the thread of mirror m0 ended: killed'));
    await clock.runFor(2 * everyMs);
    expect(found()).to.equal('lag failed the thread of mirror m0 ended: killed');
  });
});
