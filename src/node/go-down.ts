import { writeSync } from 'node:fs';

import type { HotMirrorError } from '../errors.ts';

const stderr = 2;

/** A machine that a SCSI bus error took down does nothing more, in order or otherwise: neither does this process after the call. */
export function goDown({ message }: HotMirrorError): void {
  writeSync(stderr, `${message}\n`);
  process.kill(process.pid, 'SIGKILL');
}
