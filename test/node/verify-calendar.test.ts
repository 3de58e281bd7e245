import { expect } from 'chai';

import { HotMirrorError } from '../../src/errors.ts';
import type { MirrorView } from '../../src/failover/ports.ts';
import type { VerifyOrder, VerifyOutcome } from '../../src/mirror/regenerate.ts';
import type { LoggedEvent } from '../../src/node/control-protocol.ts';
import type { MirrorThreadEvent } from '../../src/node/mirror-messages.ts';
import { VerifyCalendar } from '../../src/node/verify-calendar.ts';
import type { VerifiedMirror } from '../../src/node/verify-calendar.ts';
import { dueMs, verifyHistory } from '../../src/node/verify-due.ts';
import type { VerifyHistory } from '../../src/node/verify-due.ts';
import { VirtualClock } from '../../src/testing/virtual-clock.ts';
import { FakeMirror } from './fake-mirror.ts';

const minuteMs = 60_000;
const hourMs = 3_600_000;
const dayMs = 24 * hourMs;
const source: Partial<MirrorView> = {
  role: 'source',
  connection: 'connected',
  serving: 'yes',
  element: 'uptodate',
  peerElement: 'uptodate',
};
const resync = { doneBytes: 0, totalBytes: 4096, bytesPerSecond: 0, remainingMs: null };

/** A mirror whose verifies take an hour. */
class Verified implements VerifiedMirror {
  /** When verifies began, in hours of virtual time. */
  readonly begun: number[] = [];
  /** Verifies that were given up. */
  givenUp = 0;
  fails = false;
  #view: MirrorView = { ...new FakeMirror().state(), ...source };
  readonly #change: Set<() => void> = new Set();
  readonly #events: Set<(event: MirrorThreadEvent) => void> = new Set();

  readonly name: string;
  readonly #clock: VirtualClock;

  constructor(name: string, clock: VirtualClock) {
    this.name = name;
    this.#clock = clock;
  }

  state(): MirrorView {
    return this.#view;
  }

