import { Worker } from 'node:worker_threads';

import { expect } from 'chai';

import type { HotMirrorError } from '../../src/errors.ts';
import type { MirrorCall, MirrorMessage, MirrorThread } from '../../src/node/mirror-messages.ts';
import { MirrorProxy } from '../../src/node/mirror-proxy.ts';
import { workerThread } from '../../src/node/worker-thread.ts';
import { channelThread } from './channel-thread.ts';
import { FakeMirror } from './fake-mirror.ts';

const epoch = { number: 3, owner: 'north' };

async function refusalOf(promise: Promise<unknown>): Promise<HotMirrorError> {
  return promise.then(
    () => expect.fail('it succeeded'),
    (error: unknown) => error as HotMirrorError,
  );
}

/** A thread that takes calls and never answers but to `open`. */
function silentThread(): {
  readonly thread: MirrorThread;
  readonly calls: MirrorCall[];
  readonly answer: (message: MirrorMessage) => void;
} {
  const calls: MirrorCall[] = [];
  let answer: (message: MirrorMessage) => void = () => undefined;
  const thread: MirrorThread = {
    post(call) {
      calls.push(call);
      if (call.method === 'open') answer({ kind: 'reply', id: call.id, ok: true, result: null, view: new FakeMirror().state() });
    },
    onMessage: (listener) => (answer = listener),
    onEnd: () => undefined,
    terminate: () => Promise.resolve(),
  };
  return { thread, calls, answer: (message) => answer(message) };
}

