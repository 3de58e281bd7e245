import { expect } from 'chai';

import type { DataConnection } from '../../src/mirror/data-connection.ts';
import { Fetches } from '../../src/mirror/fetches.ts';
import { defaultExtentBytes } from '../../src/mirror/metadata.ts';
import type { PeerHelp } from '../../src/mirror/read-repair.ts';
import { judgeUnreadable } from '../../src/mirror/read-repair.ts';
import type { Message, MessageName } from '../../src/mirror/wire.ts';
import { encodeLength, maxBodyBytes, maxFetchingBytes } from '../../src/mirror/wire.ts';
import type { BlockDevice, Done } from '../../src/device/block-device.ts';
import { MemoryDevice } from '../../src/device/memory.ts';
import { HotMirrorError } from '../../src/errors.ts';
import { asked } from './support/endings.ts';
import type { Ending } from './support/endings.ts';
import { loneTarget } from './support/lone-target.ts';
import type { MirrorPair } from './support/mirror-pair.ts';
import { pattern } from './support/mirror-pair.ts';
import { wornPair } from './support/worn-pair.ts';

const block = 4096;

const reading = (pair: MirrorPair, offsetBytes: number, into: Uint8Array): Ending =>
  asked((done) => pair.mirror('alpha').read(offsetBytes, into, done));

async function goAlone(pair: MirrorPair): Promise<void> {
  const mirror = pair.mirror('alpha');
  const order = { epoch: { number: 2, owner: 'alpha' }, rule: 'alone', connectionId: mirror.state().connectionId } as const;
  await pair.clock.settled(mirror.goAlone(order), 1_000);
}

