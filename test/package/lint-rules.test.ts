import { expect } from 'chai';
import { ESLint } from 'eslint';
import tseslint from 'typescript-eslint';

import { repositoryRoot } from '../support/repository.ts';

/** Lints files that need not exist, with the rules that need no types. */
const untyped = new ESLint({
  cwd: repositoryRoot,
  overrideConfig: [{ files: ['**/*.ts'], ...tseslint.configs.disableTypeChecked }],
});

/**
 * Lints with types, for which the file has to be one of the project's. Where `CI` is set, the parser would take the run for one
 * that only reads files as they are on disk, and not see the text given here.
 */
const typed = new ESLint({
  cwd: repositoryRoot,
  overrideConfig: [{ files: ['**/*.ts'], languageOptions: { parserOptions: { disallowAutomaticSingleRunInference: true } } }],
});
const typedFile = 'test/support/repository.ts';

/** The ids of the rules that a file with this text breaks, of those asked about. */
async function broken(eslint: ESLint, filePath: string, code: string, about: string): Promise<string[]> {
  const [result] = await eslint.lintText(code, { filePath });
  const fatal = result?.messages.find((message) => message.fatal);
  expect(fatal?.message, filePath).to.equal(undefined);
  return (result?.messages ?? []).map(({ ruleId }) => ruleId ?? '').filter((rule) => rule === about);
}

const direction = 'hotmirror/import-direction';
const ambient = 'hotmirror/no-ambient';

const ambientCode = [
  'setTimeout(() => {}, 1);',
  'setInterval(() => {}, 1);',
  'setImmediate(() => {});',
  'globalThis.setTimeout(() => {}, 1);',
  "global['setInterval'](() => {}, 1);",
  'const { setImmediate: soon } = globalThis; soon(() => {});',
  'export const later = setTimeout;',
  'export const at = performance.now();',
  'export const at = globalThis.performance.now();',
  'export const at = Date.now();',
  'export const at = globalThis.Date.now();',
  'export const at = Date();',
  'export const at = new Date();',
  'export const { now } = Date;',
  "export const at = Date['now']();",
  'export const chance = Math.random();',
  'export const { random } = Math;',
  'export const at = process.hrtime();',
  'export const at = process.hrtime.bigint();',
  'export const at = process.uptime();',
  "import { hrtime } from 'node:process'; hrtime();",
  'export const signal = AbortSignal.timeout(5);',
  'export const id = crypto.randomUUID();',
  'export const bytes = crypto.getRandomValues(new Uint8Array(4));',
  'export const bytes = globalThis.crypto.getRandomValues(new Uint8Array(4));',
  "import { randomBytes } from 'node:crypto'; randomBytes(4);",
  "import { randomInt as pick } from 'node:crypto'; pick(4);",
  "import { webcrypto } from 'node:crypto'; webcrypto.getRandomValues(new Uint8Array(4));",
  "import crypto from 'node:crypto'; crypto.randomUUID();",
  "import * as crypto from 'node:crypto'; crypto.randomFillSync(new Uint8Array(4));",
  "export { randomBytes } from 'node:crypto';",
  "import { setTimeout } from 'node:timers'; setTimeout(() => {}, 1);",
  "import { setTimeout } from 'node:timers/promises'; void setTimeout(1);",
  "import { setTimeout } from 'timers/promises'; void setTimeout(1);",
  "void import('node:timers');",
  "import { performance } from 'node:perf_hooks'; performance.now();",
  "import * as hooks from 'node:perf_hooks'; hooks.performance.now();",
  "import { createHistogram, monitorEventLoopDelay } from 'node:perf_hooks'; createHistogram(); monitorEventLoopDelay();",
];

const injectedCode = [
  'export const at = new Date(5).toISOString();',
  "export const at = Date.parse('2020-01-01');",
  'export function isDate(value: unknown): boolean { return value instanceof Date; }',
  'export function day(date: Date): number { return date.getDay(); }',
  'export type Handle = ReturnType<typeof setTimeout>;',
  'export const most = Math.max(1, 2);',
  'queueMicrotask(() => {});',
  'export function stop(handle: NodeJS.Timeout): void { clearTimeout(handle); }',
  'export const signal = AbortSignal.abort();',
  "import { createHmac } from 'node:crypto'; createHmac('sha256', '');",
  "import * as crypto from 'node:crypto'; crypto.createHash('sha256');",
  "import { createHistogram } from 'node:perf_hooks'; createHistogram().record(5);",
  'export const pid = process.pid;',
  'export const isText = (value: unknown): boolean => value === globalThis.name;',
  'export function later(setTimeout: () => void): void { setTimeout(); }',
];

interface Import {
  readonly from: string;
  readonly code: string;
}

