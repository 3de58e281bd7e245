import { inflateSync } from 'node:zlib';

/** A picture, three or four bytes a pixel. */
export interface Picture {
  readonly width: number;
  readonly height: number;
  readonly bytesPerPixel: number;
  readonly pixels: Uint8Array;
}

const signatureBytes = 8;
const chunkHeadBytes = 8;
const checksumBytes = 4;
const bytesPerPixelOf: Readonly<Record<number, number>> = { 2: 3, 6: 4 };

/** Reads a PNG of eight bits a channel with colours, not interlaced, as browsers make them. */
export function readPng(file: Buffer): Picture {
  const parts: Buffer[] = [];
  let header: Buffer = file;
  for (let at = signatureBytes; at < file.length;) {
    const length = file.readUInt32BE(at);
    const type = file.toString('latin1', at + 4, at + chunkHeadBytes);
    const body = file.subarray(at + chunkHeadBytes, at + chunkHeadBytes + length);
    if (type === 'IHDR') header = body;
    if (type === 'IDAT') parts.push(body);
    at += chunkHeadBytes + length + checksumBytes;
  }
  const width = header.readUInt32BE(0);
  const height = header.readUInt32BE(4);
  const bytesPerPixel = bytesPerPixelOf[header[9] ?? 0];
  if (header[8] !== 8 || bytesPerPixel === undefined || header[12] !== 0) throw new RangeError('a PNG of another kind');
  return {
    width,
    height,
    bytesPerPixel,
    pixels: unfilter(inflateSync(Buffer.concat(parts)), width * bytesPerPixel, height, bytesPerPixel),
  };
}

/** How many different colours a picture has. */
export function coloursOf({ pixels, bytesPerPixel }: Picture): number {
  const colours = new Set<number>();
  for (let at = 0; at < pixels.length; at += bytesPerPixel) colours.add((pixels[at]! << 16) | (pixels[at + 1]! << 8) | pixels[at + 2]!);
  return colours.size;
}

/** The mean brightness, from 0 to 255. */
export function brightnessOf({ pixels, bytesPerPixel }: Picture): number {
  let sum = 0;
  for (let at = 0; at < pixels.length; at += bytesPerPixel) sum += (pixels[at]! + pixels[at + 1]! + pixels[at + 2]!) / 3;
  return sum / (pixels.length / bytesPerPixel);
}

/** Each row begins with the number of its filter; each byte is a difference from what the filter foretells. */
function unfilter(data: Buffer, rowBytes: number, height: number, bytesPerPixel: number): Uint8Array {
  const pixels = new Uint8Array(rowBytes * height);
  for (let row = 0; row < height; row += 1) {
    const filter = data[row * (rowBytes + 1)];
    for (let x = 0; x < rowBytes; x += 1) {
      const at = row * rowBytes + x;
      const left = x < bytesPerPixel ? 0 : pixels[at - bytesPerPixel]!;
      const up = row === 0 ? 0 : pixels[at - rowBytes]!;
      const upLeft = x < bytesPerPixel || row === 0 ? 0 : pixels[at - rowBytes - bytesPerPixel]!;
      const foretold = [0, left, up, (left + up) >> 1, paeth(left, up, upLeft)][filter ?? 0] ?? 0;
      pixels[at] = data[row * (rowBytes + 1) + 1 + x]! + foretold;
    }
  }
  return pixels;
}

function paeth(left: number, up: number, upLeft: number): number {
  const estimate = left + up - upLeft;
  const [byLeft, byUp, byUpLeft] = [left, up, upLeft].map((value) => Math.abs(estimate - value)) as [number, number, number];
  if (byLeft <= byUp && byLeft <= byUpLeft) return left;
  return byUp <= byUpLeft ? up : upLeft;
}
