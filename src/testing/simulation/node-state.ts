import type { SimulatedProcess } from './simulated-process.ts';

/** What a node does now, in a word, as the log tells it. */
export function nodeState(process: SimulatedProcess | undefined): 'down' | 'paused' | 'stopping' | 'booting' | 'serving' | 'passive' {
  if (!process) return 'down';
  if (process.clock.paused) return 'paused';
  if (process.stopping) return 'stopping';
  if (!process.ready) return 'booting';
  const { booting, serving } = process.orchestrator.status();
  if (booting) return 'booting';
  return serving ? 'serving' : 'passive';
}
