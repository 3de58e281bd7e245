import { HotMirrorError } from '../../errors.ts';
import type { WishProgress } from '../../node/control-protocol.ts';
import { ask } from '../ask.ts';
import type { Command, Invocation } from '../command.ts';
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
    const options = { patient: true, onProgress: (progress: WishProgress) => tell(invocation, progress) };
    print(invocation, await ask(invocation, 'regenerate', { mirror, full }, options), ({ text }) => text);
    return exitCodes.done;
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
    const options = { patient: true, onProgress: (progress: WishProgress) => tell(invocation, progress) };
    const result = await ask(invocation, 'verify', { mirror, wish: waive ? 'waive' : repair ? 'repair' : 'find' }, options);
    print(invocation, result, ({ text }) => text);
    return result.differingBytes > 0 ? exitCodes.findings : exitCodes.done;
  },
};

function mirrorOf(invocation: Invocation): string {
  const [mirror = ''] = invocation.positionals;
  const names = configOf(invocation).config.mirrors.map(({ name }) => name);
  if (!names.includes(mirror)) throw new HotMirrorError('HM_USAGE', `there is no mirror "${mirror}"; there are ${names.join(', ')}`);
  return mirror;
}

function tell(invocation: Invocation, { text, mirror, resync }: WishProgress): void {
  invocation.io.err(`${resync && mirror !== undefined ? resyncLine(mirror, resync) : text}\n`);
}
