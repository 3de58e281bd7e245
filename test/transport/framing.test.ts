import { expect } from 'chai';
import fc from 'fast-check';

import { HotMirrorError } from '../../src/errors.ts';
import { FrameDecoder, FrameEncoder, frameHeaderBytes } from '../../src/transport/framing.ts';
import { opener, sealer } from '../../src/transport/sealing.ts';

const maxFrameBytes = 200;
const runs = { numRuns: 500, seed: 20_26 };
const key = Buffer.alloc(32, 3);

/** Everything that the decoder gives for the stream in these pieces, and the code that it ended with. */
function decode(
  pieces: readonly Uint8Array[],
  decoder = new FrameDecoder(maxFrameBytes),
): { frames: string[]; code: string | null; ended: boolean } {
  const frames: string[] = [];
  try {
    for (const piece of pieces) {
      const lent = Uint8Array.from(piece);
      decoder.feed(lent);
      for (let frame = decoder.next(); frame; frame = decoder.next()) frames.push(Buffer.from(frame).toString('hex'));
      decoder.keep();
      lent.fill(0xee);
    }
    return { frames, code: null, ended: decoder.ended };
  } catch (error) {
    if (!(error instanceof HotMirrorError)) throw error;
    return { frames, code: error.code, ended: decoder.ended };
  }
}

function encode(frames: readonly Uint8Array[], encoder = new FrameEncoder(maxFrameBytes)): Buffer {
  return Buffer.concat(frames.flatMap((frame) => encoder.frame([frame])));
}

function cut(stream: Uint8Array, at: readonly number[]): Uint8Array[] {
  const places = [0, ...at.map((place) => place % (stream.length + 1)).sort((one, other) => one - other), stream.length];
  return places.slice(1).map((place, index) => stream.subarray(places[index], place));
}

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');
const someFrames = fc.array(fc.uint8Array({ maxLength: maxFrameBytes }), { maxLength: 12 });
const someCuts = fc.array(fc.nat(), { maxLength: 40 });

describe('transport/framing', () => {
  it('gives the same frames whatever the pieces of the stream', () => {
    fc.assert(
      fc.property(someFrames, someCuts, fc.boolean(), (frames, cuts, sealed) => {
        const encoder = new FrameEncoder(maxFrameBytes, sealed ? sealer(key) : null);
        const decoder = new FrameDecoder(maxFrameBytes, sealed ? opener(key) : null);
        const stream = Buffer.concat([encode(frames, encoder), ...encoder.goodbye()]);
        expect(decode(cut(stream, cuts), decoder)).to.deep.equal({ frames: frames.map(hex), code: null, ended: true });
      }),
      runs,
    );
  });

  it('gives a typed error for any changed byte, and never a frame that was not sent', () => {
    fc.assert(
      fc.property(someFrames, someCuts, fc.nat(), fc.integer({ min: 1, max: 255 }), (frames, cuts, place, change) => {
        fc.pre(frames.length > 0);
        const stream = encode(frames);
        const at = place % stream.length;
        stream[at] = (stream[at] ?? 0) ^ change;
        const result = decode(cut(stream, cuts));
        expect(frames.map(hex).slice(0, result.frames.length)).to.deep.equal(result.frames);
        expect(result.frames.length).to.be.below(frames.length);
        // A length that grew within the limit makes the decoder wait for bytes that never come: the connection's end tells that.
        if (result.code !== null) expect(result.code).to.be.oneOf(['HM_BAD_CHECKSUM', 'HM_FRAME_TOO_LONG', 'HM_OUT_OF_SEQUENCE']);
      }),
      runs,
    );
  });

  it('gives a typed error for noise, without a frame', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: frameHeaderBytes, maxLength: 2_000 }), someCuts, (noise, cuts) => {
        expect(decode(cut(noise, cuts)).frames).to.deep.equal([]);
      }),
      runs,
    );
  });

  it('refuses frames that were lost, repeated or swapped, plain and sealed', () => {
    for (const sealed of [false, true]) {
      const encoder = new FrameEncoder(maxFrameBytes, sealed ? sealer(key) : null);
      const [one, two, three] = ['one', 'two', 'three'].map((text) => Buffer.concat(encoder.frame([Buffer.from(text)])));
      for (const order of [[two], [one, three], [one, one], [one, three, two]]) {
        const result = decode(order as Buffer[], new FrameDecoder(maxFrameBytes, sealed ? opener(key) : null));
        expect(result.code).to.equal('HM_OUT_OF_SEQUENCE');
        expect(result.frames.length).to.be.at.most(1);
      }
    }
  });

  it('judges the announced length before it makes room for it', () => {
    const header = Buffer.alloc(frameHeaderBytes);
    for (const length of [maxFrameBytes + 1, 0x7fff_ffff, 0x8000_0001, 0xffff_ffff]) {
      header.writeUInt32LE(length, 0);
      const before = process.memoryUsage().arrayBuffers;
      expect(decode([header]).code).to.equal('HM_FRAME_TOO_LONG');
      expect(process.memoryUsage().arrayBuffers - before).to.be.below(1_000_000);
    }
  });

  it('takes nothing after the goodbye', () => {
    const encoder = new FrameEncoder(maxFrameBytes);
    const stream = Buffer.concat([...encoder.goodbye(), ...encoder.frame([Buffer.from('late')])]);
    expect(decode([stream])).to.deep.equal({ frames: [], code: null, ended: true });
  });

  it('gives out a frame within one piece in place, without a copy', () => {
    const decoder = new FrameDecoder(maxFrameBytes);
    const stream = encode([Buffer.from('here')]);
    decoder.feed(stream);
    expect(decoder.next()?.buffer).to.equal(stream.buffer);
  });

  it('refuses to make a frame above the limit', () => {
    expect(() => new FrameEncoder(10).frame([new Uint8Array(6), new Uint8Array(5)])).to.throw(RangeError);
  });
});
