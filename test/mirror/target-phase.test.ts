import { expect } from 'chai';

import { copyOf } from '../../src/bytes.ts';
import { HotMirrorError } from '../../src/errors.ts';
import { TargetPhase } from '../../src/mirror/target-phase.ts';
import type { LineageWord } from '../../src/mirror/target-phase.ts';
import { decodeMessages, encodeMessageHeader, frameHeaderBytes } from '../../src/mirror/wire.ts';
import type { MessageName } from '../../src/mirror/wire.ts';
import { asked } from './support/endings.ts';
import { FaultyPair } from './support/faulty-pair.ts';
import { tamperFrames } from './support/frame-tap.ts';
import { other, pattern } from './support/mirror-pair.ts';

const block = 4_096;
const extent = 65_536;
const words = ['adopt', 'ahead', 'detach'] as const satisfies readonly LineageWord[];

/** Every sequence of so many words. */
function sequences(length: number): readonly (readonly LineageWord[])[] {
  if (length === 0) return [[]];
  return sequences(length - 1).flatMap((sequence) => words.map((word) => [...sequence, word]));
}

/** How many of the words are taken, one after the other, before one is refused with `HM_PROTOCOL`. */
function taken(through: boolean, sequence: readonly LineageWord[]): number {
  const phase = new TargetPhase(through);
  for (const [at, word] of sequence.entries()) {
    try {
      phase.take(word);
    } catch (error) {
      expect((error as HotMirrorError).code).to.equal('HM_PROTOCOL');
      return at;
    }
  }
  return sequence.length;
}

describe('What a source may ask of the lineage of its target, in which order (lineage.adopt, write.congested, write.error)', () => {
  it('adopt first, then ahead or detach, and nothing after that, whatever came before', () => {
    for (const sequence of sequences(4)) {
      const [first, second] = sequence;
      const expected = first !== 'adopt' ? 0 : second === 'adopt' ? 1 : 2;
      expect(taken(false, sequence), sequence.join()).to.equal(expected);
    }
  });

  it('nothing where the source serves through it from the beginning of the connection', () => {
    for (const sequence of sequences(2)) expect(taken(true, sequence), sequence.join()).to.equal(0);
  });

  it('a word that was refused changes nothing', () => {
    const phase = new TargetPhase(false);
    for (const word of ['ahead', 'detach'] as const) expect(() => phase.take(word)).to.throw(HotMirrorError, `${word} after begun`);
    phase.take('adopt');
    expect(() => phase.take('adopt')).to.throw(HotMirrorError, 'adopt after adopt');
    phase.take('ahead');
    for (const word of words) expect(() => phase.take(word)).to.throw(HotMirrorError, `${word} after ahead`);
  });
});

