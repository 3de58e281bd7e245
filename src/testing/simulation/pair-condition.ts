import * as z from 'zod';

import { checkForm } from './forms.ts';
import type { NodeName } from './steps.ts';
import { nodeNames } from './steps.ts';
import type { World } from './world.ts';

/** What a pair may be waited for; what is absent does not matter, but something must be said. */
export interface PairCondition {
  /** Which mode the serving node is in, or any node that knows. */
  readonly mode?: 'normal' | 'fallback';
  /** The one node that serves every mirror, or null: none does. A node that stands still serves nobody. */
  readonly serving?: NodeName | null;
  /** One node serves, both elements of every mirror are `uptodate` and connected. */
  readonly whole?: boolean;
}

const conditionForm = z
  .strictObject({
    mode: z.enum(['normal', 'fallback']).optional(),
    serving: z.enum(nodeNames).nullable().optional(),
    whole: z.boolean().optional(),
  })
  .refine((condition) => Object.values(condition).some((wanted) => wanted !== undefined), 'nothing is waited for');

/** Throws `RangeError` for a condition that is none. */
export function checkCondition(condition: PairCondition): void {
  checkForm(conditionForm, condition, `the condition ${JSON.stringify(condition)}`);
}

/** The nodes that serve every mirror to whoever asks now. */
export function servingNodes(world: World): readonly NodeName[] {
  return nodeNames.filter((node) => {
    const { process } = world.nodes[node];
    if (!process?.ready || process.clock.paused || !process.orchestrator.status().serving) return false;
    return [...process.mirrors.values()].every((mirror) => ['yes', 'alone'].includes(mirror.state().serving));
  });
}

/** Whether the pair is so. */
export function fits(world: World, { mode, serving, whole }: PairCondition): boolean {
  const now = servingNodes(world);
  if (serving !== undefined && (serving === null ? now.length > 0 : now.length !== 1 || now[0] !== serving)) return false;
  if (whole !== undefined && world.converged !== whole) return false;
  if (mode === undefined) return true;
  const knowing = now.length === 1 ? now : nodeNames;
  return knowing.some((node) => {
    const { process } = world.nodes[node];
    return process?.ready && !process.clock.paused && process.orchestrator.status().mode === mode;
  });
}