const wrongWay: readonly Import[] = [
  { from: 'src/mirror/wire.ts', code: "import '../heartbeat/verdict.ts';" },
  { from: 'src/mirror/wire.ts', code: "import type { Plan } from '../failover/plan.ts';" },
  { from: 'src/heartbeat/verdict.ts', code: "import '../mirror/wire.ts';" },
  { from: 'src/failover/plan.ts', code: "import '../mirror/mirror-link.ts';" },
  { from: 'src/failover/plan.ts', code: "export * from '../heartbeat/verdict.ts';" },
  { from: 'src/mirror/wire.ts', code: "import '../transport/tcp.ts';" },
  { from: 'src/mirror/wire.ts', code: "import '../device/file.ts';" },
  { from: 'src/failover/plan.ts', code: "import '../platform/command.ts';" },
  { from: 'src/failover/plan.ts', code: "import '../arbiter/memory.ts';" },
  { from: 'src/mirror/wire.ts', code: "import '../clock/system-clock.ts';" },
  { from: 'src/mirror/wire.ts', code: "import '../node/config.ts';" },
  { from: 'src/mirror/wire.ts', code: "import '../testing/virtual-clock.ts';" },
  { from: 'src/mirror/wire.ts', code: "import '../index.ts';" },
  { from: 'src/mirror/wire.ts', code: "void import('../transport/tcp.ts');" },
  { from: 'src/mirror/wire.ts', code: "export type T = import('../transport/tcp.ts').T;" },
  { from: 'src/mirror/wire.ts', code: "import 'node:net';" },
  { from: 'src/mirror/wire.ts', code: "import 'node:fs';" },
  { from: 'src/mirror/wire.ts', code: "import 'node:fs/promises';" },
  { from: 'src/heartbeat/verdict.ts', code: "import 'node:worker_threads';" },
  { from: 'src/failover/plan.ts', code: "import { spawn } from 'node:child_process'; spawn('true');" },
  { from: 'src/testing/network.ts', code: "import 'node:fs';" },
  { from: 'src/transport/url.ts', code: "import 'node:net';" },
  { from: 'src/transport/url.ts', code: "import { isIP, connect } from 'node:net'; connect(isIP(''));" },
  { from: 'src/transport/url.ts', code: "import * as net from 'node:net'; net.isIP('');" },
  { from: 'src/log.ts', code: "import 'node:fs';" },
  { from: 'src/mirror/wire.ts', code: "import 'fs';" },
  { from: 'src/mirror/wire.ts', code: "import 'chai';" },
  { from: 'src/testing/network.ts', code: "import 'mocha';" },
  { from: 'src/mirror/wire.ts', code: "import 'hotmirror';" },
  { from: 'src/mirror/wire.ts', code: "import '../../test/support/skip.ts';" },
  { from: 'src/transport/tcp.ts', code: "import '../device/block-device.ts';" },
  { from: 'src/device/file.ts', code: "import '../clock/system-clock.ts';" },
  { from: 'src/device/file.ts', code: "import '../mirror/wire.ts';" },
  { from: 'src/errors.ts', code: "import '../src/mirror/wire.ts';" },
  { from: 'src/clock/clock.ts', code: "import '../mirror/wire.ts';" },
  { from: 'src/testing/network.ts', code: "import '../node/config.ts';" },
  { from: 'src/testing/network.ts', code: "import '../cli/main.ts';" },
  { from: 'src/node/config.ts', code: "import '../cli/main.ts';" },
  { from: 'src/cli/main.ts', code: "import '../mirror/wire.ts';" },
  { from: 'src/cli/main.ts', code: "import { type Wire } from '../mirror/wire.ts';" },
  { from: 'src/index.ts', code: "export * from './node/index.ts';" },
  { from: 'src/somewhere/new.ts', code: 'export {};' },
  { from: 'src/helpers.ts', code: 'export {};' },
];

const rightWay: readonly Import[] = [
  {
    from: 'src/mirror/wire.ts',
    code: "import '../transport/transport.ts'; import '../transport/peer-link.ts'; import '../transport/url.ts';",
  },
  {
    from: 'src/mirror/wire.ts',
    code: "import '../device/block-device.ts'; import '../device/promises.ts'; import '../device/durable-record.ts';",
  },
  { from: 'src/failover/plan.ts', code: "import '../platform/platform-actions.ts'; import '../arbiter/arbiter.ts';" },
  { from: 'src/heartbeat/verdict.ts', code: "import '../clock/clock.ts'; import '../clock/random.ts';" },
  { from: 'src/mirror/wire.ts', code: "import '../errors.ts'; import '../rules.ts'; import '../events.ts';" },
  { from: 'src/mirror/wire.ts', code: "import '../epoch.ts'; import '../vocabulary.ts'; import './lineage.ts';" },
  { from: 'src/mirror/wire.ts', code: "import { Buffer } from 'node:buffer'; import PQueue from 'p-queue';" },
  { from: 'src/transport/tcp.ts', code: "import 'node:net'; import './framing.ts'; import '../errors.ts'; import '../clock/clock.ts';" },
  { from: 'src/transport/url.ts', code: "import { BlockList, isIP, isIPv4 } from 'node:net'; new BlockList();" },
  { from: 'src/device/file.ts', code: "import 'node:fs'; import './block-device.ts';" },
  { from: 'src/platform/command.ts', code: "import 'node:child_process';" },
  { from: 'src/net-disk/server.ts', code: "import 'node:net'; import '../device/block-device.ts';" },
  { from: 'src/testing/network.ts', code: "import '../mirror/wire.ts'; import '../transport/tcp.ts'; import '../clock/system-clock.ts';" },
  { from: 'src/node/config.ts', code: "import 'node:fs'; import '../mirror/wire.ts'; import '../testing/simulation.ts'; import 'zod';" },
  {
    from: 'src/cli/main.ts',
    code: "import '../node/config.ts'; import '../errors.ts'; import '../clock/system-clock.ts'; import 'node:fs';",
  },
  { from: 'src/cli/main.ts', code: "import type { Wire } from '../mirror/wire.ts';" },
  { from: 'src/index.ts', code: "export * from './mirror/mirror-link.ts'; export * from './transport/transport.ts';" },
];

