import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';

import { expect } from 'chai';

import { HotMirrorError } from '../../src/errors.ts';
import type { SimulateOptions, SimulateVerdict } from '../../src/node/programs.ts';
import { hungMs } from '../../src/node/simulate/limits.ts';
import { parseSchedule } from '../../src/node/simulate/schedule-file.ts';
import { simulate } from '../../src/node/simulate/simulate.ts';
import type { SwarmThread } from '../../src/node/simulate/swarm-thread.ts';
import { SeededRandom } from '../../src/testing/seeded-random.ts';
import { carryOut } from '../../src/testing/swarm/job.ts';
import type { JobResult, SwarmJob } from '../../src/testing/swarm/job.ts';
import { drawSchedule } from '../../src/testing/swarm/draw-schedule.ts';
import { VirtualClock } from '../../src/testing/virtual-clock.ts';
import type { FakeScript } from '../testing/swarm/fake-runner.ts';
import { fakes, loseWrite } from '../testing/swarm/fake-runner.ts';
import { withFolder } from './temporary-folder.ts';

/** A thread in name only: it carries jobs out here, or does what the test says instead. */
class FakeThread implements SwarmThread {
  terminated = false;
  readonly #script: (seed: number | null) => FakeScript | 'hang' | 'die';
  #result: (result: JobResult) => void = () => undefined;
  #end: (reason: string) => void = () => undefined;

  constructor(script: (seed: number | null) => FakeScript | 'hang' | 'die') {
    this.#script = script;
  }

