import { createHash } from 'node:crypto';
import { mkdirSync, readdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';

/**
 * Runs long proofs, seed by seed, and remembers how far each one came: a stopped run goes on where it was.
 * A proof is a module `.build/test/prove/*.prove.js` that exports `{ name, unit, target, run(seed) }`.
 * Seeds count only for the code that they were run with; other code starts at seed 1.
 */
const usage = `Usage: npm run prove -- [--only NAME] [--count N] [--seed S]
  --only NAME   this proof alone
  --count N     at most N seeds of each proof now
  --seed S      this one seed, without remembering it`;

const proofFolder = path.resolve('.build/test/prove');
const stateFolder = path.resolve('.prove');
const reportEveryMs = 5_000;

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
  const proofs = await Promise.all(files.sort().map((file) => import(pathToFileURL(path.join(proofFolder, file)).href)));
  const chosen = proofs.filter(({ name }) => only === undefined || name === only);
  if (chosen.length === 0) throw new TypeError(`no such proof; there are: ${proofs.map(({ name }) => name).join(', ')}`);
  return chosen;
}

/** Names the code that the proofs run: every compiled file, with its path. */
function fingerprint() {
  const root = path.resolve('.build');
  const hash = createHash('sha256');
  const files = readdirSync(root, { recursive: true }).filter((file) => file.endsWith('.js'));
  for (const file of files.sort()) hash.update(`${file}\0`).update(readFileSync(path.join(root, file)));
  return hash.digest('hex');
}

function loadState(name, code) {
  try {
    const state = JSON.parse(readFileSync(path.join(stateFolder, `${name}.json`), 'utf8'));
    if (state.code === code) return state;
    console.log(`${name}: the code has changed since seed ${state.done}; starting again`);
  } catch (error) {
    if (error.code !== 'ENOENT') throw error;
  }
  return { code, done: 0, failedSeeds: [] };
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
    console.error(
      `${proof.name}: seed ${seed} FAILED\n${error.stack ?? error}\nagain: npm run prove -- --only ${proof.name} --seed ${seed}`,
    );
    return false;
  }
}

async function prove(proof, code, count, interrupted) {
  const state = loadState(proof.name, code);
  const last = Math.min(proof.target, state.done + count);
  const report = () =>
    console.log(`${proof.name}: seeds 1 to ${state.done} of ${proof.target} ${proof.unit} run, ${state.failedSeeds.length} failed`);
  let reportedMs = Date.now();
  while (state.done < last && !interrupted()) {
    const seed = state.done + 1;
    if (!(await holds(proof, seed))) state.failedSeeds.push(seed);
    state.done = seed;
    // A proof may never leave the microtask queue; an interrupt has to get in between two.
    await setImmediate();
    if (Date.now() - reportedMs < reportEveryMs) continue;
    saveState(proof.name, state);
    report();
    reportedMs = Date.now();
  }
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
  const code = fingerprint();
  let stop = false;
  process.once('SIGINT', () => (stop = true));
  for (const proof of proofs) {
    if (!(await prove(proof, code, count, () => stop))) process.exitCode = 1;
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