function functionOf(lines: number): string {
  return `export function long(): number {\n${'  long();\n'.repeat(lines - 3)}  return 1;\n}\n`;
}

describe('lint', function () {
  this.timeout(60_000);

  describe('no ambient time or chance', () => {
    for (const code of ambientCode) {
      it(`refuses ${code}`, async () => {
        expect(await broken(untyped, 'src/mirror/example.ts', code, ambient)).to.include(ambient);
      });
    }

    for (const code of injectedCode) {
      it(`allows ${code}`, async () => {
        expect(await broken(untyped, 'src/mirror/example.ts', code, ambient)).to.deep.equal([]);
      });
    }

    it('holds for the command and the tests that ship, but not for the system clock', async () => {
      const code = 'export const at = Date.now();';
      expect(await broken(untyped, 'src/cli/example.ts', code, ambient)).to.deep.equal([ambient]);
      expect(await broken(untyped, 'src/testing/example.ts', code, ambient)).to.deep.equal([ambient]);
      expect(await broken(untyped, 'src/clock/clock.ts', code, ambient)).to.deep.equal([ambient]);
      expect(await broken(untyped, 'src/clock/system-clock.ts', code, ambient)).to.deep.equal([]);
      expect(await broken(untyped, 'src/clock/system-random.ts', code, ambient)).to.deep.equal([]);
    });
  });

  describe('direction of imports', () => {
    for (const { from, code } of wrongWay) {
      it(`refuses in ${from}: ${code}`, async () => {
        expect(await broken(untyped, from, code, direction)).to.deep.equal([direction]);
      });
    }

    for (const { from, code } of rightWay) {
      it(`allows in ${from}: ${code}`, async () => {
        expect(await broken(untyped, from, code, direction)).to.deep.equal([]);
      });
    }

    it('leaves the tests free', async () => {
      expect(await broken(untyped, 'test/mirror/wire.test.ts', "import 'node:fs'; import '../../src/cli/main.ts';", direction)).to.be.empty;
    });
  });

  describe('size', () => {
    it('refuses a function of more than 70 lines', async () => {
      expect(await broken(untyped, 'src/mirror/example.ts', functionOf(71), 'max-lines-per-function')).to.have.length(1);
      expect(await broken(untyped, 'src/mirror/example.ts', functionOf(70), 'max-lines-per-function')).to.be.empty;
    });

    it('refuses a source file of more than 400 lines', async () => {
      expect(await broken(untyped, 'src/mirror/example.ts', 'export {};\n'.repeat(401), 'max-lines')).to.have.length(1);
      expect(await broken(untyped, 'src/mirror/example.ts', 'export {};\n'.repeat(400), 'max-lines')).to.be.empty;
    });
  });

  describe('skips', () => {
    it('refuses a skip that gives no reason', async () => {
      const rule = 'no-restricted-syntax';
      const file = 'test/example.test.ts';
      expect(await broken(untyped, file, "it.skip('works', () => {});", rule)).to.have.length(1);
      expect(await broken(untyped, file, "it('works', function () { this.skip(); });", rule)).to.have.length(1);
      expect(await broken(untyped, file, "it('works', function () { skipBecause(this, 'no disk'); });", rule)).to.be.empty;
    });
  });

  describe('with types', () => {
    it('refuses a promise that nobody waits for', async () => {
      const rule = '@typescript-eslint/no-floating-promises';
      expect(await broken(typed, typedFile, 'Promise.resolve(1);\nexport {};\n', rule)).to.have.length(1);
      expect(await broken(typed, typedFile, 'await Promise.resolve(1);\nexport {};\n', rule)).to.be.empty;
    });

    it('refuses a switch that forgets a member of a union', async () => {
      const rule = '@typescript-eslint/switch-exhaustiveness-check';
      const code = (cases: string): string => `export function f(x: 'a' | 'b'): void { switch (x) { ${cases} } }\n`;
      expect(await broken(typed, typedFile, code("case 'a': break;"), rule)).to.have.length(1);
      expect(await broken(typed, typedFile, code("case 'a': break; default: break;"), rule)).to.be.empty;
      expect(await broken(typed, typedFile, code("case 'a': break; case 'b': break;"), rule)).to.be.empty;
    });
  });
});