  post(job: SwarmJob): void {
    const script = this.#script(job.seed);
    if (script === 'die') this.#end('exit code 9');
    else if (script !== 'hang') void carryOut(job, { start: fakes(script) }).then((result) => this.#result(result));
  }

  onResult(listener: (result: JobResult) => void): void {
    this.#result = listener;
  }

  onEnd(listener: (reason: string) => void): void {
    this.#end = listener;
  }

  terminate(): Promise<void> {
    this.terminated = true;
    return Promise.resolve();
  }
}

interface Ran {
  readonly verdict: SimulateVerdict;
  readonly told: readonly string[];
  readonly threads: readonly FakeThread[];
}

const clock = new VirtualClock();
const holding: FakeScript = {};
const losing: FakeScript = { settle: loseWrite };

async function run(
  options: Partial<SimulateOptions>,
  script: (seed: number | null) => FakeScript | 'hang' | 'die' = () => holding,
): Promise<Ran> {
  const told: string[] = [];
  const threads: FakeThread[] = [];
  const start = (): FakeThread => {
    const thread = new FakeThread(script);
    threads.push(thread);
    return thread;
  };
  const running = simulate(
    {
      clock,
      random: new SeededRandom(1),
      signal: new AbortController().signal,
      tell: (text) => told.push(text),
      seed: null,
      seeds: null,
      forMs: null,
      schedule: null,
      report: null,
      ...options,
    },
    {
      start,
      threads: 2,
      timeline: (entries, { file, title, note }) => writeFile(file, `${title}: ${note} ${String(entries.length)} entries`),
    },
  );
  return { verdict: await running, told, threads };
}

describe('simulate', () => {
  it('runs as many seeds in a row as it is told, on every thread, the first one fresh and said first', async () => {
    const ran: (number | null)[] = [];
    const { verdict, told, threads } = await run({ seeds: 30 }, (seed) => (ran.push(seed), holding));
    const first = verdict.firstSeed ?? 0;
    expect(told[0]).to.contain(`first seed ${String(first)}`);
    expect(ran).to.deep.equal(Array.from({ length: 30 }, (_, at) => first + at));
    expect(verdict).to.include({ passed: true, held: 30 });
    expect(verdict.text).to.match(/^30 seeds held, 0 broken, [\d.]+ virtual hours, \d+ requests acknowledged, [\d.]+ seeds\/s$/u);
    expect(threads.map(({ terminated }) => terminated)).to.deep.equal([true, true]);
  });

  it('goes from the largest seed to 0', async () => {
    const ran: (number | null)[] = [];
    await run({ seed: 2 ** 32 - 1, seeds: 2 }, (seed) => (ran.push(seed), holding));
    expect(ran).to.deep.equal([2 ** 32 - 1, 0]);
  });

  it('begins no seed after its time', async () => {
    let ran = 0;
    const { verdict } = await run({ forMs: 1_000 }, () => {
      ran += 1;
      return { settle: () => clock.sleepThrough(100) };
    });
    expect(ran).to.be.within(10, 22);
    expect(verdict).to.include({ passed: true, held: ran });
  });

  it('tells what broke in the order of the seeds, shrinks the first three, and stops after ten', async () => {
    const { verdict, told } = await run({ seed: 100, seeds: 1_000 }, (seed) => ((seed ?? 0) % 3 === 0 ? losing : holding));
    expect(verdict.passed).to.equal(false);
    expect(verdict.failures.length).to.be.within(10, 11);
    const seeds = verdict.failures.map(({ seed }) => seed ?? 0);
    expect(seeds).to.deep.equal(seeds.toSorted((one, other) => one - other));
    expect(verdict.failures.filter(({ shrunk }) => shrunk !== null).map(({ seed }) => seed)).to.deep.equal(seeds.slice(0, 3));
    expect(verdict.failures[0]?.shrunk?.schedule.steps).to.deep.equal([]);
    expect(told.join('\n')).to.contain('seed 102 broke no-lost-write: No acknowledged write is lost');
  });

  it('takes a thread that dies for a broken promise of its seed, and goes on with another', async () => {
    const { verdict, threads } = await run({ seed: 1, seeds: 10 }, (seed) => (seed === 4 ? 'die' : holding));
    expect(verdict).to.include({ passed: false, held: 9 });
    expect(verdict.failures).to.have.lengthOf(1);
    expect(verdict.failures[0]).to.include({ seed: 4, invariant: 'no-crash', text: 'its thread ended: exit code 9' });
    expect(verdict.failures[0]?.schedule).to.deep.equal(drawSchedule(4));
    expect(threads).to.have.lengthOf(3);
  });

  it('takes a run that never ends for one too', async () => {
    const running = run({ seed: 1, seeds: 4 }, (seed) => (seed === 2 ? 'hang' : holding));
    await clock.runFor(hungMs);
    const { verdict, threads } = await running;
    expect(verdict.held).to.equal(3);
    expect(verdict.failures[0]).to.include({ seed: 2, invariant: 'no-crash' });
    expect(threads.every(({ terminated }) => terminated)).to.equal(true);
  });

  it('stops in order, with what it has by then', async () => {
    const stop = new AbortController();
    const { verdict, threads } = await run({ seed: 1, seeds: 100, signal: stop.signal }, (seed) => {
      if (seed !== 20) return holding;
      stop.abort();
      return 'hang';
    });
    expect(verdict).to.include({ passed: false, stopped: true });
    expect(verdict.text).to.match(/^stopped: \d+ seeds held, 0 broken/u);
    expect(verdict.held).to.be.within(1, 19);
    expect(verdict.failures).to.deep.equal([]);
    expect(threads.every(({ terminated }) => terminated)).to.equal(true);
  });

  it('says which one run it was stopped in', async () => {
    const stop = new AbortController();
    const { verdict } = await run({ seed: 5, signal: stop.signal }, () => {
      stop.abort();
      return 'hang';
    });
    expect(verdict).to.include({ passed: false, stopped: true, held: 0 });
    expect(verdict.text).to.match(/^stopped: seed 5 had not ended after [\d.]+ s$/u);
  });

  it('runs one seed and shrinks it', async () => {
    const held = await run({ seed: 5 });
    expect(held.told).to.deep.equal(['seed 5']);
    expect(held.verdict).to.include({ passed: true, held: 1, firstSeed: 5 });
    expect(held.verdict.text).to.contain('every promise held');
    const broken = await run({ seed: 5 }, () => losing);
    expect(broken.verdict.failures[0]?.shrunk?.smallest).to.equal(true);
    expect(broken.told.at(-1)).to.contain('hotmirror simulate --seed 5');
    expect(broken.verdict.text).to.contain('no-lost-write broke');
  });

  it('runs a schedule from a file, and says what is wrong with one that is none', () =>
    withFolder(async (folder) => {
      const file = path.join(folder, 'schedule.json');
      await writeFile(file, JSON.stringify({ note: 'an example', ...drawSchedule(1) }));
      expect((await run({ schedule: file })).verdict).to.include({ passed: true, held: 1, firstSeed: null });
      await writeFile(file, JSON.stringify({ version: 1, options: { mirror: 'm0' }, steps: [{ do: 'dance' }] }));
      const refused = await run({ schedule: file }).catch((error: unknown) => error);
      expect(refused).to.be.instanceOf(HotMirrorError).and.to.include({ code: 'HM_USAGE' });
      expect(String(refused)).to.contain('options').and.to.contain('steps.0.do');
      const absent = await run({ schedule: path.join(folder, 'absent.json') }).catch((error: unknown) => error);
      expect(absent).to.include({ code: 'HM_USAGE' });
    }));

  it('takes a schedule whose options or steps make no sense for bad input, named by their path: nothing is run or shrunk', () =>
    withFolder(async (folder) => {
      const file = path.join(folder, 'schedule.json');
      const refused = async (schedule: object): Promise<string> => {
        await writeFile(file, JSON.stringify({ version: 1, options: {}, steps: [], ...schedule }));
        let runs = 0;
        const error = await run({ schedule: file }, () => ((runs += 1), holding)).catch((reason: unknown) => reason);
        expect(error).to.include({ code: 'HM_USAGE' });
        expect(runs).to.equal(0);
        return String(error);
      };
      expect(await refused({ options: { policy: { whenAlone: 'arbiter' } } })).to.contain(
        'options.policy.whenAlone: arbiter needs an arbiter',
      );
      expect(await refused({ options: { times: { deadlineMs: 1_000, intervalMs: 800 } } })).to.contain(
        'options.times.deadlineMs must be at least 2',
      );
      const heal = { do: 'heal', link: 'all' };
      expect(await refused({ steps: [heal, { do: 'cut', link: 'wan' }] })).to.contain('steps.1: there is no link wan; there are data:m0');
      expect(await refused({ steps: [{ do: 'mend', node: 'beta', disk: 'element', mirror: 'm1' }] })).to.contain(
        'steps.0: there is no mirror m1',
      );
    }));

  it('writes the timeline of one run, whether its promises hold or not, and of no more than one', () =>
    withFolder(async (folder) => {
      const report = path.join(folder, 'report.html');
      await run({ seed: 5, report });
      const steps = String(drawSchedule(5).steps.length);
      expect(await readFile(report, 'utf8')).to.equal(`Seed 5: Every promise held. ${steps} entries`);
      await run({ seed: 5, report }, () => losing);
      expect(await readFile(report, 'utf8')).to.match(new RegExp(`^Seed 5: no-lost-write: (?!no-lost-write).* ${steps} entries$`, 'u'));
      expect(await run({ seeds: 5, report }).catch((error: unknown) => error)).to.include({ code: 'HM_USAGE' });
    }));

  it('takes a schedule with a note', () => {
    const schedule = { ...drawSchedule(1), note: 'what was wrong' };
    expect(parseSchedule(schedule)).to.deep.equal(schedule);
  });
});
