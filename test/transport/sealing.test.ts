import { expect } from 'chai';

import { HotMirrorError } from '../../src/errors.ts';
import type { FrameKind } from '../../src/transport/framing.ts';
import { opener, sealer } from '../../src/transport/sealing.ts';

const key = Buffer.alloc(32, 1);
const seal = (seals: ReturnType<typeof sealer>, text: string, kind: FrameKind = 'frame'): Buffer =>
  Buffer.concat(seals.seal([Buffer.from(text)], kind));

function expectRefused(open: () => unknown): void {
  expect(open).to.throw(HotMirrorError).with.property('code', 'HM_BAD_CHECKSUM');
}

describe('transport/sealing', () => {
  it('opens what was sealed, in its order', () => {
    const [seals, opens] = [sealer(key), opener(key)];
    for (const text of ['one', '', 'three']) expect(Buffer.from(opens.open(seal(seals, text), 'frame')).toString()).to.equal(text);
  });

  it('hides the bytes, and seals the same ones differently each time', () => {
    const seals = sealer(key);
    const [one, two] = [seal(seals, 'the very same secret'), seal(seals, 'the very same secret')];
    expect(one.includes('secret')).to.equal(false);
    expect(one.equals(two)).to.equal(false);
  });

  it('refuses any changed bit, a cut payload, another key, a repeated or skipped one, and a frame passed off as a goodbye', () => {
    const sealed = seal(sealer(key), 'payload');
    for (let bit = 0; bit < sealed.length * 8; bit += 1) {
      const changed = Buffer.from(sealed);
      changed[bit >> 3] = (changed[bit >> 3] ?? 0) ^ (1 << (bit & 7));
      expectRefused(() => opener(key).open(changed, 'frame'));
    }
    for (let length = 0; length < sealed.length; length += 1) expectRefused(() => opener(key).open(sealed.subarray(0, length), 'frame'));
    expectRefused(() => opener(Buffer.alloc(32, 2)).open(sealed, 'frame'));
    expectRefused(() => opener(key).open(sealed, 'goodbye'));
    const opens = opener(key);
    opens.open(sealed, 'frame');
    expectRefused(() => opens.open(sealed, 'frame'));
    const seals = sealer(key);
    seal(seals, 'lost');
    expectRefused(() => opener(key).open(seal(seals, 'next'), 'frame'));
  });
});
