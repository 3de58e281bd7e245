import type { Arbiter } from '../../arbiter/arbiter.ts';
import { noEpoch } from '../../epoch.ts';
import { HotMirrorError } from '../../errors.ts';
import { evidenceOf } from '../../events.ts';
import type { EventBase } from '../../events.ts';
import { failoverEventNames } from '../../failover/failover-events.ts';
import type { FailoverPolicy } from '../../failover/options.ts';
import { FailoverOrchestrator } from '../../failover/orchestrator.ts';
import { DurablePairRecordStore } from '../../failover/pair-record-store.ts';
import { heartbeatEventNames } from '../../heartbeat/events.ts';
import { HeartbeatMonitor } from '../../heartbeat/heartbeat-monitor.ts';
import { mirrorEventNames } from '../../mirror/mirror-events.ts';
import { MirrorLink } from '../../mirror/mirror-link.ts';
import type { PlatformActions } from '../../platform/platform-actions.ts';
import type { PeerAnswer } from '../../vocabulary.ts';
import type { SeededRandom } from '../seeded-random.ts';
import type { EffectGate } from './effects.ts';
import { LaggedMirror } from './lagged-mirror.ts';
import type { NodeClock } from './node-clock.ts';
import type { CompleteMirror } from './complete-options.ts';
import type { NodeDisks } from './node-disks.ts';
import type { SimulationTimes } from './options.ts';
import type { SimulatedNetwork } from './simulated-network.ts';
import { dataLinkOf } from './simulated-network.ts';
import type { Noted } from './simulation-log.ts';
import type { NodeName } from './steps.ts';
import { otherNode } from './steps.ts';

/** Deadlines that fit virtual time, where the policy names none. */
const stepDeadlineMs = 10_000;
const requestDeadlineMs = 2_000;
const retryMinMs = 20;
const retryMaxMs = 500;

/** What is left out of the log: what other entries tell, or tokens. */
const quiet: ReadonlySet<string> = new Set(['state:changed', 'resync:progressed', 'peer:answered', 'recover:progressed']);

export interface SimulatedProcessOptions {
  readonly node: NodeName;
  readonly clock: NodeClock;
  readonly gate: EffectGate;
  readonly random: SeededRandom;
  readonly times: SimulationTimes;
  readonly policy: FailoverPolicy;
  readonly arbiter: Arbiter | null;
  readonly platform: PlatformActions;
  readonly disks: NodeDisks;
  readonly network: SimulatedNetwork;
  readonly mirrors: readonly CompleteMirror[];
  readonly monitorLinks: readonly string[];
  readonly threadLagMs: number;
  readonly activeRegions: number;
  readonly note: (noted: Omit<Noted, 'node'>) => void;
  /** Something that the node's state is made of may have changed. */
  readonly changed: () => void;
  /** Tokens are noted too. */
  readonly tokens: boolean;
}

interface ProcessParts {
  readonly monitor: HeartbeatMonitor;
  readonly orchestrator: FailoverOrchestrator;
}

/** One process of a node, with the shipped classes as they are, from its start to its death. */
export class SimulatedProcess {
  readonly node: NodeName;
  readonly clock: NodeClock;
  readonly gate: EffectGate;
  readonly mirrors: ReadonlyMap<string, MirrorLink>;
  /** Whether every mirror is open. */
  opened = false;
  /** Whether monitor and orchestrator were started. */
  ready = false;
  stopping = false;
  readonly #options: SimulatedProcessOptions;
  readonly #records: DurablePairRecordStore;
  readonly #open = new Set<string>();
  #parts: ProcessParts | null = null;

