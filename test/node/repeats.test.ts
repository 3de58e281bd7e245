import { expect } from 'chai';

import { Repeats } from '../../src/node/repeats.ts';
import { VirtualClock } from '../../src/testing/virtual-clock.ts';

interface Told {
  readonly event: string;
  readonly text: string;
  readonly repeats: number | undefined;
}

/** Events of a mirror, and what the log gets of them. */
class Logged {
  readonly clock = new VirtualClock();
  readonly told: Told[] = [];
  readonly repeats = new Repeats({
    clock: this.clock,
    tell: (event, { text, evidence }) => this.told.push({ event, text, repeats: evidence?.['repeats'] as number | undefined }),
  });
  #connections = 0;

  heard(event: string, text: string, eventClass: 0 | 1 = 1): void {
    this.repeats.heard(event, { class: eventClass, text });
  }

  connected(): void {
    this.#connections += 1;
    this.repeats.heard('link:connected', { class: 0, text: 'connected', evidence: { connectionId: String(this.#connections) } });
  }

  /** What a mirror tells whose element, or its peer's, has failed. */
  refused(because = 'the element of beta is failed'): void {
    this.connected();
    this.heard('lineage:decided', `nothing is copied: ${because}`);
    this.heard('link:refused', `the data link ended: ${because}`);
  }

  async refusedFor(forMs: number, everyMs = 500): Promise<number> {
    const times = forMs / everyMs;
    for (let time = 0; time < times; time += 1) {
      this.refused();
      await this.clock.runFor(everyMs);
    }
    return times;
  }

  /** How often each event was told of, with the counts. */
  total(event: string): number {
    return this.told.filter((told) => told.event === event).reduce((sum, { repeats }) => sum + (repeats ?? 1), 0);
  }

  get events(): readonly string[] {
    return this.told.map(({ event }) => event);
  }
}

const attempt = ['link:connected', 'lineage:decided', 'link:refused'];

describe('What attempts to connect find', () => {
  it('is told once, and then less and less often, with a count', async () => {
    const logged = new Logged();
    await logged.refusedFor(59_000);
    expect(logged.events).to.deep.equal(attempt);
    await logged.refusedFor(2_000);
    expect(logged.events).to.deep.equal([...attempt, ...attempt]);
    expect(logged.told.at(-1)?.text).to.match(/the element of beta is failed \(again, 120 times in 60\.0 s\)$/u);
    await logged.refusedFor(24 * 3_600_000, 10_000);
    // At minutes 0, 1, 3, 7, 15, 31, 63, and then each hour.
    expect(logged.told.length / attempt.length).to.be.within(28, 31);
  });

  it('misses none: the rest is counted when something else happens', async () => {
    const logged = new Logged();
    const times = await logged.refusedFor(100_000);
    logged.heard('element:detached', 'taken out');
    expect(attempt.map((event) => logged.total(event))).to.deep.equal([times, times, times]);
    expect(logged.events.at(-1)).to.equal('element:detached');
  });

  it('is told at once where it is another, or led to something, with the connection that led to it', async () => {
    const logged = new Logged();
    await logged.refusedFor(10_000);
    logged.told.length = 0;
    logged.refused('both elements were written alone');
    expect(logged.events).to.deep.equal(attempt);
    await logged.clock.runFor(500);
    logged.refused('both elements were written alone');
    expect(logged.told).to.have.lengthOf(3);
    logged.told.length = 0;
    logged.connected();
    logged.heard('lineage:decided', 'alpha is the source', 0);
    expect(logged.told.map(({ event, repeats }) => [event, repeats])).to.deep.equal([
      ['link:connected', undefined],
      ['lineage:decided', undefined],
    ]);
    logged.heard('resync:started', '3 extents', 0);
    expect(logged.events.slice(-1)).to.deep.equal(['resync:started']);
  });

  it('is new again after anything else', async () => {
    const logged = new Logged();
    await logged.refusedFor(1_000);
    logged.heard('link:lost', 'gone');
    logged.told.length = 0;
    logged.refused();
    expect(logged.events).to.deep.equal(attempt);
    expect(logged.told.every(({ repeats }) => repeats === undefined)).to.equal(true);
  });

  it('does not fill the log where two findings alternate, and tells of both each minute', async () => {
    const logged = new Logged();
    for (let time = 0; time < 600; time += 1) {
      logged.heard('link:refused', time % 2 === 0 ? 'reset' : 'failed');
      await logged.clock.runFor(1_000);
    }
    expect(logged.told.length).to.be.within(18, 20);
    expect(logged.total('link:refused')).to.be.within(500, 600);
  });

  it('keeps a bounded number of findings apart', async () => {
    const logged = new Logged();
    for (let time = 0; time < 1_000; time += 1) logged.heard('link:refused', `garbage ${String(time)}`);
    logged.heard('link:refused', 'garbage 0');
    expect(logged.told).to.have.lengthOf(1_001);
    await logged.clock.settle();
  });

  it('is every event of another kind, each time', () => {
    const logged = new Logged();
    for (let time = 0; time < 10; time += 1) logged.heard('writes:parked', 'requests wait');
    expect(logged.told).to.have.lengthOf(10);
  });
});
