import { HotMirrorError } from '../errors.ts';
import type { NodePrograms } from './programs.ts';

/** The programs behind the commands that do not ask a running node. */
export const nodePrograms: NodePrograms = {
  run: () => Promise.reject(new HotMirrorError('HM_NOT_SUPPORTED', 'run is not in this build')),
  init: () => Promise.reject(new HotMirrorError('HM_NOT_SUPPORTED', 'init is not in this build')),
  demo: () => Promise.reject(new HotMirrorError('HM_NOT_SUPPORTED', 'demo is not in this build')),
};
