import { readFile } from 'node:fs/promises';
import path from 'node:path';

import { expect } from 'chai';

import type { BlockDevice, Done } from '../../src/device/block-device.ts';
import { HotMirrorError } from '../../src/errors.ts';
import type { MirrorLink } from '../../src/mirror/mirror-link.ts';
import { repositoryRoot } from '../support/repository.ts';
import { MirrorPair, pattern } from './support/mirror-pair.ts';

const block = 4_096;
const mebibyte = 1_048_576;
const firstEpoch = { number: 1, owner: 'alpha' };

/** The mirror of alpha in some state, and how to get out of what keeps it there. */
interface Stage {
  readonly pair: MirrorPair;
  readonly mirror: MirrorLink;
  /** Ends what holds it in its state. */
  readonly release: () => void;
}

type Ending = string;

/** How each request ends, as it ends: `waits` until then. */
function observe(start: (done: Done) => void): { ending: Ending; times: number } {
  const seen = { ending: 'waits', times: 0 };
  start((error) => {
    seen.ending = error?.code ?? 'success';
    seen.times += 1;
  });
  return seen;
}

const codeOf = (error: unknown): Ending => (error instanceof HotMirrorError ? error.code : (error as Error).name);
const endingOf = (order: () => Promise<unknown>): Promise<Ending> =>
  Promise.resolve()
    .then(order)
    .then(
      () => 'success',
      (error: unknown) => codeOf(error),
    );

/** Keeps each request from a disk for as long as that is wanted. */
function holding(device: BlockDevice, held: Set<() => void>, holds: () => boolean): BlockDevice {
  const later = (request: (done: Done) => void, done: Done): void => {
    if (holds()) held.add(() => request(done));
    else request(done);
  };
  return {
    sizeBytes: device.sizeBytes,
    blockSizeBytes: device.blockSizeBytes,
    capabilities: { ...device.capabilities, synchronous: false },
    read: (offsetBytes, into, done) => later((ended) => device.read(offsetBytes, into, ended), done),
    write: (offsetBytes, from, options, done) => later((ended) => device.write(offsetBytes, from, options, ended), done),
    flush: (done) => later((ended) => device.flush(ended), done),
    trim: (offsetBytes, lengthBytes, done) => device.trim(offsetBytes, lengthBytes, done),
    writeZeroes: (offsetBytes, lengthBytes, options, done) =>
      later((ended) => device.writeZeroes(offsetBytes, lengthBytes, options, ended), done),
    close: () => device.close(),
  };
}

/** A pair whose disk `what` takes nothing from `hold` until `release`. */
function holdable(what: string): { readonly pair: MirrorPair; readonly hold: () => void; readonly release: () => void } {
  const held = new Set<() => void>();
  let holds = false;
  const pair: MirrorPair = new MirrorPair({
    sizeBytes: mebibyte,
    wrap: (device, name) => (name === what ? holding(device, held, () => holds) : device),
  });
  return {
    pair,
    hold: () => void (holds = true),
    release: () => {
      holds = false;
      const all = [...held];
      held.clear();
      for (const go of all) go();
    },
  };
}

