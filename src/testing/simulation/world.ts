import type { MirrorProtocol } from '../../mirror/options.ts';
import type { MirrorState } from '../../mirror/state.ts';
import type { PlatformStep } from '../../platform/platform-actions.ts';
import { PlatformRecorder } from '../platform-recorder.ts';
import { VirtualClock } from '../virtual-clock.ts';
import { Application, Workload, completeWorkload } from './application.ts';
import { DiskFailures } from './disk-failures.ts';
import { EffectGate } from './effects.ts';
import { InvariantError } from './invariant-error.ts';
import { allWatchers } from './invariants/all.ts';
import { NodeClock } from './node-clock.ts';
import { NodeDisks, initialMetadata, initialRecord } from './node-disks.ts';
import type { CompleteOptions } from './complete-options.ts';
import { promisesOf, pullsAhead } from './complete-options.ts';
import { nodeState } from './node-state.ts';
import { pairView } from './pair-view.ts';
import { SimulatedArbiter } from './simulated-arbiter.ts';
import { SimulatedNetDisks } from './simulated-net-disk.ts';
import { SimulatedNetwork, deliveryLabelOf } from './simulated-network.ts';
import { SimulatedProcess } from './simulated-process.ts';
import { SimulationLog } from './simulation-log.ts';
import { nodeNames, otherNode } from './steps.ts';
import type { NodeName } from './steps.ts';
import { streamOf } from './streams.ts';
import type { ApplicationRequest, PairView, Watcher } from './watcher.ts';

/** One node: what outlives its processes, and the process that runs now. */
interface SimulatedNode {
  readonly disks: NodeDisks;
  readonly platform: PlatformRecorder;
  process: SimulatedProcess | undefined;
  /** Processes so far. */
  incarnations: number;
  /** Why the last start failed; null where it did not. */
  startError: Error | null;
  driftPpm: number;
  wallOffsetMs: number;
  noted: string;
  /** It was starting when it was last noted. */
  booting: boolean;
  readonly notedMirrors: Map<string, { readonly state: MirrorState; readonly text: string }>;
}

/** Two nodes, their links and disks, an arbiter and an application in virtual time, and those who watch that promises are kept. */
export class World {
  readonly options: CompleteOptions;
  readonly clock: VirtualClock;
  readonly log: SimulationLog;
  readonly network: SimulatedNetwork;
  readonly arbiter: SimulatedArbiter;
  readonly application: Application;
  readonly workload: Workload | null;
  readonly nodes: Readonly<Record<NodeName, SimulatedNode>>;
  readonly view: PairView;
  readonly diskFailures: DiskFailures;
  readonly #watchers: readonly Watcher[];
  readonly #streams: typeof streamOf;

