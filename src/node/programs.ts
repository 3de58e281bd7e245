import type { Clock } from '../clock/clock.ts';
import type { Random } from '../clock/random.ts';
import type { LoadedConfig } from './config.ts';

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
  /** Called once the control socket answers. */
  readonly ready: () => void;
  /** Gets what an operator should know, such as rule `takeover.unfenced`. */
  readonly warn: (text: string) => void;
}

/** How to make a node's key file and metadata. */
export interface InitOptions extends ProgramOptions {
  /** Replaces metadata that exists. */
  readonly force: boolean;
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
  readonly text: string;
}

/** The programs behind the commands that do not ask a running node. */
export interface NodePrograms {
  /** Runs a node until the signal aborts; then stops in order. */
  run(options: RunOptions): Promise<void>;
  /** Makes key file and metadata. Rejects with `HM_KEY_MISSING`, `HM_METADATA_EXISTS` and what devices reject with. */
  init(options: InitOptions): Promise<InitReport>;
  /** Shows a pair on this machine through a failure and back. */
  demo(options: DemoOptions): Promise<DemoVerdict>;
}
