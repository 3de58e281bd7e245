import { sleep } from '../../clock/clock.ts';
import { HotMirrorError } from '../../errors.ts';
import { ask } from '../ask.ts';
import type { Command, Invocation } from '../command.ts';
import { configOf, exitCodes, flag, print } from '../command.ts';
import { describeError } from '../refusal.ts';
import { statusView } from '../status-view.ts';

const watchIntervalMs = 1000;
const clearScreen = '\u001b[2J\u001b[H';

/** Shows the node's state. */
export const statusCommand: Command = {
  name: 'status',
  usage: '[--watch] [--statistics]',
  summary: "shows the node's state",
  options: {
    watch: { type: 'boolean', help: 'shows it again each second, until Ctrl-C' },
    statistics: {
      type: 'boolean',
      help: 'adds what each mirror has counted since its node started (requests, latencies, queues, resync, link), and how good each monitor link is',
    },
  },
  words: [],
  common: ['config', 'node', 'json'],
  async run(invocation) {
    await show(invocation);
    if (flag(invocation, 'watch')) await watch(invocation);
    return exitCodes.done;
  },
};

async function show(invocation: Invocation): Promise<void> {
  const { config } = configOf(invocation);
  // A node of an earlier version knows no statistics, and is asked for none.
  const params = flag(invocation, 'statistics') ? { statistics: true } : {};
  print(invocation, await ask(invocation, 'status', params), (status) => statusView(status, config));
}

/** Goes on through a failure of the node: that is when one watches. */
async function watch(invocation: Invocation): Promise<void> {
  const { io } = invocation;
  for (;;) {
    try {
      await sleep(io.clock, watchIntervalMs, io.signal);
      if (io.screen && !flag(invocation, 'json')) io.out(clearScreen);
      await show(invocation);
    } catch (error) {
      if (io.signal.aborted) return;
      io.err(describeError(HotMirrorError.from(error, 'HM_INTERNAL', 'status'), { json: flag(invocation, 'json') }));
    }
  }
}
