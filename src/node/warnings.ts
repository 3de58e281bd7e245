import type { PairConfig } from './config.ts';
import { isUnfenced } from './config.ts';
import type { MirrorStatus, NodeStatus, StatusWarning } from './control-protocol.ts';
import { ownElementRemedy, peerElementRemedy } from './failed-element.ts';
import { unfencedWarning } from './timing.ts';

/** What an operator should know though no rule refuses anything: each in a sentence of its own. Pure. */
export function warningsOf(status: Omit<NodeStatus, 'warnings'>, config: PairConfig): readonly StatusWarning[] {
  const warnings = status.mirrors.flatMap((mirror) => mirrorWarnings(status, mirror));
  if (status.control === 'auto' && isUnfenced(config)) warnings.push({ rule: 'takeover.unfenced', because: unfencedWarning });
  return warnings;
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
