import { copyFile } from 'node:fs/promises';
import path from 'node:path';

import type { CliIo, ExitCode } from '../../../src/cli/command.ts';
import { main } from '../../../src/cli/command-line.ts';
import type { ControlHandlers } from '../../../src/node/control-protocol.ts';
import { openControlSocket } from '../../../src/node/control-socket.ts';
import type { NodePrograms } from '../../../src/node/programs.ts';
import { SeededRandom } from '../../../src/testing/seeded-random.ts';
import { VirtualClock } from '../../../src/testing/virtual-clock.ts';
import { refusingHandlers } from '../../node/fake-node.ts';
import { withFolder } from '../../node/temporary-folder.ts';

const example = new URL('../../../../test/support/office-pair.json', import.meta.url);

export interface Ran {
  readonly code: ExitCode;
  readonly out: string;
  readonly err: string;
}

export const noPrograms: NodePrograms = {
  run: () => Promise.reject(new Error('not expected')),
  init: () => Promise.reject(new Error('not expected')),
  demo: () => Promise.reject(new Error('not expected')),
  simulate: () => Promise.reject(new Error('not expected')),
  timeline: () => Promise.reject(new Error('not expected')),
};

export async function run(line: readonly string[], world: Partial<CliIo> = {}): Promise<Ran> {
  let out = '';
  let err = '';
  const code = await main(line, {
    out: (text) => void (out += text),
    outBytes: (bytes) => Promise.resolve(void (out += Buffer.from(bytes).toString('latin1'))),
    err: (text) => void (err += text),
    screen: false,
    hostName: 'somewhere',
    version: '1.2.3',
    clock: new VirtualClock(),
    random: new SeededRandom(1),
    signal: new AbortController().signal,
    onHangUp: () => () => undefined,
    programs: noPrograms,
    ...world,
  });
  return { code, out, err };
}

/** Runs command lines against a node that is not there but answers; `on` appends the configuration. */
export async function withNode(
  handlers: Partial<ControlHandlers>,
  use: (on: (...line: string[]) => Promise<Ran>, file: string) => Promise<void>,
  { node = 'north', world = {} }: { readonly node?: string; readonly world?: Partial<CliIo> } = {},
): Promise<void> {
  await withPair(async (file) => {
    const socket = await openControlSocket({
      path: path.join(path.dirname(file), node, 'control.sock'),
      handlers: { ...refusingHandlers, ...handlers },
    });
    try {
      await use((...line) => run([...line, '--config', file], world), file);
    } finally {
      await socket.close();
    }
  });
}

export async function withPair(use: (file: string) => Promise<void>): Promise<void> {
  await withFolder(async (folder) => {
    const file = path.join(folder, 'pair.json');
    await copyFile(example, file);
    await use(file);
  });
}
