import { HotMirrorError } from '../../errors.ts';
import type { PairConfig } from '../../node/config.ts';
import type { NodeStatus } from '../../node/control-protocol.ts';
import { exportWarnings } from '../../node/export-places.ts';
import type { TimingReport } from '../../node/timing.ts';
import { breaksTiming, formatMs, judgeTiming } from '../../node/timing.ts';
import { ask } from '../ask.ts';
import type { Command, Invocation } from '../command.ts';
import { configOf, exitCodes, print } from '../command.ts';
import { formatTable } from '../table.ts';

/** What `check` prints. */
interface CheckReport extends TimingReport {
  readonly pair: string;
  /** Where the pair record and the file differ; null while they agree or no node answers. */
  readonly homeDiffers: string | null;
  /** The times of a running node that are not those of the file, which are judged; null as above. */
  readonly timesDiffer: string | null;
  /** What the file allows and an operator may not want; it does not fail `check`. */
  readonly warnings: readonly string[];
}

/** Checks the file and the times in it. */
export const checkCommand: Command = {
  name: 'check',
  usage: '',
  summary: 'validates the file, prints the worst-case failover time and every timing rule',
  options: {},
  words: [],
  common: ['config', 'node', 'json'],
  async run(invocation) {
    const { config } = configOf(invocation);
    const status = await statusIfRunning(invocation);
    const report: CheckReport = {
      pair: config.pair,
      ...judgeTiming(config, longestRoundTrip(status)),
      homeDiffers: homeDiffers(status, config),
      timesDiffer: timesDiffer(status),
      warnings: exportWarnings(config),
    };
    print(invocation, report, (given) => describe(given, config));
    return breaksTiming(report) ? exitCodes.findings : exitCodes.done;
  },
};

/** A running node knows the round trips; without one the check goes on without them. */
async function statusIfRunning(invocation: Invocation): Promise<NodeStatus | null> {
  try {
    return await ask(invocation, 'status', {});
  } catch (error) {
    if (error instanceof HotMirrorError && error.code !== 'HM_USAGE' && error.code !== 'HM_CONFIG') return null;
    throw error;
  }
}

function longestRoundTrip(status: NodeStatus | null): number | null {
  const measured = (status?.monitor.links ?? []).flatMap(({ rttMs }) => rttMs ?? []);
  return measured.length === 0 ? null : Math.max(...measured);
}

function homeDiffers(status: NodeStatus | null, config: PairConfig): string | null {
  const configured = status && config.nodes[status.node]?.home;
  if (!status || configured === undefined || configured === status.home) return null;
  return `the file says that ${status.node} is the home ${String(configured)}; the pair record says ${status.home}, and it decides`;
}

function timesDiffer(status: NodeStatus | null): string | null {
  const times = status?.monitor.times;
  if (!times) return null;
  const { intervalMs, deadlineMs } = times;
  return `${status.node} runs with an interval of ${formatMs(intervalMs)} and a deadline of ${formatMs(deadlineMs)} (\`hotmirror watch\`); what is judged here is the file`;
}

function borneBy({ monitor: { detector } }: PairConfig): string {
  return detector === 'deadline' ? 'a deadline' : `the longest that ${detector} bears, maxDeadlineMs,`;
}

function describe({ pair, worstCase, rows, homeDiffers: home, timesDiffer: times, warnings }: CheckReport, config: PairConfig): string {
  const { detectionMs, takeoverMs, failoverMs, stallMs } = worstCase;
  const longest = formatTable([
    ['worst-case failover', formatMs(failoverMs), 'from the death of the serving node to the last step'],
    ['  detection', formatMs(detectionMs), `${borneBy(config)} and an interval: until every link was silent for so long`],
    ['  takeover steps', formatMs(takeoverMs), 'as configured, every try needed; not what disks need for themselves'],
    ['writes stall', stallMs === null ? 'until decided' : formatMs(stallMs), 'at most, when the passive node dies'],
  ]);
  const table = formatTable(rows.map(({ rule, kept, warning, text }) => [kept ? 'kept' : warning ? 'WARNING' : 'BROKEN', rule, text]));
  const last = [...warnings.map((warning) => `WARNING  ${warning}`), ...[home, times].filter((text) => text !== null)];
  return [`pair ${pair}: the configuration is valid`, '', longest, '', table, ...(last.length > 0 ? ['', ...last] : [])].join('\n');
}
