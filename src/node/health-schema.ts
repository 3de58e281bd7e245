import * as z from 'zod';

import { maxProbes } from '../health.ts';

/** What each node has besides those of the file. */
export const lagProbeName = 'lag';
const defaultEveryMs = 5_000;
const defaultDeadlineMs = 2_000;

/** A health probe: a program that says by its exit code whether all is well; 0, and it is. */
export interface HealthProbeConfig {
  readonly name: string;
  /** Program and arguments; no shell comes between. */
  readonly argv: readonly string[];
  /** `serving`: on the node alone on which the service runs. */
  readonly when: 'always' | 'serving';
  readonly everyMs: number;
  readonly deadlineMs: number;
}

/** The form of `monitor.health`, made of what the rest of the file is made of. */
export function healthSchema({ name, argv, durationMs }: HealthSchemaParts): z.ZodType<readonly HealthProbeConfig[] | undefined> {
  const probe = z.strictObject({
    name: name.refine((given) => given !== lagProbeName, `"${lagProbeName}" is the name of what each node looks at by itself`),
    argv,
    when: z.enum(['always', 'serving']).default('always').meta({
      description: 'serving: on the node alone on which the service runs.',
    }),
    everyMs: durationMs.default(defaultEveryMs),
    deadlineMs: durationMs.default(defaultDeadlineMs),
  });
  return z
    .array(probe)
    .max(maxProbes - 1)
    .refine((probes) => new Set(probes.map(({ name: each }) => each)).size === probes.length, 'two probes have the same name')
    .optional()
    .meta({
      description:
        'Programs that say whether all is well, run on each node. Where this is there, an empty list too, each node also looks at the lag of its mirrors.',
    });
}

interface HealthSchemaParts {
  readonly name: z.ZodString;
  readonly argv: z.ZodArray<z.ZodString>;
  readonly durationMs: z.ZodInt;
}
