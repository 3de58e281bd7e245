import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';

import { sleep } from '../../../src/clock/clock.ts';
import { systemClock } from '../../../src/clock/system-clock.ts';
import { systemRandom } from '../../../src/clock/system-random.ts';
import { askNode } from '../../../src/node/control-client.ts';
import type { LoggedEvent, NodeStatus } from '../../../src/node/control-protocol.ts';
import { freePorts } from '../../../src/node/demo/free-ports.ts';
import { repositoryRoot } from '../../support/repository.ts';
import { runProgram } from './program.ts';
import type { ProgramResult } from './program.ts';
import { ownEnvironment } from '../../support/environment.ts';

/** The two nodes; `alpha` is the home primary. */
export type NodeName = 'alpha' | 'beta';

/** A configuration file, free to be changed. */
export type PairFile = ReturnType<typeof configurationOf>;

export const intervalMs = 100;
export const deadlineMs = 500;
export const elementBytes = 4_194_304;
/** Longest wait for something that must come about, on a machine however busy. */
export const patienceMs = 30_000;

const pollMs = 50;
/** Of the answer that never fitted, in characters. */
const longestReport = 2_000;
const command = path.join(repositoryRoot, 'lib', 'cli', 'hotmirror.cjs');
/** What a process says only when nobody has thought of an error. */
const crash = /unhandled|uncaught|HM_INTERNAL|^\s+at .*:\d+:\d+/imu;

/** How a pair differs from the usual one. */
export interface CommandPairOptions {
  readonly betaBytes?: number;
  readonly change?: (file: PairFile) => void;
}

/** A pair in a temporary folder, run and asked by the command as its users would. */
export class CommandPair {
  readonly folder: string;
  /** Its listening addresses. */
  readonly ports: readonly number[];
  readonly #processes: NodeProcess[] = [];

  private constructor(folder: string, ports: readonly number[]) {
    this.folder = folder;
    this.ports = ports;
  }

  /** Writes configuration and disks: what alpha's holds is the data. Nothing is initialised. */
  static async create({ betaBytes = elementBytes, change = () => undefined }: CommandPairOptions = {}): Promise<CommandPair> {
    const folder = await mkdtemp(path.join(tmpdir(), 'hotmirror-e2e-'));
    const { file, ports } = await configuration();
    change(file);
    const pair = new CommandPair(folder, ports);
    await pair.writeConfig(file);
    for (const node of ['alpha', 'beta'] as const) await mkdir(path.join(folder, node));
    await writeFile(pair.element('alpha'), systemRandom.bytes(elementBytes));
    await writeFile(pair.element('beta'), new Uint8Array(betaBytes).fill(0xee));
    return pair;
  }

  /** Configured and initialised. */
  static async initialised(options: CommandPairOptions = {}): Promise<CommandPair> {
    const pair = await CommandPair.create(options);
    for (const node of ['alpha', 'beta'] as const) await pair.must(node, 'init');
    return pair;
  }

  /** Both nodes run, alpha serves, both elements are the same. */
  static async healthy(options: CommandPairOptions = {}): Promise<CommandPair> {
    const pair = await CommandPair.initialised(options);
    await Promise.all([pair.run('alpha'), pair.run('beta')]);
    await pair.health('alpha');
    return pair;
  }

  get configFile(): string {
    return path.join(this.folder, 'pair.json');
  }

  element(node: NodeName): string {
    return path.join(this.folder, node, 'm0.img');
  }

  state(node: NodeName, file: string): string {
    return path.join(this.folder, node, 'state', file);
  }

  async writeConfig(file: PairFile): Promise<void> {
    await writeFile(this.configFile, JSON.stringify(file, null, 2));
  }

  async readConfig(): Promise<PairFile> {
    return JSON.parse(await readFile(this.configFile, 'utf8')) as PairFile;
  }

  /** Runs a command for a node to its end. */
  command(node: NodeName, ...args: readonly string[]): Promise<ProgramResult> {
    return hotmirror(...args, '--config', this.configFile, '--node', node);
  }

