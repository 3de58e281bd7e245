import type { CrashWorldOptions } from './crash-nodes.ts';
import type { CrashWorld } from './crash-world.ts';

export const extent = 65_536;
export const block = 4_096;

/** A run in which every write may be the last one. Each begins with both nodes down and equal, but for the first. */
export interface CrashStory {
  readonly name: string;
  readonly options: CrashWorldOptions;
  /** Crashes at each write in the usual run of tests: more where the disks are small. Default 1. */
  readonly usualCrashes?: number;
  tell(world: CrashWorld): Promise<void>;
}

export async function bootBoth(world: CrashWorld): Promise<void> {
  await world.boot('alpha');
  await world.boot('beta');
  await world.inSync();
  await world.promote('alpha');
}

/** A story that is about something in which that never happened is no story. Those that end with a crash do not come here. */
export function expectTold(world: CrashWorld, ...events: readonly string[]): void {
  for (const event of events) if (!world.told.has(event)) throw new Error(`"${event}" was never told:\n${world.log.slice(-40).join('\n')}`);
}

export const small: CrashWorldOptions = { sizeBytes: 4 * extent };
export const slow: CrashWorldOptions = { ...small, diskMs: 2 };