const stages: Readonly<Record<string, () => Promise<Stage>>> = {
  'not open': async () => {
    const pair = await new MirrorPair({ sizeBytes: mebibyte }).init();
    return { pair, mirror: pair.make('alpha'), release: () => undefined };
  },
  opening: async () => {
    const { pair, hold, release } = holdable('alpha:metadata');
    await pair.init();
    hold();
    const mirror = pair.make('alpha');
    mirror.open().catch(() => undefined);
    await pair.clock.runFor(10);
    return { pair, mirror, release };
  },
  passive: async () => {
    const pair = await new MirrorPair({ sizeBytes: mebibyte }).init();
    await pair.open('alpha');
    await pair.open('beta');
    await pair.until(() => pair.mirror('alpha').state().peerElement === 'uptodate', 'the first copy');
    return { pair, mirror: pair.mirror('alpha'), release: () => undefined };
  },
  handshaking: async () => {
    const { pair, hold, release } = holdable('alpha:disk');
    await pair.init();
    await pair.open('alpha');
    hold();
    await pair.open('beta');
    await pair.until(() => pair.mirror('alpha').state().handshaking, 'the handshake');
    return { pair, mirror: pair.mirror('alpha'), release };
  },
  target: async () => {
    const pair = await new MirrorPair({ sizeBytes: mebibyte }).start();
    return { pair, mirror: pair.mirror('beta'), release: () => undefined };
  },
  serving: async () => {
    const pair = await new MirrorPair({ sizeBytes: mebibyte }).start();
    return { pair, mirror: pair.mirror('alpha'), release: () => undefined };
  },
  resyncing: async () => {
    const { pair, hold, release } = holdable('beta:disk');
    await pair.start();
    await pair.write('alpha', 0, pattern(block, 1));
    pair.kill('beta');
    await pair.clock.runFor(2_000);
    const { connectionId } = pair.mirror('alpha').state();
    await pair.clock.settled(pair.mirror('alpha').goAlone({ epoch: { number: 2, owner: 'alpha' }, rule: 'alone', connectionId }), 1_000);
    await pair.write('alpha', 0, pattern(mebibyte, 2));
    await pair.open('beta');
    hold();
    await pair.until(() => pair.mirror('alpha').state().resync !== null, 'the resync');
    return { pair, mirror: pair.mirror('alpha'), release };
  },
  alone: async () => {
    const pair = await new MirrorPair({ sizeBytes: mebibyte }).start();
    pair.kill('beta');
    await pair.clock.runFor(2_000);
    const { connectionId } = pair.mirror('alpha').state();
    await pair.clock.settled(pair.mirror('alpha').goAlone({ epoch: { number: 2, owner: 'alpha' }, rule: 'alone', connectionId }), 1_000);
    return { pair, mirror: pair.mirror('alpha'), release: () => undefined };
  },
  parked: async () => {
    const pair = await new MirrorPair({ sizeBytes: mebibyte }).start();
    pair.kill('beta');
    await pair.clock.runFor(2_000);
    return { pair, mirror: pair.mirror('alpha'), release: () => undefined };
  },
  draining: async () => {
    const { pair, hold, release } = holdable('beta:disk');
    await pair.start();
    hold();
    pair.mirror('alpha').write(0, pattern(block, 1), {}, () => undefined);
    pair
      .mirror('alpha')
      .demote()
      .catch(() => undefined);
    await pair.clock.runFor(10);
    return { pair, mirror: pair.mirror('alpha'), release };
  },
  closing: async () => {
    const { pair, hold, release } = holdable('alpha:disk');
    await pair.start();
    hold();
    pair
      .mirror('alpha')
      .close()
      .catch(() => undefined);
    await pair.clock.runFor(10);
    return { pair, mirror: pair.mirror('alpha'), release };
  },
  closed: async () => {
    const pair = await new MirrorPair({ sizeBytes: mebibyte }).start();
    await pair.clock.settled(pair.mirror('alpha').close(), 5_000);
    return { pair, mirror: pair.mirror('alpha'), release: () => undefined };
  },
};

/** Requests of each kind, by the columns of the table. */
const requests: Readonly<Record<string, readonly ((mirror: MirrorLink, done: Done) => void)[]>> = {
  valid: [
    (mirror, done) => mirror.write(block, pattern(block, 3), {}, done),
    (mirror, done) => mirror.read(2 * block, new Uint8Array(block), done),
    (mirror, done) => mirror.writeZeroes(3 * block, block, {}, done),
    (mirror, done) => mirror.write(4 * block, pattern(block, 3), { fua: true }, done),
    (mirror, done) => mirror.flush(done),
  ],
  'of length 0': [
    (mirror, done) => mirror.write(0, new Uint8Array(0), {}, done),
    (mirror, done) => mirror.read(block, new Uint8Array(0), done),
    (mirror, done) => mirror.writeZeroes(0, 0, {}, done),
  ],
  'out of range': [
    (mirror, done) => mirror.write(mebibyte, pattern(block, 3), {}, done),
    (mirror, done) => mirror.read(-block, new Uint8Array(block), done),
    (mirror, done) => mirror.read(NaN, new Uint8Array(block), done),
    (mirror, done) => mirror.writeZeroes(0, mebibyte + block, {}, done),
    (mirror, done) => mirror.trim(mebibyte, block, done),
  ],
  'not in whole blocks': [
    (mirror, done) => mirror.write(1, pattern(block, 3), {}, done),
    (mirror, done) => mirror.read(0, new Uint8Array(5), done),
    (mirror, done) => mirror.writeZeroes(0, 100, {}, done),
  ],
};

const orders: Readonly<Record<string, (mirror: MirrorLink) => Promise<unknown>>> = {
  open: (mirror) => mirror.open(),
  promote: (mirror) => mirror.promote({ epoch: firstEpoch, alone: false }),
  demote: (mirror) => mirror.demote(),
  seal: (mirror) => mirror.seal(),
  unseal: (mirror) => mirror.unseal(),
  goAlone: (mirror) => mirror.goAlone({ epoch: { number: 2, owner: 'alpha' }, rule: 'alone', connectionId: connectionIdOf(mirror) }),
  outdate: (mirror) =>
    mirror.outdate({ epoch: firstEpoch, currentId: currentIdOf(mirror), connectionId: connectionIdOf(mirror), nonce: 'n' }),
  doubt: (mirror) => mirror.doubt('a test'),
  raiseEpoch: (mirror) => mirror.raiseEpoch({ number: 3, owner: 'alpha' }),
  leave: (mirror) => mirror.leave(),
  close: (mirror) => mirror.close(),
};

