import type { EventBase } from './events.ts';

/** What a health probe found last. `unknown`: nothing yet, or it cannot be said now, as of a service that runs on the other node. */
export type HealthState = 'unknown' | 'ok' | 'failed';

/** Each of them. */
export const healthStates: readonly HealthState[] = ['unknown', 'ok', 'failed'];

/** A health probe as tokens carry it (rule `watch.token`). */
export interface ProbeReport {
  readonly name: string;
  readonly state: HealthState;
  /** What it said, in one line; absent: nothing. */
  readonly text?: string | undefined;
}

/** A health probe failed, or fails no longer (rule `watch.all`: by itself that moves nothing). */
export interface HealthChanged extends EventBase {
  /** The node that the probe looked at. */
  readonly node: string;
  readonly probe: string;
  readonly from: HealthState;
  readonly to: HealthState;
}

/** A node has no more probes: tokens carry them all, over serial lines too. */
export const maxProbes = 16;
/** Longest text of a probe, in UTF-16 code units. */
export const maxProbeTextLength = 120;
const maxProbeNameLength = 64;
/** What is not assigned yet is none of them: the nodes may know different versions of Unicode. */
const controlCharacters = /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]+/gu;

/** Whether a probe may be called so: as everything in a configuration. */
export function isProbeName(name: string): boolean {
  return name.length <= maxProbeNameLength && /^[A-Za-z0-9][A-Za-z0-9._-]*$/u.test(name);
}

/** Whether a probe may say so: short, and in one line that moves no cursor. */
export function isProbeText(text: string): boolean {
  return text.length <= maxProbeTextLength && text.search(controlCharacters) === -1;
}

/** Makes a text such as {@link isProbeText} wants it: what is too long is cut, and each run of control characters is a space. */
export function probeText(said: string): string {
  return said.trim().slice(0, maxProbeTextLength).replace(controlCharacters, ' ').trim();
}

/** What is to be told of the probes of a node: each that failed, and each that fails no longer. Pure. */
export function healthNews(
  node: string,
  before: readonly ProbeReport[],
  after: readonly ProbeReport[],
): readonly Omit<HealthChanged, 'atMs'>[] {
  const names = new Set([...before, ...after].map(({ name }) => name));
  return [...names].flatMap((probe) => {
    const from = before.find(({ name }) => name === probe)?.state ?? 'unknown';
    const { state: to, text: said } = after.find(({ name }) => name === probe) ?? { state: 'unknown' };
    if (from === to || (from !== 'failed' && to !== 'failed')) return [];
    const text = `Health probe ${probe} of ${node} is ${to} (was ${from})${said === undefined ? '' : `: ${said}`}.`;
    return [{ class: to === 'failed' ? 1 : 0, rule: 'watch.all', text, node, probe, from, to }];
  });
}
