import { transportConformance } from '../../src/testing/transport-conformance.ts';
import { tcpFixture } from './tcp-fixture.ts';

const runner = { describe, it };

describe('transport/tcp', function () {
  this.timeout(10_000); // real sockets on a machine that may be busy
  transportConformance(runner, { name: 'tcp, plain frames on loopback', create: () => tcpFixture({}) });
  transportConformance(runner, { name: 'tcp, encrypted frames', create: () => tcpFixture({ encryption: 'always' }) });
  transportConformance(runner, { name: 'tcp, without a key on loopback', create: () => tcpFixture({ key: null }) });
});
