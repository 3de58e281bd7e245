import { chmod, writeFile } from 'node:fs/promises';
import path from 'node:path';

import { expect } from 'chai';

import type { HotMirrorError } from '../../src/errors.ts';
import type { ExportConfig, TlsFiles } from '../../src/node/config.ts';
import { readExportTls } from '../../src/node/export-credentials.ts';
import { parsePresharedKeys } from '../../src/node/tls-files.ts';
import { Authority, hasOpenssl } from '../support/certificates.ts';
import { skipBecause } from '../support/skip.ts';
import { withFolder } from './temporary-folder.ts';

const hex = '00112233445566778899aabbccddeeff';
const exported = (files: TlsFiles): ExportConfig => ({
  ...{ uri: 'nbds://192.0.2.1/m0', address: { host: '192.0.2.1', port: 10_809 }, name: 'm0' },
  tls: { mode: 'required', files },
});

/** Code and message of what it rejects with. */
const problemOf = (files: TlsFiles): Promise<string> =>
  readExportTls(exported(files)).then(
    () => 'none',
    (error: unknown) => `${(error as HotMirrorError).code} ${(error as HotMirrorError).message}`,
  );

describe('Pre-shared keys', () => {
  it('are lines of a name and a key in hexadecimal', () => {
    const keys = parsePresharedKeys(`alice:${hex}\r\n\nbob at home:${hex.toUpperCase()}${hex}\n`) as ReadonlyMap<string, Uint8Array>;
    expect([...keys.keys()]).to.deep.equal(['alice', 'bob at home']);
    expect([...keys.values()].map((key) => Buffer.from(key).toString('hex'))).to.deep.equal([hex, hex + hex]);
  });

  const wrong: readonly (readonly [string, string])[] = [
    ['', 'it holds no key'],
    [`alice:${hex}\nbob`, 'line 2 is not NAME:KEY'],
    [`:${hex}`, 'line 1 is not NAME:KEY'],
    [`#616c696365:${hex}`, 'line 1 is not NAME:KEY'],
    [`alice:${hex}0`, 'line 1 is not NAME:KEY'],
    [`alice:${hex.slice(2)}`, 'line 1 holds a key of 15 bytes; it needs 16 to 64'],
    [`alice:${hex.repeat(4)}00`, 'line 1 holds a key of 65 bytes'],
    [`${'a'.repeat(129)}:${hex}`, 'line 1 holds a name of 129 bytes; it needs 1 to 128'],
    [`alice:${hex}\nalice:${hex}`, 'line 2 names a client for the second time'],
  ];
  for (const [text, problem] of wrong)
    it(`are refused, and not repeated, where ${problem}`, () => {
      const said = parsePresharedKeys(text);
      expect(said).to.be.a('string').that.contains(problem);
      expect(said).to.not.contain(hex.slice(2));
    });
});

describe('What an export reads for TLS', () => {
  it('is nothing where it has none', async () => {
    expect(await readExportTls({ ...exported({ pskFile: '/none' }), tls: null })).to.equal(null);
  });

  it('is keys that nobody but the owner can read', () =>
    withFolder(async (folder) => {
      const pskFile = path.join(folder, 'keys.psk');
      expect(await problemOf({ pskFile })).to.contain(`HM_TLS_KEYS ${pskFile} cannot be read`);
      await writeFile(pskFile, `alice:${hex}\n`, { mode: 0o600 });
      expect(await readExportTls(exported({ pskFile }))).to.deep.equal({
        mode: 'required',
        credentials: { psk: new Map([['alice', Buffer.from(hex, 'hex')]]) },
      });
      for (const mode of [0o640, 0o604, 0o620]) {
        await chmod(pskFile, mode);
        expect(await problemOf({ pskFile })).to.contain(`can be read by others (mode ${mode.toString(8)})`);
      }
      await writeFile(pskFile, `alice ${hex}`);
      await chmod(pskFile, 0o600);
      expect(await problemOf({ pskFile })).to.equal(
        `HM_TLS_KEYS ${pskFile} cannot be used: line 1 is not NAME:KEY with the key in hexadecimal`,
      );
    }));

  it('is a key and its certificate; only the key is secret', async function () {
    if (!(await hasOpenssl())) skipBecause(this, 'openssl is not installed');
    await withFolder(async (folder) => {
      const [authority, other] = [await Authority.create(path.join(folder, 'ca')), await Authority.create(path.join(folder, 'other'))];
      const { key, cert: certificate } = await authority.issued('serverAuth', 'server');
      await other.issued('serverAuth', 'server');
      const [keyFile, certificateFile] = [path.join(authority.folder, 'server-key.pem'), path.join(authority.folder, 'server.pem')];
      const { caFile } = authority;
      expect((await readExportTls(exported({ keyFile, certificateFile })))?.credentials).to.deep.equal({ key, certificate });
      const ca = await authority.certificate();
      expect((await readExportTls(exported({ keyFile, certificateFile, caFile })))?.credentials).to.deep.equal({ key, certificate, ca });
      const foreign = { keyFile, certificateFile: path.join(other.folder, 'server.pem') };
      expect(await problemOf(foreign)).to.contain('HM_TLS_KEYS the key and certificates for TLS cannot be used');
      await chmod(keyFile, 0o644);
      expect(await problemOf({ keyFile, certificateFile })).to.contain('chmod 600 it');
    });
  });
});
