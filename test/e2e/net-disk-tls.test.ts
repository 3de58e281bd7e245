import { copyFile, mkdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';

import { expect } from 'chai';

import { systemRandom } from '../../src/clock/system-random.ts';
import { freePorts } from '../../src/node/demo/free-ports.ts';
import { Authority } from '../support/certificates.ts';
import { skipBecause } from '../support/skip.ts';
import { CommandPair, elementBytes, patienceMs } from './support/command-pair.ts';
import { untilExported } from './support/exported-pair.ts';
import { installed, must, runProgram } from './support/program.ts';

const packages = { nbdinfo: 'libnbd-bin', nbdcopy: 'libnbd-bin', 'qemu-img': 'qemu-utils', openssl: 'openssl' } as const;

/** What clients of one export say, by libnbd's URIs and by qemu's options. */
interface Clients {
  readonly known: string;
  readonly strangers: readonly string[];
  readonly plain: string;
  readonly qemu: readonly [object: string, image: string];
}

const keyLine = (name: string): string => `${name}:${Buffer.from(systemRandom.bytes(32)).toString('hex')}\n`;

/** A server's certificate in `folder/tls`, and what clients need in folders of their own, under the names that libnbd and qemu know. */
async function makeCertificates(folder: string): Promise<void> {
  const [ours, theirs] = [await Authority.create(path.join(folder, 'tls')), await Authority.create(path.join(folder, 'theirs'))];
  await ours.issue('serverAuth', path.join(folder, 'tls', 'key.pem'), path.join(folder, 'tls', 'certificate.pem'));
  for (const [name, issuer, trusted] of [
    ['known', ours, ours],
    ['stranger', theirs, ours],
    ['wary', ours, theirs],
  ] as const) {
    const client = path.join(folder, name);
    await mkdir(client);
    await issuer.issue('clientAuth', path.join(client, 'client-key.pem'), path.join(client, 'client-cert.pem'));
    await copyFile(trusted.caFile, path.join(client, 'ca-cert.pem'));
  }
}

/** Keys of a server, of which a client in `stranger` holds another. */
async function makeKeys(folder: string): Promise<void> {
  const keys = keyLine('alice');
  for (const [name, text] of [
    ['tls', keyLine('bob') + keys],
    ['known', keys],
    ['stranger', keyLine('alice')],
  ] as const) {
    await mkdir(path.join(folder, name), { recursive: true });
    await writeFile(path.join(folder, name, 'keys.psk'), text, { mode: 0o600 });
  }
}

function certificateClients(folder: string, port: number): Clients {
  const uri = (name: string): string => `nbds://localhost:${String(port)}/m0?tls-certificates=${path.join(folder, name)}`;
  return {
    ...{ known: uri('known'), strangers: [uri('stranger'), uri('wary')], plain: `nbd://localhost:${String(port)}/m0` },
    qemu: [
      `tls-creds-x509,id=t,endpoint=client,dir=${path.join(folder, 'known')}`,
      `driver=nbd,host=localhost,port=${String(port)},export=m0,tls-creds=t`,
    ],
  };
}

function keyClients(folder: string, socket: string): Clients {
  const uri = (name: string): string => `nbds+unix://alice@/m0?socket=${socket}&tls-psk-file=${path.join(folder, name, 'keys.psk')}`;
  return {
    ...{ known: uri('known'), strangers: [uri('stranger')], plain: `nbd+unix:///m0?socket=${socket}` },
    qemu: [
      `tls-creds-psk,id=t,endpoint=client,dir=${path.join(folder, 'known')},username=alice`,
      `driver=nbd,path=${socket},export=m0,tls-creds=t`,
    ],
  };
}

/** The programs that users have, as clients that are known, and as others. */
async function useBy(folder: string, { known, strangers, plain, qemu }: Clients, mode: 'required' | 'optional'): Promise<void> {
  const [there, back] = [path.join(folder, 'there.raw'), path.join(folder, 'back.raw')];
  await writeFile(there, systemRandom.bytes(elementBytes));
  expect(await must('nbdinfo', known)).to.contain('protocol: newstyle-fixed with TLS');
  await must('nbdcopy', '--connections=4', '--flush', there, known);
  await must('nbdcopy', '--connections=4', known, back);
  expect((await readFile(back)).equals(await readFile(there))).to.equal(true);
  const [object, image] = qemu;
  await must('qemu-img', 'convert', '--object', object, '--image-opts', image, '-O', 'raw', back);
  expect((await readFile(back)).equals(await readFile(there))).to.equal(true);
  for (const stranger of strangers) expect((await runProgram('nbdinfo', [stranger])).exitCode, stranger).to.not.equal(0);
  const inTheClear = await runProgram('nbdinfo', ['--size', plain]);
  expect(inTheClear.exitCode === 0).to.equal(mode === 'optional');
  if (mode === 'required') expect(inTheClear.stderr).to.contain('requires TLS');
  expect(await must('nbdinfo', '--size', known)).to.contain(String(elementBytes));
}

describe('A mirror as a net disk over TLS, by the programs that its users have (NBD)', function () {
  this.timeout(4 * patienceMs);
  let pair: CommandPair | null = null;

  before(function () {
    const missing = Object.entries(packages).filter(([program]) => !installed(program));
    if (missing.length > 0) skipBecause(this, `not installed: ${[...new Set(missing.map(([, name]) => name))].join(', ')}`);
  });

  afterEach(async () => {
    await pair?.end();
    pair = null;
  });

  for (const [certificates, keys] of [
    ['required', 'optional'],
    ['optional', 'required'],
  ] as const)
    it(`lets known clients in, with certificates (${certificates}) on one node and with pre-shared keys (${keys}) on the other`, async () => {
      const [port = 0] = await freePorts(1, systemRandom);
      const secret = keys === 'required' ? 'nbds+unix' : 'nbd+unix';
      pair = await CommandPair.initialised({
        change: (file) => {
          const tls = { keyFile: 'tls/key.pem', certificateFile: 'tls/certificate.pem', caFile: 'tls/ca.pem' };
          const scheme = certificates === 'required' ? 'nbds' : 'nbd';
          Object.assign(file.mirrors[0]!, {
            export: {
              alpha: { uri: `${scheme}://localhost:${String(port)}/m0`, tls },
              beta: { uri: `${secret}:///m0?socket=beta/m0.nbd`, tls: { pskFile: 'tls/keys.psk' } },
            },
          });
        },
      });
      await makeCertificates(pair.folder);
      await Promise.all([pair.run('alpha'), pair.run('beta')]);
      await pair.health('alpha');
      await pair.event(
        'beta',
        'that it has no keys',
        ({ event, text }) => event === 'export:failed' && text.includes('keys.psk cannot be read'),
      );
      await makeKeys(pair.folder);
      await useBy(pair.folder, certificateClients(pair.folder, port), certificates);
      await pair.must('alpha', 'switchover');
      await untilExported(pair, 'beta');
      await useBy(pair.folder, keyClients(pair.folder, path.join(pair.folder, 'beta', 'm0.nbd')), keys);
      expect(pair.process('alpha').stderr + pair.process('beta').stderr).to.not.contain('PRIVATE KEY');
    });
});
