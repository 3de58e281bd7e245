import assert from 'node:assert/strict';

import { copyOf } from '../bytes.ts';
import { HotMirrorError } from '../errors.ts';
import type { TestRunner } from './test-runner.ts';
import { Inbox, TransportSubject, fill, pattern, rejectsWith, text } from './transport-subject.ts';
import type { TransportFixture } from './transport-subject.ts';

export type { TransportFixture } from './transport-subject.ts';

/** How to make the links of one implementation. */
export interface TransportSetup {
  readonly name: string;
  /** Makes a fresh one; called once a test. */
  create(): Promise<TransportFixture>;
}

type Cases = Readonly<Record<string, (link: TransportSubject) => Promise<void>>>;

/** Declares tests that prove the whole contract of `Transport` and `Connection` for an implementation. */
export function transportConformance(runner: TestRunner, setup: TransportSetup): void {
  const declare = (cases: Cases): void => {
    for (const [title, test] of Object.entries(cases)) {
      runner.it(title, async () => {
        const fixture = await setup.create();
        try {
          await test(new TransportSubject(fixture));
        } finally {
          await fixture.dispose();
        }
      });
    }
  };
  runner.describe(`Transport contract: ${setup.name}`, () => {
    for (const cases of [frameCases, flowCases, endCases, dialCases]) declare(cases);
  });
}

const frameCases: Cases = {
  'frames arrive whole, once, in the order sent, both ways': async (link) => {
    const [a, b] = await link.ends();
    const count = 500;
    const expected = Array.from({ length: count }, (_, index) => `frame ${String(index)}`);
    for (const frame of expected) {
      a.connection.send([text(frame)]);
      b.connection.send([text(frame)]);
    }
    assert.deepEqual(await link.settle(b.inbox.texts(count)), expected);
    assert.deepEqual(await link.settle(a.inbox.texts(count)), expected);
  },
  'a frame is its parts joined, whatever their number and size': async (link) => {
    const [a, b] = await link.ends();
    a.connection.send([]);
    a.connection.send([text('')]);
    a.connection.send([new Uint8Array(0)]);
    a.connection.send([text('one'), new Uint8Array(0), text(''), text(' and '), text('two')]);
    assert.deepEqual(await link.settle(b.inbox.texts(4)), ['', '', '', 'one and two']);
  },
  'frames of every size around powers of two up to the limit stay what they were': async (link) => {
    const [a, b] = await link.ends();
    const max = a.connection.maxFrameBytes;
    const sizes = [1, 11, 12, 13, 4_095, 4_096, 4_097, 65_523, 65_524, 65_535, 65_536, 65_537, max - 1, max].filter((size) => size <= max);
    for (const size of sizes) {
      if (!a.connection.send([pattern(size)])) await link.settle(a.inbox.until(() => a.connection.pendingBytes === 0));
    }
    await link.settle(b.inbox.until(() => b.inbox.frames.length === sizes.length));
    for (const [index, size] of sizes.entries())
      assert.ok(b.inbox.frames[index]?.equals(pattern(size)), `a frame of ${String(size)} bytes changed`);
  },
  'a frame above the limit throws RangeError, and the connection lives on': async (link) => {
    const [a, b] = await link.ends();
    const tooLong = new Uint8Array(a.connection.maxFrameBytes);
    assert.throws(() => a.connection.send([tooLong, text('!')]), RangeError);
    a.connection.send([text('still here')]);
    assert.deepEqual(await link.settle(b.inbox.texts(1)), ['still here']);
    assert.equal(a.connection.maxFrameBytes, link.fixture.a.capabilities.maxFrameBytes);
  },
  'a sender may change its bytes once nothing is pending': async (link) => {
    const [a, b] = await link.ends();
    const bytes = pattern(20_000);
    for (let round = 0; round < 5; round += 1) {
      bytes.fill(round);
      a.connection.send([bytes]);
      await link.settle(b.inbox.until(() => b.inbox.frames.length > round));
      assert.equal(a.connection.pendingBytes, 0);
    }
    for (const [round, frame] of b.inbox.frames.entries()) assert.ok(frame.equals(Buffer.alloc(20_000, round)));
  },
  'frames are never delivered from within send; batchEnd follows them': async (link) => {
    const [a, b] = await link.ends();
    let inside = false;
    b.inbox.onFrame = () => {
      assert.equal(inside, false);
    };
    inside = true;
    a.connection.send([text('one')]);
    a.connection.send([text('two')]);
    inside = false;
    await link.settle(b.inbox.until(() => b.inbox.frames.length === 2 && b.inbox.batches > 0));
    assert.ok(b.inbox.batches <= 2);
  },
  'frames that came before receive wait for it': async (link) => {
    const [a, b] = await link.connect();
    a.send([text('early')]);
    a.send([text('bird')]);
    const [fromA, fromB] = [new Inbox(), new Inbox()];
    a.receive(fromB);
    b.send([text('fence')]);
    await link.settle(fromB.texts(1));
    b.receive(fromA);
    assert.equal(fromA.frames.length, 0);
    assert.deepEqual(await link.settle(fromA.texts(2)), ['early', 'bird']);
    assert.throws(() => {
      b.receive(new Inbox());
    }, TypeError);
  },
  'answers sent from within frame keep their order': async (link) => {
    const [a, b] = await link.ends();
    b.inbox.onFrame = (bytes) => void b.connection.send([text('re: '), copyOf(bytes)]);
    for (let index = 0; index < 50; index += 1) a.connection.send([text(String(index))]);
    assert.deepEqual(
      await link.settle(a.inbox.texts(50)),
      Array.from({ length: 50 }, (_, index) => `re: ${String(index)}`),
    );
  },
};

