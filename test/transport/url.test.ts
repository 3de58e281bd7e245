import { expect } from 'chai';

import { HotMirrorError } from '../../src/errors.ts';
import { isLoopback } from '../../src/loopback.ts';
import { agreeVersion, preamble } from '../../src/transport/preamble.ts';
import { formatTcpUrl, parseTcpUrl } from '../../src/transport/url.ts';

function expectCode(what: () => unknown, code: string, words: RegExp): void {
  expect(what).to.throw(HotMirrorError, words).with.property('code', code);
}

describe('transport/url', () => {
  it('reads and writes names, IPv4 and IPv6 addresses', () => {
    for (const [url, host, port] of [
      ['tcp://127.0.0.1:7701', '127.0.0.1', 7701],
      ['tcp://node-1.example:65535', 'node-1.example', 65_535],
      ['tcp://[::1]:0', '::1', 0],
      ['tcp://[fe80::1]:7701', 'fe80::1', 7701],
    ] as const) {
      expect(parseTcpUrl(url)).to.deep.equal({ host, port });
      expect(formatTcpUrl({ host, port })).to.equal(url);
    }
    expect(parseTcpUrl('tcp://host:1/')).to.deep.equal({ host: 'host', port: 1 });
  });

  it('names what is wrong with any other (HM_ADDRESS)', () => {
    for (const [url, words] of [
      ['', /not a URL/],
      ['127.0.0.1:7701', /not a URL/],
      ['http://host:1', /scheme is http/],
      ['tcp://host', /port is missing/],
      ['tcp://host:', /port is missing/],
      ['tcp://:1', /host is missing/],
      ['tcp://host:65536', /65536 is no port/],
      ['tcp://host:1x', /1x is no port/],
      ['tcp://[::g]:1', /no IPv6 address/],
      ['tcp://::1:1', /host is missing/],
      ['tcp://user@host:1', /port is missing/],
      ['tcp://host:1/path', /does not belong/],
      ['tcp://host:1?x', /does not belong/],
      ['tcp://ho st:1', /no host/],
    ] as const) {
      expectCode(() => parseTcpUrl(url), 'HM_ADDRESS', words);
    }
  });
});

describe('transport/loopback', () => {
  it('knows the addresses that reach this machine only', () => {
    for (const address of ['127.0.0.1', '127.255.0.9', '::1', '::ffff:127.0.0.1', 'localhost'])
      expect(isLoopback(address), address).to.equal(true);
    for (const address of ['0.0.0.0', '::', '192.0.2.1', '::ffff:192.0.2.1', '10.0.0.1', 'example.org', ''])
      expect(isLoopback(address), address).to.equal(false);
  });
});

describe('transport/preamble', () => {
  it('agrees on a version, and waits for all bytes', () => {
    for (let length = 0; length < preamble.length; length += 1) expect(agreeVersion(preamble.subarray(0, length))).to.equal(null);
    expect(agreeVersion(preamble)).to.equal(1);
    expect(agreeVersion(Buffer.from('hotmirror\n\x01\x09', 'latin1'))).to.equal(1);
  });

  it('turns away another protocol at its first wrong byte, and versions without one in common', () => {
    expectCode(() => agreeVersion(Buffer.from('G')), 'HM_BAD_MAGIC', /./);
    expectCode(() => agreeVersion(Buffer.from('hotmirrorX')), 'HM_BAD_MAGIC', /./);
    expectCode(() => agreeVersion(Buffer.from('hotmirror\n\x02\x09', 'latin1')), 'HM_VERSION', /1 to 1.*2 to 9/);
    expectCode(() => agreeVersion(Buffer.from('hotmirror\n\x00\x00', 'latin1')), 'HM_VERSION', /0 to 0/);
  });
});
