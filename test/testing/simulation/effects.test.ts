import { expect } from 'chai';

import { MemoryArbiter } from '../../../src/arbiter/memory.ts';
import { MemoryDevice } from '../../../src/device/memory.ts';
import { nonePlatform } from '../../../src/platform/none.ts';
import type { PlatformActions, StepContext } from '../../../src/platform/platform-actions.ts';
import { SeededRandom } from '../../../src/testing/seeded-random.ts';
import { EffectGate } from '../../../src/testing/simulation/effects.ts';
import { VirtualClock } from '../../../src/testing/virtual-clock.ts';
import type { Connection } from '../../../src/transport/transport.ts';
import { MemoryNetwork } from '../../../src/transport/memory.ts';

const block = new Uint8Array(512).fill(7);

describe('EffectGate', () => {
  let clock: VirtualClock;
  let gate: EffectGate;
  let died: number;

  beforeEach(() => {
    clock = new VirtualClock({ settles: 'promises' });
    gate = new EffectGate();
    died = 0;
  });

  const dieAfter = (effects: number): void => gate.dieAfter(effects, () => (died += 1));

  it('lets everything through while nothing is to die', () => {
    for (let effect = 0; effect < 100; effect += 1) expect(gate.effect(() => effect, -1)).to.equal(effect);
    expect([gate.dead, died]).to.deep.equal([false, 0]);
  });

  it('dies once, at the n-th effect: that one still happens, and no later one', () => {
    const happened: number[] = [];
    dieAfter(3);
    const heard = [1, 2, 3, 4, 5].map((effect) => gate.effect<number | string>(() => happened.push(effect), 'unheard'));
    expect(happened).to.deep.equal([1, 2, 3]);
    expect(heard).to.deep.equal([1, 2, 'unheard', 'unheard', 'unheard']);
    expect([gate.dead, died]).to.deep.equal([true, 1]);
  });

  it('lives on when it is spared', () => {
    dieAfter(2);
    gate.effect(() => undefined, undefined);
    gate.spare();
    for (let effect = 0; effect < 10; effect += 1) gate.effect(() => undefined, undefined);
    expect(gate.dead).to.equal(false);
  });

  it('writes the last write of a process that dies with it, and tells nobody', async () => {
    const memory = new MemoryDevice({ sizeBytes: 4_096, completion: { clock, delayMs: 10 } });
    const device = gate.device(memory);
    const heard: string[] = [];
    dieAfter(2);
    for (const [name, offsetBytes] of [['first', 0] as const, ['second', 512] as const, ['third', 1_024] as const])
      device.write(offsetBytes, block, {}, () => heard.push(name));
    await clock.runFor(100);
    expect(heard, 'the dead hear nothing, not even of what they asked before').to.deep.equal([]);
    expect([0, 512, 1_024].map((offset) => memory.contents[offset])).to.deep.equal([7, 7, 0]);
  });

  it('counts reads, flushes, trims and zeroes, and passes their outcome on', async () => {
    const device = gate.device(new MemoryDevice({ sizeBytes: 4_096, contents: new Uint8Array(4_096).fill(7) }));
    const into = new Uint8Array(512);
    const codes: (string | null)[] = [];
    const done = (error: { readonly code: string } | null): void => void codes.push(error?.code ?? null);
    device.read(0, into, done);
    device.flush(done);
    device.writeZeroes(0, 512, {}, done);
    device.read(4_096, into, done);
    await clock.runFor(0);
    expect(into[0]).to.equal(7);
    expect(codes).to.deep.equal([null, null, null, 'HM_OUT_OF_RANGE']);
    dieAfter(1);
    device.trim(0, 512, done);
    expect([died, codes.length]).to.deep.equal([1, 4]);
  });

  it('sends the last frame and no other, and takes no part in what comes', async () => {
    const link = new MemoryNetwork({ clock, random: new SeededRandom(1) }).link('data', {
      nodes: ['alpha', 'beta'],
      conditions: { delayMs: 1 },
    });
    const got: number[] = [];
    const receiver = { frame: (bytes: Uint8Array) => got.push(bytes[0]!), closed: () => undefined, drain: () => undefined };
    await link.transport('beta').listen({ accepted: (connection: Connection) => connection.receive(receiver) });
    const connection = await clock.settled(gate.transport(link.transport('alpha')).dial(new AbortController().signal), 100);
    dieAfter(2);
    for (const value of [1, 2, 3]) connection.send([new Uint8Array([value])]);
    await clock.runFor(10);
    expect(got).to.deep.equal([1, 2]);
    expect(died).to.equal(1);
  });

  it('has the arbiter grant what the dead asked for, and never answers them', async () => {
    const arbiter = new MemoryArbiter();
    const gated = gate.arbiter(arbiter);
    const { signal } = new AbortController();
    let answered = false;
    dieAfter(1);
    void gated.grant({ number: 0, owner: '' }, { number: 1, owner: 'alpha' }, signal).finally(() => (answered = true));
    await clock.runFor(10);
    expect(answered).to.equal(false);
    expect((await arbiter.current(signal)).owner).to.equal('alpha');
  });

  describe('of a process that stands still', () => {
    let held: (() => void)[];
    const goOn = (): void => {
      for (const told of held.splice(0)) told();
    };

    beforeEach(() => {
      held = [];
      clock = new VirtualClock();
      gate = new EffectGate((told) => held.push(told));
    });

    const connected = async (): Promise<{ readonly dialled: Promise<Connection>; readonly accepted: Connection[] }> => {
      const link = new MemoryNetwork({ clock, random: new SeededRandom(1) }).link('data', { nodes: ['alpha', 'beta'] });
      const accepted: Connection[] = [];
      await link.transport('beta').listen({ accepted: (connection) => accepted.push(connection) });
      return { dialled: gate.transport(link.transport('alpha')).dial(), accepted };
    };

    it('a dial has no outcome, a connection no end, and a close no answer, until it goes on', async () => {
      const heard: string[] = [];
      const { dialled, accepted } = await connected();
      void dialled.then(() => heard.push('dialled'));
      await clock.runFor(10);
      expect(heard).to.deep.equal([]);
      goOn();
      await clock.runFor(0);
      expect(heard).to.deep.equal(['dialled']);
      const connection = await dialled;
      connection.receive({ frame: () => undefined, closed: () => heard.push('ended') });
      void connection.close().then(() => heard.push('closed'));
      accepted[0]?.receive({ frame: () => undefined, closed: () => undefined });
      await clock.runFor(10);
      expect(heard).to.deep.equal(['dialled']);
      goOn();
      await clock.runFor(0);
      expect(heard).to.have.members(['dialled', 'ended', 'closed']);
    });

    it('a dial that it gives up before it hears of its success is given up', async () => {
      const link = new MemoryNetwork({ clock, random: new SeededRandom(1) }).link('data', { nodes: ['alpha', 'beta'] });
      const accepted: Connection[] = [];
      await link.transport('beta').listen({ accepted: (connection) => accepted.push(connection) });
      const abort = new AbortController();
      let code = '';
      gate
        .transport(link.transport('alpha'))
        .dial(abort.signal)
        .catch((error: unknown) => (code = (error as { readonly code: string }).code));
      await clock.runFor(10);
      let ended = false;
      accepted[0]?.receive({ frame: () => undefined, closed: () => (ended = true) });
      abort.abort();
      goOn();
      await clock.runFor(10);
      expect([code, ended]).to.deep.equal(['HM_ABORTED', true]);
    });

    it('an answer of the arbiter waits, and is not heard where it dies meanwhile', async () => {
      const heard: number[] = [];
      const { signal } = new AbortController();
      const arbiter = gate.arbiter(new MemoryArbiter());
      for (const round of [1, 2]) {
        void arbiter.current(signal).then(() => heard.push(round));
        await clock.runFor(10);
        expect(heard.includes(round)).to.equal(false);
        gate.dead = round === 2;
        goOn();
        await clock.runFor(0);
      }
      expect(heard).to.deep.equal([1]);
    });
  });

  it('runs the platform step during which the process dies, and never answers', async () => {
    const ran: string[] = [];
    const platform: PlatformActions = {
      ...nonePlatform(() => undefined),
      actions: { mount: { run: async () => void ran.push('mount') } },
    };
    dieAfter(1);
    let answered = false;
    const { signal } = new AbortController();
    void gate
      .platform(platform)
      .actions.mount?.run({} as StepContext, signal)
      .finally(() => (answered = true));
    await clock.runFor(10);
    expect([ran, answered]).to.deep.equal([['mount'], false]);
  });
});
