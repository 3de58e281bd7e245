import type { CompleteOptions } from './complete-options.ts';
import { checkForm, stepForm } from './forms.ts';
import { linksNamed } from './simulated-network.ts';
import { nodeNames } from './steps.ts';
import type { NodeName, SimulationStep } from './steps.ts';

/** What of a pair a step can name. */
type Named = Pick<CompleteOptions, 'mirrors' | 'monitorLinks'>;

/** Throws `RangeError` for a step that is none, or names a node, link or mirror that this pair does not have. */
export function checkStep(step: SimulationStep, pair: Named): void {
  checkForm(stepForm, step, `the step ${JSON.stringify(step)}`);
  checkNames(step, pair);
}

/** Throws `RangeError` for a step, which has the form of one, that names a link or mirror that this pair does not have. */
export function checkNames(step: SimulationStep, pair: Named): void {
  if ('link' in step) linksNamed(step.link, { mirrors: pair.mirrors.map(({ name }) => name), monitorLinks: pair.monitorLinks });
  if ('mirror' in step) checkMirror(step.mirror, pair);
}

/** Throws `RangeError` for a mirror that this pair does not have. */
export function checkMirror(mirror: string, { mirrors }: Pick<Named, 'mirrors'>): void {
  const names = mirrors.map(({ name }) => name);
  if (!names.includes(mirror)) throw new RangeError(`there is no mirror ${mirror}; there are ${names.join(', ')}`);
}

/** Throws `RangeError` for a node that there is not. */
export function checkNode(node: NodeName): void {
  if (!nodeNames.includes(node)) throw new RangeError(`there is no node ${String(node)}; there are ${nodeNames.join(', ')}`);
}
