import { chmod, writeFile } from 'node:fs/promises';
import path from 'node:path';

import { expect } from 'chai';

import type { HotMirrorError } from '../../src/errors.ts';
import type { PairConfig } from '../../src/node/config.ts';
import { confirmMs, LinkKeyWatch, lookMs, readLinkKeys } from '../../src/node/link-key-files.ts';
import { LinkKeyring, linkKeyFiles } from '../../src/node/link-keyring.ts';
import type { KeyRenewal } from '../../src/node/link-keyring.ts';
import { VirtualClock } from '../../src/testing/virtual-clock.ts';
import { Authority, hasOpenssl } from '../support/certificates.ts';
import { skipBecause } from '../support/skip.ts';
import { withFolder } from './temporary-folder.ts';

const hex = '00112233445566778899aabbccddeeff';
const otherHex = hex.replaceAll('0', 'a');
const listen = 'tcp://127.0.0.1:1';

/** As far as keys are concerned: alpha and beta, with one data link and two monitor links. */
function pairWith(files: object): PairConfig {
  const address = { listen, advertise: listen, tls: files };
  const addresses = { alpha: address, beta: address };
  return {
    nodes: { alpha: {}, beta: {} },
    mirrors: [{ dataLink: addresses }],
    monitor: { links: [{ addresses }, { addresses: { alpha: { listen, advertise: listen }, beta: { listen, advertise: listen } } }] },
  } as unknown as PairConfig;
}

/** Watches alpha's keys; what it told and renewed. */
async function watching(config: PairConfig, clock: VirtualClock) {
  const told: string[] = [];
  const renewals: KeyRenewal[] = [];
  const watch = new LinkKeyWatch({
    ...{ config, node: 'alpha', clock, credentials: await readLinkKeys(config, 'alpha') },
    renew: (renewal) => void renewals.push(renewal),
    tell: (name, news) => void told.push(`${name} ${String(news.class)} ${news.text}`),
  });
  await watch.look();
  return { watch, told, renewals };
}

const codeOf = (promise: Promise<unknown>): Promise<string> =>
  promise.then(
    () => 'none',
    (error: unknown) => `${(error as HotMirrorError).code} ${(error as HotMirrorError).message}`,
  );

describe('The keys of links', () => {
  it('are the same for links with the same files, and none where there is no TLS', () =>
    withFolder(async (folder) => {
      const pskFile = path.join(folder, 'keys.psk');
      const config = pairWith({ pskFile });
      await writeFile(pskFile, `alpha:${hex}\nbeta:${hex}\n`, { mode: 0o600 });
      expect([...linkKeyFiles(config, 'alpha').values()]).to.deep.equal([{ pskFile }]);
      const keyring = new LinkKeyring({ config, node: 'alpha', credentials: await readLinkKeys(config, 'alpha') });
      expect(keyring.of({ pskFile })).to.equal(keyring.of({ pskFile }));
      expect(keyring.of({ pskFile })?.peer).to.equal('beta');
      expect(keyring.of(undefined)).to.equal(undefined);
    }));

  it('are never left out where a link is to speak TLS', () => {
    const pskFile = '/nowhere/keys.psk';
    const keyring = new LinkKeyring({ config: pairWith({ pskFile }), node: 'alpha', credentials: new Map() });
    expect(() => keyring.of({ pskFile }))
      .to.throw()
      .with.property('code', 'HM_TLS_KEYS');
  });

  it('are refused at the start where they cannot be used, with what is to be done', () =>
    withFolder(async (folder) => {
      const pskFile = path.join(folder, 'keys.psk');
      const config = pairWith({ pskFile });
      expect(await codeOf(readLinkKeys(config, 'alpha'))).to.contain(`HM_TLS_KEYS ${pskFile} cannot be read`);
      await writeFile(pskFile, `alpha:${hex}\n`, { mode: 0o600 });
      expect(await codeOf(readLinkKeys(config, 'alpha'))).to.equal(`HM_TLS_KEYS ${pskFile}: there is no pre-shared key for beta`);
      await chmod(pskFile, 0o644);
      expect(await codeOf(readLinkKeys(config, 'alpha'))).to.contain('chmod 600 it');
    }));

  it('are looked at every half a minute; what is new is used and told once', () =>
    withFolder(async (folder) => {
      const pskFile = path.join(folder, 'keys.psk');
      await writeFile(pskFile, `alpha:${hex}\nbeta:${hex}\n`, { mode: 0o600 });
      const clock = new VirtualClock();
      const { watch, told, renewals } = await watching(pairWith({ pskFile }), clock);
      expect(told).to.deep.equal([]);
      await writeFile(pskFile, `alpha:${otherHex}\nbeta:${hex}\n`);
      await clock.runFor(lookMs);
      await watch.look();
      await watch.look();
      expect(told).to.deep.equal([`tls:renewed 0 new connections of links use what ${pskFile} hold by now`]);
      expect(renewals).to.have.length(1);
      expect(renewals[0]?.name).to.equal(pskFile);
      await watch.close();
      expect(clock.pendingTimers).to.equal(0);
    }));

  it('stay in use while those in the files cannot be; that is told when it lasts, and when it is over', () =>
    withFolder(async (folder) => {
      const pskFile = path.join(folder, 'keys.psk');
      const good = `alpha:${hex}\nbeta:${hex}\n`;
      await writeFile(pskFile, good, { mode: 0o600 });
      const clock = new VirtualClock();
      const { watch, told, renewals } = await watching(pairWith({ pskFile }), clock);
      await writeFile(pskFile, 'nonsense');
      await watch.look();
      expect(told, 'half-written files are nothing to tell').to.deep.equal([]);
      await clock.runFor(confirmMs);
      await watch.look();
      await watch.look();
      expect(told).to.have.length(1);
      expect(told[0]).to.match(/^tls:failed 1 .*keys\.psk cannot be used: line 1 is not NAME:KEY/);
      await writeFile(pskFile, good);
      await watch.look();
      expect(told.slice(1)).to.deep.equal([`tls:ready 0 ${pskFile} can be used`]);
      expect(renewals).to.deep.equal([]);
      await watch.close();
    }));

  it('are told of when a certificate expires', async function () {
    if (!(await hasOpenssl())) skipBecause(this, 'openssl is not installed');
    await withFolder(async (folder) => {
      const authority = await Authority.create(path.join(folder, 'ca'));
      const { keyFile, certificateFile } = await authority.nodeFiles('alpha');
      const clock = new VirtualClock();
      const config = pairWith({ keyFile, certificateFile, caFile: authority.caFile });
      let wallMs = Date.now() + 1_000;
      Object.defineProperty(clock, 'wallMs', { value: () => wallMs });
      const { watch, told } = await watching(config, clock);
      const daysMs = 86_400_000;
      wallMs += 31 * daysMs;
      await watch.look();
      await watch.look();
      wallMs -= 40 * daysMs;
      await watch.look();
      await watch.look();
      expect(told).to.have.length(2);
      expect(told[0]).to.match(/^tls:failed 1 .*certificate of CN=alpha has expired at /);
      expect(told[1]).to.match(/^tls:failed 1 .*certificate of CN=alpha is not valid before /);
      await watch.close();
    });
  });
});