const flowCases: Cases = {
  'a paused receiver gets nothing, and everything after resume': async (link) => {
    const [a, b] = await link.ends();
    b.connection.pause();
    for (let index = 0; index < 10; index += 1) a.connection.send([text(String(index))]);
    await link.fence(a, b);
    assert.equal(b.inbox.frames.length, 0);
    b.connection.resume();
    assert.deepEqual(
      await link.settle(b.inbox.texts(10)),
      Array.from({ length: 10 }, (_, index) => String(index)),
    );
  },
  'a receiver that pauses within a frame gets no other one until resume': async (link) => {
    const [a, b] = await link.ends();
    b.inbox.onFrame = () => {
      b.connection.pause();
    };
    for (let index = 0; index < 10; index += 1) a.connection.send([text(String(index))]);
    for (let index = 1; index <= 10; index += 1) {
      await link.settle(b.inbox.texts(index));
      await link.fence(a, b);
      assert.equal(b.inbox.frames.length, index);
      b.connection.resume();
    }
  },
  'the sender to a paused receiver is told to stop, and by drain to go on': async (link) => {
    const [a, b] = await link.ends();
    b.connection.pause();
    const sent = fill(a.connection, pattern(a.connection.maxFrameBytes));
    assert.ok(a.connection.pendingBytes > 0);
    assert.equal(a.inbox.drains, 0);
    b.connection.resume();
    await link.settle(a.inbox.until(() => a.inbox.drains > 0));
    assert.equal(a.connection.pendingBytes, 0);
    await link.settle(b.inbox.until(() => b.inbox.frames.length === sent));
    assert.equal(a.inbox.drains, 1);
    assert.ok(b.inbox.frames.every((frame) => frame.equals(pattern(a.connection.maxFrameBytes))));
  },
  'more pending than the hard limit ends the connection with HM_SEND_WINDOW': async (link) => {
    const [a, b] = await link.ends();
    b.connection.pause();
    const frame = pattern(a.connection.maxFrameBytes);
    fill(a.connection, frame);
    let count = 0;
    while (a.inbox.ends.length === 0 && count < 10_000) {
      a.connection.send([frame]);
      count += 1;
      if (count % 100 === 0) await link.settle(Promise.resolve());
    }
    assert.equal((await link.settle(a.inbox.end()))?.code, 'HM_SEND_WINDOW');
    b.connection.resume();
    assert.equal((await link.settle(b.inbox.end()))?.code, 'HM_CONNECTION_LOST');
  },
};

