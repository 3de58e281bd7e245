import { copyFile, mkdir, mkdtemp, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';

import type { Clock } from '../../clock/clock.ts';
import { sleep } from '../../clock/clock.ts';
import type { Random } from '../../clock/random.ts';
import { HotMirrorError } from '../../errors.ts';
import { loadConfig } from '../config.ts';
import type { LoggedEvent, NodeStatus } from '../control-protocol.ts';
import { initNode } from '../init.ts';
import { makeDemoImage } from './demo-image.ts';
import type { DemoImage } from './demo-image.ts';
import { demoMirror } from './demo-messages.ts';
import { DemoProcess } from './demo-process.ts';
import { freePorts } from './free-ports.ts';

/** The two nodes of a demonstration; `alpha` is the home primary. */
export type DemoNode = 'alpha' | 'beta';

const nodes: readonly DemoNode[] = ['alpha', 'beta'];
const pollMs = 25;
const links = ['net', 'line'];

/** How the pair of a demonstration is made. */
export interface DemoPairOptions {
  readonly clock: Clock;
  readonly random: Random;
  readonly sizeBytes: number;
  readonly intervalMs: number;
  readonly deadlineMs: number;
  readonly onEvent: (event: LoggedEvent) => void;
}

/** A pair of two processes in a temporary folder. */
export class DemoPair {
  readonly folder: string;
  readonly image: DemoImage;
  readonly #options: DemoPairOptions;
  readonly #processes = new Map<DemoNode, DemoProcess>();
  readonly #statuses = new Map<DemoNode, NodeStatus>();
  readonly #polling: Promise<void>[] = [];
  #ended = false;

  private constructor(folder: string, image: DemoImage, options: DemoPairOptions) {
    this.folder = folder;
    this.image = image;
    this.#options = options;
  }

  /** Makes folder, disks, configuration, key and metadata; starts nothing. */
  static async create(options: DemoPairOptions): Promise<DemoPair> {
    const folder = await mkdtemp(path.join(tmpdir(), 'hotmirror-demo-'));
    try {
      for (const node of nodes) await mkdir(path.join(folder, node));
      const image = await makeDemoImage(path.join(folder, 'alpha', `${demoMirror}.img`), options.sizeBytes, options.random);
      await writeFile(path.join(folder, 'beta', `${demoMirror}.img`), '');
      await truncate(path.join(folder, 'beta', `${demoMirror}.img`), options.sizeBytes);
      await writeFile(path.join(folder, 'pair.json'), JSON.stringify(await configuration(options), null, 2));
      const pair = new DemoPair(folder, image, options);
      const loaded = await loadConfig(pair.#configFile);
      for (const node of nodes) await initNode({ loaded, node, clock: options.clock, random: options.random, force: false, blank: false });
      return pair;
    } catch (error) {
      await rm(folder, { recursive: true, force: true });
      throw error;
    }
  }

  /** The file under a node's element. */
  element(node: DemoNode): string {
    return path.join(this.folder, node, `${demoMirror}.img`);
  }

  /** The process that serves, as far as was heard last; null while nobody does. */
  readonly serving = (): DemoProcess | null => {
    for (const [node, status] of this.#statuses) {
      const process = this.#processes.get(node);
      if (status.serving && process?.alive) return process;
    }
    return null;
  };

  async start(node: DemoNode): Promise<void> {
    const process = new DemoProcess(this.#configFile, node, this.#options.onEvent);
    // Before it is ready, so that it is killed where the pair is removed meanwhile.
    this.#processes.set(node, process);
    await process.ready;
    this.#polling.push(this.#poll(node, process));
  }

  /** SIGKILL. */
  async kill(node: DemoNode): Promise<void> {
    this.#statuses.delete(node);
    await this.#process(node).kill();
    this.#processes.delete(node);
  }

  /** SIGSTOP: the process stands still, as a suspended machine does. */
  pause(node: DemoNode): void {
    this.#statuses.delete(node);
    this.#process(node).pause();
  }

  /** SIGCONT. */
  resume(node: DemoNode): void {
    this.#process(node).resume();
  }

  /** Stops a node in order. */
  async stop(node: DemoNode): Promise<void> {
    const process = this.#process(node);
    this.#processes.delete(node);
    this.#statuses.delete(node);
    await process.close();
  }

  recover(): Promise<void> {
    return (this.serving() ?? this.#process('alpha')).recover();
  }

  /** Waits until a node's status fits; rejects with what it was last. */
  async until(node: DemoNode, what: string, fits: (status: NodeStatus) => boolean, withinMs: number): Promise<NodeStatus> {
    const { clock } = this.#options;
    const limitMs = clock.nowMs() + withinMs;
    for (;;) {
      const status = this.#statuses.get(node);
      if (status && fits(status)) return status;
      if (clock.nowMs() > limitMs) {
        const last = status ? JSON.stringify(status) : 'no status';
        throw new HotMirrorError('HM_INTERNAL', `${node}: ${what} did not come about within ${String(withinMs)} ms; last: ${last}`);
      }
      await sleep(clock, pollMs);
    }
  }

  /** Kills what still runs and removes every file. */
  async remove(): Promise<void> {
    this.#ended = true;
    for (const process of this.#processes.values()) await process.kill();
    await Promise.all(this.#polling);
    await rm(this.folder, { recursive: true, force: true });
  }

  /** Keeps a copy of an element, so that it can be looked at while the node goes on. */
  async copyElement(node: DemoNode): Promise<string> {
    const copy = `${this.element(node)}.copy`;
    await copyFile(this.element(node), copy);
    return copy;
  }

  get #configFile(): string {
    return path.join(this.folder, 'pair.json');
  }

  #process(node: DemoNode): DemoProcess {
    const process = this.#processes.get(node);
    if (!process) throw new RangeError(`${node} is not running`);
    return process;
  }

  /** Each process on its own: one that stands still says nothing, and the others are asked all the same. */
  async #poll(node: DemoNode, process: DemoProcess): Promise<void> {
    while (!this.#ended && this.#processes.get(node) === process) {
      const status = await process.status().catch(() => null);
      if (status && this.#processes.get(node) === process) this.#statuses.set(node, status);
      await sleep(this.#options.clock, pollMs);
    }
  }
}

async function configuration({ intervalMs, deadlineMs, random }: DemoPairOptions): Promise<object> {
  const ports = await freePorts(2 + 2 * links.length, random);
  const address = (): string => `tcp://127.0.0.1:${String(ports.pop())}`;
  const addresses = (): Record<string, string> => Object.fromEntries(nodes.map((node) => [node, address()]));
  return {
    pair: 'demo',
    auth: { keyFile: 'pair.key' },
    nodes: Object.fromEntries(
      nodes.map((node) => [
        node,
        { home: node === 'alpha' ? 'primary' : 'standby', stateDir: `${node}/state`, controlSocket: `${node}/control.sock` },
      ]),
    ),
    mirrors: [
      {
        name: demoMirror,
        protocol: 'sync',
        elements: Object.fromEntries(nodes.map((node) => [node, { device: `${node}/${demoMirror}.img` }])),
        dataLink: addresses(),
      },
    ],
    monitor: { intervalMs, deadlineMs, initialGraceMs: 2 * deadlineMs, links: links.map((name) => ({ name, ...addresses() })) },
    failover: { control: 'auto', whenAlone: 'continue', bootAlone: 'wait', platform: { kind: 'none' } },
  };
}
