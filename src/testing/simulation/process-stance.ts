import type { SimulatedProcess } from './simulated-process.ts';

/** Whether a process answers an operator. */
export function answers(process: SimulatedProcess | undefined): boolean {
  return process !== undefined && process.ready && !process.stopping && !process.clock.paused;
}

/** What a node does, from its process, in words that follow its name. */
export function stanceOf(process: SimulatedProcess | undefined): string {
  if (!process) return 'is down';
  if (process.clock.paused) return 'stands still';
  if (process.stopping) return 'is being stopped';
  return process.ready ? 'runs' : 'has not started yet';
}
