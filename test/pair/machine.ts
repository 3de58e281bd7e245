import type { Arbiter } from '../../src/arbiter/arbiter.ts';
import type { BlockDevice } from '../../src/device/block-device.ts';
import type { FailoverEvents } from '../../src/failover/failover-events.ts';
import type { FailoverPolicy } from '../../src/failover/options.ts';
import { FailoverOrchestrator } from '../../src/failover/orchestrator.ts';
import { DurablePairRecordStore } from '../../src/failover/pair-record-store.ts';
import { HeartbeatMonitor } from '../../src/heartbeat/heartbeat-monitor.ts';
import type { MirrorEventName } from '../../src/mirror/mirror-events.ts';
import { MirrorLink } from '../../src/mirror/mirror-link.ts';
import { nonePlatform } from '../../src/platform/none.ts';
import type { SeededRandom } from '../../src/testing/seeded-random.ts';
import type { MemoryLink } from '../../src/transport/memory.ts';
import { LaggedMirror } from './lagged-mirror.ts';
import type { NodeClock } from './node-clock.ts';

export type Name = 'alpha' | 'beta';
export const names: readonly Name[] = ['alpha', 'beta'];
export const otherOf = (node: Name): Name => (node === 'alpha' ? 'beta' : 'alpha');

export interface Times {
  readonly intervalMs: number;
  readonly deadlineMs: number;
  readonly leaseMs: number;
  readonly graceMs: number;
}

export interface MachineOptions {
  readonly node: Name;
  readonly clock: NodeClock;
  readonly random: SeededRandom;
  readonly times: Times;
  readonly policy: FailoverPolicy;
  readonly arbiter: Arbiter | null;
  readonly device: BlockDevice;
  readonly metadata: BlockDevice;
  readonly record: BlockDevice;
  readonly links: Readonly<Record<'data' | 'mon1' | 'mon2', MemoryLink>>;
  /** Told what happens, for the trace. */
  readonly note: (text: string) => void;
}

const mirrorEvents: readonly MirrorEventName[] = [
  'lineage:decided',
  'lineage:minted',
  'resync:finished',
  'link:lost',
  'link:connected',
  'link:refused',
  'element:failed',
  'epoch:refused',
  'writes:parked',
  'writes:resumed',
];
const failoverEvents: readonly (keyof FailoverEvents)[] = [
  'service:started',
  'service:stopped',
  'takeover:decided',
  'takeover:blocked',
  'takeover:aborted',
  'alone:decided',
  'boot:decided',
  'split:detected',
  'record:written',
  'order:failed',
  'record:failed',
  'handover:finished',
];

/** One process with one mirror, a monitor and an orchestrator, from its start to its death. */
export class Machine {
  readonly node: Name;
  readonly clock: NodeClock;
  readonly mirror: MirrorLink;
  readonly monitor: HeartbeatMonitor;
  readonly orchestrator: FailoverOrchestrator;
  ready = false;
  closing = false;
  /** Requests that have no reply yet. */
  outstanding = 0;

  private constructor(options: MachineOptions, mirror: MirrorLink) {
    const { node, clock, random, times, links } = options;
    this.node = node;
    this.clock = clock;
    this.mirror = mirror;
    const lagMs = random.below(3) === 0 ? 30 : 3;
    this.monitor = new HeartbeatMonitor({
      node,
      peer: otherOf(node),
      preferOwnDial: node === 'alpha',
      links: [
        { name: 'mon1', transport: links.mon1.transport(node) },
        { name: 'mon2', transport: links.mon2.transport(node) },
      ],
      clock,
      random,
      intervalMs: times.intervalMs,
      deadlineMs: times.deadlineMs,
      initialGraceMs: times.graceMs,
      report: () => this.orchestrator.report(),
      answer: (body) => this.orchestrator.answer(body),
    });
    this.orchestrator = new FailoverOrchestrator({
      node,
      peer: otherOf(node),
      homes: { alpha: 'primary', beta: 'standby' },
      mirrors: [new LaggedMirror(mirror, clock, () => random.below(lagMs))],
      monitor: this.monitor,
      platform: nonePlatform(() => undefined),
      arbiter: options.arbiter,
      records: new DurablePairRecordStore(options.record),
      clock,
      random,
      policy: { stepDeadlineMs: 10_000, requestDeadlineMs: 2_000, ...options.policy },
    });
    mirror.onHeard((atMs) => {
      clock.timer(random.below(lagMs), () => this.monitor.heard('data:m0', { atMs }));
    });
    this.#trace(options.note);
  }

  /** Opens the mirror, then starts the orchestrator and the monitor behind the caller's back. */
  static async start(options: MachineOptions): Promise<Machine> {
    const { node, clock, random, times } = options;
    const mirror = new MirrorLink({
      name: 'm0',
      node,
      peer: otherOf(node),
      preferOwnDial: node === 'alpha',
      device: options.device,
      metadata: options.metadata,
      transport: options.links.data.transport(node),
      clock,
      random,
      limits: {
        probeIntervalMs: times.intervalMs,
        deadlineMs: times.deadlineMs,
        leaseMs: times.leaseMs,
        activeRegions: 2 + random.below(3),
        retryMinMs: 20,
        retryMaxMs: 500,
      },
    });
    for (const name of mirrorEvents)
      mirror.events.on(name, ({ text }: { readonly text: string }) => {
        if (!clock.dead) options.note(`  ${node} ${name} ${text}`);
      });
    await mirror.open();
    const machine = new Machine(options, mirror);
    void machine.#run();
    return machine;
  }

  get alive(): boolean {
    return !this.clock.dead;
  }

  /** Stops in order (rule node.leave). */
  async close(): Promise<void> {
    this.closing = true;
    await this.orchestrator.close({ leave: true });
    await this.monitor.close({ leave: true });
    await this.mirror.close();
  }

  async #run(): Promise<void> {
    await this.orchestrator.start();
    if (this.alive) await this.monitor.start();
    this.ready = this.alive;
  }

  #trace(note: (text: string) => void): void {
    const told = (text: string): void => {
      if (this.alive) note(`  ${this.node} ${text}`);
    };
    for (const name of failoverEvents) this.orchestrator.events.on(name, ({ text }: { readonly text: string }) => told(`${name} ${text}`));
    this.monitor.events.on('peer:changed', ({ text }) => told(text));
    this.monitor.events.on('monitor:overslept', ({ text }) => told(text));
  }
}
