import { expect } from 'chai';

import { ServerNews } from '../../src/node/server-news.ts';
import { VirtualClock } from '../../src/testing/virtual-clock.ts';

const uri = 'nbd+unix:///d?socket=d';

/** News about a server, and what was told of it. */
class Watched {
  readonly clock = new VirtualClock();
  serving = false;
  readonly told: { name: string; class: number; text: string; evidence: Readonly<Record<string, unknown>> | undefined }[] = [];
  readonly news = new ServerNews({
    clock: this.clock,
    serving: () => this.serving,
    tell: (name, { class: eventClass, text, evidence }) => this.told.push({ name, class: eventClass, text, evidence }),
  });

  lost(): void {
    this.news.heard({ uri, state: 'lost', because: 'it died', code: 'HM_CONNECTION_LOST' });
  }

  returned(): void {
    this.news.heard({ uri, state: 'returned', because: null, code: null });
  }

  failed(): void {
    this.news.heard({ uri, state: 'failed', because: 'it stays away', code: 'HM_CONNECT_FAILED' });
  }

  get names(): readonly string[] {
    return this.told.map(({ name }) => name);
  }
}

describe('News of the NBD server behind an element', () => {
  it('tell of a loss and of the return at once', async () => {
    const watched = new Watched();
    watched.lost();
    await watched.clock.runFor(3_200);
    watched.returned();
    expect(watched.told).to.deep.equal([
      {
        name: 'server:lost',
        class: 1,
        text: `the NBD server of this node's element, ${uri}, is lost: it died; what is asked of the element waits`,
        evidence: { uri, code: 'HM_CONNECTION_LOST', losses: 1 },
      },
      {
        name: 'server:returned',
        class: 0,
        text: `the NBD server of this node's element, ${uri}, is back after 3.2 s`,
        evidence: { uri, awayMs: 3_200 },
      },
    ]);
  });

  it('tell of each loss once where the end of the quiet time is late', async () => {
    const watched = new Watched();
    // What the thread tells is heard before the timer, as after a pause of this process.
    watched.clock.timer(5_000, () => {
      watched.returned();
      watched.lost();
    });
    watched.lost();
    await watched.clock.runFor(1);
    watched.returned();
    watched.lost();
    await watched.clock.runFor(20_000);
    expect(watched.told.filter(({ name }) => name === 'server:lost').map(({ evidence }) => evidence?.['losses'])).to.deep.equal([1, 2]);
  });

  it('are of class 3 where this node serves, for requests wait', () => {
    const watched = new Watched();
    watched.serving = true;
    watched.lost();
    expect(watched.told.map((told) => told.class)).to.deep.equal([3]);
  });

  it('tell at once that it failed for good, also in a quiet time, and nothing after that', async () => {
    const watched = new Watched();
    watched.lost();
    watched.returned();
    watched.lost();
    watched.returned();
    watched.lost();
    watched.failed();
    await watched.clock.runFor(600_000);
    expect(watched.names).to.deep.equal(['server:lost', 'server:returned', 'server:failed']);
    expect(watched.told[2]?.text).to.contain('it stays away').and.to.contain('init --force --blank');
    expect(watched.clock.pendingTimers).to.equal(0);
  });

  it('tell within five seconds of a server that was back for a moment and is lost again', async () => {
    const watched = new Watched();
    watched.lost();
    watched.returned();
    watched.lost();
    await watched.clock.runFor(4_999);
    expect(watched.names).to.deep.equal(['server:lost', 'server:returned']);
    await watched.clock.runFor(1);
    expect(watched.names).to.deep.equal(['server:lost', 'server:returned', 'server:lost']);
    watched.returned();
    expect(watched.names.at(-1)).to.equal('server:returned');
  });

  it('count what they do not tell one by one, however often it comes and goes, and miss none', async () => {
    const watched = new Watched();
    const [flaps, everyMs] = [3_600, 1_000];
    for (let flap = 0; flap < flaps; flap += 1) {
      watched.lost();
      await watched.clock.runFor(everyMs / 2);
      watched.returned();
      await watched.clock.runFor(everyMs / 2);
    }
    await watched.clock.runFor(60_000);
    const losses = watched.told.map(({ evidence }) => (evidence?.['losses'] as number | undefined) ?? 0);
    expect(losses.reduce((sum, each) => sum + each, 0)).to.equal(flaps);
    expect(watched.told.length).to.be.within(60, 2 * 66);
    expect(watched.told.some(({ text }) => text.endsWith('is back; it was lost, 60 times in 60.0 s'))).to.equal(true);
    expect(watched.names.at(-1)).to.equal('server:returned');
  });

  it('tell at once again after a while without a loss', async () => {
    const watched = new Watched();
    for (let flap = 0; flap < 100; flap += 1) {
      watched.lost();
      watched.returned();
      await watched.clock.runFor(1_000);
    }
    await watched.clock.runFor(200_000);
    const before = watched.told.length;
    watched.lost();
    expect(watched.told).to.have.lengthOf(before + 1);
    watched.returned();
    watched.lost();
    await watched.clock.runFor(5_000);
    expect(watched.told).to.have.lengthOf(before + 3);
  });

  it('leave no timer', () => {
    const watched = new Watched();
    watched.lost();
    watched.returned();
    watched.lost();
    watched.news.close();
    expect(watched.clock.pendingTimers).to.equal(0);
  });
});