describe('A block that cannot be read', () => {
  it('is judged by what the peer can do and whether the elements are known to be equal there (write.error)', () => {
    const judged = (['uptodate', 'settling', 'away', 'none'] as const satisfies readonly PeerHelp[]).map((peer) => [
      peer,
      judgeUnreadable(peer, true),
      judgeUnreadable(peer, false),
    ]);
    expect(judged).to.deep.equal([
      ['uptodate', 'fetch', 'fail'],
      ['settling', 'wait', 'fail'],
      ['away', 'wait', 'wait'],
      ['none', 'fail', 'fail'],
    ]);
  });

  it('is read from the peer and written back, and administrators are told; service goes on (write.error)', async () => {
    const { pair, disks } = await wornPair();
    await pair.write('alpha', 2 * block, pattern(2 * block, 7));
    disks.alpha.bad.add(3 * block);
    expect(await pair.read('alpha', 2 * block, 2 * block)).to.deep.equal(pattern(2 * block, 7));
    expect(disks.alpha.bad.size).to.equal(0);
    expect(pair.mirror('alpha').state()).to.include({ serving: 'yes', element: 'uptodate', peerElement: 'uptodate' });
    const [told] = pair.told.filter(({ name }) => name === 'block:repaired');
    expect(told?.event).to.deep.include({ class: 1, rule: 'write.error' });
    expect(told?.event.evidence).to.deep.equal({ offsetBytes: 2 * block, lengthBytes: 2 * block, repairs: 1 });
    expect(pair.identical).to.equal(true);
  });

  it('is told of once a second, however many there are', async () => {
    const { pair, disks } = await wornPair();
    for (let at = 0; at < 20 * block; at += block) disks.alpha.bad.add(at);
    for (let at = 0; at < 20 * block; at += block) await pair.read('alpha', at, block);
    expect(disks.alpha.bad.size).to.equal(0);
    expect(pair.names('alpha').filter((name) => name === 'block:repaired')).to.have.length(1);
  });

  it('is not written back over a newer write (write.order)', async () => {
    const { pair, disks } = await wornPair({ delayMs: 10 });
    await pair.write('alpha', 0, pattern(block, 1));
    disks.alpha.bad.add(0);
    const into = new Uint8Array(block);
    const ending = reading(pair, 0, into);
    await pair.clock.runFor(15);
    expect(ending.code).to.equal(null);
    await pair.write('alpha', 0, pattern(block, 2));
    await pair.clock.runFor(100);
    expect(ending.code).to.equal('done');
    expect(into).to.deep.equal(pattern(block, 1));
    expect(pair.disks.alpha.contents.subarray(0, block)).to.deep.equal(pattern(block, 2));
    expect(pair.identical).to.equal(true);
  });

  it('is not fetched while a write to it is under way, which its reader must not see yet (serve.fresh)', async () => {
    const { pair, disks } = await wornPair({ delayMs: 10 });
    await pair.write('alpha', 0, pattern(2 * block, 1));
    disks.alpha.bad.add(block);
    let written: string | null = null;
    pair.mirror('alpha').write(0, pattern(block, 2), {}, (error) => (written = error?.code ?? 'done'));
    const into = new Uint8Array(2 * block);
    const ending = reading(pair, 0, into);
    await pair.clock.runFor(15);
    expect([written, ending.code]).to.deep.equal([null, null]);
    await pair.clock.runFor(100);
    expect([written, ending.code]).to.deep.equal(['done', 'done']);
    expect(into.subarray(0, block)).to.deep.equal(pattern(block, 2));
    expect(into.subarray(block)).to.deep.equal(pattern(block, 1));
    expect(pair.identical).to.equal(true);
  });

  it('is fetched in pieces that fit a message each, and no more at a time than the target has room for', async () => {
    const sizeBytes = 16 * maxBodyBytes;
    const { pair, disks } = await wornPair({ sizeBytes, delayMs: 5 });
    const lengthBytes = maxFetchingBytes / 2 + block;
    for (let at = 0; at < sizeBytes; at += maxBodyBytes) await pair.write('alpha', at, pattern(maxBodyBytes, 1 + at / maxBodyBytes));
    for (const at of [0, lengthBytes - block, maxFetchingBytes, sizeBytes - block]) disks.alpha.bad.add(at);
    const reads = [0, 2, 4, 8].map((piece) => ({ at: piece * maxBodyBytes, into: new Uint8Array(lengthBytes) }));
    const endings = reads.map(({ at, into }) => reading(pair, at, into));
    const many = Array.from({ length: 12 }, () => new Uint8Array(maxBodyBytes));
    endings.push(...many.map((into) => reading(pair, 0, into)));
    await pair.clock.runFor(2_000);
    expect(new Set(endings.map(({ code }) => code))).to.deep.equal(new Set(['done']));
    for (const { at, into } of reads) expect(Buffer.compare(into, pair.disks.beta.contents.subarray(at, at + lengthBytes))).to.equal(0);
    for (const into of many) expect(Buffer.compare(into, pattern(maxBodyBytes, 1))).to.equal(0);
    expect(pair.names('alpha')).not.to.include('link:lost');
  });

  it('is an error to the caller where the peer cannot read it either; both elements stay (write.error)', async () => {
    const { pair, disks } = await wornPair();
    disks.alpha.bad.add(0);
    disks.beta.bad.add(0);
    const into = new Uint8Array(block);
    const ending = reading(pair, 0, into);
    await pair.clock.runFor(100);
    expect(ending.code).to.equal('HM_IO_READ');
    expect(disks.alpha.bad.size).to.equal(1);
    await pair.write('alpha', 0, pattern(block, 9));
    expect(await pair.read('alpha', 0, block)).to.deep.equal(pattern(block, 9));
    expect(pair.mirror('alpha').state()).to.include({ serving: 'yes', element: 'uptodate', peerElement: 'uptodate' });
    expect(pair.mirror('beta').state().element).to.equal('uptodate');
  });

  it('fails the element where it cannot be written back, but a full disk does not (write.error)', async () => {
    for (const code of ['HM_IO_WRITE', 'HM_NO_SPACE'] as const) {
      const { pair, disks } = await wornPair();
      disks.alpha.bad.add(0);
      disks.alpha.failWrites = code;
      const ending = reading(pair, 0, new Uint8Array(block));
      await pair.clock.runFor(100);
      expect(pair.mirror('alpha').state().element).to.equal(code === 'HM_NO_SPACE' ? 'uptodate' : 'failed');
      if (code === 'HM_NO_SPACE') expect(ending.code).to.equal('done');
    }
  });

  it('waits while the peer is away, and is read from it when it is back (serve.fresh)', async () => {
    const { pair, disks } = await wornPair();
    await pair.write('alpha', 0, pattern(block, 3));
    await pair.flush('alpha');
    disks.alpha.bad.add(0);
    pair.link.cut();
    await pair.until(() => pair.mirror('alpha').state().serving === 'parked', 'the loss');
    const into = new Uint8Array(block);
    const ending = reading(pair, 0, into);
    await pair.clock.runFor(1_000);
    expect(ending.code).to.equal(null);
    pair.link.heal();
    await pair.until(() => ending.code !== null, 'the read');
    expect(ending.code).to.equal('done');
    expect(into).to.deep.equal(pattern(block, 3));
  });

  it('is read anew when the link drops within the fetch, and an error once this node goes on alone (alone)', async () => {
    const { pair, disks } = await wornPair({ delayMs: 10 });
    disks.alpha.bad.add(0);
    const ending = reading(pair, 0, new Uint8Array(block));
    await pair.clock.runFor(5);
    pair.kill('beta');
    await pair.until(() => pair.mirror('alpha').state().serving === 'parked', 'the loss');
    expect(ending.code).to.equal(null);
    await goAlone(pair);
    await pair.clock.runFor(100);
    expect(ending.code).to.equal('HM_IO_READ');
    expect(pair.mirror('alpha').state()).to.include({ serving: 'alone', element: 'uptodate' });
  });

  it('is an error to the caller while a resync runs towards the peer (resync.target)', async () => {
    const { pair, disks } = await wornPair({
      sizeBytes: 64 * defaultExtentBytes,
      limits: { resyncWindowBytes: 4 * defaultExtentBytes },
    });
    pair.kill('beta');
    await pair.until(() => pair.mirror('alpha').state().serving === 'parked', 'the loss');
    await goAlone(pair);
    for (let at = 0; at < 64 * defaultExtentBytes; at += defaultExtentBytes) await pair.write('alpha', at, pattern(block, 5));
    disks.alpha.bad.add(block);
    await pair.open('beta');
    await pair.until(() => pair.mirror('alpha').state().resync !== null, 'the resync');
    const ending = reading(pair, block, new Uint8Array(block));
    await pair.until(() => ending.code !== null, 'the read');
    expect(ending.code).to.equal('HM_IO_READ');
  });

  it('does not end a resync: the others are copied, it is tried again, nothing but what the source holds is copied (write.error)', async () => {
    const { pair, disks } = await wornPair({ sizeBytes: 64 * defaultExtentBytes });
    pair.kill('beta');
    await pair.until(() => pair.mirror('alpha').state().serving === 'parked', 'the loss');
    await goAlone(pair);
    for (let at = 0; at < 64 * defaultExtentBytes; at += defaultExtentBytes) await pair.write('alpha', at, pattern(block, 6));
    const bad = 17 * defaultExtentBytes + block;
    disks.alpha.bad.add(bad);
    await pair.open('beta');
    await pair.until(() => pair.mirror('alpha').state().dirtyBytes === defaultExtentBytes, 'all but one extent');
    await pair.clock.runFor(30_000);
    expect(pair.mirror('alpha').state()).to.include({ serving: 'yes', element: 'uptodate', peerElement: 'inconsistent' });
    expect(pair.names('alpha').filter((name) => name === 'block:unreadable')).to.have.length(1);
    expect(pair.disks.beta.contents.includes(0xee)).to.equal(false);
    await pair.write('alpha', bad, pattern(block, 8));
    await pair.until(() => pair.mirror('alpha').state().peerElement === 'uptodate', 'the end of the resync', 10_000);
    expect(pair.identical).to.equal(true);
  });
});

