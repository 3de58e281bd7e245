import { HotMirrorError } from '../../errors.ts';
import type { LoggedEvent } from '../../node/control-protocol.ts';
import { savedEvents } from '../../node/event-files.ts';
import type { TimelineReport } from '../../node/programs.ts';
import { ask } from '../ask.ts';
import type { Command, Invocation } from '../command.ts';
import { configOf, exitCodes, flag, optionText, print } from '../command.ts';
import { reportFile } from '../report-file.ts';

const nameWidth = 20;

/** Shows the event log, or writes a page that does. */
export const eventsCommand: Command = {
  name: 'events',
  usage: '[--follow | --report FILE.html]',
  summary: 'shows the event log, oldest first; of a node that does not run, from its state folder',
  options: {
    follow: { type: 'boolean', help: 'goes on with what happens, until Ctrl-C' },
    report: { type: 'string', value: 'FILE.html', help: 'writes a page that shows the log on a time axis; a file that exists is replaced' },
  },
  words: [],
  common: ['config', 'node', 'json'],
  async run(invocation) {
    if (flag(invocation, 'follow') && optionText(invocation, 'report') !== undefined)
      throw new HotMirrorError('HM_USAGE', 'a report shows what was: --report goes without --follow');
    const report = await reportFile(invocation);
    if (report === null) await show(invocation);
    else await writeReport(invocation, report);
    return exitCodes.done;
  },
};

async function show(invocation: Invocation): Promise<void> {
  const tell = (event: LoggedEvent): void => print(invocation, event, describe);
  if (flag(invocation, 'follow')) await follow(invocation, tell);
  else await readLog(invocation, tell);
}

async function follow(invocation: Invocation, tell: (event: LoggedEvent) => void): Promise<void> {
  try {
    await ask(invocation, 'events', { follow: true }, { patient: true, onProgress: tell });
  } catch (error) {
    // Following ends by the user's wish only.
    if (!invocation.io.signal.aborted) throw error;
  }
}

/** The log as the node tells it; where none answers, as its state folder on this machine has it. */
async function readLog(invocation: Invocation, tell: (event: LoggedEvent) => void): Promise<void> {
  try {
    await ask(invocation, 'events', { follow: false }, { onProgress: tell });
  } catch (error) {
    const node = isNoNode(error) ? nodeHere(invocation) : null;
    const stateDir = node === null ? undefined : configOf(invocation).config.nodes[node]?.stateDir;
    const saved = stateDir === undefined ? null : await savedEvents(stateDir);
    if (node === null || !saved) throw error;
    invocation.io.err(`hotmirror: ${node} does not run; this is the log in ${String(stateDir)}\n`);
    for await (const event of saved) tell(event);
  }
}

function isNoNode(error: unknown): boolean {
  return error instanceof HotMirrorError && error.code === 'HM_NO_NODE';
}

/** The node that `--node` names, else the one that has the host's name; null where neither is so. */
function nodeHere(invocation: Invocation): string | null {
  const name = optionText(invocation, 'node') ?? invocation.io.hostName;
  return Object.hasOwn(configOf(invocation).config.nodes, name) ? name : null;
}

/** The log of a node is bounded, so all of it can be held. */
async function writeReport(invocation: Invocation, file: string): Promise<void> {
  const events: LoggedEvent[] = [];
  await readLog(invocation, (event) => void events.push(event));
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