const endCases: Cases = {
  'close sends what is pending, then ends both sides in order': async (link) => {
    const [a, b] = await link.ends();
    const frame = pattern(a.connection.maxFrameBytes);
    const count = fill(a.connection, frame);
    await link.settle(a.connection.close());
    assert.deepEqual(a.inbox.ends, [null]);
    assert.equal(await link.settle(b.inbox.end()), null);
    assert.equal(b.inbox.frames.length, count);
    assert.ok(b.inbox.frames.every((received) => received.equals(frame)));
  },
  'close at both ends at once is in order for both': async (link) => {
    const [a, b] = await link.ends();
    a.connection.send([text('bye')]);
    b.connection.send([text('bye')]);
    await link.settle(Promise.all([a.connection.close(), b.connection.close(), a.connection.close()]));
    assert.deepEqual([...a.inbox.ends, ...b.inbox.ends], [null, null]);
  },
  'close is bounded while the peer takes nothing': async (link) => {
    const [a, b] = await link.ends();
    b.connection.pause();
    await link.clog(a, b, pattern(a.connection.maxFrameBytes));
    await link.settle(a.connection.close());
    assert.equal(a.inbox.ends[0]?.code, 'HM_CONNECTION_LOST');
    b.connection.resume();
    assert.equal((await link.settle(b.inbox.end()))?.code, 'HM_CONNECTION_LOST');
  },
  'close ends in order while this side has paused': async (link) => {
    const [a, b] = await link.ends();
    a.connection.pause();
    for (let index = 0; index < 10; index += 1) b.connection.send([text('unwanted')]);
    await link.settle(a.connection.close());
    assert.deepEqual(a.inbox.ends, [null]);
    assert.equal(await link.settle(b.inbox.end()), null);
  },
  'destroy ends this side with the given error and the other with HM_CONNECTION_LOST': async (link) => {
    const [a, b] = await link.ends();
    const why = new HotMirrorError('HM_PROTOCOL', 'for a test');
    a.connection.destroy(why);
    assert.equal(a.inbox.ends.length, 0, 'closed was called from within destroy');
    assert.equal(await link.settle(a.inbox.end()), why);
    assert.equal((await link.settle(b.inbox.end()))?.code, 'HM_CONNECTION_LOST');
  },
  'destroy without an error gives null here': async (link) => {
    const [a] = await link.ends();
    a.connection.destroy();
    assert.equal(await link.settle(a.inbox.end()), null);
  },
  'destroy within a frame stops delivery at once': async (link) => {
    const [a, b] = await link.ends();
    b.inbox.onFrame = () => {
      b.connection.destroy();
    };
    for (let index = 0; index < 10; index += 1) a.connection.send([text(String(index))]);
    await link.settle(b.inbox.end());
    assert.equal(b.inbox.frames.length, 1);
  },
  'closed comes once, and nothing after it; send then returns false': async (link) => {
    const [a, b] = await link.ends();
    b.connection.send([text('never read')]);
    a.connection.destroy();
    await link.settle(Promise.all([a.inbox.end(), b.inbox.end()]));
    for (const { connection, inbox } of [a, b]) {
      const received = inbox.frames.length;
      assert.equal(connection.send([text('too late')]), false);
      connection.pause();
      connection.resume();
      connection.destroy(new HotMirrorError('HM_PROTOCOL', 'again'));
      await link.settle(connection.close());
      assert.equal(inbox.ends.length, 1);
      assert.equal(inbox.frames.length, received);
    }
  },
  'closed waits for receive': async (link) => {
    const [a, b] = await link.connect();
    const inbox = new Inbox();
    a.receive(inbox);
    a.destroy();
    await link.settle(inbox.end());
    const late = new Inbox();
    b.receive(late);
    assert.equal(late.ends.length, 0);
    assert.equal((await link.settle(late.end()))?.code, 'HM_CONNECTION_LOST');
  },
};