  /** Runs a command that must succeed; gives what it printed. */
  async must(node: NodeName, ...args: readonly string[]): Promise<string> {
    const { exitCode, stdout, stderr } = await this.command(node, ...args);
    if (exitCode !== 0) throw new Error(`${args.join(' ')} on ${node} ended with ${String(exitCode)}: ${stderr}`);
    return stdout;
  }

  /** Starts `run`; resolves when it says that it is ready, or has ended. */
  async run(node: NodeName, configFile: string = this.configFile): Promise<NodeProcess> {
    const process = new NodeProcess(node, configFile);
    this.#processes.push(process);
    await process.readyOrEnded;
    return process;
  }

  /** The latest process of a node. */
  process(node: NodeName): NodeProcess {
    const process = this.#processes.findLast((each) => each.node === node);
    if (!process) throw new RangeError(`${node} never ran`);
    return process;
  }

  /** SIGTERM; resolves with the exit code. */
  stop(node: NodeName): Promise<number | null> {
    this.process(node).signal('SIGTERM');
    return this.process(node).ended;
  }

  /** Stops in order whatever runs, the home standby first. */
  async stopAll(): Promise<void> {
    for (const process of this.#processes.filter(({ running }) => running).sort((one, other) => (one.node < other.node ? 1 : -1))) {
      process.signal('SIGTERM');
      await process.ended;
    }
  }

  /** SIGKILL; resolves when it is gone. */
  async kill(node: NodeName): Promise<void> {
    this.process(node).signal('SIGKILL');
    await this.process(node).ended;
  }

  status(node: NodeName): Promise<NodeStatus> {
    return askNode(this.#socket(node), 'status', {}, { clock: systemClock, silenceMs: patienceMs });
  }

  /** What the node's log holds. */
  async events(node: NodeName): Promise<readonly LoggedEvent[]> {
    const events: LoggedEvent[] = [];
    await askNode(
      this.#socket(node),
      'events',
      { follow: false },
      { clock: systemClock, silenceMs: patienceMs, onProgress: (event) => void events.push(event) },
    );
    return events;
  }

  /** Waits until a node's status fits; rejects with what it was last. */
  until(node: NodeName, what: string, fits: (status: NodeStatus) => boolean): Promise<NodeStatus> {
    return poll(`${node}: ${what}`, () => this.status(node), fits);
  }

  /** Waits for an event in a node's log. */
  async event(node: NodeName, what: string, fits: (event: LoggedEvent) => boolean): Promise<LoggedEvent> {
    const events = await poll(
      `${node}: ${what}`,
      () => this.events(node),
      (all) => all.some(fits),
    );
    return events.find(fits)!;
  }

  /** `serving` serves, both nodes know it, and both elements are the same. */
  async health(serving: NodeName): Promise<void> {
    const both = (['alpha', 'beta'] as const).map((node) =>
      this.until(
        node,
        `a healthy pair with ${serving} serving`,
        (status) =>
          status.serving === (node === serving) &&
          status.monitor.peer === 'up' &&
          status.mirrors.every(({ element, peerElement, role }) => element === 'uptodate' && peerElement === 'uptodate' && role !== 'none'),
      ),
    );
    await Promise.all(both);
  }

  /** Whether the two elements hold the same bytes now. */
  async identical(): Promise<boolean> {
    const [one, other] = await Promise.all([readFile(this.element('alpha')), readFile(this.element('beta'))]);
    return one.equals(other);
  }

  /** Kills what still runs and removes the files. Throws where a process ended by an error that nobody has thought of. */
  async end(): Promise<void> {
    for (const process of this.#processes) {
      process.signal('SIGKILL');
      await process.ended;
    }
    await rm(this.folder, { recursive: true, force: true });
    for (const { node, stderr } of this.#processes) if (crash.test(stderr)) throw new Error(`${node} said: ${stderr}`);
  }

  #socket(node: NodeName): string {
    return path.join(this.folder, node, 'control.sock');
  }
}

/** Runs the command to its end. */
export function hotmirror(...args: readonly string[]): Promise<ProgramResult> {
  return runProgram(process.execPath, [command, ...args]);
}

/** A `hotmirror` command that goes on until it is stopped. */
export class NodeProcess {
  readonly node: NodeName;
  /** Resolves at the line with `ready`, or when the process has ended before it. */
  readonly readyOrEnded: Promise<void>;
  /** Resolves with the exit code; null where a signal ended it. */
  readonly ended: Promise<number | null>;
  stdout = '';
  stderr = '';
  readonly #child: ChildProcess;

