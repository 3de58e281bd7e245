import { demonstrate } from './demo/demo.ts';
import { initNode } from './init.ts';
import type { NodePrograms } from './programs.ts';
import { runNode } from './run.ts';

/** The programs behind the commands that do not ask a running node. */
export const nodePrograms: NodePrograms = { run: runNode, init: initNode, demo: demonstrate };
