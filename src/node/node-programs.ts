import { demonstrate } from './demo/demo.ts';
import { initNode } from './init.ts';
import type { NodePrograms } from './programs.ts';
import { runNode } from './run.ts';
import { simulate } from './simulate/simulate.ts';
import { writeTimelineReport } from './timeline-report.ts';

/** The programs behind the commands that do more than ask a running node. */
export const nodePrograms: NodePrograms = {
  run: runNode,
  init: initNode,
  demo: demonstrate,
  simulate,
  timeline: writeTimelineReport,
};
