import { readFileSync } from 'node:fs';
import { hostname } from 'node:os';

import { systemClock } from '../clock/system-clock.ts';
import { systemRandom } from '../clock/system-random.ts';
import { nodePrograms } from '../node/node-programs.ts';
import { main } from './command-line.ts';

const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as { version: string };

const stop = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => stop.abort());
// Whoever read the output has left, as `head` does.
process.stdout.on('error', () => stop.abort());

const exitCode = await main(process.argv.slice(2), {
  out: (text) => process.stdout.write(text),
  outBytes: (bytes) => new Promise((resolve) => process.stdout.write(bytes, () => resolve())),
  err: (text) => process.stderr.write(text),
  screen: process.stdout.isTTY,
  hostName: hostname(),
  version,
  clock: systemClock,
  random: systemRandom,
  signal: stop.signal,
  onHangUp(listener) {
    process.on('SIGHUP', listener);
    return () => process.off('SIGHUP', listener);
  },
  programs: nodePrograms,
});
process.stdout.write('', () => process.exit(exitCode));
