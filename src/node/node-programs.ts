import type { NodePrograms } from './programs.ts';

/** The programs behind the commands that do more than ask a running node. Each is loaded when it is used: commands that only ask need not wait for all that a node is made of. */
export const nodePrograms: NodePrograms = {
  run: async (options) => (await import('./run.ts')).runNode(options),
  init: async (options) => (await import('./init.ts')).initNode(options),
  demo: async (options) => (await import('./demo/demo.ts')).demonstrate(options),
  simulate: async (options) => (await import('./simulate/simulate.ts')).simulate(options),
  timeline: async (events, options) => (await import('./timeline-report.ts')).writeTimelineReport(events, options),
};
