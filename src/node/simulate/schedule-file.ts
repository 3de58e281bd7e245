import { readFile } from 'node:fs/promises';

import { HotMirrorError } from '../../errors.ts';
import { checkNames } from '../../testing/simulation/check-step.ts';
import { completeOptions } from '../../testing/simulation/complete-options.ts';
import { misfits, scheduleForm } from '../../testing/simulation/forms.ts';
import type { SimulationSchedule } from '../../testing/simulation/schedule.ts';

/** Reads a schedule. Rejects with `HM_USAGE` that names everything that is wrong. */
export async function loadSchedule(path: string): Promise<SimulationSchedule> {
  let json: unknown;
  try {
    json = JSON.parse(await readFile(path, 'utf8'));
  } catch (error) {
    throw HotMirrorError.from(error, 'HM_USAGE', `the schedule ${path} cannot be read`);
  }
  return parseSchedule(json);
}

/** Checks what a schedule file holds. Throws `HM_USAGE`, as {@link loadSchedule}. */
export function parseSchedule(json: unknown): SimulationSchedule {
  refuse(misfits(scheduleForm, json));
  const schedule = json as SimulationSchedule;
  refuse(nonsense(schedule));
  return schedule;
}

/** What a schedule of the right form says that makes no sense, each with the path to it. */
function nonsense({ options, steps }: SimulationSchedule): readonly string[] {
  const wrong = complaint('options.', () => completeOptions(options));
  if (wrong.length > 0) return wrong;
  const pair = completeOptions(options);
  return steps.flatMap((step, at) => complaint(`steps.${String(at)}: `, () => checkNames(step, pair)));
}

function complaint(path: string, check: () => unknown): readonly string[] {
  try {
    check();
    return [];
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    return [path + error.message];
  }
}

function refuse(problems: readonly string[]): void {
  if (problems.length > 0) throw new HotMirrorError('HM_USAGE', ['this is no schedule of a simulation', ...problems].join('\n'));
}
