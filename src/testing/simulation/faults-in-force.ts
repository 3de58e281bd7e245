import { isDeepStrictEqual } from 'node:util';

import type { NodeName } from './steps.ts';
import { nodeNames, otherNode } from './steps.ts';
import type { World } from './world.ts';

/** Every fault that has begun and not ended, in words, a line each. */
export function faultsInForce(world: World): readonly string[] {
  return [...cutLinks(world), ...troubledLinks(world), ...arbiterFaults(world), ...nodeNames.flatMap((node) => nodeFaults(world, node))];
}

function cutLinks({ network }: World): readonly string[] {
  return inWords(network.cuts).map(({ which, links }) => `cut: ${whatOf(links, network.links.size)}, ${which}`);
}

function troubledLinks({ network, options }: World): readonly string[] {
  const troubled = network.troubled.filter(({ conditions }) => !isDeepStrictEqual(conditions, options.links));
  const kinds = [...new Set(troubled.map(({ conditions }) => JSON.stringify(conditions)))];
  return kinds.flatMap((kind) =>
    inWords(troubled.filter(({ conditions }) => JSON.stringify(conditions) === kind)).map(
      ({ which, links }) => `link conditions ${kind}: ${whatOf(links, network.links.size)}, ${which}`,
    ),
  );
}

/** Directions, those that are alike in one. */
function inWords(
  ways: readonly { readonly link: string; readonly from: NodeName }[],
): readonly { which: string; links: readonly string[] }[] {
  const has = (link: string, from: NodeName): boolean => ways.some((way) => way.link === link && way.from === from);
  const links = [...new Set(ways.map(({ link }) => link))];
  const oneWay = (from: NodeName): readonly string[] => links.filter((link) => has(link, from) && !has(link, otherNode(from)));
  return [
    { which: 'both ways', links: links.filter((link) => nodeNames.every((from) => has(link, from))) },
    ...nodeNames.map((from) => ({ which: `what ${from} sends`, links: oneWay(from) })),
  ].filter(({ links: some }) => some.length > 0);
}

function whatOf(links: readonly string[], all: number): string {
  return links.length === all ? 'every link' : links.join(', ');
}

function arbiterFaults({ arbiter }: World): readonly string[] {
  const ways = nodeNames.map((node) => ({ node, ...arbiter.way(node) }));
  if (ways.every(({ reachable }) => !reachable)) return ['the arbiter cannot be reached'];
  return ways.flatMap(({ node, reachable, lossPercent }) => {
    if (!reachable) return [`${node} does not reach the arbiter`];
    return lossPercent === 0 ? [] : [`${String(lossPercent)} % of what ${node} asks the arbiter, and of its answers, is lost`];
  });
}

function nodeFaults({ nodes, options }: World, node: NodeName): readonly string[] {
  const { process, startError, driftPpm, disks } = nodes[node];
  const diesAfter = process?.gate.diesAfter ?? null;
  return [
    ...(startError ? [`the last start of ${node} failed: ${startError.message}`] : []),
    ...(process?.clock.paused ? [`the process of ${node} stands still`] : []),
    ...(diesAfter === null ? [] : [`${node} dies at effect ${String(diesAfter)} from now`]),
    ...(driftPpm === (options.driftPpm[node] ?? 0) ? [] : [`the clock of ${node} drifts by ${String(driftPpm)} ppm`]),
    ...disks.named('record').ailments.map((ailment) => `pair record of ${node}: ${ailment}`),
    ...[...disks.mirrors].flatMap(([mirror, { element, metadata }]) => [
      ...element.ailments.map((ailment) => `element of ${mirror} at ${node}: ${ailment}`),
      ...metadata.ailments.map((ailment) => `metadata of ${mirror} at ${node}: ${ailment}`),
    ]),
  ];
}
