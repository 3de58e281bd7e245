import { readdirSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { performance } from 'node:perf_hooks';
import { pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';

/**
 * Runs the benchmarks in `.build/bench` one after the other, each in one thread, and prints the median of some rounds. Nothing is judged by it.
 */
const usage = `Usage: npm run bench -- [--only TEXT] [--rounds N]
  --only TEXT   those with TEXT in their name
  --rounds N    rounds of each, after one that warms up (default 5)`;

const folder = path.resolve('.build/bench');

function parseArguments() {
  const { values } = parseArgs({ options: { only: { type: 'string', default: '' }, rounds: { type: 'string', default: '5' } } });
  if (!/^[1-9]\d*$/.test(values.rounds)) throw new TypeError('--rounds takes a whole number from 1');
  return { only: values.only, rounds: Number(values.rounds) };
}

async function loadBenchmarks(only) {
  const files = readdirSync(folder).filter((file) => file.endsWith('.bench.js'));
  const modules = await Promise.all(files.sort().map((file) => import(pathToFileURL(path.join(folder, file)).href)));
  const benchmarks = modules.flatMap((module) => module.benchmarks);
  const chosen = benchmarks.filter(({ name }) => name.includes(only));
  if (chosen.length === 0) throw new TypeError(`no such benchmark; there are: ${benchmarks.map(({ name }) => name).join(', ')}`);
  return chosen;
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

async function main() {
  const { only, rounds } = parseArguments();
  const benchmarks = await loadBenchmarks(only);
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

try {
  await main();
} catch (error) {
  if (!(error instanceof TypeError)) throw error;
  console.error(`${error.message}\n${usage}`);
  process.exitCode = 2;
}
