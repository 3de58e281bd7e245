import { expect } from 'chai';
import fc from 'fast-check';

import { HotMirrorError } from '../../src/errors.ts';
import { SeededRandom } from '../../src/testing/seeded-random.ts';
import { Handshake, refusal } from '../../src/transport/authentication.ts';
import type { HandshakeIdentity } from '../../src/transport/authentication.ts';
import { preamble } from '../../src/transport/preamble.ts';

const key = Buffer.alloc(32, 5);
const alpha: HandshakeIdentity = { pair: 'example', node: 'alpha', peer: 'beta', purpose: 'data:m0', key, encrypt: true };
const beta: HandshakeIdentity = { ...alpha, node: 'beta', peer: 'alpha' };
const preambles = [preamble, preamble] as const;

const dialler = (change: Partial<HandshakeIdentity> = {}, seed = 1): Handshake =>
  new Handshake('dialler', { ...alpha, ...change }, new SeededRandom(seed), preambles);
const listener = (change: Partial<HandshakeIdentity> = {}, seed = 2): Handshake =>
  new Handshake('listener', { ...beta, ...change }, new SeededRandom(seed), preambles);

/** Runs both to the end; gives every message. */
function run(one: Handshake, other: Handshake): Uint8Array[] {
  const messages: Uint8Array[] = [];
  let [from, to] = [one, other];
  for (let message: Uint8Array | null = one.hello(); message; [from, to] = [to, from]) {
    messages.push(message);
    message = to.hear(message);
  }
  expect(from).to.not.equal(to);
  return messages;
}

function codeOf(what: () => unknown): string {
  try {
    what();
  } catch (error) {
    if (error instanceof HotMirrorError) return error.code;
    throw error;
  }
  return 'none';
}

const parsed = (message: Uint8Array): Record<string, unknown> => JSON.parse(Buffer.from(message).toString()) as Record<string, unknown>;
const changed = (message: Uint8Array, change: Record<string, unknown>): Uint8Array =>
  Buffer.from(JSON.stringify({ ...parsed(message), ...change }));

