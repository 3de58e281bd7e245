import { HotMirrorError } from '../errors.ts';
import { askNode } from '../node/control-client.ts';
import type { ControlCommand, ControlCommands } from '../node/control-protocol.ts';
import { peerOf } from '../node/config.ts';
import type { Invocation } from './command.ts';
import { configOf, optionText } from './command.ts';

/** A node that is silent for longer is taken for hung; long enough for it to ask its peer. */
const silenceMs = 10_000;

/** How {@link ask} waits. */
export interface AskOptions<Progress> {
  /** The command waits on people or disks: as long as the connection stands. */
  readonly patient?: boolean;
  readonly onProgress?: (progress: Progress) => void;
}

/** Asks the node that `--node` names; without it the host's own node, then the other: either will do. Rejects as `askNode`. */
export async function ask<Name extends ControlCommand>(
  invocation: Invocation,
  command: Name,
  params: ControlCommands[Name]['params'],
  options: AskOptions<ControlCommands[Name]['progress']> = {},
): Promise<ControlCommands[Name]['result']> {
  const { clock, signal } = invocation.io;
  const { patient = false, ...others } = options;
  const sockets = controlSockets(invocation);
  for (const socket of sockets) {
    try {
      return await askNode(socket, command, params, { clock, signal, ...others, ...(patient ? {} : { silenceMs }) });
    } catch (error) {
      if (!(error instanceof HotMirrorError && error.code === 'HM_NO_NODE')) throw error;
    }
  }
  throw new HotMirrorError('HM_NO_NODE', `no node answers on ${sockets.join(' or ')}`);
}

function controlSockets(invocation: Invocation): readonly string[] {
  const { config } = configOf(invocation);
  const named = optionText(invocation, 'node');
  if (named !== undefined) peerOf(config, named);
  const { hostName } = invocation.io;
  const names = Object.keys(config.nodes);
  const order =
    named === undefined ? [...names.filter((name) => name === hostName), ...names.filter((name) => name !== hostName)] : [named];
  return [...new Set(order.flatMap((name) => config.nodes[name]?.controlSocket ?? []))];
}
