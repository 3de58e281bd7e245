import { readdirSync } from 'node:fs';
import path from 'node:path';

import { expect } from 'chai';

import { repositoryRoot } from '../support/repository.ts';
import { skipBecause } from '../support/skip.ts';
import { findNode } from './support/find-node.ts';
import { runProgram } from './support/program.ts';

/** The one at hand runs all tests anyway. */
const majors = [20, 22, 24].filter((major) => !process.versions.node.startsWith(`${String(major)}.`));
const compiled = path.join(import.meta.dirname, '..');
const mocha = path.join(repositoryRoot, 'node_modules', 'mocha', 'bin', 'mocha.js');
/** What depends on how sockets of Node behave, some of it on what Node does not document. */
const aboutSockets = /^(?:tcp.*|tls.*|taken-over-socket|net-disk-(?:server|tls|device))\.test\.js$/u;

interface Tally {
  readonly stats: { readonly passes: number; readonly failures: number };
  readonly failures: readonly { readonly fullTitle: string; readonly err: { readonly message?: string } }[];
}

describe('sockets are read and written as here', function () {
  this.timeout(180_000);

  const files = ['transport', 'net-disk'].flatMap((folder) =>
    readdirSync(path.join(compiled, folder))
      .filter((name) => aboutSockets.test(name))
      .map((name) => path.join(compiled, folder, name)),
  );

  for (const major of majors)
    it(`on Node ${String(major)}`, async function () {
      const node = await findNode(major);
      if (node === null) skipBecause(this, `Node ${String(major)} is not installed; run npm run nodes`);
      const { stdout, stderr } = await runProgram(node, [mocha, '--no-config', '--timeout', '60000', '--reporter', 'json', ...files]);
      const { stats, failures } = JSON.parse(stdout.slice(stdout.indexOf('{'))) as Tally;
      expect(failures.map(({ fullTitle, err }) => `${fullTitle}: ${String(err.message)}`)).to.deep.equal([]);
      expect([stats.failures, stats.passes > 100], stderr).to.deep.equal([0, true]);
    });
});
