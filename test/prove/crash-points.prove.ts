import { recoveries } from '../mirror/crash-points/crash-recovery.ts';
import { crashAndRecover, tellStory } from '../mirror/crash-points/crash-run.ts';
import { crashStories } from '../mirror/crash-points/crash-stories.ts';

export const name = 'crash-points';
export const unit = 'writes of two mirrors, each with a crash in every image that it may leave, recovered in every way';
export const parallel = true;

const crashes = (
  await Promise.all(crashStories.map(async (story) => (await tellStory(story)).map((point, at) => ({ story, at, point }))))
).flat();

export const target: number = crashes.length;

export async function run(seed: number): Promise<void> {
  const crash = crashes[seed - 1];
  if (!crash) throw new Error(`there are ${String(crashes.length)} writes`);
  let runs = 0;
  for (let way = 0, ways = 1; way < ways; way += 1) {
    for (const recovery of recoveries) {
      const outcome = await crashAndRecover({ ...crash, recovery, way: () => way });
      ways = outcome?.ways ?? 0;
      runs += 1;
    }
  }
  const { node, disk, lengthBytes } = crash.point;
  console.log(`crash-points ${String(seed)}: ${node}:${disk}, ${String(lengthBytes)} bytes: ${String(runs)} recoveries`);
}
