import { createReadStream, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { brotliCompressSync, brotliDecompressSync, constants, crc32, deflateRawSync, inflateRawSync } from 'node:zlib';

import { SeededRandom } from '../src/testing/seeded-random.ts';
import type { Benchmark } from './benchmark.ts';

/** What compression of the data link would cost and give, and what its checksum costs. `docs/performance.md` draws the conclusion. */
const sampleBytes = 8 * 2 ** 20;
const mebibyte = 2 ** 20;
/** One extent of a resync, and a common write. */
const pieces = [65_536, 4_096];

interface Codec {
  readonly name: string;
  readonly pack: (bytes: Uint8Array) => Uint8Array;
  readonly unpack: (bytes: Uint8Array) => Uint8Array;
}

const brotliQuality = (quality: number): Codec => ({
  name: `brotli ${String(quality)}`,
  pack: (bytes) => brotliCompressSync(bytes, { params: { [constants.BROTLI_PARAM_QUALITY]: quality } }),
  unpack: (bytes) => brotliDecompressSync(bytes),
});

const codecs: readonly Codec[] = [
  { name: 'deflate 1', pack: (bytes) => deflateRawSync(bytes, { level: 1 }), unpack: (bytes) => inflateRawSync(bytes) },
  brotliQuality(0),
  brotliQuality(1),
];

const random = new SeededRandom(1);
const repeated = (bytes: Uint8Array): Uint8Array => {
  const sample = Buffer.alloc(sampleBytes);
  for (let at = 0; at < sampleBytes; at += bytes.length) sample.set(bytes.subarray(0, sampleBytes - at), at);
  return sample;
};

const samples: Readonly<Record<string, () => Promise<Uint8Array>>> = {
  text: async () => {
    const folder = path.resolve('src/mirror');
    return repeated(Buffer.concat(readdirSync(folder).map((file) => readFileSync(path.join(folder, file)))));
  },
  programs: async () => {
    const chunks: Buffer[] = [];
    for await (const chunk of createReadStream(process.execPath, { start: 32 * mebibyte, end: 32 * mebibyte + sampleBytes - 1 })) {
      chunks.push(chunk as Buffer);
    }
    return repeated(Buffer.concat(chunks));
  },
  random: async () => random.bytes(sampleBytes),
};

function* cut(sample: Uint8Array, pieceBytes: number): Generator<Uint8Array> {
  for (let at = 0; at < sample.length; at += pieceBytes) yield sample.subarray(at, at + pieceBytes);
}

function packed(sample: Uint8Array, pieceBytes: number, { pack }: Codec): readonly Uint8Array[] {
  return [...cut(sample, pieceBytes)].map((piece) => pack(piece));
}

async function benchmarksOf(data: string, make: () => Promise<Uint8Array>): Promise<readonly Benchmark[]> {
  const sample = await make();
  return codecs.flatMap((codec) =>
    pieces.flatMap((pieceBytes) => {
      const after = packed(sample, pieceBytes, codec).reduce((sum, piece) => sum + piece.length, 0);
      const percent = Math.round((100 * after) / sample.length);
      const what = `${codec.name} of ${data} by ${String(pieceBytes / 1024)} KiB (to ${String(percent)} %)`;
      return [
        {
          name: `compress: ${what}`,
          unit: 'MiB',
          prepare: async () => async () => {
            for (const piece of cut(sample, pieceBytes)) codec.pack(piece);
            return sample.length / mebibyte;
          },
        },
        {
          name: `expand: ${what}`,
          unit: 'MiB',
          prepare: async () => {
            const compressed = packed(sample, pieceBytes, codec);
            return async () => {
              for (const piece of compressed) codec.unpack(piece);
              return sample.length / mebibyte;
            };
          },
        },
      ];
    }),
  );
}

export const benchmarks: readonly Benchmark[] = [
  {
    name: 'checksum: crc32 of frames of 64 KiB',
    unit: 'MiB',
    async prepare() {
      const sample = await samples['random']!();
      return async () => {
        for (const piece of cut(sample, pieces[0]!)) crc32(piece);
        return sample.length / mebibyte;
      };
    },
  },
  ...(await Promise.all(Object.entries(samples).map(([data, make]) => benchmarksOf(data, make)))).flat(),
];
