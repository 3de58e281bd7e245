import { expect } from 'chai';

import { Schedule } from './support/schedule.ts';

const seeds = Number(process.env['HOTMIRROR_SCHEDULES'] ?? 200);
const firstSeed = Number(process.env['HOTMIRROR_FIRST_SCHEDULE'] ?? 1);
const stepsEach = 120;
const toldLines = 80;

async function runSeed(seed: number): Promise<Schedule> {
  const schedule = new Schedule(seed);
  try {
    await schedule.run(stepsEach);
  } catch (cause) {
    throw new Error(`seed ${String(seed)}: ${(cause as Error).message}\n${schedule.log.slice(-toldLines).join('\n')}`, { cause });
  }
  return schedule;
}

describe('MirrorLink in random schedules', () => {
  it(`loses nothing acknowledged, has one owner and converges, in ${String(seeds)} schedules`, async function () {
    this.timeout(600_000);
    let acknowledged = 0;
    for (let seed = firstSeed; seed < firstSeed + seeds; seed += 1) acknowledged += (await runSeed(seed)).acknowledged;
    expect(acknowledged).to.be.above(seeds * 3);
  });
});