const dialCases: Cases = {
  'both ends know the connection by the same fresh id, and who dialled': async (link) => {
    const [a, b] = await link.connect();
    const [c, d] = await link.connect();
    assert.match(a.id, /^[0-9a-f]{16}$/);
    assert.equal(a.id, b.id);
    assert.equal(c.id, d.id);
    assert.notEqual(a.id, c.id);
    assert.deepEqual([a.dialled, b.dialled], [true, false]);
    const { authenticated } = link.fixture.a.capabilities;
    assert.deepEqual([a.peer === null, b.peer === null], [!authenticated, !authenticated]);
    if (authenticated) assert.notEqual(a.peer, b.peer);
  },
  'both nodes may listen and dial at once; each success is a connection of its own': async (link) => {
    await link.listen(link.fixture.a);
    await link.listen(link.fixture.b);
    const dialled = await link.settle(Promise.all([link.fixture.a.dial(), link.fixture.b.dial()]));
    await link.told(() => link.accepted.length === 2);
    assert.deepEqual(dialled.map(({ id }) => id).sort(), link.accepted.map(({ id }) => id).sort());
    for (const connection of dialled) {
      const twin = link.accepted.find(({ id }) => id === connection.id);
      const inbox = new Inbox();
      twin?.receive(inbox);
      connection.send([text(connection.id)]);
      assert.deepEqual(await link.settle(inbox.texts(1)), [connection.id]);
    }
  },
  'dial rejects with HM_CONNECT_FAILED where nobody listens': async (link) => {
    await rejectsWith(link.settle(link.fixture.a.dial()), 'HM_CONNECT_FAILED');
  },
  'dial rejects with HM_ABORTED by its signal, before and while it tries': async (link) => {
    await rejectsWith(link.settle(link.fixture.a.dial(AbortSignal.abort())), 'HM_ABORTED');
    await link.listen();
    const controller = new AbortController();
    const dial = link.fixture.a.dial(controller.signal);
    controller.abort();
    await rejectsWith(link.settle(dial), 'HM_ABORTED');
    const later = new AbortController();
    const connection = await link.settle(link.fixture.a.dial(later.signal));
    later.abort();
    const inbox = new Inbox();
    connection.receive(inbox);
    await link.told(() => link.accepted.some(({ id }) => id === connection.id));
    link.accepted.find(({ id }) => id === connection.id)?.send([text('alive')]);
    assert.deepEqual(await link.settle(inbox.texts(1)), ['alive']);
  },
  'an address in use is told, and free again after close; connections outlive their listener': async (link) => {
    const listener = await link.listen();
    await rejectsWith(link.settle(link.fixture.b.listen({ accepted: () => undefined })), 'HM_ADDRESS_IN_USE');
    link.accepted.length = 0;
    const dialled = await link.settle(link.fixture.a.dial());
    await link.told(() => link.accepted.length === 1);
    await link.settle(listener.close());
    await link.settle(listener.close());
    await rejectsWith(link.settle(link.fixture.a.dial()), 'HM_CONNECT_FAILED');
    const inbox = new Inbox();
    link.accepted[0]?.receive(inbox);
    dialled.send([text('alive')]);
    assert.deepEqual(await link.settle(inbox.texts(1)), ['alive']);
    await link.listen();
  },
  'garbage is turned away with a typed error and disturbs nobody': async (link) => {
    if (!link.fixture.raw) return;
    const listener = await link.listen();
    link.accepted.length = 0;
    const dialled = await link.settle(link.fixture.a.dial());
    await link.told(() => link.accepted.length === 1);
    const inbox = new Inbox();
    link.accepted[0]?.receive(inbox);
    const samples = [text('GET / HTTP/1.1\r\n\r\n'), Buffer.alloc(100_000), pattern(5_000)];
    for (const [index, bytes] of samples.entries()) {
      await link.settle(link.fixture.raw(listener, bytes));
      await link.told(() => link.rejected.length > index);
    }
    assert.ok(link.rejected.every((error) => error instanceof HotMirrorError));
    dialled.send([text('undisturbed')]);
    assert.deepEqual(await link.settle(inbox.texts(1)), ['undisturbed']);
    assert.equal(link.accepted.length, 1);
  },
  'another key is refused at both ends': async (link) => {
    const { stranger } = link.fixture;
    if (!stranger) return;
    await link.listen();
    await rejectsWith(link.settle(stranger.dial()), 'HM_WRONG_KEY');
    await link.told(() => link.rejected.length === 1);
    assert.equal(link.rejected[0]?.code, 'HM_WRONG_KEY');
    assert.equal(link.accepted.length, 0);
  },
};
