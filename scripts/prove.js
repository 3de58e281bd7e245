import { createHash, randomInt } from 'node:crypto';
import { once } from 'node:events';
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import path from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';
import { Worker } from 'node:worker_threads';

/**
 * Runs long proofs, seed by seed, and remembers how far each one came: a stopped run goes on where it was.
 * A proof is a module `.build/test/prove/*.prove.js` that exports `{ name, unit, target, run(seed) }`, with `parallel` where it may run on every core.
 * Seeds count only for the code that they were run with; other code starts at seed 1, or with `fresh` at a seed of its own.
 */
const usage = `Usage: npm run prove -- [--only NAME] [--count N] [--seed S]
  --only NAME   this proof alone
  --count N     at most N seeds of each proof now
  --seed S      this one seed, without remembering it`;

const proofFolder = path.resolve('.build/test/prove');
const stateFolder = path.resolve('.prove');
const reportEveryMs = 5_000;
const largestFreshSeed = 2 ** 31;
/** Seeds of a parallel proof that count together, for each core. */
const batchPerCore = 8;

function parseArguments() {
  const { values } = parseArgs({ options: { only: { type: 'string' }, count: { type: 'string' }, seed: { type: 'string' } } });
  const whole = (name) => {
    if (values[name] === undefined) return undefined;
    if (!/^\d+$/.test(values[name])) throw new TypeError(`--${name} takes a whole number`);
    return Number(values[name]);
  };
  return { only: values.only, count: whole('count') ?? Infinity, seed: whole('seed') };
}

async function loadProofs(only) {
  const files = readdirSync(proofFolder).filter((file) => file.endsWith('.prove.js'));
  const proofs = await Promise.all(
    files.sort().map(async (file) => {
      const { href: url } = pathToFileURL(path.join(proofFolder, file));
      return { ...(await import(url)), url };
    }),
  );
  const chosen = proofs.filter(({ name }) => only === undefined || name === only);
  if (chosen.length === 0) throw new TypeError(`no such proof; there are: ${proofs.map(({ name }) => name).join(', ')}`);
  return chosen;
}

/** Every compiled file that this one names, be it to import it or to run it in a thread, and that those name. */
function reachedFrom(file, reached = new Map()) {
  if (reached.has(file)) return reached;
  const text = readFileSync(file, 'utf8');
  reached.set(file, text);
  for (const [, name] of text.matchAll(/['"](\.{1,2}\/[^'"]+\.js)['"]/g)) {
    const named = path.resolve(path.dirname(file), name);
    if (existsSync(named)) reachedFrom(named, reached);
  }
  return reached;
}

/** Names the code that a proof runs: the compiled files that it reaches, with their paths, and the packages. */
function fingerprint({ url }) {
  const hash = createHash('sha256');
  if (existsSync('package-lock.json')) hash.update(readFileSync('package-lock.json'));
  const files = [...reachedFrom(fileURLToPath(url))].sort(([a], [b]) => (a < b ? -1 : 1));
  for (const [file, text] of files) hash.update(`${path.relative('.build', file)}\0`).update(text);
  return hash.digest('hex');
}

function loadState({ name, fresh = false }, code) {
  try {
    const state = JSON.parse(readFileSync(path.join(stateFolder, `${name}.json`), 'utf8'));
    if (state.code === code) return state;
    console.log(`${name}: the code has changed since seed ${state.done}; starting again`);
  } catch (error) {
    if (error.code !== 'ENOENT') throw error;
  }
  return { code, base: fresh ? randomInt(largestFreshSeed) : 0, done: 0, failedSeeds: [] };
}

function saveState(name, state) {
  const file = path.join(stateFolder, `${name}.json`);
  writeFileSync(`${file}.new`, JSON.stringify(state));
  renameSync(`${file}.new`, file);
}

async function holds(proof, seed) {
  try {
    await proof.run(seed);
    return true;
  } catch (error) {
    return failed(proof, seed, error.stack ?? error);
  }
}

function failed({ name }, seed, why) {
  console.error(`${name}: seed ${seed} FAILED\n${why}\nagain: npm run prove -- --only ${name} --seed ${seed}`);
  return false;
}

/** One seed after the other, in this thread. */
function alone(proof) {
  return { batch: 1, run: async (seeds) => [await holds(proof, seeds[0])], end: () => undefined };
}

/** A batch of seeds at a time, on every core. */
function onEveryCore(proof) {
  const workers = Array.from(
    { length: availableParallelism() },
    () => new Worker(new URL('./prove-worker.js', import.meta.url), { workerData: { url: proof.url } }),
  );
  const work = async (worker, seeds, broken) => {
    for (let seed = seeds.next(); !seed.done; seed = seeds.next()) {
      const answered = once(worker, 'message');
      worker.postMessage(seed.value);
      const [why] = await answered;
      if (why !== null && !failed(proof, seed.value, why)) broken.push(seed.value);
    }
  };
  return {
    batch: workers.length * batchPerCore,
    async run(seeds) {
      const broken = [];
      const left = seeds.values();
      await Promise.all(workers.map((worker) => work(worker, left, broken)));
      return seeds.map((seed) => !broken.includes(seed));
    },
    end: () => Promise.all(workers.map((worker) => worker.terminate())),
  };
}

async function prove(proof, count, interrupted) {
  const state = loadState(proof, fingerprint(proof));
  const last = Math.min(proof.target, state.done + count);
  const runner = proof.parallel ? onEveryCore(proof) : alone(proof);
  const report = () =>
    console.log(
      `${proof.name}: seeds ${state.base + 1} to ${state.base + state.done}, ${state.done} of ${proof.target} ${proof.unit}, run, ${state.failedSeeds.length} failed`,
    );
  let reportedMs = Date.now();
  while (state.done < last && !interrupted()) {
    const seeds = Array.from({ length: Math.min(runner.batch, last - state.done) }, (_, at) => state.base + state.done + at + 1);
    const held = await runner.run(seeds);
    state.failedSeeds.push(...seeds.filter((_, at) => !held[at]));
    state.done += seeds.length;
    // A proof may never leave the microtask queue; an interrupt has to get in between two.
    await setImmediate();
    if (Date.now() - reportedMs < reportEveryMs) continue;
    saveState(proof.name, state);
    report();
    reportedMs = Date.now();
  }
  await runner.end();
  saveState(proof.name, state);
  report();
  return state.failedSeeds.length === 0;
}

async function main() {
  const { only, count, seed } = parseArguments();
  const proofs = await loadProofs(only);
  if (seed !== undefined) {
    for (const proof of proofs) {
      console.log(`${proof.name}: seed ${seed}`);
      if (await holds(proof, seed)) console.log(`${proof.name}: seed ${seed} held`);
      else process.exitCode = 1;
    }
    return;
  }
  mkdirSync(stateFolder, { recursive: true });
  let stop = false;
  process.once('SIGINT', () => (stop = true));
  for (const proof of proofs) {
    if (!(await prove(proof, count, () => stop))) process.exitCode = 1;
  }
  if (stop) process.exitCode = 130;
}

try {
  await main();
} catch (error) {
  if (!(error instanceof TypeError)) throw error;
  console.error(`${error.message}\n${usage}`);
  process.exitCode = 2;
}
