import { HotMirrorError } from '../../errors.ts';
import type { WishProgress } from '../../node/control-protocol.ts';
import { ask } from '../ask.ts';
import type { AskOptions } from '../ask.ts';
import type { Command, ExitCode, Invocation } from '../command.ts';
import { configOf, exitCodes, flag, print, unconfirmed } from '../command.ts';
import { resyncLine } from '../status-view.ts';

const overwrites = 'what the element of the other node holds is overwritten where it differs, and that node cannot take over until it is';

/** Copies now what differs, or everything. */
export const regenerateCommand: Command = {
  name: 'regenerate',
  usage: 'MIRROR [--full]',
  summary: 'resync now, from the serving node to the other; shows progress',
  options: { full: { type: 'boolean', help: 'everything, not only what is known to differ; needs --yes' } },
  words: [[]],
  common: ['config', 'node', 'json', 'yes'],
  async run(invocation) {
    const mirror = mirrorOf(invocation);
    const full = flag(invocation, 'full');
    if (full && !flag(invocation, 'yes')) throw unconfirmed('regenerate --full', overwrites);
    const goesOn = `what was begun of ${mirror} goes on, only the wait has ended: see \`hotmirror status\``;
    return unlessInterrupted(invocation, goesOn, async () => {
      print(invocation, await ask(invocation, 'regenerate', { mirror, full }, optionsOf(invocation)), ({ text }) => text);
      return exitCodes.done;
    });
  },
};

/** Compares both elements while the mirror is in use. */
export const verifyCommand: Command = {
  name: 'verify',
  usage: 'MIRROR [--repair | --waive]',
  summary: 'compares both elements online; exit code 5 where they differ',
  options: {
    repair: { type: 'boolean', help: 'copies what differs from the serving node to the other; needs --yes' },
    waive: { type: 'boolean', help: 'compares nothing: what was found before bars automatic takeover no longer; needs --yes' },
  },
  words: [[]],
  common: ['config', 'node', 'json', 'yes'],
  async run(invocation) {
    const mirror = mirrorOf(invocation);
    const [repair, waive] = [flag(invocation, 'repair'), flag(invocation, 'waive')];
    if (repair && waive) throw new HotMirrorError('HM_USAGE', '--repair and --waive exclude each other');
    if (repair && !flag(invocation, 'yes')) throw unconfirmed('verify --repair', overwrites);
    if (waive && !flag(invocation, 'yes')) throw unconfirmed('verify --waive', 'after a takeover the other node serves what differs');
    const ended = `the verify of ${mirror} ends; what it has found so far counts${repair ? ', and a repair that was begun goes on' : ''}`;
    return unlessInterrupted(invocation, ended, async () => {
      const wish = waive ? 'waive' : repair ? 'repair' : 'find';
      const result = await ask(invocation, 'verify', { mirror, wish }, optionsOf(invocation));
      print(invocation, result, ({ text }) => text);
      return result.differingBytes > 0 ? exitCodes.findings : exitCodes.done;
    });
  },
};

function mirrorOf(invocation: Invocation): string {
  const [mirror = ''] = invocation.positionals;
  const names = configOf(invocation).config.mirrors.map(({ name }) => name);
  if (!names.includes(mirror)) throw new HotMirrorError('HM_USAGE', `there is no mirror "${mirror}"; there are ${names.join(', ')}`);
  return mirror;
}

/** As long as the copy takes, and shows how far it is. */
function optionsOf(invocation: Invocation): AskOptions<WishProgress> {
  return { patient: true, onProgress: (progress) => tell(invocation, progress) };
}

/** Ctrl-C leaves the node, which notices: says what that ends. */
async function unlessInterrupted(invocation: Invocation, text: string, run: () => Promise<ExitCode>): Promise<ExitCode> {
  try {
    return await run();
  } catch (error) {
    if (!invocation.io.signal.aborted || !(error instanceof HotMirrorError && error.code === 'HM_ABORTED')) throw error;
    invocation.io.err(`${text}\n`);
    return exitCodes.interrupted;
  }
}

function tell(invocation: Invocation, { text, mirror, resync }: WishProgress): void {
  invocation.io.err(`${resync && mirror !== undefined ? resyncLine(mirror, resync) : text}\n`);
}