  constructor(node: NodeName, configFile: string, ...args: readonly string[]) {
    this.node = node;
    const words = args.length === 0 ? ['run'] : args;
    this.#child = spawn(process.execPath, [command, ...words, '--config', configFile, '--node', node], {
      env: ownEnvironment(),
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.ended = new Promise((resolve) => this.#child.once('close', (exitCode) => resolve(exitCode)));
    const ready = new Promise<void>((resolve) => {
      this.#child.stdout?.setEncoding('utf8').on('data', (text: string) => {
        this.stdout += text;
        if (/\bready\b/u.test(this.stdout)) resolve();
      });
    });
    this.#child.stderr?.setEncoding('utf8').on('data', (text: string) => (this.stderr += text));
    this.readyOrEnded = Promise.race([ready, this.ended.then(() => undefined)]);
  }

  get pid(): number {
    return this.#child.pid!;
  }

  get running(): boolean {
    return this.#child.exitCode === null && this.#child.signalCode === null;
  }

  signal(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }
}

/** Asks until the answer fits. A question that fails is asked again: the node may be starting. */
export async function poll<Answer>(what: string, ask: () => Promise<Answer>, fits: (answer: Answer) => boolean): Promise<Answer> {
  const limitMs = systemClock.nowMs() + patienceMs;
  for (;;) {
    const answer = await ask().catch((error: unknown) => error as Error);
    if (!(answer instanceof Error) && fits(answer)) return answer;
    if (systemClock.nowMs() > limitMs) {
      const last = answer instanceof Error ? answer.message : JSON.stringify(answer).slice(-longestReport);
      throw new Error(`${what} did not come about within ${String(patienceMs)} ms; last: ${last}`);
    }
    await sleep(systemClock, pollMs);
  }
}

/** Something must not happen: looks all the time for many deadlines, and gives up at once where it does. */
export async function never<Answer>(
  what: string,
  ask: () => Promise<Answer>,
  happened: (answer: Answer) => boolean,
  forMs = 4 * deadlineMs,
): Promise<void> {
  const limitMs = systemClock.nowMs() + forMs;
  while (systemClock.nowMs() < limitMs) {
    const answer = await ask();
    if (happened(answer)) throw new Error(`${what}: ${JSON.stringify(answer)}`);
    await sleep(systemClock, pollMs);
  }
}

async function configuration(): Promise<{ file: PairFile; ports: readonly number[] }> {
  const ports = await freePorts(6, systemRandom);
  const remaining = [...ports];
  return { file: configurationOf(() => `tcp://127.0.0.1:${String(remaining.pop())}`), ports };
}

/** Like the example that ships with the package, with short times. */
function configurationOf(address: () => string) {
  const link = (): Record<NodeName, string | object> => ({ alpha: address(), beta: address() });
  return {
    pair: 'example',
    auth: { keyFile: 'pair.key' },
    nodes: {
      alpha: { home: 'primary', stateDir: 'alpha/state', controlSocket: 'alpha/control.sock' },
      beta: { home: 'standby', stateDir: 'beta/state', controlSocket: 'beta/control.sock' },
    },
    mirrors: [
      {
        name: 'm0',
        protocol: 'sync',
        elements: { alpha: { device: 'alpha/m0.img' }, beta: { device: 'beta/m0.img' } },
        dataLink: link(),
        export: { alpha: 'nbd+unix:///m0?socket=alpha/m0.nbd', beta: 'nbd+unix:///m0?socket=beta/m0.nbd' },
      },
    ],
    monitor: {
      intervalMs,
      deadlineMs,
      initialGraceMs: 2 * deadlineMs,
      links: [
        { name: 'net', ...link() },
        { name: 'line', ...link() },
      ],
    },
    failover: { control: 'auto', whenAlone: 'continue', bootAlone: 'wait', platform: { kind: 'none' } },
  };
}
