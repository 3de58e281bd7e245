import { Schedule } from '../mirror/support/schedule.ts';

export const name = 'random-mirror';
export const unit = 'schedules of two mirrors under kills, power cuts and lost links';
export const target = 5_000;

const stepsEach = 120;

export async function run(seed: number): Promise<void> {
  await new Schedule(seed).run(stepsEach);
}
