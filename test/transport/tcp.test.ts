import { transportConformance } from '../../src/testing/transport-conformance.ts';
import { tcpFixture } from './tcp-fixture.ts';

describe('transport/tcp', () => {
  describe('keeps the contract in plain frames on loopback', () => {
    transportConformance({ describe, it }, () => tcpFixture({}));
  });
  describe('keeps the contract in encrypted frames', () => {
    transportConformance({ describe, it }, () => tcpFixture({ encryption: 'always' }));
  });
  describe('keeps the contract without a key on loopback', () => {
    transportConformance({ describe, it }, () => tcpFixture({ key: null }));
  });
});