describe('transport/authentication', () => {
  it('gives both ends the same id, the proven names, and keys that fit together', () => {
    const [a, b] = [dialler(), listener()];
    run(a, b);
    expect(a.outcome?.connectionId).to.match(/^[0-9a-f]{16}$/);
    expect(b.outcome?.connectionId).to.equal(a.outcome?.connectionId);
    expect([a.outcome?.peer, b.outcome?.peer]).to.deep.equal(['beta', 'alpha']);
    expect(a.outcome?.keys?.send).to.deep.equal(b.outcome?.keys?.receive);
    expect(a.outcome?.keys?.receive).to.deep.equal(b.outcome?.keys?.send);
    expect(a.outcome?.keys?.send).to.not.deep.equal(a.outcome?.keys?.receive);
  });

  it('is the same for the same chance, and fresh for another', () => {
    const ids = [1, 1, 3].map((seed) => {
      const a = dialler({}, seed);
      run(a, listener());
      return [a.outcome?.connectionId, Buffer.from(a.outcome?.keys?.send ?? []).toString('hex')].join();
    });
    expect(ids[0]).to.equal(ids[1]);
    expect(ids[0]).to.not.equal(ids[2]);
  });

  it('encrypts when either end wants it', () => {
    for (const [mine, theirs] of [
      [false, false],
      [false, true],
      [true, false],
    ] as const) {
      const [a, b] = [dialler({ encrypt: mine }), listener({ encrypt: theirs })];
      run(a, b);
      expect([a.outcome?.keys !== null, b.outcome?.keys !== null]).to.deep.equal([mine || theirs, mine || theirs]);
    }
  });

  it('proves nobody without a key, and never mixes a node with a key and one without', () => {
    const [a, b] = [dialler({ key: null, encrypt: false }), listener({ key: null, encrypt: false })];
    run(a, b);
    expect([a.outcome?.peer, b.outcome?.peer]).to.deep.equal([null, null]);
    expect(codeOf(() => run(dialler({ key: null }), listener()))).to.equal('HM_WRONG_KEY');
    expect(codeOf(() => run(dialler(), listener({ key: null })))).to.equal('HM_WRONG_KEY');
  });

  it('refuses another key before it proves anything itself', () => {
    const b = listener();
    expect(codeOf(() => run(dialler({ key: Buffer.alloc(32, 6) }), b))).to.equal('HM_WRONG_KEY');
    expect(b.outcome).to.equal(null);
  });

  it('refuses another pair, node, peer or purpose', () => {
    for (const change of [{ pair: 'other' }, { node: 'gamma' }, { peer: 'alpha' }, { peer: 'gamma' }, { purpose: 'data:m1' }]) {
      expect(
        codeOf(() => run(dialler(change), listener())),
        JSON.stringify(change),
      ).to.equal('HM_WRONG_PEER');
    }
  });

  it('tells the other end the code of a refusal', () => {
    for (const code of ['HM_WRONG_KEY', 'HM_WRONG_PEER', 'HM_VERSION', 'HM_PROTOCOL'] as const) {
      const message = refusal(new HotMirrorError(code, 'why, in words that stay here'));
      expect(Buffer.from(message ?? []).includes('words')).to.equal(false);
      const a = dialler();
      a.hello();
      expect(codeOf(() => a.hear(message ?? new Uint8Array(0)))).to.equal(code);
    }
    expect(refusal(new HotMirrorError('HM_INTERNAL', 'nobody else’s business'))).to.equal(null);
  });

  it('gives nothing for a replayed handshake, nor for a reflected proof', () => {
    const messages = run(dialler(), listener());
    const again = listener({}, 9);
    again.hear(messages[0] ?? new Uint8Array(0));
    expect(codeOf(() => again.hear(messages[2] ?? new Uint8Array(0)))).to.equal('HM_WRONG_KEY');
    const a = dialler();
    a.hello();
    const proof = a.hear(messages[1] ?? new Uint8Array(0));
    expect(codeOf(() => a.hear(proof ?? new Uint8Array(0)))).to.equal('HM_WRONG_KEY');
  });

  it('notices any change on the way of hello or challenge, a downgrade of the encryption among them', () => {
    for (const change of [{ encrypt: false }, { nonce: '00'.repeat(32) }, { publicKey: '09'.repeat(32) }, { extra: 1 }]) {
      const [a, b] = [dialler(), listener()];
      const challenge = b.hear(changed(a.hello(), change));
      const proof = a.hear(challenge ?? new Uint8Array(0));
      expect(codeOf(() => b.hear(proof ?? new Uint8Array(0)))).to.equal('HM_WRONG_KEY');
      const [c, d] = [dialler({ encrypt: false }), listener()];
      const late = c.hear(changed(d.hear(c.hello()) ?? new Uint8Array(0), change));
      expect(codeOf(() => d.hear(late ?? new Uint8Array(0)))).to.equal('HM_WRONG_KEY');
    }
    const a = dialler();
    const challenge = listener().hear(a.hello());
    expect(codeOf(() => a.hear(changed(challenge ?? new Uint8Array(0), { encrypt: false })))).to.equal('HM_PROTOCOL');
  });

  it('covers both preambles, so that a changed version is noticed', () => {
    const other = Uint8Array.from(preamble);
    other[other.length - 1] = 9;
    const a = new Handshake('dialler', alpha, new SeededRandom(1), [preamble, other]);
    expect(codeOf(() => run(a, listener()))).to.equal('HM_WRONG_KEY');
  });

  it('answers what comes out of turn, or is no message, with HM_PROTOCOL', () => {
    const messages = run(dialler(), listener());
    for (const message of messages.slice(1)) expect(codeOf(() => listener().hear(message))).to.equal('HM_PROTOCOL');
    for (const message of [messages[0], messages[2]])
      expect(codeOf(() => dialler().hear(message ?? new Uint8Array(0)))).to.equal('HM_PROTOCOL');
    fc.assert(
      fc.property(
        fc.oneof(
          fc.uint8Array(),
          fc.json().map((text) => Buffer.from(text)),
        ),
        (noise) => {
          expect(codeOf(() => listener().hear(noise))).to.equal('HM_PROTOCOL');
        },
      ),
      { numRuns: 200, seed: 1 },
    );
  });

  it('refuses a public key that gives away the shared secret', () => {
    const [a, b] = [dialler(), listener()];
    // The dialler keeps the very bytes that it gave out, so both ends believe the same change.
    const hello = a.hello();
    hello.set(Buffer.from('00'.repeat(32)), Buffer.from(hello).indexOf(String(parsed(hello)['publicKey'])));
    const proof = a.hear(b.hear(hello) ?? new Uint8Array(0));
    expect(codeOf(() => b.hear(proof ?? new Uint8Array(0)))).to.equal('HM_PROTOCOL');
  });

  it('takes no key of another length', () => {
    expect(() => dialler({ key: new Uint8Array(31) })).to.throw(RangeError);
  });
});
