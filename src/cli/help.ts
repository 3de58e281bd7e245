import type { Command, OptionConfig, OptionsConfig } from './command.ts';
import { commonOptions } from './command.ts';
import { formatTable } from './table.ts';

const exitCodeHelp =
  'Exit codes: 0 done, 1 failed, 2 bad usage or configuration, 3 refused by a rule, 4 no node answers, 5 completed with findings, 130 stopped by Ctrl-C.';

/** What `hotmirror --help` prints. */
export function help(commands: readonly Command[]): string {
  const table = formatTable(commands.map(({ name, usage, summary }) => [`  ${name} ${usage}`.trimEnd(), summary]));
  return `hotmirror COMMAND --config FILE [--node NAME] [--json]\n\n${table}\n\n${optionTable(commonOptions)}\n\n${exitCodeHelp}\n`;
}

/** What `hotmirror COMMAND --help` prints: the options that mean something to the command, its own first. */
export function commandHelp({ name, usage, summary, options, common }: Command): string {
  const words = [
    'hotmirror',
    name,
    usage,
    ...(common.includes('config') ? ['--config FILE'] : []),
    ...(common.includes('node') ? ['[--node NAME]'] : []),
    ...(common.includes('json') ? ['[--json]'] : []),
  ];
  const meant = Object.fromEntries([...common, 'help' as const].map((option) => [option, commonOptions[option]]));
  const line = words.filter((word) => word !== '').join(' ');
  return `${line}\n\n${summary}\n\n${optionTable({ ...options, ...meant })}\n\n${exitCodeHelp}\n`;
}

function optionTable(options: OptionsConfig): string {
  return formatTable(Object.entries(options).map(([name, option]) => [`  --${name}${valueOf(option)}`, option.help]));
}

function valueOf({ value }: OptionConfig): string {
  return value === undefined ? '' : ` ${value}`;
}
