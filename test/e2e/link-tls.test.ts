import { copyFile, mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';

import { expect } from 'chai';

import { Authority, hasOpenssl } from '../support/certificates.ts';
import { skipBecause } from '../support/skip.ts';
import { CommandPair, patienceMs } from './support/command-pair.ts';
import type { NodeName, PairFile } from './support/command-pair.ts';

const nodes: readonly NodeName[] = ['alpha', 'beta'];

/** What is told of links, of the peer and of keys. */
const ofLinks = /^(?:link|peer|frame|tls):/u;
/** A busy machine lets a link be late, which drops nothing. */
const late = /^Monitor link \w+ is (?:late \(was up\)|up \(was late\))/u;
/** No pause of one is to look like a silent link. */
const patientMs = 4_000;

/** Every link of the pair over TLS, with the node's files in the folder `tls`. */
function overTls(file: PairFile): void {
  Object.assign(file.monitor, { deadlineMs: patientMs, initialGraceMs: 2 * patientMs });
  for (const link of [...file.mirrors.map(({ dataLink }) => dataLink), ...file.monitor.links])
    for (const node of nodes) {
      const tls = { keyFile: `tls/${node}-key.pem`, certificateFile: `tls/${node}.pem`, caFile: 'tls/ca.pem' };
      link[node] = { listen: link[node], tls };
    }
}

/** Fresh certificates of a fresh authority for both nodes, in place of what is there. */
async function issue(folder: string, name: string): Promise<void> {
  const authority = await Authority.create(path.join(folder, name));
  const tls = path.join(folder, 'tls');
  await mkdir(tls, { recursive: true });
  await copyFile(authority.caFile, path.join(tls, 'ca.pem'));
  for (const node of nodes) {
    const { keyFile, certificateFile } = await authority.nodeFiles(node);
    await copyFile(keyFile, path.join(tls, `${node}-key.pem`));
    await copyFile(certificateFile, path.join(tls, `${node}.pem`));
  }
}

describe('Links over TLS', function () {
  this.timeout(4 * patienceMs);
  let pair: CommandPair;

  afterEach(() => pair.end());

  it('go on while certificates and their authority are exchanged; the next connections use the new ones', async function () {
    if (!(await hasOpenssl())) skipBecause(this, 'openssl is not installed');
    pair = await CommandPair.create({ change: overTls });
    await issue(pair.folder, 'first');
    for (const node of nodes) await pair.must(node, 'init');
    await Promise.all(nodes.map((node) => pair.run(node)));
    await pair.health('alpha');
    const before = await Promise.all(nodes.map(async (node) => (await pair.events(node)).length));

    await issue(pair.folder, 'second');
    for (const node of nodes) pair.process(node).signal('SIGHUP');
    for (const node of nodes) await pair.event(node, 'new keys', ({ event }) => event === 'tls:renewed');
    await writeFile(path.join(pair.folder, 'tls', 'alpha.pem'), 'nonsense');
    pair.process('alpha').signal('SIGHUP');
    const failed = await pair.event('alpha', 'keys that cannot be used', ({ event }) => event === 'tls:failed');
    expect(failed).to.include({ class: 1 });
    await copyFile(path.join(pair.folder, 'second', 'alpha.pem'), path.join(pair.folder, 'tls', 'alpha.pem'));
    pair.process('alpha').signal('SIGHUP');
    await pair.event('alpha', 'keys that can be used again', ({ event }) => event === 'tls:ready');
    const since = await Promise.all(
      nodes.map(async (node, index) =>
        (await pair.events(node)).slice(before[index]).filter(({ event, text }) => ofLinks.test(event) && !late.test(text)),
      ),
    );
    const told = since.map((events) => events.map(({ event }) => event));
    const whatElse = since.flat().map(({ node, event, text }) => `${node} ${event} ${text}`);
    expect(told, whatElse.join('\n')).to.deep.equal([['tls:renewed', 'tls:failed', 'tls:ready'], ['tls:renewed']]);
    await pair.health('alpha');

    expect(await pair.stop('beta')).to.equal(0);
    await pair.run('beta');
    await pair.health('alpha');
    await pair.stopAll();
    expect(await pair.identical()).to.equal(true);
  });
});
