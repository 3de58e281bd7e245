import { expect } from 'chai';
import fc from 'fast-check';

import { HotMirrorError } from '../../src/errors.ts';
import {
  decodeFrameHeader,
  decodeMessages,
  encodeFrameHeader,
  encodeMessageHeader,
  frameEpoch,
  messageTypes,
  ownerField,
} from '../../src/mirror/wire.ts';
import type { MessageName } from '../../src/mirror/wire.ts';

const connectionId = '0123456789abcdef';

const message = fc.record({
  name: fc.constantFrom(...(Object.keys(messageTypes) as MessageName[])),
  a: fc.maxSafeNat(),
  b: fc.maxSafeNat(),
  body: fc.uint8Array({ maxLength: 64 }),
});

const frameOf = (
  messages: readonly { readonly name: MessageName; readonly a: number; readonly b: number; readonly body: Uint8Array }[],
): Uint8Array => {
  const parts: Uint8Array[] = [encodeFrameHeader({ epochNumber: 7, owner: 'sender', connectionId })];
  for (const { name, a, b, body } of messages) parts.push(encodeMessageHeader(name, a, b, body.length), body);
  return new Uint8Array(Buffer.concat(parts));
};

describe('the messages of a data link', () => {
  it('come out as they went in', () => {
    fc.assert(
      fc.property(fc.array(message, { maxLength: 5 }), (messages) => {
        const frame = frameOf(messages);
        expect(decodeFrameHeader(frame)).to.deep.equal({ epochNumber: 7, owner: 'sender', connectionId });
        const decoded = decodeMessages(frame).map(({ name, a, b, body }) => ({ name, a, b, body: new Uint8Array(body) }));
        expect(decoded).to.deep.equal(messages);
      }),
    );
  });

  it('are rejected with HM_PROTOCOL or read as other messages when a frame is mutilated, never anything else (trust)', () => {
    const mutilation = fc.record({ at: fc.nat(400), xor: fc.integer({ min: 1, max: 255 }), length: fc.option(fc.nat(400)) });
    fc.assert(
      fc.property(fc.array(message, { minLength: 1, maxLength: 4 }), mutilation, (messages, { at, xor, length }) => {
        const frame = frameOf(messages).slice(0, length ?? undefined);
        if (frame.length > 0) frame[at % frame.length]! ^= xor;
        try {
          decodeFrameHeader(frame);
          for (const { a, b, body } of decodeMessages(frame)) {
            expect(Number.isSafeInteger(a) && Number.isSafeInteger(b)).to.equal(true);
            expect(body.byteOffset + body.byteLength).to.be.at.most(frame.byteOffset + frame.byteLength);
          }
        } catch (error) {
          if (!(error instanceof HotMirrorError)) throw error;
          expect(error.code).to.equal('HM_PROTOCOL');
        }
      }),
      { numRuns: 1_000 },
    );
  });

  it('hand out bodies whose slice is a copy: the frame is valid during the call only', () => {
    const frame = frameOf([{ name: 'write', a: 1, b: 0, body: new Uint8Array([1, 2, 3]) }]);
    const kept = decodeMessages(frame)[0]!.body.slice();
    frame.fill(0);
    expect([...kept]).to.deep.equal([1, 2, 3]);
  });

  it('carry the epoch with its owner as seen from each side (lineage.epoch)', () => {
    for (const epoch of [
      { number: 0, owner: '' },
      { number: 3, owner: 'alpha' },
      { number: 3, owner: 'beta' },
    ]) {
      const header = decodeFrameHeader(encodeFrameHeader({ epochNumber: epoch.number, owner: ownerField(epoch, 'alpha'), connectionId }));
      expect(frameEpoch(header, 'alpha', 'beta')).to.deep.equal(epoch);
    }
    const ownerless = encodeFrameHeader({ epochNumber: 0, owner: 'sender', connectionId });
    expect(() => decodeFrameHeader(ownerless))
      .to.throw(HotMirrorError)
      .with.property('code', 'HM_PROTOCOL');
  });
});
