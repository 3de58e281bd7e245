import { expect } from 'chai';

import { HotMirrorError } from '../../src/errors.ts';
import type { ControlHandlers } from '../../src/node/control-protocol.ts';
import { isForPeer } from '../../src/node/mirror-orders.ts';
import { MirrorProxy } from '../../src/node/mirror-proxy.ts';
import type { MirrorOrder } from '../../src/node/mirror-orders.ts';
import { controlHandlers } from '../../src/node/node-control.ts';
import type { NodeControl } from '../../src/node/node-control.ts';
import { channelThread } from './channel-thread.ts';
import { FakeMirror } from './fake-mirror.ts';

const stream = { signal: new AbortController().signal, progress: () => Promise.resolve() };

describe('orders at either node', () => {
  const given: MirrorOrder[] = [];
  let refusal: HotMirrorError | null = null;
  let mirror: FakeMirror;
  let proxy: MirrorProxy;
  let handlers: ControlHandlers;

  beforeEach(async () => {
    given.length = 0;
    mirror = new FakeMirror();
    proxy = await MirrorProxy.open('files', channelThread(mirror).thread);
    refusal = null;
    const give = (order: MirrorOrder): Promise<unknown> =>
      refusal ? Promise.reject(refusal) : Promise.resolve({ changed: true, text: `given ${String(given.push(order))}` });
    const orders = { give };
    handlers = controlHandlers(Promise.resolve({ mirrors: new Map([['files', proxy]]), orders } as unknown as NodeControl));
  });

  afterEach(() => proxy.close());

  async function askAll(): Promise<void> {
    await handlers.regenerate({ mirror: 'files', full: true }, stream);
    await handlers.verify({ mirror: 'files', wish: 'repair' }, stream);
    await handlers.verify({ mirror: 'files', wish: 'waive' }, stream);
    await handlers.grow({ mirror: 'files' }, stream);
  }

  it('are carried out by the source itself', async () => {
    await proxy.promote({ epoch: { number: 1, owner: 'north' }, alone: false });
    mirror.orders.length = 0;
    await askAll();
    expect(given).to.deep.equal([]);
    expect(mirror.orders).to.deep.equal([{ regenerate: true }, { verify: true }, { waive: 'an operator asked for it' }, 'grow']);
  });

  it('are given by a target to the source, with what they ask', async () => {
    mirror.change({ role: 'target' });
    await proxy.counters();
    mirror.orders.length = 0;
    await askAll();
    expect(mirror.orders).to.deep.equal([]);
    expect(given).to.deep.equal([
      { order: 'regenerate', mirror: 'files', full: true },
      { order: 'verify', mirror: 'files', wish: 'repair' },
      { order: 'verify', mirror: 'files', wish: 'waive' },
      { order: 'grow', mirror: 'files' },
    ]);
  });

  it('are answered here where the peer is not connected: nobody could copy or compare, and the refusal says so', () => {
    const apart = { ...mirror.state(), role: 'none', serving: 'no' } as const;
    expect(isForPeer({ order: 'verify', mirror: 'files', wish: 'find' }, apart)).to.equal(false);
    expect(isForPeer({ order: 'regenerate', mirror: 'files', full: false }, apart)).to.equal(false);
    expect(isForPeer({ order: 'grow', mirror: 'files' }, apart), 'the node that serves knows why it cannot').to.equal(true);
  });

  it('a protocol is changed where the mirror is served first, then on the other node (write.both)', async () => {
    const order = { order: 'protocol', mirror: 'files', protocol: 'async' } as const;
    await handlers.protocol({ mirror: 'files', protocol: 'async' }, stream);
    expect([given, mirror.orders.at(-1)]).to.deep.equal([[order], { protocol: 'async' }]);
    await proxy.promote({ epoch: { number: 1, owner: 'north' }, alone: false });
    refusal = new HotMirrorError('HM_PEER_UNREACHABLE', 'no link is up');
    const { changed, toldBoth, text } = await handlers.protocol({ mirror: 'files', protocol: 'sync' }, stream);
    expect([changed, toldBoth, proxy.state().protocol]).to.deep.equal([true, false, 'sync']);
    expect(text).to.contain('files completes requests by sync').and.to.contain('no link is up');
    expect(await handlers.protocol({ mirror: 'files', protocol: 'sync' }, stream)).to.include({ changed: false });
  });

  it('a protocol that the serving node refuses changes nowhere', async () => {
    refusal = new HotMirrorError('HM_REFUSED', 'not all has reached the peer', { rule: 'write.both' });
    const before = mirror.orders.length;
    const error: unknown = await handlers.protocol({ mirror: 'files', protocol: 'sync' }, stream).catch((refused: unknown) => refused);
    expect(error).to.equal(refusal);
    expect(mirror.orders).to.have.lengthOf(before);
  });

  it('are refused for a mirror that there is not', async () => {
    const error: unknown = await handlers.grow({ mirror: 'disks' }, stream).catch((refused: unknown) => refused);
    expect(error).to.include({ code: 'HM_USAGE' });
  });
});
