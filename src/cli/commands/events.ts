import { HotMirrorError } from '../../errors.ts';
import type { LoggedEvent } from '../../node/control-protocol.ts';
import type { TimelineReport } from '../../node/programs.ts';
import { ask } from '../ask.ts';
import type { Command, Invocation } from '../command.ts';
import { configOf, exitCodes, flag, optionText, print } from '../command.ts';

const nameWidth = 20;

/** Shows the event log, or writes a page that does. */
export const eventsCommand: Command = {
  name: 'events',
  usage: '[--follow | --report FILE.html]',
  summary: 'shows the event log, oldest first; with --report, as a page with a time axis',
  options: { follow: { type: 'boolean' }, report: { type: 'string' } },
  words: [],
  needsConfig: true,
  async run(invocation) {
    const report = optionText(invocation, 'report');
    if (report === undefined) await show(invocation);
    else await writeReport(invocation, report);
    return exitCodes.done;
  },
};

async function show(invocation: Invocation): Promise<void> {
  const follow = flag(invocation, 'follow');
  try {
    await ask(invocation, 'events', { follow }, { patient: follow, onProgress: (event) => print(invocation, event, describe) });
  } catch (error) {
    // Following ends by the user's wish only.
    if (!(follow && invocation.io.signal.aborted)) throw error;
  }
}

/** The log of a node is bounded, so all of it can be held. */
async function writeReport(invocation: Invocation, file: string): Promise<void> {
  if (flag(invocation, 'follow')) throw new HotMirrorError('HM_USAGE', 'a report shows what was: --report goes without --follow');
  if (file === '') throw new HotMirrorError('HM_USAGE', '--report needs the name of a file');
  const events: LoggedEvent[] = [];
  await ask(invocation, 'events', { follow: false }, { onProgress: (event) => void events.push(event) });
  const node = events[0]?.node ?? 'a node';
  const note = `the event log of ${node}, ${configOf(invocation).path}`;
  const written = await invocation.io.programs.timeline(events, { file, title: `What ${node} did`, note });
  print(invocation, written, describeReport);
}

function describeReport({ file, entries }: TimelineReport): string {
  return `${String(entries)} ${entries === 1 ? 'event is' : 'events are'} shown in ${file}`;
}

function describe({ time, node, event, class: effect, mirror, rule, text }: LoggedEvent): string {
  const about = mirror === undefined ? '' : ` ${mirror}:`;
  return `${time} ${node} ${String(effect)} ${event.padEnd(nameWidth)}${about} ${text}${rule === undefined ? '' : ` (${rule})`}`;
}
