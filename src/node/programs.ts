import type { Clock } from '../clock/clock.ts';
import type { Random } from '../clock/random.ts';
import type { SwarmFailure } from '../testing/swarm/failure-report.ts';
import type { LoadedConfig } from './config.ts';
import type { LoggedEvent } from './control-protocol.ts';

/** What a program on a node is given. */
export interface ProgramOptions {
  readonly loaded: LoadedConfig;
  /** Which node this is. */
  readonly node: string;
  readonly clock: Clock;
  readonly random: Random;
}

/** What {@link NodePrograms.run} is given. */
export interface RunOptions extends ProgramOptions {
  /** Aborted when the node is to stop in order. */
  readonly signal: AbortSignal;
  /** Calls back each time that the node is to look for new keys and certificates of its links; gives how to stop that. */
  readonly onRenewal: (look: () => void) => () => void;
  /** Called once the control socket answers. */
  readonly ready: () => void;
  /** Gets what an operator should know, such as rule `takeover.unfenced`. */
  readonly warn: (text: string) => void;
}

/** How to make a node's key file and metadata. */
export interface InitOptions extends ProgramOptions {
  /** Replaces metadata that exists. */
  readonly force: boolean;
  /** The elements are blank whatever the node's home: the other node holds the data. */
  readonly blank: boolean;
}

/** What `initNode` made. */
export interface InitReport {
  readonly node: string;
  readonly home: 'primary' | 'standby';
  readonly key: 'created' | 'present' | 'none';
  readonly mirrors: readonly {
    readonly name: string;
    readonly sizeBytes: number;
    readonly element: 'data' | 'blank';
    readonly metadata: string;
  }[];
}

/** What {@link NodePrograms.demo} is given. */
export interface DemoOptions {
  readonly clock: Clock;
  readonly random: Random;
  readonly signal: AbortSignal;
  /** Gets what happens, line by line. */
  readonly tell: (text: string) => void;
}

/** What {@link NodePrograms.demo} found. */
export interface DemoVerdict {
  readonly passed: boolean;
  /** The signal ended it before its end. */
  readonly stopped: boolean;
  readonly text: string;
}

/** What {@link NodePrograms.simulate} is given. */
export interface SimulateOptions {
  readonly clock: Clock;
  readonly random: Random;
  readonly signal: AbortSignal;
  /** Gets what happens, line by line; the first seed comes first. */
  readonly tell: (text: string) => void;
  /** The first seed; null: a fresh one. */
  readonly seed: number | null;
  /** How many seeds in a row, at most; null: as many as the time allows, or one where there is no time either. */
  readonly seeds: number | null;
  /** No seed is begun later than this after the start, in ms; null: the count alone bounds it. */
  readonly forMs: number | null;
  /** A file with the one schedule to run in place of seeds; null: none. */
  readonly schedule: string | null;
  /** Where to write the timeline of the one run; null: nowhere. */
  readonly report: string | null;
}

/** What {@link NodePrograms.simulate} found. */
export interface SimulateVerdict {
  /** No promise broke, and nothing was stopped before its end. */
  readonly passed: boolean;
  /** The signal ended it before all of it was run. */
  readonly stopped: boolean;
  /** Null where a schedule was run. */
  readonly firstSeed: number | null;
  /** Runs in which every promise held. */
  readonly held: number;
  /** In the order of their seeds. */
  readonly failures: readonly SwarmFailure[];
  readonly virtualMs: number;
  /** Requests of the simulated applications that succeeded. */
  readonly acknowledged: number;
  /** All of it in a line. */
  readonly text: string;
}

/** What {@link NodePrograms.timeline} is given. */
export interface TimelineReportOptions {
  /** Where the page is written; what is there is replaced. */
  readonly file: string;
  readonly title: string;
  readonly note: string;
}

/** What {@link NodePrograms.timeline} wrote. */
export interface TimelineReport {
  /** The whole path. */
  readonly file: string;
  readonly entries: number;
}

/** The programs behind the commands that do more than ask a running node. */
export interface NodePrograms {
  /** Runs a node until the signal aborts; then stops in order. */
  run(options: RunOptions): Promise<void>;
  /** Makes key file and metadata. Rejects with `HM_KEY_MISSING`, `HM_METADATA_EXISTS` and what devices reject with. */
  init(options: InitOptions): Promise<InitReport>;
  /** Shows a pair on this machine through a failure and back. */
  demo(options: DemoOptions): Promise<DemoVerdict>;
  /** Runs simulated pairs through drawn or given schedules. Rejects with `HM_USAGE` for a schedule that is none. */
  simulate(options: SimulateOptions): Promise<SimulateVerdict>;
  /** Writes a page that shows these events on a time axis. Rejects with `HM_USAGE` where the file cannot be written. */
  timeline(events: readonly LoggedEvent[], options: TimelineReportOptions): Promise<TimelineReport>;
}
