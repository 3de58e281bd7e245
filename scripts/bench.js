import { readdirSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { performance } from 'node:perf_hooks';
import { pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';

/**
 * Runs the benchmarks in `.build/bench` one after the other, each in one thread, and prints the median of some rounds; then the reports, which print tables
 * of their own. Nothing is judged by any of it.
 */
const usage = `Usage: npm run bench -- [--only TEXT] [--rounds N] [--seconds S] [--short] [--disk DIR] [--svg FILE]
  --only TEXT   those with TEXT in their name; the name of a report: it alone
  --rounds N    rounds of each, after one that warms up (default 5)
for reports alone:
  --seconds S   how long each cell is measured
  --short       a glance, for continuous integration
  --disk DIR    a folder on the disk to measure (default: that of temporary files)
  --svg FILE    where net-disk or detectors draws its chart`;

const folder = path.resolve('.build/bench');
const defaultRounds = 5;

function parseArguments() {
  const text = { type: 'string' };
  const { values } = parseArgs({
    options: {
      only: { type: 'string', default: '' },
      rounds: text,
      seconds: text,
      short: { type: 'boolean', default: false },
      disk: text,
      svg: text,
    },
  });
  const { only, rounds, seconds, short, disk = null, svg = null } = values;
  if (rounds !== undefined && !/^[1-9]\d*$/.test(rounds)) throw new TypeError('--rounds takes a whole number from 1');
  if (seconds !== undefined && !(Number(seconds) > 0)) throw new TypeError('--seconds takes a number above 0');
  const command = ['npm run bench --', ...process.argv.slice(2)].join(' ');
  return { only, wishes: { rounds: numberOrNull(rounds), seconds: numberOrNull(seconds), short, disk, svg, command } };
}

function numberOrNull(text) {
  return text === undefined ? null : Number(text);
}

function load(ending) {
  const files = readdirSync(folder).filter((file) => file.endsWith(ending));
  return Promise.all(files.sort().map((file) => import(pathToFileURL(path.join(folder, file)).href)));
}

/** A report whose name is given leaves the benchmarks unloaded, some of which work while they are loaded. */
async function choose(only) {
  const reports = (await load('.report.js')).map((module) => module.report);
  const meant = reports.filter(({ name }) => name === only);
  if (meant.length > 0) return { benchmarks: [], reports: meant };
  const benchmarks = (await load('.bench.js')).flatMap((module) => module.benchmarks);
  const fits = ({ name }) => name.includes(only);
  const chosen = { benchmarks: benchmarks.filter(fits), reports: reports.filter(fits) };
  if (chosen.benchmarks.length + chosen.reports.length > 0) return chosen;
  throw new TypeError(`no such benchmark; there are: ${[...benchmarks, ...reports].map(({ name }) => name).join(', ')}`);
}

/** How many were done a real second, and a second of CPU time; the latter tells more where others use the machine. */
async function measure(round) {
  const startedMs = performance.now();
  const startedCpu = process.cpuUsage();
  const done = await round();
  const { user, system } = process.cpuUsage(startedCpu);
  return { real: done / ((performance.now() - startedMs) / 1e3), cpu: done / ((user + system) / 1e6) };
}

function median(values) {
  const sorted = [...values].sort((one, other) => one - other);
  const middle = Math.floor(sorted.length / 2);
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

function figure(value) {
  return value.toLocaleString('en', { maximumSignificantDigits: 3 });
}

async function runBenchmarks(benchmarks, rounds) {
  console.log(`Node ${process.versions.node}, ${os.cpus()[0]?.model ?? process.arch}, median of ${rounds} rounds, one core\n`);
  console.log('| benchmark | counted | a second | range | a second of CPU time |\n|---|---|---|---|---|');
  for (const { name, unit, prepare } of benchmarks) {
    const round = await prepare();
    await round();
    const measured = [];
    for (let left = rounds; left > 0; left -= 1) measured.push(await measure(round));
    const real = measured.map((each) => each.real);
    const range = `${figure(Math.min(...real))} to ${figure(Math.max(...real))}`;
    console.log(`| ${name} | ${unit} | ${figure(median(real))} | ${range} | ${figure(median(measured.map(({ cpu }) => cpu)))} |`);
  }
}

async function main() {
  const { only, wishes } = parseArguments();
  const { benchmarks, reports } = await choose(only);
  if (benchmarks.length > 0) await runBenchmarks(benchmarks, wishes.rounds ?? defaultRounds);
  for (const { name, print } of reports) {
    console.log(`\n## ${name}\n`);
    await print(wishes);
  }
}

try {
  await main();
} catch (error) {
  if (!(error instanceof TypeError)) throw error;
  console.error(`${error.message}\n${usage}`);
  process.exitCode = 2;
}
