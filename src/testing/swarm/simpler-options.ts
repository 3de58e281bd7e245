import type { PairSimulationOptions, WorkloadOptions } from '../simulation/options.ts';

const smallMirrorBytes = 65_536;
const defaulted = [
  'fence',
  'netDisk',
  'synchronousElements',
  'punchHole',
  'latencies',
  'links',
  'driftPpm',
  'undoJournalExtents',
  'activeRegions',
  'times',
  'powerCuts',
] as const;
const workloadNames = [
  ...(['overlapsPercent', 'longPercent', 'zeroesPercent'] as const),
  ...(['blocks', 'blockBytes', 'depth', 'pauseMs', 'writesPercent', 'readsPercent', 'fuaPercent'] as const),
];

/** Every way to make options plainer by one thing, in the order in which it helps a reader most. */
export function simplerOptions(options: PairSimulationOptions): readonly PairSimulationOptions[] {
  const { mirrors = [], monitorLinks = [], arbiter, policy } = options;
  return [
    ...(mirrors.length > 1 ? [mirrors.slice(0, 1), mirrors.slice(1)].map((fewer) => ({ ...options, mirrors: fewer })) : []),
    ...(mirrors.some(({ sizeBytes }) => sizeBytes !== smallMirrorBytes)
      ? [{ ...options, mirrors: mirrors.map((mirror) => ({ ...mirror, sizeBytes: smallMirrorBytes })) }]
      : []),
    ...(['roomBytes', 'windowBytes', 'whenCongested', 'protocol'] as const)
      .filter((name) => mirrors.some((mirror) => mirror[name] !== undefined))
      .map((name) => ({ ...options, mirrors: mirrors.map((mirror) => without(mirror, name)[0] ?? mirror) })),
    ...(monitorLinks.length > 1 ? [{ ...options, monitorLinks: monitorLinks.slice(0, 1) }] : []),
    ...(arbiter === true && policy?.whenAlone !== 'arbiter' ? without(options, 'arbiter') : []),
    ...simplerWorkloads(options.workload ?? null).map((workload) => ({ ...options, workload })),
    ...defaulted.flatMap((name) => without(options, name)),
    ...(options.threadLagMs === 0 ? [] : [{ ...options, threadLagMs: 0 }]),
  ];
}

function simplerWorkloads(workload: WorkloadOptions | null): readonly (WorkloadOptions | null)[] {
  if (workload === null) return [];
  if (Object.keys(workload).length === 0) return [null];
  return [null, {}, ...workloadNames.flatMap((name) => without(workload, name))];
}

/** The same without this property; nothing where it is not there. */
function without<Options extends object>(options: Options, name: keyof Options): readonly Options[] {
  if (options[name] === undefined) return [];
  return [Object.fromEntries(Object.entries(options).filter(([each]) => each !== name)) as Options];
}
