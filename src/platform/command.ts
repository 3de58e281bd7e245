import { HotMirrorError } from '../errors.ts';
import type { PlatformActions } from './platform-actions.ts';

/** Steps as configured command lines. */
export function commandPlatform(commands: object): PlatformActions {
  throw new HotMirrorError('HM_NOT_SUPPORTED', Object.keys(commands).join());
}
