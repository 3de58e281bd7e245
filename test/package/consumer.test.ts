import { mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';

import { expect } from 'chai';

import { repositoryRoot } from '../support/repository.ts';
import { skipBecause } from '../support/skip.ts';
import { run, runFailing } from './run.ts';
import type { Failure } from './run.ts';

/** The classes that a consumer imports by name, and events of each that must be typed. */
const eventsOfClass: Readonly<Record<string, readonly string[]>> = {
  MirrorLink: ['state:changed', 'lineage:decided', 'resync:finished'],
  HeartbeatMonitor: ['link:changed', 'peer:changed'],
  FailoverOrchestrator: ['takeover:decided', 'mode:changed', 'step:failed'],
};

const settings = {
  target: 'ES2023',
  lib: ['ES2023'],
  types: ['node'],
  strict: true,
  exactOptionalPropertyTypes: true,
  noEmit: true,
  skipLibCheck: false,
};

const resolutions: Readonly<Record<string, object>> = {
  nodenext: { ...settings, module: 'nodenext' },
  bundler: { ...settings, module: 'esnext', moduleResolution: 'bundler' },
};

/** From the cache where it can be, and without minutes of retries where neither cache nor registry has it. */
const installOptions = [
  '--prefer-offline',
  '--no-audit',
  '--no-fund',
  '--fetch-retries=1',
  '--fetch-retry-maxtimeout=2000',
  '--fetch-retry-mintimeout=500',
];

function listenerSource(name: string, event: string): string {
  return `
    subject.events.on('${event}', (event) => {
      const text: string = event.text;
      // @ts-expect-error -- the payload is typed: its text is no number
      const wrong: number = event.text;
      return [text, wrong];
    });
    // @ts-expect-error -- ${name} has no such event
    subject.events.on('${event}:misspelt', () => undefined);`;
}

function classSource(name: string): string {
  return `
  export function use${name}(subject: ${name}, options: ConstructorParameters<typeof ${name}>[0]): ${name} {
    const untyped: IsAny<${name}> | IsAny<typeof options> = false;
    ${(eventsOfClass[name] ?? []).map((event) => listenerSource(name, event)).join('')}
    // @ts-expect-error -- the options are required
    new ${name}();
    return untyped ? subject : new ${name}(options);
  }`;
}

/** A program that uses each class and loads each entry point, with mistakes that the types must refuse. */
function programSource(entryPoints: readonly string[]): string {
  const names = Object.keys(eventsOfClass);
  return [
    `import { ${names.join(', ')} } from 'hotmirror';`,
    '// @ts-expect-error -- nothing of this name is exported',
    "import { NoSuchExport } from 'hotmirror';",
    '// @ts-expect-error -- what is not an entry point stays inside',
    "import 'hotmirror/lib/errors.js';",
    ...entryPoints.map((entryPoint, index) => `import * as entryPoint${index} from '${entryPoint}';`),
    'type IsAny<T> = 0 extends 1 & T ? true : false;',
    `export const entryPoints: object[] = [NoSuchExport, ${entryPoints.map((_, index) => `entryPoint${index}`).join(', ')}];`,
    ...names.map(classSource),
  ].join('\n');
}

async function readEntryPoints(): Promise<string[]> {
  const manifest = JSON.parse(await readFile(path.join(repositoryRoot, 'package.json'), 'utf8')) as { exports: Record<string, unknown> };
  const subpaths = Object.keys(manifest.exports).filter((subpath) => typeof manifest.exports[subpath] === 'object');
  return subpaths.map((subpath) => `hotmirror${subpath.slice(1)}`);
}

function isOffline(failure: Failure): boolean {
  return /\b(EAI_AGAIN|ENOTFOUND|ECONNREFUSED|ENETUNREACH|ETIMEDOUT|ENOTCACHED)\b/.test(failure.stderr);
}

/** An empty project that has installed the package as published, and finds the compiler and the types of Node. */
async function createConsumer(folder: string, entryPoints: readonly string[]): Promise<void> {
  await run(repositoryRoot, 'npm', 'pack', '--silent', '--ignore-scripts', '--pack-destination', folder);
  await writeFile(path.join(folder, 'package.json'), JSON.stringify({ name: 'consumer', private: true, type: 'module' }));
  const { version } = JSON.parse(await readFile(path.join(repositoryRoot, 'package.json'), 'utf8')) as { version: string };
  await run(folder, 'npm', 'install', ...installOptions, `./hotmirror-${version}.tgz`);
  await symlink(path.join(repositoryRoot, 'node_modules/@types'), path.join(folder, 'node_modules/@types'));
  await writeFile(path.join(folder, 'program.ts'), programSource(entryPoints));
  for (const [name, compilerOptions] of Object.entries(resolutions)) {
    await writeFile(path.join(folder, `tsconfig.${name}.json`), JSON.stringify({ compilerOptions, include: ['program.ts'] }));
  }
}

describe('package: a consumer', function () {
  this.timeout(120_000);
  let folder: string;
  let entryPoints: string[];

  before(async function () {
    folder = await mkdtemp(path.join(tmpdir(), 'hotmirror-consumer-'));
    entryPoints = await readEntryPoints();
    try {
      await createConsumer(folder, entryPoints);
    } catch (error) {
      if (isOffline(error as Failure)) skipBecause(this, 'the package registry cannot be reached, and its cache lacks a dependency');
      throw error;
    }
  });

  after(() => rm(folder, { recursive: true, force: true }));

  for (const resolution of Object.keys(resolutions)) {
    it(`compiles against the types with module resolution ${resolution}`, async () => {
      const compiler = path.join(repositoryRoot, 'node_modules/typescript/bin/tsc');
      const errors = await run(folder, process.execPath, compiler, '-p', `tsconfig.${resolution}.json`).catch(
        (failure: unknown) => (failure as Failure).stdout,
      );
      expect(errors).to.equal('');
    });
  }

  it('imports every entry point', async () => {
    for (const entryPoint of entryPoints) {
      await run(folder, process.execPath, '-e', `import('${entryPoint}')`);
    }
  });

  it('finds the classes in the package', async () => {
    const listing = await run(folder, process.execPath, '-e', "import('hotmirror').then((it) => console.log(Object.keys(it).join()))");
    expect(listing.trim().split(',')).to.include.members(Object.keys(eventsOfClass));
  });

  it('finds the command, which refuses what it does not know', async () => {
    const failure = await runFailing(folder, path.join(folder, 'node_modules/.bin/hotmirror'), 'no-such-command');
    expect(failure.code).to.equal(2);
  });

  it('gets the JSON Schema of the configuration', async () => {
    const file = await run(folder, process.execPath, '-p', "require.resolve('hotmirror/pair.schema.json')");
    expect(JSON.parse(await readFile(file.trim(), 'utf8'))).to.include.keys('$schema', 'type');
  });
});
