import { expect } from 'chai';

import { SeededRandom } from '../../src/testing/seeded-random.ts';
import { decodePacket, encodePacket, maxPacketBytes, maxPayloadBytes } from '../../src/transport/serial-packet.ts';
import type { Packet } from '../../src/transport/serial-packet.ts';
import { formatSerialUrl, parseSerialUrl } from '../../src/transport/serial-url.ts';
import { nearest, ReceiveWindow, SendWindow, windowPackets } from '../../src/transport/serial-windows.ts';
import { SlipDecoder } from '../../src/transport/slip.ts';

const whole: Packet = {
  kind: 'data',
  connection: 0xc0db_dcdd,
  fromOpener: true,
  sequence: 7,
  acknowledged: 0xc0,
  credit: 32,
  beyond: 0xdb,
  payload: Uint8Array.from({ length: maxPayloadBytes }, (_, index) => index),
};

function decoded(...chunks: readonly Uint8Array[]): { packets: Packet[]; noiseBytes: number } {
  const found = { packets: [] as Packet[], noiseBytes: 0 };
  const decoder = new SlipDecoder(maxPacketBytes, {
    packet: (bytes) => {
      const packet = decodePacket(bytes);
      if (packet) found.packets.push(packet);
      else found.noiseBytes += bytes.length;
    },
    dropped: (bytes) => void (found.noiseBytes += bytes),
  });
  for (const chunk of chunks) decoder.take(chunk);
  return found;
}

describe('packets of a serial line', () => {
  it('are read as they were written, whole or byte by byte', () => {
    const bytes = encodePacket(whole);
    expect(decoded(bytes).packets).to.deep.equal([whole]);
    expect(decoded(...[...bytes].map((byte) => Uint8Array.of(byte))).packets).to.deep.equal([whole]);
    for (const kind of ['open', 'finish', 'acknowledge', 'ask', 'reset', 'gone'] as const)
      expect(decoded(encodePacket({ ...whole, kind, beyond: 0 })).packets).to.deep.equal([{ ...whole, kind, beyond: 0 }]);
  });

  it('cost 16 bytes more than what they carry, beside what is escaped', () => {
    expect(encodePacket({ ...whole, connection: 1, acknowledged: 1, beyond: 0, payload: new Uint8Array(1) })).to.have.lengthOf(17);
  });

  it('are found again after any noise, which is counted and costs at most the packet that it touches', () => {
    const random = new SeededRandom(1);
    for (let round = 0; round < 300; round += 1) {
      const noise = random.bytes(Math.floor(random.fraction() * 700));
      const { packets, noiseBytes } = decoded(noise, encodePacket(whole), encodePacket(whole));
      expect(packets.length).to.be.within(1, 2);
      for (const packet of packets) expect(packet).to.deep.equal(whole);
      if (noise.length > 10) expect(noiseBytes).to.be.above(0);
    }
  });

  it('are not made of random bytes, nor of packets in which anything was changed', () => {
    const random = new SeededRandom(2);
    for (let round = 0; round < 2_000; round += 1) expect(decoded(random.bytes(500)).packets).to.deep.equal([]);
    const good = encodePacket(whole);
    for (let at = 1; at < good.length - 1; at += 1)
      for (let bit = 0; bit < 8; bit += 1) {
        const bad = Buffer.from(good);
        bad.writeUInt8(bad.readUInt8(at) ^ (1 << bit), at);
        expect(decoded(bad).packets).to.deep.equal([]);
      }
  });

  it('that never end are dropped in the memory of one', () => {
    const { packets, noiseBytes } = decoded(...Array.from({ length: 100 }, () => new Uint8Array(10_000).fill(7)), encodePacket(whole));
    expect(packets).to.deep.equal([whole]);
    expect(noiseBytes).to.equal(1_000_000);
  });

  it('are counted modulo 2^16', () => {
    for (const known of [0, 5, 40_000, 65_535, 65_536, 1_000_000])
      for (const off of [-31, 0, 31]) if (known + off >= 0) expect(nearest((known + off) & 0xffff, known)).to.equal(known + off);
  });

  it('beyond the room that the other end was told are not taken, however many come', () => {
    const window = new ReceiveWindow();
    for (let sequence = 0; sequence < 1_000; sequence += 1) window.take({ ...whole, sequence });
    expect(window.next).to.equal(windowPackets);
    let count = 0;
    while (window.shift()) count += 1;
    expect(count).to.equal(windowPackets);
  });

  it('that were sent before one that arrived are lost; what confirms them out of range changes nothing', () => {
    const window = new SendWindow();
    for (let index = 0; index < 4; index += 1) window.add('data', Uint8Array.of(index), index);
    expect(window.hear({ ...whole, acknowledged: 9, beyond: 0 }, 10)).to.equal(undefined);
    expect(window.hear({ ...whole, acknowledged: 0, beyond: 0b10 }, 10)).to.equal(8);
    expect([window.resend(11)?.sequence, window.resend(11)?.sequence, window.resend(11)]).to.deep.equal([0, 1, null]);
    expect(window.hear({ ...whole, acknowledged: 4, beyond: 0 }, 12)).to.equal(null);
    expect(window.isEmpty).to.equal(true);
  });
});

describe('URLs of serial lines', () => {
  it('say device, rate and flow control', () => {
    for (const [url, address] of [
      ['serial:/dev/ttyS0?baudRate=115200', { path: '/dev/ttyS0', baudRate: 115_200, rtscts: false }],
      ['serial:COM3?baudRate=9600&rtscts=true', { path: 'COM3', baudRate: 9_600, rtscts: true }],
      ['serial:/dev/a%3Fb?baudRate=1200', { path: '/dev/a?b', baudRate: 1_200, rtscts: false }],
    ] as const) {
      expect(parseSerialUrl(url)).to.deep.equal(address);
      expect(formatSerialUrl(address)).to.equal(url);
    }
  });

  for (const [url, problem] of [
    ['tcp:/dev/ttyS0', 'the scheme is tcp'],
    ['/dev/ttyS0', 'not a URL'],
    ['serial:?baudRate=9600', 'the device is missing'],
    ['serial://dev/ttyS0?baudRate=9600', 'the device is missing'],
    ['serial:/dev/ttyS0', 'baudRate is missing'],
    ['serial:/dev/ttyS0?baudRate=fast', 'baudRate must be a number'],
    ['serial:/dev/ttyS0?baudRate=300', 'baudRate must be a number'],
    ['serial:/dev/ttyS0?baudRate=9600&baudRate=1200', 'baudRate is said twice'],
    ['serial:/dev/ttyS0?baudRate=9600&rtscts=yes', 'rtscts must be'],
    ['serial:/dev/ttyS0?baudRate=9600&parity=even', 'parity is no option'],
    ['serial:/dev/%ZZ?baudRate=9600', 'cannot be read'],
    ['serial:/dev/ttyS0?baudRate=9600#x', '#x does not belong there'],
  ] as const)
    it(`${url}: ${problem}`, () => {
      expect(() => parseSerialUrl(url))
        .to.throw(problem)
        .with.property('code', 'HM_ADDRESS');
    });
});
