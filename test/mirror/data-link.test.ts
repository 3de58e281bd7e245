import { expect } from 'chai';

import { HotMirrorError } from '../../src/errors.ts';
import { DataLink } from '../../src/mirror/data-link.ts';
import { defaultMirrorLimits } from '../../src/mirror/options.ts';
import { SeededRandom } from '../../src/testing/seeded-random.ts';
import { VirtualClock } from '../../src/testing/virtual-clock.ts';
import type { Connection, Listener, Transport } from '../../src/transport/transport.ts';

/** A transport whose listening takes as long as a test wants. */
class SlowToListen implements Transport {
  readonly description = 'slow';
  readonly capabilities = { maxFrameBytes: 2 ** 21, authenticated: true, encrypted: true, bulk: true };
  readonly asked: { readonly resolve: (listener: Listener) => void; readonly reject: (error: Error) => void }[] = [];

  listen(): Promise<Listener> {
    return new Promise((resolve, reject) => this.asked.push({ resolve, reject }));
  }

  dial(signal?: AbortSignal): Promise<Connection> {
    return new Promise((_, reject) => signal?.addEventListener('abort', () => reject(new HotMirrorError('HM_ABORTED', 'given up'))));
  }
}

const inUse = new HotMirrorError('HM_ADDRESS_IN_USE', 'somebody listens there');

function dataLink(): { readonly clock: VirtualClock; readonly transport: SlowToListen; readonly link: DataLink } {
  const [clock, transport] = [new VirtualClock(), new SlowToListen()];
  const handlers = { connected: () => undefined, refused: () => undefined };
  const link = new DataLink({ transport, preferOwnDial: true, clock, random: new SeededRandom(1), limits: defaultMirrorLimits, handlers });
  return { clock, transport, link };
}

describe('DataLink', () => {
  it('stays away once it was stopped, though it could not listen until after that', async () => {
    const { clock, transport, link } = dataLink();
    const resumed = link.resume();
    const stopped = link.stop();
    transport.asked[0]!.reject(inUse);
    await Promise.all([resumed, stopped]);
    await clock.runFor(60_000);
    expect(transport.asked).to.have.lengthOf(1);
    expect(link.stopped).to.equal(true);
  });

  it('is the one that was begun last, though an earlier one could not listen until after that', async () => {
    const { clock, transport, link } = dataLink();
    const first = link.resume();
    await link.stop();
    const second = link.resume();
    transport.asked[0]!.reject(inUse);
    await first;
    expect(link.stopped).to.equal(false);
    let closed = false;
    transport.asked[1]!.resolve({
      address: 'slow',
      close: () => {
        closed = true;
        return Promise.resolve();
      },
    });
    await second;
    await link.stop();
    await clock.runFor(60_000);
    expect(closed).to.equal(true);
    expect(transport.asked).to.have.lengthOf(2);
  });

  it('listens again and again where it cannot, until it can', async () => {
    const { clock, transport, link } = dataLink();
    const resumed = link.resume();
    transport.asked[0]!.reject(inUse);
    await resumed;
    await clock.runFor(60_000);
    expect(transport.asked.length).to.be.above(1);
    await link.stop();
  });
});
