import type { SimulationEntry } from '../simulation/entry.ts';
import { lastEvents, timesInWords } from '../simulation/last-events.ts';
import type { PairSimulationOptions } from '../simulation/options.ts';
import { describeStep } from '../simulation/perform.ts';
import type { SimulationSchedule } from '../simulation/schedule.ts';

const msPerSecond = 1_000;
const timeWidth = 10;
const nodeWidth = 5;
const eventWidth = 18;

/** A schedule for people: the options, a line for each, then a line for each step. */
export function describeSchedule({ options, steps }: SimulationSchedule): string {
  const width = String(steps.length).length;
  const lines = steps.map((step, at) => `  ${String(at + 1).padStart(width)}. ${describeStep(step)}`);
  return [...describeOptions(options), `${String(steps.length)} steps, then faults stop:`, ...lines].join('\n');
}

/** The last that happened, a line for each thing: what repeats itself has one. */
export function describeLast(log: readonly SimulationEntry[], most: number): readonly string[] {
  const moment = (atMs: number): string => (atMs / msPerSecond).toFixed(3);
  return lastEvents(log, most).map((folded) => describeEntry(folded.entry) + timesInWords(folded, moment));
}

/** What happened, a line: virtual time in seconds, where, what, and the rule. */
export function describeEntry({ atMs, node, event, mirror, rule, text }: SimulationEntry): string {
  const about = mirror === undefined ? '' : ` ${mirror}:`;
  const because = rule === undefined ? '' : ` (${rule})`;
  const seconds = (atMs / msPerSecond).toFixed(3).padStart(timeWidth);
  return `${seconds} ${node.padEnd(nodeWidth)} ${event.padEnd(eventWidth)}${about} ${text}${because}`;
}

function describeOptions(options: PairSimulationOptions): readonly string[] {
  return Object.entries(options).map(([name, value]) => `${name}: ${describeValue(value)}`);
}

function describeValue(value: unknown): string {
  if (Array.isArray(value)) return value.map((each) => (isPlain(each) ? namedValues(each).join(' ') : String(each))).join(', ');
  return isPlain(value) ? namedValues(value).join(' ') || 'the defaults' : String(value);
}

function namedValues(values: object): readonly string[] {
  return Object.entries(values).map(([name, value]) => `${name}=${isPlain(value) ? JSON.stringify(value) : String(value)}`);
}

function isPlain(value: unknown): value is object {
  return typeof value === 'object' && value !== null;
}
