import type { Command } from '../command.ts';
import { configOf, exitCodes, thisNode } from '../command.ts';

/** Runs the node in the foreground. */
export const runCommand: Command = {
  name: 'run',
  usage: '',
  summary: 'runs the node in the foreground until SIGTERM or SIGINT; SIGHUP has it look for new certificates of its links',
  options: {},
  words: [],
  common: ['config', 'node'],
  async run(invocation) {
    const { io } = invocation;
    const loaded = configOf(invocation);
    const node = thisNode(invocation);
    await io.programs.run({
      loaded,
      node,
      clock: io.clock,
      random: io.random,
      signal: io.signal,
      onRenewal: (look) => io.onHangUp(look),
      ready: () => io.out(`node ${node} of pair ${loaded.config.pair} is ready, process ${String(process.pid)}\n`),
      warn: (text) => io.err(`hotmirror: ${text}\n`),
    });
    return exitCodes.done;
  },
};
