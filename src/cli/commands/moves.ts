import { HotMirrorError } from '../../errors.ts';
import type { WishProgress } from '../../node/control-protocol.ts';
import type { Rule } from '../../rules.ts';
import { rules } from '../../rules.ts';
import { ask } from '../ask.ts';
import type { Command, ExitCode, Invocation } from '../command.ts';
import { exitCodes, flag, optionText, print, unconfirmed } from '../command.ts';
import { resyncLine } from '../status-view.ts';

const peerMayServe = 'if the other node still serves, there are two histories and one of them is lost; make sure that it does not';
const nothingToLose = 'what the other node acknowledged and this one does not hold';

const forceHelp = {
  fallback: 'lifts takeover.auto, .dead, .uptodate and .verified; needs --yes',
  recover: 'does not wait for the regeneration, and takes over where the home standby is silent; needs --yes',
} as const;

/** Moves the service to the home standby. */
export const fallbackCommand: Command = forcibleCommand('fallback', 'moves the service to the home standby');

/** Brings the service back to the home primary. */
export const recoverCommand: Command = forcibleCommand('recover', 'brings the service back to the home primary; shows progress');

/** Moves the service to the other, healthy node. */
export const switchoverCommand: Command = wishCommand('switchover', 'moves the service to the other, healthy node');

/** Lets this node go on without its peer: a frozen one, or the last owner that waits after its start. */
export const resumeCommand: Command = {
  name: 'resume',
  usage: '[--override takeover.arbiter]',
  summary: 'lets a frozen node, or the last owner that waits after a start, go on without its peer',
  options: { override: { type: 'string', value: 'RULE', help: 'takeover.arbiter: also where no arbiter can be asked' } },
  words: [],
  common: ['config', 'node', 'json', 'yes'],
  async run(invocation) {
    const overrides = parseRules(optionText(invocation, 'override'));
    if (!flag(invocation, 'yes')) throw unconfirmed('resume', peerMayServe);
    return move(invocation, (onProgress) => ask(invocation, 'resume', { overrides }, { patient: true, onProgress }));
  },
};

/** Makes the serving node the home primary. */
export const adoptCommand: Command = wishCommand('adopt', 'the serving node becomes the home primary');

/** A move that an operator may force: what it may lose must be confirmed. */
function forcibleCommand(name: 'fallback' | 'recover', summary: string): Command {
  return {
    name,
    usage: '[--force] [--override RULE,…]',
    summary,
    options: {
      force: { type: 'boolean', help: forceHelp[name] },
      override: { type: 'string', value: 'RULE,…', help: 'lifts these rules; needs --yes; default: none' },
    },
    words: [],
    common: ['config', 'node', 'json', 'yes'],
    async run(invocation) {
      const force = flag(invocation, 'force');
      const overrides = parseRules(optionText(invocation, 'override'));
      if ((force || overrides.length > 0) && !flag(invocation, 'yes')) {
        const plan = await ask(invocation, 'plan', { wish: name });
        if (!plan.fulfilled) {
          for (const { rule, because } of plan.blockedBy) invocation.io.err(`blocked by ${rule}: ${because}\n`);
          throw unconfirmed(`${name} by force`, plan.mayLose ?? nothingToLose);
        }
      }
      return move(invocation, (onProgress) => ask(invocation, name, { force, overrides }, { patient: true, onProgress }));
    },
  };
}

function wishCommand(name: 'switchover' | 'adopt', summary: string): Command {
  return {
    name,
    usage: '',
    summary,
    options: {},
    words: [],
    common: ['config', 'node', 'json'],
    run: (invocation) => move(invocation, (onProgress) => ask(invocation, name, {}, { patient: true, onProgress })),
  };
}

async function move(
  invocation: Invocation,
  wish: (onProgress: (progress: WishProgress) => void) => Promise<{ readonly changed: boolean; readonly text: string }>,
): Promise<ExitCode> {
  const result = await wish(({ text, mirror, resync }) => {
    invocation.io.err(`${resync && mirror !== undefined ? resyncLine(mirror, resync) : text}\n`);
  });
  print(invocation, result, ({ text }) => text);
  return exitCodes.done;
}

function parseRules(text: string | undefined): readonly Rule[] {
  if (text === undefined) return [];
  return text.split(',').map((name) => {
    if (!Object.hasOwn(rules, name)) throw new HotMirrorError('HM_USAGE', `--override: no rule is called "${name}"`);
    return name as Rule;
  });
}
