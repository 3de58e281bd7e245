import { parseArgs } from 'node:util';

import { HotMirrorError } from '../errors.ts';
import { loadConfig } from '../node/config.ts';
import type { CliIo, Command, ExitCode, Invocation, OptionsConfig } from './command.ts';
import { commonOptions, exitCodes } from './command.ts';
import { checkCommand } from './commands/check.ts';
import { controlCommand } from './commands/control.ts';
import { demoCommand } from './commands/demo.ts';
import { growCommand } from './commands/grow.ts';
import { elementCommand } from './commands/element.ts';
import { regenerateCommand, verifyCommand } from './commands/copies.ts';
import { eventsCommand } from './commands/events.ts';
import { initCommand } from './commands/init.ts';
import { adoptCommand, fallbackCommand, recoverCommand, resumeCommand, switchoverCommand } from './commands/moves.ts';
import { planCommand } from './commands/plan.ts';
import { protocolCommand } from './commands/protocol.ts';
import { resolveCommand } from './commands/resolve.ts';
import { runCommand } from './commands/run.ts';
import { salvageCommand } from './commands/salvage.ts';
import { simulateCommand } from './commands/simulate.ts';
import { statusCommand } from './commands/status.ts';
import { maintenanceCommand, watchCommand } from './commands/watch.ts';
import { commandHelp, help } from './help.ts';
import { describeError, exitCodeOf } from './refusal.ts';

const commands: readonly Command[] = [
  checkCommand,
  initCommand,
  runCommand,
  statusCommand,
  eventsCommand,
  controlCommand,
  watchCommand,
  maintenanceCommand,
  fallbackCommand,
  recoverCommand,
  switchoverCommand,
  resumeCommand,
  adoptCommand,
  regenerateCommand,
  verifyCommand,
  elementCommand,
  growCommand,
  protocolCommand,
  planCommand,
  resolveCommand,
  salvageCommand,
  demoCommand,
  simulateCommand,
];

/** Named in the contract, and not built yet. */
const laterCommands: readonly string[] = ['drill', 'menu'];

/** Runs one command line (without program names) and gives its exit code. Never rejects. */
export async function main(argv: readonly string[], io: CliIo): Promise<ExitCode> {
  try {
    return await dispatch(argv, io);
  } catch (error) {
    const typed = HotMirrorError.from(error, 'HM_INTERNAL', 'unexpected');
    // Also where the line cannot be read: a program that asks for JSON gets JSON.
    io.err(describeError(typed, { json: argv.includes('--json') }));
    return exitCodeOf(typed);
  }
}

async function dispatch([name, ...rest]: readonly string[], io: CliIo): Promise<ExitCode> {
  if (name === '--help' || name === '-h') {
    io.out(help(commands));
    return exitCodes.done;
  }
  if (name === '--version') {
    io.out(`${io.version}\n`);
    return exitCodes.done;
  }
  const command = findCommand(name);
  const { values, positionals } = parse(command, rest);
  if (values['help'] === true) {
    io.out(commandHelp(command));
    return exitCodes.done;
  }
  checkWords(command, positionals);
  const file = values['config'];
  const needsConfig = command.common.includes('config');
  if (needsConfig && typeof file !== 'string') throw new HotMirrorError('HM_USAGE', `${command.name} needs --config FILE`);
  const loaded = needsConfig && typeof file === 'string' ? await loadConfig(file) : null;
  return command.run({ io, positionals, options: values, loaded });
}

function findCommand(name: string | undefined): Command {
  const command = commands.find((each) => each.name === name);
  if (command) return command;
  if (name === undefined) throw new HotMirrorError('HM_USAGE', 'which command?');
  if (laterCommands.includes(name)) throw new HotMirrorError('HM_USAGE', `${name} is not in this version`);
  throw new HotMirrorError('HM_USAGE', name.startsWith('-') ? `the command comes first, then ${name}` : `no command is called "${name}"`);
}

function parse(
  command: Command,
  args: readonly string[],
): { readonly values: Invocation['options']; readonly positionals: readonly string[] } {
  const options: OptionsConfig = { ...commonOptions, ...command.options };
  try {
    const { values, positionals, tokens } = parseArgs({ args: [...args], options, allowPositionals: true, tokens: true });
    const given = tokens.flatMap((token) => (token.kind === 'option' && options[token.name]?.type === 'string' ? [token.name] : []));
    const twice = given.find((name, at) => given.indexOf(name) !== at);
    if (twice !== undefined) throw new HotMirrorError('HM_USAGE', `${command.name}: --${twice} is given more than once`);
    return { values, positionals };
  } catch (error) {
    throw HotMirrorError.from(error, 'HM_USAGE', command.name);
  }
}

function checkWords({ name, usage, words }: Command, positionals: readonly string[]): void {
  const fits =
    positionals.length === words.length && words.every((allowed, at) => allowed.length === 0 || allowed.includes(positionals[at] ?? ''));
  if (!fits) throw new HotMirrorError('HM_USAGE', `usage: hotmirror ${name} ${usage}`.trimEnd());
}
