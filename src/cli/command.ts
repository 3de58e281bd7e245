import type { Clock } from '../clock/clock.ts';
import type { Random } from '../clock/random.ts';
import { HotMirrorError } from '../errors.ts';
import type { LoadedConfig } from '../node/config.ts';
import { peerOf } from '../node/config.ts';
import type { NodePrograms } from '../node/programs.ts';

/** What the exit codes mean; stable, see the command-line contract. */
export const exitCodes = {
  done: 0,
  failed: 1,
  usage: 2,
  refused: 3,
  noNode: 4,
  findings: 5,
  /** As shells have it for a program that SIGINT ends. */
  interrupted: 130,
} as const;

/** An exit code. */
export type ExitCode = (typeof exitCodes)[keyof typeof exitCodes];

/** The world of a command line: injected, so that tests run it in their own process. */
export interface CliIo {
  readonly out: (text: string) => void;
  /** Resolves when there is room for more. */
  readonly outBytes: (bytes: Uint8Array) => Promise<void>;
  readonly err: (text: string) => void;
  /** `out` is a screen that can be cleared. */
  readonly screen: boolean;
  readonly hostName: string;
  readonly version: string;
  readonly clock: Clock;
  readonly random: Random;
  /** Aborted by SIGINT and SIGTERM. */
  readonly signal: AbortSignal;
  /** Calls back at each SIGHUP, which ends the program no more; gives how to stop that. */
  readonly onHangUp: (listener: () => void) => () => void;
  readonly programs: NodePrograms;
}

/** A command line that has been read. */
export interface Invocation {
  readonly io: CliIo;
  readonly positionals: readonly string[];
  readonly options: Readonly<Record<string, string | boolean | undefined>>;
  /** The configuration; null for commands without one. */
  readonly loaded: LoadedConfig | null;
}

/** An option: how `parseArgs` reads it, and what the help says of it. */
export interface OptionConfig {
  readonly type: 'string' | 'boolean';
  readonly short?: string;
  /** What its value is, such as `SECONDS`; absent for a flag. */
  readonly value?: string;
  /** With the unit of the value and what holds without it. */
  readonly help: string;
}

/** Options by name. */
export type OptionsConfig = Readonly<Record<string, OptionConfig>>;

/** The name of an option that every command accepts. */
export type CommonOption = 'config' | 'node' | 'json' | 'yes' | 'help';

/** What every command accepts. */
export const commonOptions: Readonly<Record<CommonOption, OptionConfig>> = {
  config: { type: 'string', value: 'FILE', help: 'the pair configuration, the same on both nodes; needed' },
  node: {
    type: 'string',
    value: 'NAME',
    help: 'which node is meant; default: the one that has the host name, else (not for run and init) one that answers on this machine',
  },
  json: { type: 'boolean', help: 'prints JSON; an error too, as the last line of stderr' },
  yes: { type: 'boolean', help: 'confirms what may lose data' },
  help: { type: 'boolean', short: 'h', help: 'explains the command' },
};

/** One command. */
export interface Command {
  readonly name: string;
  /** What follows the name in the help, such as `auto|manual`. */
  readonly usage: string;
  readonly summary: string;
  readonly options: OptionsConfig;
  /** What the words after the name may be; an empty list: anything. */
  readonly words: readonly (readonly string[])[];
  /** Which of the options that all commands accept mean something to this one. */
  readonly common: readonly CommonOption[];
  run(invocation: Invocation): Promise<ExitCode>;
}

/** The configuration of a command that has one. */
export function configOf(invocation: Invocation): LoadedConfig {
  if (!invocation.loaded) throw new HotMirrorError('HM_INTERNAL', 'this command was run without a configuration');
  return invocation.loaded;
}

/** Whether a flag was given. */
export function flag(invocation: Invocation, name: string): boolean {
  return invocation.options[name] === true;
}

/** The value of an option, if it was given. */
export function optionText(invocation: Invocation, name: string): string | undefined {
  const value = invocation.options[name];
  return typeof value === 'string' ? value : undefined;
}

/** Which node this is: `--node`, else the one that has the host's name. Throws `HM_USAGE`. */
export function thisNode(invocation: Invocation): string {
  const { config } = configOf(invocation);
  const named = optionText(invocation, 'node');
  if (named !== undefined) {
    peerOf(config, named);
    return named;
  }
  const { hostName } = invocation.io;
  if (Object.hasOwn(config.nodes, hostName)) return hostName;
  throw new HotMirrorError(
    'HM_USAGE',
    `this host is called "${hostName}" and no node is; say --node ${Object.keys(config.nodes).join(' or --node ')}`,
  );
}

/** Prints a value as one line of JSON, or what `human` makes of it. */
export function print<Value>(invocation: Invocation, value: Value, human: (value: Value) => string): void {
  invocation.io.out(`${flag(invocation, 'json') ? JSON.stringify(value) : human(value)}\n`);
}

/** The end of a command that may lose data and was not confirmed: says what may be lost. */
export function unconfirmed(what: string, mayLose: string): HotMirrorError {
  const remedy = 'If that is what you want, say it again with --yes.';
  return new HotMirrorError('HM_REFUSED', `${what} may lose data: ${mayLose}`, { details: { remedy } });
}