describe('Fetches', () => {
  interface Sent {
    readonly name: MessageName;
    readonly a: number;
    readonly body: Uint8Array | undefined;
  }
  const recorded = (sent: Sent[]): DataConnection =>
    ({
      writable: true,
      features: new Set(['fetch']),
      send: (name: MessageName, a: number, _b: number, body?: Uint8Array) => void sent.push({ name, a, body }),
      hold: () => undefined,
    }) as unknown as DataConnection;
  const message = (name: MessageName, a: number, b: number, body: Uint8Array = new Uint8Array(0)): Message => ({ name, a, b, body });

  it('are answered in their place in the stream: after every write before them, before any after them (write.order)', () => {
    const memory = new MemoryDevice({ sizeBytes: 8 * block });
    const writes: (() => void)[] = [];
    // A device that takes its time over writes, and reads what was issued before.
    const device: BlockDevice = {
      sizeBytes: memory.sizeBytes,
      blockSizeBytes: memory.blockSizeBytes,
      capabilities: { ...memory.capabilities, synchronous: false },
      read: (offsetBytes, into, done) => memory.read(offsetBytes, into, done),
      write: (offsetBytes, from, options, done: Done) => void writes.push(() => memory.write(offsetBytes, from, options, done)),
      flush: (done) => memory.flush(done),
      trim: (_offset, _length, done) => done(null),
      writeZeroes: (_offset, _length, _options, done) => done(null),
      close: () => Promise.resolve(),
    };
    const sent: Sent[] = [];
    const target = loneTarget(recorded(sent), device);
    target.message(message('write', 1, 0, pattern(block, 1)));
    target.message(message('fetch', 1, 0, encodeLength(block)));
    expect(sent).to.deep.equal([]);
    writes.shift()?.();
    const fetched = sent.filter(({ name }) => name === 'fetched');
    expect(fetched.map(({ a, body }) => [a, body])).to.deep.equal([[1, pattern(block, 1)]]);
  });

  it('are refused where they make no sense, or ask for more at a time than there is room for', () => {
    const device = new MemoryDevice({ sizeBytes: 2 * maxFetchingBytes });
    const stuck: BlockDevice = {
      sizeBytes: device.sizeBytes,
      blockSizeBytes: device.blockSizeBytes,
      capabilities: device.capabilities,
      read: () => undefined,
      write: () => undefined,
      flush: () => undefined,
      trim: () => undefined,
      writeZeroes: () => undefined,
      close: () => Promise.resolve(),
    };
    const target = loneTarget(recorded([]), stuck);
    for (const [offsetBytes, body] of [
      [0, new Uint8Array(3)],
      [0, encodeLength(0)],
      [1, encodeLength(block)],
      [device.sizeBytes, encodeLength(block)],
      [0, encodeLength(2 * maxBodyBytes)],
    ] as const) {
      expect(() => target.message(message('fetch', 1, offsetBytes, body)))
        .to.throw(HotMirrorError)
        .with.property('code', 'HM_PROTOCOL');
    }
    for (let at = 0; at < maxFetchingBytes; at += maxBodyBytes) target.message(message('fetch', 2, at, encodeLength(maxBodyBytes)));
    expect(() => target.message(message('fetch', 3, 0, encodeLength(block)))).to.throw(HotMirrorError);
  });

  it('take no answer that was not asked for, nor one of another length', () => {
    const fetches = new Fetches(recorded([]));
    fetches.ask(0, block, () => undefined);
    for (const answer of [message('fetched', 2, 0), message('fetched', 1, 0, pattern(5, 1))]) {
      expect(() => fetches.answered(answer))
        .to.throw(HotMirrorError)
        .with.property('code', 'HM_PROTOCOL');
    }
    fetches.answered(message('fetched', 1, 0));
    expect(() => fetches.answered(message('fetched', 1, 0))).to.throw(HotMirrorError);
  });
});