describe('A target that hears a word of the lineage out of turn, from a source that has proven itself (write.error, write.congested)', () => {
  const said = (name: MessageName, body: Uint8Array = new Uint8Array(0)): Buffer =>
    Buffer.concat([encodeMessageHeader(name, 0, 0, body.byteLength), body]);
  const generation = (id: string): Buffer => Buffer.from(JSON.stringify({ generation: id }));
  const ahead = (): Buffer => said('ahead');
  const detach = (id = 'aaaaaaaaaaaaaaaa'): Buffer => said('detach', generation(id));

  interface Injected {
    readonly pair: FaultyPair;
    /** The next frame to beta with such a message has these as well, before or after all that is in it. */
    readonly arm: (name: MessageName, messages: (frame: Uint8Array) => readonly Buffer[], where: 'before' | 'after') => void;
  }

  function injecting(): Injected {
    let change: ((frame: Uint8Array) => Uint8Array | null) | null = null;
    const pair = new FaultyPair({
      wrapTransport: (transport, node) =>
        node === 'alpha'
          ? transport
          : tamperFrames(transport, (frame, deliver) => {
              const changed = change?.(frame) ?? null;
              if (changed) change = null;
              deliver(changed ?? frame);
            }),
    });
    return {
      pair,
      arm: (name, messages, where) => {
        change = (frame) => {
          if (!decodeMessages(frame).some((message) => message.name === name)) return null;
          const more = messages(frame);
          if (where === 'after') return Buffer.concat([frame, ...more]);
          return Buffer.concat([frame.subarray(0, frameHeaderBytes), ...more, frame.subarray(frameHeaderBytes)]);
        };
      },
    };
  }

  /** Who closed the link by a refusal, and with which code: the other node tells of it. */
  const refusals = (pair: FaultyPair): readonly string[] =>
    pair.told.flatMap(({ node, name, event }) => {
      if (name !== 'link:refused') return [];
      const { code } = event.evidence as { readonly code: string };
      return [`${other(node)} ${code}`];
    });

  it('refuses ahead before adopt, and becomes a target as if nothing had been said', async () => {
    const { pair, arm } = injecting();
    arm('adopt', () => [ahead()], 'before');
    await pair.start();
    expect(refusals(pair)).to.deep.equal(['beta HM_PROTOCOL']);
    expect(pair.stored('beta')).to.deep.include({ state: 'consistent', dirty: 0, current: pair.stored('alpha').current });
    expect(pair.identical).to.equal(true);
  });

  /** What the source says when the target is to be the same as it. */
  const adoptIn = (frame: Uint8Array): Buffer =>
    said('adopt', copyOf(decodeMessages(frame).find(({ name }) => name === 'adopt')?.body ?? new Uint8Array(0)));

  it('refuses adopt after adopt, and holds what it adopted', async () => {
    const { pair, arm } = injecting();
    arm('adopt', (frame) => [adoptIn(frame)], 'after');
    await pair.start();
    expect(refusals(pair)).to.deep.equal(['beta HM_PROTOCOL']);
    expect(pair.stored('beta')).to.deep.include({ state: 'consistent', dirty: 0, current: pair.stored('alpha').current });
    expect(pair.identical).to.equal(true);
  });

  it('refuses adopt where it holds everything alone, and still does', async () => {
    const { pair, arm } = injecting();
    const adopts: Buffer[] = [];
    arm(
      'adopt',
      (frame) => {
        adopts.push(adoptIn(frame));
        return [];
      },
      'after',
    );
    await pair.start();
    pair.worn['alpha:disk'].failWrites = 'HM_IO_WRITE';
    await pair.write('alpha', 0, pattern(block, 2));
    await pair.breakLink();
    pair.link.heal();
    await pair.write('alpha', 0, pattern(block, 3));
    const before = pair.stored('beta');
    arm('write', () => adopts, 'after');
    const write = asked((done) => pair.mirror('alpha').write(0, pattern(block, 4), {}, done));
    await pair.until(() => refusals(pair).length > 0, 'the refusal', 1_000);
    expect([refusals(pair), adopts.length, pair.stored('beta')]).to.deep.equal([['beta HM_PROTOCOL'], 1, before]);
    await pair.until(() => write.code === 'done', 'the write', 5_000);
  });

  for (const [what, messages, holds] of [
    ['ahead after ahead', () => [ahead(), ahead()], 'behind'],
    ['detach after ahead', () => [ahead(), detach()], 'behind'],
    ['detach after detach', () => [detach(), detach('bbbbbbbbbbbbbbbb')], 'everything'],
    ['ahead after detach', () => [detach(), ahead()], 'everything'],
  ] as const)
    it(`refuses ${what}, and holds what the first of them made of it`, async () => {
      const { pair, arm } = injecting();
      await pair.start();
      await pair.write('alpha', 0, pattern(block, 1));
      await pair.clock.runFor(50);
      const { current } = pair.stored('beta');
      arm('write', messages, 'after');
      asked((done) => pair.mirror('alpha').write(0, pattern(block, 2), {}, done));
      await pair.until(() => refusals(pair).length > 0, 'the refusal', 1_000);
      expect(refusals(pair)).to.deep.equal(['beta HM_PROTOCOL']);
      const held = {
        behind: { state: 'outdated', current, dirty: 0 },
        everything: { state: 'consistent', current: 'aaaaaaaaaaaaaaaa', dirty: pair.disks.beta.sizeBytes / extent },
      };
      expect(pair.stored('beta')).to.deep.equal(held[holds]);
    });
});