describe('mirror in another thread', () => {
  it('tells what it has counted', async () => {
    const mirror = new FakeMirror();
    const { thread } = channelThread(mirror);
    const proxy = await MirrorProxy.open('files', thread);
    expect(await proxy.counters()).to.deep.equal(mirror.counters());
    await proxy.close();
  });

  let mirror: FakeMirror;
  let proxy: MirrorProxy;
  let end: (because: string) => void;

  beforeEach(async () => {
    mirror = new FakeMirror();
    const channel = channelThread(mirror);
    end = channel.end;
    proxy = await MirrorProxy.open('files', channel.thread);
  });

  afterEach(() => proxy.close());

  it('carries every order, and its effect is seen by whoever waited for it', async () => {
    await proxy.promote({ epoch, alone: false });
    expect(proxy.state()).to.include({ role: 'source', serving: 'yes' }).and.deep.include({ epoch });
    await proxy.goAlone({ epoch, rule: 'alone', connectionId: null });
    expect(proxy.state().serving).to.equal('alone');
    expect(await proxy.demote()).to.deep.equal({ handedOver: true });
    expect(await proxy.seal()).to.deep.equal(mirror.state());
    await proxy.unseal();
    const order = { epoch, currentId: 'a', connectionId: null, nonce: 'n' };
    await proxy.outdate(order);
    expect(proxy.state().element).to.equal('outdated');
    const word = { survivor: 'north', judged: { north: 'a', south: 'b' } };
    await proxy.resolve(word);
    await proxy.rollBack();
    await proxy.doubt('a long pause');
    await proxy.raiseEpoch({ number: 4, owner: 'south' });
    await proxy.leave();
    expect(mirror.orders).to.deep.equal([
      'open',
      { epoch, alone: false },
      { epoch, rule: 'alone', connectionId: null },
      'demote',
      'seal',
      'unseal',
      order,
      word,
      'rollBack',
      'a long pause',
      { number: 4, owner: 'south' },
      'leave',
    ]);
  });

  it('gives up a verify and the wait for a regeneration when their signals abort, and nothing else', async () => {
    mirror.hold = true;
    for (const begin of [(signal: AbortSignal) => proxy.verify({ signal }), (signal: AbortSignal) => proxy.regenerate({ signal })]) {
      const abort = new AbortController();
      const [given, other] = [refusalOf(begin(abort.signal)), refusalOf(begin(new AbortController().signal))];
      await proxy.counters();
      mirror.orders.length = 0;
      abort.abort();
      expect(await given).to.include({ code: 'HM_ABORTED' });
      await proxy.counters();
      expect(mirror.orders).to.deep.equal(['given up']);
      other.catch(() => undefined);
    }
    expect(await refusalOf(proxy.verify({ signal: AbortSignal.abort() }))).to.include({ code: 'HM_ABORTED' });
  });

  it('passes refusals on as they are', async () => {
    expect(await refusalOf(proxy.doubt('refuse'))).to.include({ code: 'HM_REFUSED', rule: 'element.start', message: 'no' });
  });

  it('tells of changes, several in one go once', async () => {
    const seen: number[] = [];
    const changed = new Promise<void>((resolve) => {
      proxy.onChange(() => {
        seen.push(proxy.state().dirtyBytes);
        resolve();
      });
    });
    for (const dirtyBytes of [1, 2, 3]) mirror.change({ dirtyBytes });
    await changed;
    expect(seen).to.deep.equal([3]);
  });

  it('reads and writes; bytes in a buffer of their own are given away, others are not touched', async () => {
    const given = new Uint8Array(512).fill(7);
    await proxy.write(512, given);
    expect(given.length).to.equal(0);
    const shared = new Uint8Array(2048).fill(9);
    await proxy.write(1024, shared.subarray(0, 512), { fua: true });
    expect(shared.length).to.equal(2048);
    await proxy.flush();
    const read = await proxy.read(0, 2048);
    expect([read[0], read[512], read[1024], read[1536]]).to.deep.equal([0, 7, 9, 0]);
    expect(await refusalOf(proxy.write(4096, new Uint8Array(512)))).to.include({ code: 'HM_OUT_OF_RANGE' });
  });

  it('thread died: everything pending and everything after rejects, and the element counts as failed', async () => {
    await proxy.promote({ epoch, alone: false });
    const pending = refusalOf(proxy.seal());
    let told = 0;
    proxy.onChange(() => (told += 1));
    end('exit code 7');
    expect(await pending).to.include({ code: 'HM_THREAD_DIED' });
    expect(await refusalOf(proxy.leave())).to.include({ code: 'HM_THREAD_DIED' });
    expect(proxy.state()).to.include({ serving: 'no', role: 'none', element: 'failed', connection: 'standalone' });
    expect(told).to.equal(1);
    expect(() => proxy.renewLease({ probeSentMs: 1 })).not.to.throw();
  });

  it('closes once, and refuses afterwards', async () => {
    await Promise.all([proxy.close(), proxy.close()]);
    expect(mirror.orders.filter((order) => order === 'close')).to.have.length(1);
    expect(await refusalOf(proxy.seal())).to.include({ code: 'HM_CLOSED' });
    expect(proxy.state().element).to.equal('consistent');
  });

  it('serve.lease: while one evidence is in hand, only the latest of the others waits', async () => {
    const { thread, calls, answer } = silentThread();
    const silent = await MirrorProxy.open('files', thread);
    for (const probeSentMs of [1, 2, 3, 4]) silent.renewLease({ probeSentMs });
    const leases = (): unknown[] => calls.filter(({ method }) => method === 'renewLease').map(({ params }) => params);
    expect(leases()).to.deep.equal([{ probeSentMs: 1 }]);
    answer({ kind: 'reply', id: calls.at(-1)?.id ?? 0, ok: true, result: null, view: null });
    await Promise.resolve();
    expect(leases()).to.deep.equal([{ probeSentMs: 1 }, { probeSentMs: 4 }]);
  });

  it('bounds the calls that wait', async () => {
    const { thread } = silentThread();
    const silent = await MirrorProxy.open('files', thread);
    const waiting = Array.from({ length: 4096 }, () => silent.flush());
    expect(waiting).to.have.length(4096);
    expect(await refusalOf(silent.flush())).to.include({ code: 'HM_BUSY' });
  });

  it('passes on events and signs of life', async () => {
    const { thread, answer } = silentThread();
    const silent = await MirrorProxy.open('files', thread);
    const seen: unknown[] = [];
    silent.onEvent((event) => seen.push(event));
    silent.onHeard((atMs) => seen.push(atMs));
    answer({ kind: 'event', event: { name: 'link:lost', payload: { text: 'x' } } });
    answer({ kind: 'heard', atMs: 12 });
    expect(seen).to.deep.equal([{ name: 'link:lost', payload: { text: 'x' } }, 12]);
  });

  it('works in a real worker, and notices its death', async () => {
    const inWorker = await MirrorProxy.open('files', workerThread(new Worker(new URL('fake-mirror-worker.js', import.meta.url))));
    await inWorker.promote({ epoch, alone: true });
    expect(inWorker.state().serving).to.equal('yes');
    const error = await refusalOf(inWorker.doubt('die'));
    expect(error).to.include({ code: 'HM_THREAD_DIED' });
    expect(error.message).to.contain('exit code 7');
    expect(inWorker.state().element).to.equal('failed');
    await inWorker.close();
  });
});
