import { readFileSync } from 'node:fs';

/** `USER_HZ`, which Linux fixes for what it tells of itself. */
const ticksPerSecond = 100;
/** Of `/proc/PID/stat`, counted after the name of the program, which may hold anything. */
const userTimeField = 11;
const systemTimeField = 12;

/** Seconds of CPU time of a process with all its threads, from its `/proc/PID/stat`. */
export function cpuSecondsIn(stat: string): number {
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[userTimeField]) + Number(fields[systemTimeField])) / ticksPerSecond;
}

/** The most memory that a process had in use, from its `/proc/PID/status`. */
export function peakMebibytesIn(status: string): number {
  return Number(/^VmHWM:\s+(\d+) kB$/mu.exec(status)?.[1]) / 1_024;
}

/** Of all these processes. */
export function cpuSecondsOf(pids: readonly number[]): number {
  return pids.reduce((sum, pid) => sum + cpuSecondsIn(readFileSync(`/proc/${String(pid)}/stat`, 'latin1')), 0);
}

/** Of all these processes. */
export function peakMebibytesOf(pids: readonly number[]): number {
  return pids.reduce((sum, pid) => sum + peakMebibytesIn(readFileSync(`/proc/${String(pid)}/status`, 'utf8')), 0);
}