  /** `streams` gives the chance of each part of the world. */
  constructor(options: CompleteOptions, streams: typeof streamOf = streamOf) {
    const { seed, mirrors } = options;
    this.options = options;
    this.#streams = streams;
    this.clock = new VirtualClock({ settles: 'promises', afterEvent: () => this.check() });
    const windowsBy = (wanted: MirrorProtocol): ReadonlyMap<string, number> =>
      new Map(mirrors.filter(({ protocol }) => protocol === wanted).map(({ name, windowBytes }) => [name, windowBytes]));
    this.#watchers = Object.values(allWatchers).map((make) =>
      make({
        promises: promisesOf(options),
        mirrors: mirrors.map(({ name }) => name),
        asyncWindows: windowsBy('async'),
        memsyncWindows: windowsBy('memsync'),
        pullAhead: new Set(mirrors.filter(pullsAhead).map(({ name }) => name)),
        undoJournals: options.undoJournalExtents > 0,
        deadlineMs: options.times.deadlineMs,
      }),
    );
    const now = (): { atMs: number; wallMs: number } => ({ atMs: this.clock.nowMs(), wallMs: this.clock.wallMs() });
    this.log = new SimulationLog(now, (entry) => {
      for (const watcher of this.#watchers) watcher.entry?.(entry);
    });
    this.network = new SimulatedNetwork({
      clockOf: (link) => ({
        nowMs: () => this.clock.nowMs(),
        wallMs: () => this.clock.wallMs(),
        drain: () => this.clock.drain(),
        timer: (delayMs, fire) => this.clock.timer(delayMs, fire, deliveryLabelOf(link)),
      }),
      random: streams(seed, 'network'),
      mirrors: mirrors.map(({ name }) => name),
      monitorLinks: options.monitorLinks,
      conditions: options.links,
      changed: (link, open) => this.#noteLink(link, open),
    });
    this.arbiter = new SimulatedArbiter(this.clock, options.latencies.arbiterMs);
    this.nodes = { alpha: this.#node('alpha'), beta: this.#node('beta') };
    const hooks = {
      issued: (request: ApplicationRequest) => {
        for (const watcher of this.#watchers) watcher.issued?.(request);
        this.#noteRequest(request, 'issued');
      },
      ended: (request: ApplicationRequest) => {
        for (const watcher of this.#watchers) watcher.ended?.(request);
        this.#noteRequest(request, 'ended');
      },
      running: (node: NodeName) => this.nodes[node].process,
      netDisks: options.netDisk ? new SimulatedNetDisks(streams(seed, 'net-disk')) : null,
    };
    this.application = new Application(this.clock, hooks);
    const workload = options.workload && completeWorkload(options.workload, options.powerCuts);
    this.workload = workload && new Workload(this.application, this.clock, streams(seed, 'workload'), mirrors, workload, hooks);
    this.view = pairView(this);
    this.diskFailures = new DiskFailures(this);
  }

  /** Both nodes initialised, as after `init`, with elements that are equal. */
  async init(): Promise<void> {
    const epoch = { number: 1, owner: 'alpha' };
    const record = await initialRecord();
    for (const node of nodeNames) this.nodes[node].disks.record.replace(record);
    // The same for both: they hold the same generation, so that no full copy is needed.
    for (const size of this.options.mirrors) {
      const metadata = await initialMetadata('data', size, streamOf(this.options.seed, `init ${size.name}`), epoch);
      for (const node of nodeNames) this.nodes[node].disks.mirrors.get(size.name)!.metadata.replace(metadata);
    }
  }

  /** The node starts, behind the caller's back. */
  boot(node: NodeName): void {
    const own = this.nodes[node];
    if (own.process) return;
    const { seed, times, policy, monitorLinks, threadLagMs, activeRegions, detail } = this.options;
    const clock = new NodeClock(this.clock, node, own.driftPpm);
    clock.jumpWall(own.wallOffsetMs);
    own.incarnations += 1;
    const gate = new EffectGate((told) => clock.hear(told));
    const { incarnations } = own;
    const asker = {
      node,
      random: this.#streams(seed, `arbiter ${node} ${String(incarnations)}`),
      counts: () => own.incarnations === incarnations,
    };
    const process = new SimulatedProcess({
      node,
      clock,
      gate,
      random: this.#streams(seed, `process ${node} ${String(own.incarnations)}`),
      times,
      policy,
      arbiter: this.options.arbiter ? gate.arbiter(this.arbiter.from(asker)) : null,
      platform: own.platform,
      disks: own.disks,
      network: this.network,
      mirrors: this.options.mirrors,
      monitorLinks,
      threadLagMs,
      activeRegions,
      note: (noted) => this.log.note({ node, ...noted }),
      changed: () => this.noteState(node),
      tokens: detail === 'all',
    });
    own.process = process;
    own.startError = null;
    this.noteState(node);
    process.start().catch((error: unknown) => {
      if (!process.alive) return;
      own.startError = error instanceof Error ? error : new Error(String(error));
      this.log.note({ node, event: 'node:failed', class: 1, text: `the start failed: ${own.startError.message}` });
      this.kill(node, 'process');
    });
  }

  /** The process dies, or the whole machine with what its disks had cached. A machine may lose power without a process. */
  kill(node: NodeName, how: 'process' | 'power'): void {
    const own = this.nodes[node];
    const { process } = own;
    if (!process && how === 'process') return;
    for (const watcher of this.#watchers) watcher.died?.(node, how, this.view);
    if (process) {
      process.gate.dead = true;
      process.clock.dead = true;
      own.process = undefined;
    }
    if (how === 'power') this.diskFailures.powerLost(node);
    for (const disk of own.disks.all) {
      if (how === 'power') disk.cutPower();
      else disk.detach();
    }
    if (how === 'power') own.platform.powerOff();
    this.network.kill(node);
    this.noteState(node);
  }

  /** The node, which is down, gets new disks, as after `init --force --blank`. */
  async replaceDisks(node: NodeName): Promise<void> {
    const own = this.nodes[node];
    this.log.note({ node, event: 'disks:replaced', class: 0, text: 'the disks were replaced by blank ones' });
    const stream = `replaced ${node} ${String(own.incarnations)}`;
    for (const { name } of this.options.mirrors) await own.disks.replace(name, stream);
    own.disks.record.replace(await initialRecord());
    own.startError = null;
  }

  /** Begins to stop a node in order; it is gone once that is done. */
  stop(node: NodeName): void {
    const { process } = this.nodes[node];
    if (!process?.ready || process.stopping || process.clock.paused) return;
    process.stop().then(
      () => {
        if (process.alive) this.kill(node, 'process');
      },
      (error: unknown) => {
        if (!process.alive) return;
        this.log.note({
          node,
          event: 'node:failed',
          class: 1,
          text: `the stop failed: ${error instanceof Error ? error.message : String(error)}`,
        });
        this.kill(node, 'process');
      },
    );
  }

  pause(node: NodeName, suspended: boolean): void {
    const { process } = this.nodes[node];
    if (!process || process.clock.paused) return;
    process.clock.pause(suspended);
    this.network.standStill(node, true);
    this.noteState(node);
  }

  resume(node: NodeName): void {
    const { process } = this.nodes[node];
    if (!process?.clock.paused) return;
    process.clock.resume();
    this.network.standStill(node, false);
    this.noteState(node);
  }

  /**
   * Both nodes run and both elements of every mirror hold all that was acknowledged. A node that stands still, or does not know yet that it is cut off,
   * still says `uptodate` when the other already completes writes alone.
   */
  get whole(): boolean {
    return nodeNames.every((node) => {
      const { process } = this.nodes[node];
      if (!process?.ready) return false;
      return [...process.mirrors.values()].every((mirror) => {
        const { element, serving } = mirror.state();
        return element === 'uptodate' && serving !== 'alone';
      });
    });
  }

  /** One node serves every mirror, with its service, and both elements of each are `uptodate` and connected. */
  get converged(): boolean {
    const processes = nodeNames.map((node) => this.nodes[node].process);
    if (!processes.every((process) => process?.ready && !process.stopping && !process.clock.paused)) return false;
    if (!processes.some((process) => process!.orchestrator.status().service === 'running')) return false;
    return this.options.mirrors.every(({ name }) => {
      const states = processes.map((process) => process!.mirrors.get(name)!.state());
      return (
        states.filter(({ serving }) => serving === 'yes').length === 1 &&
        states.every(({ element, connection, resync }) => element === 'uptodate' && connection === 'connected' && resync === null)
      );
    });
  }

  /** After each event: notes a node that has decided what it is, and asks every watcher whether its promise still holds. Throws {@link InvariantError}. */
  check(): void {
    for (const node of nodeNames) this.#noteBooted(node);
    for (const watcher of this.#watchers) {
      const broken = watcher.check?.(this.view) ?? null;
      if (broken !== null) this.broken(watcher.invariant, broken);
    }
  }

  /** Asks every watcher for its last word. Throws {@link InvariantError}. */
  conclude(): void {
    for (const watcher of this.#watchers) {
      const broken = watcher.conclude?.(this.view) ?? null;
      if (broken !== null) this.broken(watcher.invariant, broken);
    }
  }

  /** Notes a broken promise and throws it. */
  broken(invariant: InvariantError['invariant'], text: string): never {
    this.log.note({ node: 'world', event: 'invariant:broken', class: 3, evidence: { invariant }, text: `${invariant}: ${text}` });
    throw new InvariantError(invariant, text, this.options.seed);
  }

  /** Notes what the node and its mirrors are now, where that has changed. */
  noteState(node: NodeName): void {
    const own = this.nodes[node];
    const { process } = own;
    const state = nodeState(process);
    own.booting = state === 'booting';
    const { mode = null, epoch = 0, owner = '', control = null } = process?.ready ? process.orchestrator.status() : {};
    const evidence = { state, mode, epoch, owner, control };
    const text = `${state}, mode ${String(mode)}, epoch ${String(epoch)} of ${owner || 'nobody'}, control ${String(control)}`;
    if (own.noted !== text) {
      own.noted = text;
      this.log.note({ node, event: 'node:state', class: 0, evidence, text });
    }
    for (const [mirror, link] of process?.ready ? process.mirrors : []) this.#noteMirror(own, node, mirror, link.state());
    this.diskFailures.spareLastCopy();
  }

  /** That it is passive a node decides without an event of its own. */
  #noteBooted(node: NodeName): void {
    const { booting, process } = this.nodes[node];
    if (booting && process?.ready && !process.orchestrator.status().booting) this.noteState(node);
  }

  #noteMirror(own: SimulatedNode, node: NodeName, mirror: string, state: MirrorState): void {
    const last = own.notedMirrors.get(mirror);
    if (last && unchanged(last.state, state)) return;
    const { resync } = state;
    const evidence = { ...state, resync: resync && { doneBytes: resync.doneBytes, totalBytes: resync.totalBytes } };
    const text = JSON.stringify(evidence);
    own.notedMirrors.set(mirror, { state, text });
    if (last?.text === text) return;
    const summary = `serving ${state.serving}, ${state.role}, ${state.element}, peer ${state.peerElement}, ${state.connection}`;
    this.log.note({ node, event: 'mirror:state', class: 0, mirror, evidence, text: summary });
  }

  #noteLink(link: string, open: Readonly<Record<NodeName, boolean>>): void {
    const word = (node: NodeName): 'open' | 'cut' => (open[node] ? 'open' : 'cut');
    const evidence = { link, alpha: word('alpha'), beta: word('beta') };
    this.log.note({
      node: 'world',
      event: 'link:state',
      class: 0,
      evidence,
      text: `${link}: alpha ${evidence.alpha}, beta ${evidence.beta}`,
    });
  }

  #noteRequest(request: ApplicationRequest, what: 'issued' | 'ended'): void {
    if (this.options.detail !== 'all') return;
    const { id, kind, node, mirror, offsetBytes, bytes, errorCode } = request;
    const event = requestEvent(kind, what, errorCode);
    if (event === null) return;
    const evidence = { id, offset: offsetBytes, length: bytes.byteLength, code: errorCode };
    this.log.note({ node, event, class: 0, mirror, evidence, text: `${event} ${String(id)} at ${String(offsetBytes)}` });
  }

