import { faultsInForce } from './faults-in-force.ts';
import { diagnose } from './invariants/diagnosis.ts';
import { lastEvents, timesInWords } from './last-events.ts';
import type { World } from './world.ts';

const explainedEvents = 20;

/** Who waits for what, which faults are in force, and the last that happened, in words. */
export function explain(world: World): string {
  const faults = faultsInForce(world);
  const last = lastEvents(world.log.entries, explainedEvents).map((folded) => {
    const { atMs, node, event, mirror, text } = folded.entry;
    const about = mirror === undefined ? '' : ` ${mirror}:`;
    return `${inMs(atMs)} ${node} ${event}:${about} ${text}${timesInWords(folded, inMs)}`;
  });
  return [
    `seed ${String(world.options.seed)}, ${inMs(world.clock.nowMs())}`,
    ...diagnose(world.view),
    ...(faults.length === 0 ? ['no fault is in force'] : ['faults in force:', ...faults.map((fault) => `  ${fault}`)]),
    '',
    ...last,
  ].join('\n');
}

function inMs(atMs: number): string {
  return `${atMs.toFixed(0)} ms`;
}
