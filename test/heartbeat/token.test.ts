import { expect } from 'chai';
import fc from 'fast-check';

import { HotMirrorError } from '../../src/errors.ts';
import { checkBody, decodeMessage, encodeMessage, maxBodyBytes } from '../../src/heartbeat/token.ts';
import type { Message } from '../../src/heartbeat/token.ts';
import type { Json } from '../../src/heartbeat/types.ts';

const run = '00112233aabbccdd';
const nonce = '0123456789abcdef';
const examples: readonly Message[] = [
  { kind: 'token', run, sequence: 1, nonce },
  { kind: 'answer', sequence: 7, nonce, report: { elements: ['uptodate'], epoch: 3 } },
  { kind: 'request', to: run, number: 2, body: { ask: 'release' } },
  { kind: 'reply', to: run, number: 2, outcome: { ok: null } },
  { kind: 'reply', to: run, number: 2, outcome: { error: { code: 'HM_REFUSED', message: 'no', rule: 'handover' } } },
  { kind: 'goodbye', run },
  { kind: 'farewell', run },
];

function refused(bytes: Uint8Array): string {
  try {
    return `took ${JSON.stringify(decodeMessage(bytes))}`;
  } catch (error) {
    return error instanceof HotMirrorError ? error.code : String(error);
  }
}

const text = (value: unknown): Uint8Array => Buffer.from(JSON.stringify(value));

describe('token', () => {
  it('reads what it writes', () => {
    for (const message of examples) expect(decodeMessage(encodeMessage(message))).to.deep.equal(message);
    fc.assert(
      fc.property(fc.jsonValue({ maxDepth: 5 }), (body) => {
        const message: Message = { kind: 'request', to: run, number: 9, body: JSON.parse(JSON.stringify(body)) as Json };
        expect(decodeMessage(encodeMessage(message))).to.deep.equal(message);
      }),
    );
  });

  it('trust: refuses a message with a field missing, added, or of another type', () => {
    for (const message of examples) {
      expect(refused(text({ ...message, more: 1 })), 'added').to.equal('HM_PROTOCOL');
      for (const field of Object.keys(message)) {
        const others = Object.fromEntries(Object.entries(message).filter(([name]) => name !== field));
        expect(refused(text(others)), `without ${field}`).to.equal('HM_PROTOCOL');
        if (field === 'body' || field === 'report') continue;
        for (const bad of [null, true, -1, 0, 1.5, 2 ** 53, '', 'zz', [], {}, `${nonce}0`]) {
          expect(refused(text({ ...message, [field]: bad })), `${field} ${JSON.stringify(bad)}`).to.equal('HM_PROTOCOL');
        }
      }
    }
  });

  it('trust: any bytes give a message or HM_PROTOCOL, nothing else', () => {
    const flipped = fc.tuple(fc.constantFrom(...examples), fc.nat(), fc.integer({ min: 1, max: 255 })).map(([message, at, by]) => {
      const bytes = encodeMessage(message);
      const position = at % bytes.length;
      bytes[position] = (bytes[position] ?? 0) ^ by;
      return bytes;
    });
    fc.assert(
      fc.property(
        fc.oneof(
          fc.uint8Array(),
          flipped,
          fc.json().map((json) => Buffer.from(json)),
        ),
        (bytes) => /^(HM_PROTOCOL|took )/.test(refused(bytes)),
      ),
    );
    expect(refused(text(['token']))).to.equal('HM_PROTOCOL');
    expect(refused(text({ kind: '__proto__' }))).to.equal('HM_PROTOCOL');
    expect(refused(new Uint8Array(maxBodyBytes * 2))).to.equal('HM_PROTOCOL');
    expect(refused(Buffer.from(`{"kind":"request","to":"${run}","number":1,"body":${'['.repeat(20_000)}${']'.repeat(20_000)}}`))).to.equal(
      'HM_PROTOCOL',
    );
  });

  it('bounds bodies in length and depth, and takes only what JSON can hold', () => {
    expect(() => {
      checkBody('x'.repeat(maxBodyBytes - 2), 'it');
    }).not.to.throw();
    expect(() => {
      checkBody('x'.repeat(maxBodyBytes - 1), 'it');
    }).to.throw(RangeError);
    expect(() => {
      checkBody(undefined as unknown as Json, 'it');
    }).to.throw(TypeError);
    expect(() => {
      checkBody(1n as unknown as Json, 'it');
    }).to.throw(TypeError);
    const nested = (levels: number): Json => (levels === 0 ? 1 : [nested(levels - 1)]);
    expect(() => {
      checkBody(nested(64), 'it');
    }).not.to.throw();
    expect(() => {
      checkBody(nested(65), 'it');
    }).to.throw(RangeError);
    for (const outcome of [{ ok: nested(64) }]) {
      const reply: Message = { kind: 'reply', to: run, number: 1, outcome };
      expect(decodeMessage(encodeMessage(reply))).to.deep.equal(reply);
    }
  });
});
