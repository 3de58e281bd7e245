import * as z from 'zod';

import { platformSteps } from '../../platform/platform-actions.ts';
import { million } from '../../transport/link-conditions.ts';
import { maxDriftPpm } from './options.ts';
import { nodeNames } from './steps.ts';

const dayMs = 86_400_000;
const percent = 100;
const sectorBytes = 512;
const mirrorGrainBytes = 4_096;
const maxThreadLagMs = 1_000;

const count = z.int().min(0);
const atLeastOne = z.int().min(1);
const duration = z.number().min(0).max(dayMs);
const share = z.int().min(0).max(million);
const ofHundred = z.number().min(0).max(percent);
const node = z.enum(nodeNames);
const link = z.string();
const drift = z.number().min(-maxDriftPpm).max(maxDriftPpm);
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

/** The form of a `SimulationStep`; whether its link and mirror exist is not part of it. */
export const stepForm: z.ZodType = z.discriminatedUnion('do', [
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
  z.strictObject({ do: z.literal('replace'), node }),
  z.strictObject({
    do: z.literal('clock'),
    node,
    jumpWallMs: z.number().min(-dayMs).max(dayMs).optional(),
    driftPpm: z.number().gt(-million).max(million).optional(),
  }),
  z.strictObject({ do: z.literal('arbiter'), reachable: z.boolean(), node: node.optional(), lossPercent: ofHundred.optional() }),
  z.strictObject({
    do: z.literal('operator'),
    node,
    order: z.enum([
      'fallback',
      'force-fallback',
      'recover',
      'switchover',
      'adopt',
      'manual',
      'auto',
      'resume',
      'roll-back',
      'element-off',
      'element-on',
      'regenerate',
      'regenerate-full',
      'verify',
      'verify-repair',
      'waive-findings',
      'grow',
      'set-sync',
      'set-configured',
      'pause-resync',
      'resume-resync',
      'slow-resync',
    ]),
  }),
  z.strictObject({
    do: z.literal('platform'),
    node,
    step: z.enum(platformSteps),
    outcome: z.enum(['succeed', 'fail', 'fail-in-effect', 'succeed-without-effect', 'hang']),
  }),
]);

/** The form of `PairSimulationOptions`; what its values must be to each other is not part of it. */
export const optionsForm: z.ZodType = z.strictObject({
  seed: count.optional(),
  mirrors: z
    .array(
      z.strictObject({
        name: z.string(),
        sizeBytes: atLeastOne.multipleOf(mirrorGrainBytes).optional(),
        roomBytes: count.multipleOf(mirrorGrainBytes).optional(),
        protocol: z.enum(['sync', 'memsync', 'async']).optional(),
        whenCongested: z.enum(['block', 'pull-ahead']).optional(),
        windowBytes: z.int().min(sectorBytes).optional(),
      }),
    )
    .min(1)
    .optional(),
  monitorLinks: z.array(z.string()).min(1).optional(),
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
      blocks: atLeastOne.optional(),
      blockBytes: atLeastOne.multipleOf(sectorBytes).optional(),
      depth: atLeastOne.optional(),
      pauseMs: count.optional(),
      writesPercent: ofHundred.optional(),
      readsPercent: ofHundred.optional(),
      overlapsPercent: ofHundred.optional(),
      longPercent: ofHundred.optional(),
      zeroesPercent: ofHundred.optional(),
      fuaPercent: ofHundred.optional(),
    })
    .nullable()
    .optional(),
  netDisk: z.boolean().optional(),
  links: conditions.optional(),
  latencies: z.strictObject({ elementMs: duration.optional(), metadataMs: duration.optional(), arbiterMs: duration.optional() }).optional(),
  synchronousElements: z.boolean().optional(),
  punchHole: z.boolean().optional(),
  powerCuts: z.boolean().optional(),
  partitions: z.boolean().optional(),
  driftPpm: z.strictObject({ alpha: drift.optional(), beta: drift.optional() }).optional(),
  threadLagMs: z.number().min(0).max(maxThreadLagMs).optional(),
  undoJournalExtents: count.optional(),
  activeRegions: count.optional(),
  detail: z.enum(['events', 'all']).optional(),
});

/** The form of a `SimulationSchedule`. */
export const scheduleForm: z.ZodType = z.strictObject({
  version: z.literal(1),
  note: z.string().optional(),
  options: optionsForm,
  steps: z.array(stepForm),
});

/** What of a value does not have the form, each with the path to it; empty where all of it has. */
export function misfits(form: z.ZodType, value: unknown): readonly string[] {
  const { error } = form.safeParse(value);
  return (error?.issues ?? []).map(({ path, message }) => [...(path.length > 0 ? [path.map(String).join('.')] : []), message].join(': '));
}

/** Throws `RangeError` that names everything of a value that does not have the form. `what` says what the value is. */
export function checkForm(form: z.ZodType, value: unknown, what?: string): void {
  const wrong = misfits(form, value);
  if (wrong.length > 0) throw new RangeError([...(what === undefined ? [] : [what]), wrong.join('; ')].join(': '));
}
