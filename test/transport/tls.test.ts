import { transportConformance } from '../../src/testing/transport-conformance.ts';
import { hasOpenssl } from '../support/certificates.ts';
import { skipBecause } from '../support/skip.ts';
import { tcpFixture } from './tcp-fixture.ts';
import type { CredentialsOf } from './tls-fixture.ts';
import { keysOf, pskOf, temporaryAuthority } from './tls-fixture.ts';

const runner = { describe, it };

describe('transport/tcp over TLS', function () {
  this.timeout(10_000); // real sockets on a machine that may be busy
  let certificates: CredentialsOf;
  let remove: () => Promise<void> = () => Promise.resolve();
  const fixture = ({ alpha, beta }: CredentialsOf, key?: null) =>
    tcpFixture({ tls: keysOf('beta', beta), ...(key === undefined ? {} : { key }) }, { tls: keysOf('alpha', alpha) });

  describe('with certificates', () => {
    before(async function () {
      if (!(await hasOpenssl())) skipBecause(this, 'openssl is not installed');
      const made = await temporaryAuthority('ca');
      ({ remove } = made);
      certificates = { alpha: await made.authority.nodeCertificates('alpha'), beta: await made.authority.nodeCertificates('beta') };
    });
    after(() => remove());

    transportConformance(runner, { name: 'tcp over TLS, certificates', create: () => fixture(certificates) });
  });

  transportConformance(runner, { name: 'tcp over TLS, pre-shared keys', create: () => fixture(pskOf) });
  transportConformance(runner, { name: 'tcp over TLS, without a key on loopback', create: () => fixture(pskOf, null) });
});
