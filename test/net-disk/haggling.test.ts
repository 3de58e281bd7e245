import { expect } from 'chai';

import { MemoryDevice } from '../../src/device/memory.ts';
import { baseAllocation, magic, optionReplies, options, transmissionFlags } from '../../src/net-disk/protocol.ts';
import { LoneSession } from './support/lone-session.ts';
import { bytesOf, clientFlags, go, named, option } from './support/nbd-bytes.ts';

const sizeBytes = 65_536;
const disk = { name: 'd', device: new MemoryDevice({ sizeBytes }), description: 'a disk' };
const other = { name: 'other', device: new MemoryDevice({ sizeBytes: 4096 }), readOnly: true };
const contexts = (name: string, ...queries: readonly string[]): Uint8Array =>
  bytesOf(named(name), [32, queries.length], ...queries.map((query) => named(query)));

/** A client that has said its flags. */
function haggling(rest: Partial<ConstructorParameters<typeof LoneSession>[0]> = {}): LoneSession {
  const lone = new LoneSession({ exports: [disk, other], ...rest });
  lone.received.take(18);
  lone.feed(clientFlags);
  return lone;
}

const kinds = (lone: LoneSession): number[] => lone.received.options().map(({ kind }) => kind);

describe('The haggling of a net disk (NBD, fixed newstyle)', () => {
  it('begins with the greeting, which offers fixed newstyle and to leave reserved zeroes out', () => {
    const lone = new LoneSession({ exports: [disk] });
    const view = lone.received.take(18);
    expect([view.getBigUint64(0), view.getBigUint64(8), view.getUint16(16)]).to.deep.equal([magic.server, magic.option, 3]);
  });

  it('answers GO with size, abilities and block sizes, and with what else was asked', () => {
    const lone = haggling();
    lone.feed(go('d', [1, 2]));
    const replies = lone.received.options();
    expect(replies.map(({ kind }) => kind)).to.deep.equal([...Array<number>(4).fill(optionReplies.info), optionReplies.ack]);
    const [about, sizes, name, description] = replies.map(({ data }) => new DataView(data.buffer));
    expect([about!.getUint16(0), about!.getBigUint64(2)]).to.deep.equal([0, BigInt(sizeBytes)]);
    expect([sizes!.getUint16(0), sizes!.getUint32(2), sizes!.getUint32(6), sizes!.getUint32(10)]).to.deep.equal([3, 512, 4096, 2 ** 25]);
    expect([name, description].map((view) => Buffer.from(view!.buffer, 2).toString())).to.deep.equal(['d', 'a disk']);
  });

  it('tells what an export can do, and no more: a read-only one takes no changes, and only structured replies know a whole read', () => {
    const flagsOf = (name: string, structured: boolean): number => {
      const lone = haggling();
      if (structured) lone.feed(option(options.structuredReply));
      lone.received.options();
      lone.feed(go(name));
      return new DataView(lone.received.option().data.buffer).getUint16(10);
    };
    expect(flagsOf('d', false) & (transmissionFlags.readOnly | transmissionFlags.sendDf)).to.equal(0);
    expect(flagsOf('d', true) & transmissionFlags.sendDf).to.equal(transmissionFlags.sendDf);
    expect(flagsOf('other', true) & transmissionFlags.readOnly).to.equal(transmissionFlags.readOnly);
    expect(flagsOf('other', true) & transmissionFlags.sendWriteZeroes).to.equal(0);
    expect(flagsOf('d', true) & transmissionFlags.canMultiConn).to.equal(transmissionFlags.canMultiConn);
  });

  it('lists exports, and answers an option that it does not know without losing its place', () => {
    const lone = haggling();
    lone.feed(bytesOf(option(99, new Uint8Array(1000)), option(options.list), option(4)));
    const { unsupported, server, ack } = optionReplies;
    expect(kinds(lone)).to.deep.equal([unsupported, server, server, ack, unsupported]);
  });

  it('answers EXPORT_NAME as of old: size and flags, with 124 zeroes unless the client spares itself those', () => {
    const lone = haggling();
    lone.feed(option(options.exportName, bytesOf('d')));
    expect(lone.received.left).to.equal(10);
    const old = new LoneSession({ exports: [disk] });
    old.received.take(18);
    old.feed(bytesOf([32, 0], option(options.exportName, bytesOf('d'))));
    expect(old.received.left).to.equal(134);
  });

  it('refuses an export that there is not: GO with an error, EXPORT_NAME by hanging up', () => {
    const lone = haggling();
    lone.feed(bytesOf(go('none'), go('')));
    expect(kinds(lone)).to.deep.equal([optionReplies.unknown, optionReplies.unknown]);
    lone.feed(option(options.exportName, bytesOf('none')));
    expect([lone.wireEnded, lone.received.left]).to.deep.equal(['destroy', 0]);
  });

  it('knows base:allocation, once replies are structured, and for the export that it was chosen for', () => {
    const { invalid, metaContext, ack, unknown } = optionReplies;
    const lone = haggling();
    lone.feed(option(options.setMetaContext, contexts('d', baseAllocation)));
    expect(kinds(lone)).to.deep.equal([invalid]);
    lone.feed(bytesOf(option(options.structuredReply), option(options.listMetaContext, contexts('d'))));
    expect(kinds(lone)).to.deep.equal([ack, metaContext, ack]);
    lone.feed(option(options.setMetaContext, contexts('d', 'x-other:thing')));
    expect(kinds(lone)).to.deep.equal([ack]);
    lone.feed(option(options.setMetaContext, contexts('none', baseAllocation)));
    expect(kinds(lone)).to.deep.equal([unknown]);
    lone.feed(option(options.setMetaContext, contexts('d', 'x-other:thing', baseAllocation)));
    expect(kinds(lone)).to.deep.equal([metaContext, ack]);
  });

  it('refuses data that is not what the option has, and goes on', () => {
    const lone = haggling();
    const bad = [
      new Uint8Array(3),
      bytesOf([32, 9], 'd'),
      bytesOf(named('d'), [16, 7]),
      bytesOf(named('d'), [16, 0], 'more'),
      bytesOf(named('\0'), [16, 0]),
    ];
    for (const data of bad) lone.feed(option(options.go, data));
    lone.feed(bytesOf(option(options.list, new Uint8Array(1)), option(options.go, bytesOf([32, 1], new Uint8Array([0xff]), [16, 0]))));
    expect(kinds(lone)).to.deep.equal(Array<number>(7).fill(optionReplies.invalid));
  });

  it('skips data that is too long, and goes on', () => {
    const lone = haggling();
    lone.feed(bytesOf(option(options.list, new Uint8Array(300_000)), option(options.list)), 4096);
    const { tooBig, server, ack } = optionReplies;
    expect(kinds(lone)).to.deep.equal([tooBig, server, server, ack]);
  });

  it('ends by ABORT in order, and at once where a client breaks the rules', () => {
    const polite = haggling();
    polite.feed(option(options.abort));
    expect([kinds(polite), polite.wireEnded, polite.ended]).to.deep.equal([[optionReplies.ack], 'end', null]);
    const greedy = new LoneSession({ exports: [disk] });
    greedy.feed(bytesOf([32, 0xff]));
    expect(greedy.wireEnded).to.equal('destroy');
    const garbled = haggling();
    garbled.feed(new Uint8Array(16));
    expect(garbled.wireEnded).to.equal('destroy');
    const endless = haggling({ limits: { options: 5 } });
    for (let count = 0; count < 6; count += 1) endless.feed(option(99));
    expect(endless.wireEnded).to.equal('destroy');
  });

  it('has a deadline, also for a client that says nothing', async () => {
    const lone = new LoneSession({ exports: [disk], limits: { handshakeDeadlineMs: 1000 } });
    await lone.clock.runFor(999);
    expect(lone.wireEnded).to.equal(null);
    await lone.clock.runFor(1);
    expect(lone.wireEnded).to.equal('destroy');
  });

  it('lets nobody in any more who comes while the server closes', () => {
    const lone = haggling();
    lone.closing = true;
    lone.feed(bytesOf(option(options.list), go('d')));
    expect(kinds(lone)).to.deep.equal([optionReplies.shutdown, optionReplies.shutdown]);
  });

  it('lets nobody use an export where as many do as may, and says so', () => {
    const lone = haggling();
    lone.full = true;
    lone.feed(bytesOf(option(options.list), option(options.info, bytesOf(named('d'), [16, 0])), go('d')));
    const { server, ack, info, policy } = optionReplies;
    expect(kinds(lone)).to.deep.equal([server, server, ack, info, info, ack, policy]);
    lone.full = false;
    lone.feed(go('d'));
    expect(kinds(lone).at(-1)).to.equal(ack);
    const old = haggling();
    old.full = true;
    old.feed(option(options.exportName, bytesOf('d')));
    expect(old.wireEnded).to.equal('destroy');
  });

  it('ends the connection, and nothing else, where a device does what no device should', () => {
    const broken = Object.create(disk.device, { sizeBytes: { get: () => JSON.parse('{') as number } }) as MemoryDevice;
    for (const ask of [
      go('broken'),
      option(options.info, bytesOf(named('broken'), [16, 0])),
      option(options.exportName, bytesOf('broken')),
    ]) {
      const lone = haggling({ exports: [{ name: 'broken', device: broken }] });
      lone.feed(ask);
      expect([lone.wireEnded, lone.received.left]).to.deep.equal(['destroy', 0]);
      expect(lone.ended).to.match(/JSON/u);
    }
  });

  it('speaks TLS as it is told to: not at all, or before anything else; what was said before counts no more', () => {
    const { policy, tlsRequired, ack, invalid } = optionReplies;
    const without = haggling();
    without.feed(option(options.starttls));
    expect(kinds(without)).to.deep.equal([policy]);
    const forced = haggling({ tls: 'required' });
    forced.feed(bytesOf(option(options.list), go('d'), option(options.starttls), option(options.list)));
    expect(kinds(forced)).to.deep.equal([tlsRequired, tlsRequired, ack]);
    forced.secure!(null);
    forced.stopped = false;
    forced.feed(bytesOf(option(options.starttls), option(options.setMetaContext, contexts('d', baseAllocation))));
    expect(kinds(forced)).to.deep.equal([invalid, invalid]);
    const bare = haggling({ tls: 'required' });
    bare.feed(option(options.exportName, bytesOf('d')));
    expect(bare.wireEnded).to.equal('destroy');
  });

  it('that needs TLS first says so of every other option but ABORT, also of one that it does not know or whose data is too long', () => {
    const { tlsRequired, ack } = optionReplies;
    const { starttls, abort, exportName } = options;
    const others = [...Object.values(options), 4, 99].filter((number) => ![starttls, abort, exportName].includes(number as 1));
    const lone = haggling({ tls: 'required' });
    for (const number of others) lone.feed(option(number));
    lone.feed(option(options.list, new Uint8Array(100_000)), 4096);
    lone.closing = true;
    lone.feed(option(options.list));
    lone.feed(option(abort));
    expect(kinds(lone)).to.deep.equal([...Array<number>(others.length + 2).fill(tlsRequired), ack]);
  });

  it('serves who wishes no TLS where it is optional, and answers a wish for it once', () => {
    const { ack, invalid } = optionReplies;
    const lone = haggling({ tls: 'optional' });
    lone.feed(bytesOf(option(options.structuredReply), option(options.starttls)));
    lone.secure!(null);
    lone.stopped = false;
    lone.feed(option(options.starttls));
    expect(kinds(lone)).to.deep.equal([ack, ack, invalid]);
    const plain = haggling({ tls: 'optional' });
    plain.feed(go('d'));
    expect(kinds(plain).at(-1)).to.equal(ack);
  });

  it('leaves a client with whom TLS fails or lasts too long, and says why', async () => {
    const failed = haggling({ tls: 'required' });
    failed.feed(option(options.starttls));
    failed.secure!('no key in common');
    expect([failed.wireEnded, failed.ended]).to.deep.equal(['destroy', 'TLS did not come about: no key in common']);
    const slow = haggling({ tls: 'required', limits: { handshakeDeadlineMs: 1000 } });
    slow.feed(option(options.starttls));
    await slow.clock.runFor(1000);
    expect([slow.wireEnded, slow.ended]).to.deep.equal(['destroy', 'it haggled for too long']);
    slow.secure!(null);
    expect(slow.feed(option(options.list))).to.equal(0);
  });
});
