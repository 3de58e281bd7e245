import { HotMirrorError } from '../errors.ts';
import type { PairConfig } from './config.ts';
import { isUnfenced } from './config.ts';
import type { MirrorStatus, NodeStatus, StatusWarning } from './control-protocol.ts';
import { ownElementRemedy, peerElementRemedy } from './failed-element.ts';
import { unfencedWarning } from './timing.ts';

/** What an operator should know though no rule refuses anything: each in a sentence of its own. Pure. */
export function warningsOf(status: Omit<NodeStatus, 'warnings'>): readonly StatusWarning[] {
  return [...pauseWarnings(status), ...status.mirrors.flatMap((mirror) => mirrorWarnings(status, mirror))];
}

/** Silence proves nothing during a pause of the monitor, so that nobody takes over, neither by itself nor by order. */
function pauseWarnings({ monitor: { state, links } }: Pick<NodeStatus, 'monitor'>): StatusWarning[] {
  if (state !== 'paused' || links.some((link) => link.state !== 'down')) return [];
  return [
    {
      rule: 'watch.live',
      because: 'no monitor link answers, and nobody takes over before the pause of the monitor ends',
      remedy: pauseRemedy,
    },
  ];
}

/** What leads out of a pause of the monitor in which the peer is silent. */
const pauseRemedy = 'Run `hotmirror maintenance off`; then a node that stays silent for the deadline is taken over.';

/** Gives what fails for want of an answer during a pause of the monitor the remedy that works; any other error is given back as it is. */
export function withPauseRemedy(error: unknown, { monitor }: Pick<NodeStatus, 'monitor'>): unknown {
  if (!(error instanceof HotMirrorError) || error.code !== 'HM_PEER_UNREACHABLE' || monitor.state !== 'paused') return error;
  return new HotMirrorError(error.code, `${error.message}, and the monitor is paused, so that its silence proves nothing`, {
    cause: error,
    rule: 'watch.live',
    details: { remedy: pauseRemedy },
  });
}

/** What the configuration itself risks; no part of the status, for it is so while all is well. Pure. */
export function pairWarnings(control: NodeStatus['control'], config: PairConfig): readonly StatusWarning[] {
  return control === 'auto' && isUnfenced(config) ? [{ rule: 'takeover.unfenced', because: unfencedWarning }] : [];
}

/** One warning in a line, and its remedy in another. */
export function warningLines({ rule, because, remedy }: StatusWarning): readonly string[] {
  return [`warning${rule === undefined ? '' : ` ${rule}`}: ${because}`, ...(remedy === undefined ? [] : [`  remedy: ${remedy}`])];
}

function mirrorWarnings({ node, serving }: Pick<NodeStatus, 'node' | 'serving'>, mirror: MirrorStatus): StatusWarning[] {
  const { name, element, peerElement, elementFailed, elementServer, exportFailed } = mirror;
  const warnings: StatusWarning[] = [];
  const warn = (because: string, remedy: string | null = null): void =>
    void warnings.push({ mirror: name, because, ...(remedy === null ? {} : { remedy }) });
  if (elementFailed !== undefined) warn(`${name} on ${node}: ${elementFailed}`, ownElementRemedy(mirror, serving));
  // A server that was given up is why the element fails, or will at the next request.
  if (elementServer !== undefined)
    warn(`${name} on ${node}: the NBD server of the element is ${elementServer.state}: ${elementServer.because}`);
  if (exportFailed !== undefined) warn(`${name} on ${node}: ${exportFailed}`);
  if (serving && peerElement !== 'uptodate') warn(oneCopy(node, mirror), peerElementRemedy({ element, peerElement }));
  return warnings;
}

/** Writes may complete, and one disk is all that holds them. */
function oneCopy(node: string, { name, element, peerElement }: MirrorStatus): string {
  const holder = element === 'failed' ? 'the other node' : node;
  return `${name} is complete on ${holder} alone: the other element is ${element === 'failed' ? element : peerElement}`;
}
