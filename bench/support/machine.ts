import { spawnSync } from 'node:child_process';
import os from 'node:os';

const version = /\d+\.\d+[\w.]*/u;

/** The programs of these that are not installed. */
export function missingOf(programs: readonly string[]): readonly string[] {
  return programs.filter((program) => spawnSync(program, ['--version']).error !== undefined);
}

/** One line about what was measured on. */
export function describeMachine(programs: readonly string[]): string {
  const cpus = os.cpus();
  const versions = programs.map((program) => {
    const { stdout } = spawnSync(program, ['--version'], { encoding: 'utf8' });
    return `${program} ${version.exec(stdout)?.[0] ?? '?'}`;
  });
  const memory = `${(os.totalmem() / 2 ** 30).toFixed(0)} GiB`;
  const hardware = `${cpus[0]?.model ?? process.arch}, ${String(cpus.length)} cores, ${memory}`;
  return [hardware, `Linux ${os.release()}`, `Node ${process.versions.node}`, ...versions].join(', ');
}

/** Whether others use it shows in the load before anything began. */
export function describeRun(command: string): string {
  return `${new Date().toISOString().slice(0, 16).replace('T', ' ')} UTC, load ${os.loadavg()[0]!.toFixed(2)} before; \`${command}\``;
}
