import type { ExplorationOptions } from '../../src/testing/exploration/options.ts';
import { logEntryAfterData } from './mirror-mutants.ts';
import type { Mutant } from './mutant.ts';

const schedules = 100;
const oneCrash: ExplorationOptions = { whenAlone: 'freeze', bounds: { postponements: 0, crashes: 1, partitions: 0, writes: 1 } };
/** Every schedule that ends in a known state goes on beside the one that it knows it from. */
const compared: ExplorationOptions = { ...oneCrash, whenAlone: 'arbiter', followEvery: 1 };

/** Bugs that the exploration finds, and keys under which it takes different states for the same. */
export const explorationMutants: readonly Mutant[] = [
  {
    name: 'writes the log entry after the data, in the small world',
    breaks: 'write.intent',
    edits: [logEntryAfterData],
    withinSeeds: schedules,
    explore: oneCrash,
  },
  {
    name: 'recognises states without what is on its way',
    breaks: 'the key of a state',
    edits: [{ file: 'testing/exploration/state-key.ts', find: `    traffic.view(age),\n`, replace: `` }],
    withinSeeds: schedules,
    explore: compared,
  },
  {
    name: 'recognises states by the elements of the mirrors alone',
    breaks: 'the key of a state',
    edits: [
      {
        file: 'testing/exploration/state-key.ts',
        find: `[...process.mirrors.values()].map((mirror) => mirror.snapshot()),`,
        replace: `[...process.mirrors.values()].map((mirror) => mirror.state().element),`,
      },
    ],
    withinSeeds: schedules,
    explore: compared,
  },
  {
    name: 'recognises states without what the monitors know',
    breaks: 'the key of a state',
    edits: [{ file: 'testing/exploration/state-key.ts', find: `    process.monitor.snapshot(),\n`, replace: `` }],
    withinSeeds: schedules,
    explore: compared,
  },
];