function connectionIdOf(mirror: MirrorLink): string | null {
  try {
    return mirror.state().connectionId;
  } catch {
    return null;
  }
}

function currentIdOf(mirror: MirrorLink): string {
  try {
    return mirror.state().currentId;
  } catch {
    return '';
  }
}

/** A table of docs/api.md: by row and column. */
function table(text: string, corner: string): { readonly row: string; readonly column: string; readonly cell: string }[] {
  const lines =
    text
      .slice(text.indexOf(`| ${corner} |`))
      .split('\n\n')[0]
      ?.split('\n') ?? [];
  const cells = (line = ''): string[] =>
    line
      .split('|')
      .slice(1, -1)
      .map((cell) => cell.replaceAll('`', '').trim());
  const [, ...columns] = cells(lines[0]);
  return lines.slice(2).flatMap((line) => {
    const [row = '', ...values] = cells(line);
    return columns.map((column, at) => ({ row, column, cell: values[at] ?? '' }));
  });
}

describe('What a mirror answers, by what it is', () => {
  let text: string;
  before(async () => {
    text = await readFile(path.join(repositoryRoot, 'docs', 'api.md'), 'utf8');
  });

  it('requests: every cell of the table in docs/api.md, and no state without a row', async function () {
    this.timeout(60_000);
    const rows = table(text, 'the mirror is');
    expect(new Set(rows.map(({ row }) => row))).to.deep.equal(new Set(Object.keys(stages)));
    expect(new Set(rows.map(({ column }) => column))).to.deep.equal(new Set(Object.keys(requests)));
    for (const { row, column, cell } of rows) {
      const { pair, mirror, release } = await stages[row]!();
      const seen = requests[column]!.map((request) => observe((done) => request(mirror, done)));
      if (row === 'resyncing') release();
      await pair.clock.runFor(1_000);
      expect(
        seen.map(({ ending }) => ending),
        `${column} while ${row}`,
      ).to.deep.equal(seen.map(() => cell));
      release();
      await pair.clock.settled(mirror.close(), 60_000, `closing while ${row}`);
      for (const { times, ending } of seen) {
        expect(times, `${column} while ${row} ends once`).to.equal(1);
        if (cell === 'waits') expect(ending).to.equal('HM_CLOSED');
      }
    }
  });

  it('orders: every cell of the table in docs/api.md', async function () {
    this.timeout(60_000);
    const rows = table(text, 'the order');
    expect(new Set(rows.map(({ row }) => row))).to.deep.equal(new Set(Object.keys(orders)));
    for (const { row, column, cell } of rows) {
      const { pair, mirror } = await stages[column]!();
      const ending = await pair.clock.settled(
        endingOf(() => orders[row]!(mirror)),
        60_000,
        `${row} while ${column}`,
      );
      expect(ending, `${row} while ${column}`).to.equal(cell);
    }
  });

  for (const stage of Object.keys(stages)) {
    it(`close, twice at once, while ${stage}: both resolve, every request ends once, no timer is left`, async () => {
      const { pair, mirror, release } = await stages[stage]!();
      const inside = Object.values(requests).flatMap((list) => list.map((request) => observe((done) => request(mirror, done))));
      const orderUnderWay = endingOf(() => mirror.doubt('a test'));
      const [first, second] = [mirror.close(), mirror.close()];
      expect(first).to.equal(second);
      await pair.clock.runFor(100);
      release();
      await pair.clock.settled(first, 60_000, 'the close');
      await pair.clock.settled(orderUnderWay, 60_000, 'the order');
      expect(inside.map(({ times }) => times)).to.deep.equal(inside.map(() => 1));
      const late = observe((done) => mirror.flush(done));
      expect(late).to.deep.equal({ ending: 'HM_CLOSED', times: 1 });
      for (const node of ['alpha', 'beta'] as const) {
        if (pair.mirrors[node] && pair.mirrors[node] !== mirror)
          await pair.clock.settled(pair.mirrors[node].close(), 60_000, 'the other close');
      }
      await pair.clock.runFor(20_000);
      expect(pair.clock.pendingTimers).to.equal(0);
    });
  }
});