  constructor(options: SimulatedProcessOptions) {
    const { node, clock, gate } = options;
    this.#options = options;
    this.node = node;
    this.clock = clock;
    this.gate = gate;
    this.#records = new DurablePairRecordStore(gate.device(options.disks.record.open(clock)));
    this.mirrors = new Map([...options.disks.mirrors.keys()].map((name) => [name, this.#mirror(name)]));
    this.#tellMirrors();
  }

  get alive(): boolean {
    return !this.gate.dead;
  }

  /** Exists once the mirrors are open. */
  get orchestrator(): FailoverOrchestrator {
    return this.#assembled.orchestrator;
  }

  /** Exists once the mirrors are open. */
  get monitor(): HeartbeatMonitor {
    return this.#assembled.monitor;
  }

  /** Opens the mirrors, then starts orchestrator and monitor. Rejects where a real process would exit. */
  async start(): Promise<void> {
    const { epoch } = (await this.#records.load()) ?? { epoch: noEpoch };
    for (const [name, mirror] of this.mirrors) {
      await mirror.open({ epoch });
      this.#open.add(name);
    }
    this.opened = true;
    this.#parts = this.#assemble();
    await this.orchestrator.start();
    await this.monitor.start();
    this.ready = true;
    this.#options.changed();
  }

  /** A mirror from when it is open; others may still be opening. */
  openMirror(name: string): MirrorLink | undefined {
    return this.#open.has(name) ? this.mirrors.get(name) : undefined;
  }

  /** Stops in order (rule node.leave). */
  async stop(): Promise<void> {
    this.stopping = true;
    this.#options.changed();
    await this.orchestrator.close({ leave: true });
    await this.monitor.close({ leave: true });
    for (const mirror of this.mirrors.values()) await mirror.close();
  }

  #mirror(name: string): MirrorLink {
    const { node, clock, gate, random, times, disks, network, activeRegions } = this.#options;
    const { element, metadata, undoJournal } = disks.mirrors.get(name)!;
    const mirror = this.#options.mirrors.find((each) => each.name === name);
    return new MirrorLink({
      name,
      node,
      peer: otherNode(node),
      preferOwnDial: node === 'alpha',
      device: gate.device(element.open(clock)),
      metadata: gate.device(metadata.open(clock)),
      ...(undoJournal ? { undoJournal: { device: gate.device(undoJournal.open(clock)), whenFull: 'give-up' } } : {}),
      transport: gate.transport(network.link(dataLinkOf(name)).transport(node)),
      clock,
      random,
      ...(mirror ? { protocol: mirror.protocol, whenCongested: mirror.whenCongested } : {}),
      limits: {
        probeIntervalMs: times.intervalMs,
        deadlineMs: times.deadlineMs,
        leaseMs: times.leaseMs,
        activeRegions,
        ...(mirror ? { windowBytes: mirror.windowBytes } : {}),
        retryMinMs,
        retryMaxMs,
      },
    });
  }

  get #assembled(): ProcessParts {
    if (!this.#parts) throw new HotMirrorError('HM_CLOSED', `${this.node} has not opened its mirrors`);
    return this.#parts;
  }

  #assemble(): ProcessParts {
    const { node, clock, gate, random, times, network, monitorLinks, threadLagMs, platform, arbiter, policy } = this.#options;
    const peer = otherNode(node);
    const lagMs = (): number => (threadLagMs === 0 ? 0 : random.below(threadLagMs));
    const monitor = new HeartbeatMonitor({
      node,
      peer,
      preferOwnDial: node === 'alpha',
      links: monitorLinks.map((name) => ({ name, transport: gate.transport(network.link(name).transport(node)) })),
      clock,
      random,
      intervalMs: times.intervalMs,
      deadlineMs: times.deadlineMs,
      initialGraceMs: times.initialGraceMs,
      report: () => this.orchestrator.report(),
      answer: (body) => this.orchestrator.answer(body),
    });
    const orchestrator = new FailoverOrchestrator({
      node,
      peer,
      homes: { alpha: 'primary', beta: 'standby' },
      mirrors: [...this.mirrors.values()].map((mirror) => new LaggedMirror(mirror, clock, lagMs)),
      monitor,
      platform: gate.platform(platform),
      arbiter,
      records: this.#records,
      clock,
      random,
      policy: { stepDeadlineMs, requestDeadlineMs, ...policy },
    });
    for (const [name, mirror] of this.mirrors) {
      mirror.onHeard((atMs) => {
        clock.timer(lagMs(), () => monitor.heard(dataLinkOf(name), { atMs }));
      });
    }
    this.#tellParts(monitor, orchestrator);
    return { monitor, orchestrator };
  }

  #told(event: string, payload: EventBase, mirror?: string): void {
    if (!this.alive) return;
    const evidence = evidenceOf(payload);
    this.#options.note({
      event,
      class: payload.class,
      ...(mirror === undefined ? {} : { mirror }),
      ...(payload.rule === undefined ? {} : { rule: payload.rule }),
      ...(evidence === undefined ? {} : { evidence }),
      text: payload.text,
    });
    this.#options.changed();
  }

  #tellMirrors(): void {
    for (const [name, { events }] of this.mirrors) {
      for (const event of loud(mirrorEventNames)) events.on(event, (payload: EventBase) => this.#told(event, payload, name));
      events.on('state:changed', () => {
        if (this.alive) this.#options.changed();
      });
    }
  }

  #tellParts(monitor: HeartbeatMonitor, orchestrator: FailoverOrchestrator): void {
    for (const event of loud(heartbeatEventNames)) monitor.events.on(event, (payload: EventBase) => this.#told(event, payload));
    for (const event of loud(failoverEventNames))
      orchestrator.events.on(event, (payload: EventBase & { readonly mirror?: string }) => this.#told(event, payload, payload.mirror));
    if (this.#options.tokens) monitor.onAnswer((answer) => this.#token(answer));
  }

  #token({ link, heardMs, probeSentMs }: PeerAnswer): void {
    if (!this.alive) return;
    const evidence = { link, roundTripMs: heardMs - probeSentMs };
    this.#options.note({ event: 'token:answered', class: 0, evidence, text: `a token over ${link} was answered` });
  }
}

function loud<Name extends string>(names: readonly Name[]): readonly Name[] {
  return names.filter((name) => !quiet.has(name));
}
