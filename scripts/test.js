import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';

import { tally } from './mocha-reporter.js';

/**
 * Everything that must hold before a change is good, in order. What a needed step prepares, later steps use: packing builds nothing again (`--ignore-scripts`).
 */
const steps = [
  { name: 'build', command: ['npm', 'run', '--silent', 'build'], needed: true },
  { name: 'types of tests and examples', command: ['npm', 'run', '--silent', 'compile:test'], needed: true },
  { name: 'lint', command: ['npm', 'run', '--silent', 'lint'] },
  { name: 'docs', command: ['npm', 'run', '--silent', 'docs'] },
  { name: 'package', command: ['npm', 'run', '--silent', '--ignore-scripts', 'lint:package'] },
  { name: 'tests', command: ['node', 'scripts/coverage.js'] },
];

const folder = mkdtempSync(path.join(tmpdir(), 'hotmirror-test-'));
const statsFile = path.join(folder, 'stats.json');

function holds({ name, command }) {
  console.log(`\n── ${name}`);
  const [program, ...args] = command;
  const { status, error } = spawnSync(program, args, { stdio: 'inherit', env: { ...process.env, HOTMIRROR_TEST_STATS: statsFile } });
  if (error) console.error(error.message);
  return status === 0;
}

/** The names of the steps that failed. A needed one ends the run. */
function failedSteps() {
  const failed = [];
  for (const step of steps) {
    if (holds(step)) continue;
    failed.push(step.name);
    if (step.needed) break;
  }
  return failed;
}

/** Mocha's own count; undefined when it never came to an end. */
function readStats() {
  try {
    return JSON.parse(readFileSync(statsFile, 'utf8'));
  } catch {
    return undefined;
  }
}

const failed = failedSteps();
const stats = readStats() ?? { passes: 0, failures: 0, pending: 0 };
rmSync(folder, { recursive: true });

// The count of failed tests stands for the step that ran them; any other step that failed counts as one.
const uncounted = failed.filter((name) => name !== 'tests' || stats.failures === 0);
if (failed.length > 0) console.log(`\nfailed: ${failed.join(', ')}`);
process.exitCode = failed.length > 0 ? 1 : 0;
console.log(`\n${tally({ ...stats, failures: stats.failures + uncounted.length })}`);