  become(changes: Partial<MirrorView>): void {
    this.#view = { ...this.#view, ...changes };
    for (const tell of this.#change) tell();
  }

  onChange(listener: () => void): () => void {
    this.#change.add(listener);
    return () => this.#change.delete(listener);
  }

  onEvent(listener: (event: MirrorThreadEvent) => void): () => void {
    this.#events.add(listener);
    return () => this.#events.delete(listener);
  }

  onDeath(): () => void {
    return () => undefined;
  }

  tell(name: string): void {
    for (const tell of this.#events) tell({ name, payload: {} });
  }

  verify({ signal }: VerifyOrder = {}): Promise<VerifyOutcome> {
    this.begun.push(this.#clock.nowMs() / hourMs);
    this.tell('verify:started');
    return new Promise((resolve, reject) => {
      const end = (error: HotMirrorError | null): void => {
        timer.cancel();
        this.tell(error ? 'verify:ended' : 'verify:finished');
        if (error) reject(error);
        else resolve({ comparedBytes: 4096, differingBytes: 0, unreadableBytes: 0, extents: [], repaired: false });
      };
      const timer = this.#clock.timer(hourMs, () => end(this.fails ? new HotMirrorError('HM_CONNECTION_LOST', 'lost') : null));
      signal?.addEventListener('abort', () => {
        this.givenUp += 1;
        end(new HotMirrorError('HM_ABORTED', 'given up'));
      });
    });
  }
}

describe('verify by the calendar', () => {
  let clock: VirtualClock;
  let calendar: VerifyCalendar | null = null;

  beforeEach(() => (clock = new VirtualClock()));
  afterEach(() => calendar?.close());

  /** Each mirror is due each day. */
  function open(mirrors: readonly Verified[], history: Partial<VerifyHistory> = {}): VerifyCalendar {
    calendar = new VerifyCalendar({
      clock,
      mirrors: mirrors.map((mirror) => ({ mirror, everyMs: dayMs })),
      history: Promise.resolve({ oldestMs: null, finishedMs: new Map(), ...history }),
    });
    return calendar;
  }

  it('begins so long after the start, and so long after each verify (verify)', async () => {
    const files = new Verified('files', clock);
    open([files]);
    await clock.runFor(3.5 * dayMs);
    expect(files.begun).to.deep.equal([24, 49, 74]);
  });

  it('goes on counting over a restart: from the last that finished, or from the oldest event', async () => {
    const [files, mail] = [new Verified('files', clock), new Verified('mail', clock)];
    const nowMs = clock.wallMs();
    open([files, mail], { finishedMs: new Map([['files', nowMs - 20 * hourMs]]), oldestMs: nowMs - 14 * hourMs });
    await clock.runFor(12 * hourMs);
    expect([files.begun, mail.begun]).to.deep.equal([[4], [10]]);
  });

  it('runs one at a time, the one first that has been due for longest', async () => {
    const mirrors = ['a', 'b', 'c'].map((name) => new Verified(name, clock));
    const nowMs = clock.wallMs();
    const finished = [30, 50, 40].map((hours, index) => [['a', 'b', 'c'][index] ?? '', nowMs - hours * hourMs] as const);
    open(mirrors, { finishedMs: new Map(finished) });
    await clock.runFor(5 * hourMs);
    expect(mirrors.map(({ begun }) => begun)).to.deep.equal([[2], [0], [1]]);
  });

  for (const [what, apart, together] of [
    ['a resync runs', { resync }, { resync: null }],
    ['the peer is not connected', { role: 'none', connection: 'connecting' }, source],
    ["the peer's element is outdated", { peerElement: 'outdated' }, source],
    ['resyncs stand still: a backup', { resyncPaused: 'a backup' }, { resyncPaused: null }],
  ] as const) {
    it(`waits while ${what}, says so, and begins as soon as that is over`, async () => {
      const files = new Verified('files', clock);
      const opened = open([files]);
      files.become(apart);
      await clock.runFor(30 * hourMs);
      expect(files.begun).to.deep.equal([]);
      expect(opened.status('files')).to.include({ lastFinished: null, waitsFor: what });
      files.become(together);
      await clock.settle();
      expect(files.begun).to.deep.equal([30]);
      expect(opened.status('files')).not.to.have.property('waitsFor');
    });
  }

  it('is the business of the source alone; another node verifies once it has become that', async () => {
    const files = new Verified('files', clock);
    const opened = open([files]);
    files.become({ role: 'target' });
    await clock.runFor(30 * hourMs);
    expect(files.begun).to.deep.equal([]);
    expect(opened.status('files')).to.deep.equal({ lastFinished: null, nextDue: null });
    files.become(source);
    await clock.settle();
    expect(files.begun).to.deep.equal([30]);
  });

  it('counts what an operator verifies, and begins none beside it', async () => {
    const [files, mail] = [new Verified('files', clock), new Verified('mail', clock)];
    open([files, mail], { finishedMs: new Map([['files', clock.wallMs() - 20 * hourMs]]) });
    await clock.runFor(3.5 * hourMs);
    void mail.verify();
    await clock.runFor(2 * hourMs);
    expect([files.begun, mail.begun]).to.deep.equal([[4.5], [3.5]]);
    await clock.runFor(22.5 * hourMs);
    expect(mail.begun).to.deep.equal([3.5]);
    await clock.runFor(hourMs);
    expect(mail.begun).to.deep.equal([3.5, 28.5]);
  });

  it('is tried again after five minutes where it did not come to its end', async () => {
    const files = new Verified('files', clock);
    const opened = open([files]);
    files.fails = true;
    await clock.runFor(25.05 * hourMs);
    files.fails = false;
    await clock.runFor(2 * hourMs);
    expect(files.begun).to.deep.equal([24, 25 + (5 * minuteMs) / hourMs]);
    const finishedMs = clock.wallMs() - clock.nowMs() + 26 * hourMs + 5 * minuteMs;
    expect(opened.status('files')).to.deep.equal({
      lastFinished: new Date(finishedMs).toISOString(),
      nextDue: new Date(finishedMs + dayMs).toISOString(),
    });
  });

  it('tells when the last finished and when the next is due, of scheduled mirrors only', async () => {
    const files = new Verified('files', clock);
    const atMs = clock.wallMs();
    const opened = open([files], { finishedMs: new Map([['files', atMs - hourMs]]) });
    await clock.settle();
    expect(opened.status('files')).to.deep.equal({
      lastFinished: new Date(atMs - hourMs).toISOString(),
      nextDue: new Date(atMs + 23 * hourMs).toISOString(),
    });
    await opened.close();
    calendar = new VerifyCalendar({
      ...{ clock, mirrors: [{ mirror: files, everyMs: null }] },
      history: Promise.resolve({ oldestMs: null, finishedMs: new Map() }),
    });
    await clock.runFor(1_000 * hourMs);
    expect(files.begun).to.deep.equal([]);
    expect(calendar.status('files')).to.equal(null);
  });

  it('ends with its node: the verify is given up, and none begins', async () => {
    const files = new Verified('files', clock);
    const opened = open([files]);
    await clock.runFor(24.5 * hourMs);
    await opened.close();
    expect(files.givenUp).to.equal(1);
    await clock.runFor(10 * dayMs);
    expect(files.begun).to.deep.equal([24]);
  });

  it('is late by an interval at most where the wall clock was set back', () => {
    expect(dueMs(5_000, 0, 100, 1_000), 'the last lies in the future').to.equal(1_100);
    expect(dueMs(null, 5_000, 100, 1_000), 'and so does the oldest event').to.equal(1_100);
  });

  it('finds in the event log when each mirror was verified last, and how far back it goes', async () => {
    const event = (seq: number, name: string, mirror?: string): LoggedEvent => ({
      ...{ schema: 1, seq, time: new Date(seq * minuteMs).toISOString(), node: 'north', event: name, class: 0, text: 'x' },
      ...(mirror === undefined ? {} : { mirror }),
    });
    async function* log(): AsyncGenerator<LoggedEvent> {
      await Promise.resolve();
      yield* [
        event(1, 'service:started'),
        event(2, 'verify:finished', 'files'),
        event(3, 'verify:finished', 'mail'),
        event(4, 'verify:finished', 'files'),
        event(5, 'verify:ended', 'mail'),
      ];
    }
    const { oldestMs, finishedMs } = await verifyHistory(log());
    expect(oldestMs).to.equal(minuteMs);
    expect(Object.fromEntries(finishedMs)).to.deep.equal({ files: 4 * minuteMs, mail: 3 * minuteMs });
  });
});
