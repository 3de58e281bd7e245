import { readFile } from 'node:fs/promises';

import * as z from 'zod';

import { HotMirrorError } from '../../errors.ts';
import { platformSteps } from '../../platform/platform-actions.ts';
import type { SimulationSchedule } from '../../testing/simulation/schedule.ts';

const dayMs = 86_400_000;
const million = 1_000_000;
const percent = 100;

const count = z.int().min(0);
const duration = z.number().min(0).max(dayMs);
const share = z.int().min(0).max(million);
const ofHundred = z.number().min(0).max(percent);
const node = z.enum(['alpha', 'beta']);
const link = z.string();

const conditions = z.strictObject({
  delayMs: duration.optional(),
  jitterMs: duration.optional(),
  lostPerMillion: share.optional(),
  retransmitMs: duration.optional(),
  corruptPerMillion: share.optional(),
  duplicatePerMillion: share.optional(),
  clogPerMillion: share.optional(),
  clogMs: duration.optional(),
});

const diskFault = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('unreadable'), offsetBytes: count, lengthBytes: count }),
  z.strictObject({ kind: z.literal('write-error'), count }),
  z.strictObject({ kind: z.literal('flush-error'), count }),
  z.strictObject({ kind: z.literal('full') }),
  z.strictObject({ kind: z.literal('stall'), forMs: duration }),
  z.strictObject({ kind: z.literal('slow'), addMs: duration }),
]);

const disk = { node, disk: z.enum(['element', 'metadata', 'record']), mirror: z.string().optional() };

const step = z.discriminatedUnion('do', [
  z.strictObject({ do: z.literal('run'), forMs: duration }),
  z.strictObject({ do: z.literal('crash'), node, how: z.enum(['process', 'power']), afterEffects: count.optional() }),
  z.strictObject({ do: z.literal('boot'), node }),
  z.strictObject({ do: z.literal('stop'), node }),
  z.strictObject({ do: z.literal('pause'), node, forMs: duration.optional(), suspend: z.boolean().optional() }),
  z.strictObject({ do: z.literal('resume'), node }),
  z.strictObject({ do: z.literal('cut'), link, from: node.optional() }),
  z.strictObject({ do: z.literal('heal'), link }),
  z.strictObject({ do: z.literal('break'), link }),
  z.strictObject({ do: z.literal('conditions'), link, conditions, from: node.optional() }),
  z.strictObject({ do: z.literal('disk'), ...disk, fault: diskFault }),
  z.strictObject({ do: z.literal('mend'), ...disk }),
  z.strictObject({
    do: z.literal('clock'),
    node,
    jumpWallMs: z.number().min(-dayMs).max(dayMs).optional(),
    driftPpm: z.number().min(-million).max(million).optional(),
  }),
  z.strictObject({ do: z.literal('arbiter'), reachable: z.boolean(), node: node.optional(), lossPercent: ofHundred.optional() }),
  z.strictObject({
    do: z.literal('operator'),
    node,
    order: z.enum(['fallback', 'force-fallback', 'recover', 'switchover', 'adopt', 'manual', 'auto', 'resume']),
  }),
  z.strictObject({
    do: z.literal('platform'),
    node,
    step: z.enum(platformSteps),
    outcome: z.enum(['succeed', 'fail', 'fail-in-effect', 'succeed-without-effect', 'hang']),
  }),
]);

const options = z.strictObject({
  seed: count.optional(),
  mirrors: z.array(z.strictObject({ name: z.string(), sizeBytes: count.optional() })).optional(),
  monitorLinks: z.array(z.string()).optional(),
  arbiter: z.boolean().optional(),
  fence: z.boolean().optional(),
  policy: z
    .strictObject({
      control: z.enum(['auto', 'manual']).optional(),
      whenAlone: z.enum(['continue', 'freeze', 'arbiter']).optional(),
      bootAlone: z.enum(['wait', 'serve']).optional(),
      stepDeadlineMs: duration.optional(),
      stepRetries: count.optional(),
      requestDeadlineMs: duration.optional(),
    })
    .optional(),
  times: z
    .strictObject({
      intervalMs: duration.optional(),
      deadlineMs: duration.optional(),
      leaseMs: duration.optional(),
      initialGraceMs: duration.optional(),
    })
    .optional(),
  workload: z
    .strictObject({
      blocks: count.optional(),
      blockBytes: count.optional(),
      depth: count.optional(),
      pauseMs: duration.optional(),
      writesPercent: ofHundred.optional(),
      readsPercent: ofHundred.optional(),
      fuaPercent: ofHundred.optional(),
    })
    .nullable()
    .optional(),
  links: conditions.optional(),
  latencies: z.strictObject({ elementMs: duration.optional(), metadataMs: duration.optional(), arbiterMs: duration.optional() }).optional(),
  powerCuts: z.boolean().optional(),
  partitions: z.boolean().optional(),
  driftPpm: z.strictObject({ alpha: z.number().optional(), beta: z.number().optional() }).optional(),
  threadLagMs: duration.optional(),
  activeRegions: count.optional(),
  detail: z.enum(['events', 'all']).optional(),
});

const file = z.strictObject({
  version: z.literal(1),
  /** What a kept schedule once showed, in words; not part of the schedule. */
  note: z.string().optional(),
  options,
  steps: z.array(step),
});

/** A schedule and what was written beside it. */
export interface ScheduleFile {
  readonly schedule: SimulationSchedule;
  /** What it once showed, where someone wrote that down. */
  readonly note: string | null;
}

/** Reads a schedule. Rejects with `HM_USAGE` that names everything that is wrong. */
export async function loadSchedule(path: string): Promise<ScheduleFile> {
  let json: unknown;
  try {
    json = JSON.parse(await readFile(path, 'utf8'));
  } catch (error) {
    throw HotMirrorError.from(error, 'HM_USAGE', `the schedule ${path} cannot be read`);
  }
  return parseSchedule(json);
}

/** Checks what a schedule file holds. Throws `HM_USAGE`, as {@link loadSchedule}. */
export function parseSchedule(json: unknown): ScheduleFile {
  const parsed = file.safeParse(json);
  if (!parsed.success) {
    const problems = parsed.error.issues.map(({ path, message }) => `${path.map(String).join('.') || 'the file'}: ${message}`);
    throw new HotMirrorError('HM_USAGE', ['this is no schedule of a simulation', ...problems].join('\n'));
  }
  const { note, ...schedule } = parsed.data;
  // The schema leaves absent what is absent, which its type cannot tell.
  return { schedule: schedule as SimulationSchedule, note: note ?? null };
}
