import { explore } from '../../src/testing/exploration/explore.ts';
import type { ExplorationOptions } from '../../src/testing/exploration/options.ts';
import { smallTimes } from '../../src/testing/exploration/options.ts';

export const name = 'explore';
export const unit = 'explorations of a small world, each with one crash, one partition, one late delivery and two writes';

const { deadlineMs } = smallTimes;
const schedulesEach = 500;

/** One exploration for each policy, way to be cut apart, time until that heals and time until a crashed node starts. */
const explorations: readonly ExplorationOptions[] = (['arbiter', 'freeze'] as const).flatMap((whenAlone) =>
  (['both', 'alpha', 'beta'] as const).flatMap((way) =>
    [deadlineMs, 2 * deadlineMs, null].flatMap((healAfterMs) =>
      [deadlineMs / 2, 2 * deadlineMs].map((rebootAfterMs) => ({
        whenAlone,
        bounds: { postponements: 1, crashes: 1, partitions: 1, writes: 1 },
        ways: [way],
        healAfterMs: [healAfterMs],
        rebootAfterMs: [rebootAfterMs],
        maxSchedules: schedulesEach,
      })),
    ),
  ),
);

export const target: number = explorations.length;

export async function run(seed: number): Promise<void> {
  const options = explorations[(seed - 1) % explorations.length]!;
  const { schedules, states, events, left, findings, mistaken, unfinished } = await explore(options);
  console.log(
    `explore ${String(seed)}: ${String(schedules)} schedules, ${String(events)} events, ${String(states)} states, ${String(left)} left, ${String(unfinished)} without end`,
  );
  const [finding] = findings;
  if (finding) throw new Error(`${finding.text}\n${finding.trace.join('\n')}`);
  if (mistaken.length > 0) throw new Error(`states taken for the same: ${mistaken.join('\n')}`);
}