  /** A fence powers the machine of the other node off. Where machines lose no power, the application was told so, and only its process dies. */
  #tookEffect(node: NodeName, step: PlatformStep): void {
    if (step === 'fence') this.kill(otherNode(node), this.options.powerCuts ? 'power' : 'process');
  }

  #node(node: NodeName): SimulatedNode {
    const { seed, mirrors, latencies, synchronousElements, punchHole, undoJournalExtents, driftPpm, fence } = this.options;
    const disks = new NodeDisks({
      node,
      seed,
      mirrors,
      latencies,
      synchronousElements,
      punchHole,
      undoJournalExtents,
      changed: (change) => {
        for (const watcher of this.#watchers) watcher.changed?.(change);
      },
    });
    return {
      disks,
      platform: new PlatformRecorder({ fence, tookEffect: (step) => this.#tookEffect(node, step) }),
      process: undefined,
      incarnations: 0,
      startError: null,
      driftPpm: driftPpm[node] ?? 0,
      wallOffsetMs: 0,
      noted: '',
      booting: false,
      notedMirrors: new Map(),
    };
  }
}

/** Whether two states are the same for sure: this is asked after most events. */
function unchanged(one: MirrorState, other: MirrorState): boolean {
  return (Object.keys(one) as (keyof MirrorState)[]).every((name) => one[name] === other[name]);
}

/** The name of the entry; null for the issue of a read or flush. */
function requestEvent(kind: ApplicationRequest['kind'], what: 'issued' | 'ended', errorCode: string | null): string | null {
  if (what === 'issued') return kind === 'write' ? 'write:issued' : null;
  if (kind === 'read') return 'read:answered';
  if (kind === 'flush') return 'flush:done';
  return errorCode === null ? 'write:acknowledged' : 'write:failed';
}
