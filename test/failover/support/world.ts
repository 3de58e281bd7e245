import { MemoryArbiter } from '../../../src/arbiter/memory.ts';
import type { Arbiter } from '../../../src/arbiter/arbiter.ts';
import type { Clock, Timer } from '../../../src/clock/clock.ts';
import { MemoryDevice } from '../../../src/device/memory.ts';
import type { FailoverEvents } from '../../../src/failover/failover-events.ts';
import type { FailoverPolicy } from '../../../src/failover/options.ts';
import { FailoverOrchestrator } from '../../../src/failover/orchestrator.ts';
import type { FailoverSnapshot } from '../../../src/failover/status.ts';
import type { PairRecord, PairRecordStore } from '../../../src/failover/pair-record.ts';
import { DurablePairRecordStore, pairRecordBytes } from '../../../src/failover/pair-record-store.ts';
import type { ProbeReport } from '../../../src/health.ts';
import { PlatformRecorder } from '../../../src/testing/platform-recorder.ts';
import { SeededRandom } from '../../../src/testing/seeded-random.ts';
import { VirtualClock } from '../../../src/testing/virtual-clock.ts';
import type { FakeDisk } from './fake-mirror.ts';
import { FakeDataLink, fakeDisk, FakeMirror } from './fake-mirror.ts';
import { FakeMonitor, FakeNetwork } from './fake-monitor.ts';

export type Name = 'alpha' | 'beta';

export interface WorldOptions {
  readonly arbiter?: boolean;
  /** Another arbiter than the one in memory, for both nodes. */
  readonly otherArbiter?: Arbiter;
  readonly fence?: boolean;
  readonly mirrors?: readonly string[];
  readonly policy?: FailoverPolicy;
  /** What the health probes of a node say. */
  readonly health?: Readonly<Partial<Record<Name, () => readonly ProbeReport[]>>>;
}

/** Something seen: an event of one node. */
export interface Seen {
  readonly node: Name;
  readonly event: keyof FailoverEvents;
  readonly payload: Parameters<FailoverEvents[keyof FailoverEvents]>[0];
}

const eventNames: readonly (keyof FailoverEvents)[] = [
  'record:written',
  'record:failed',
  'service:started',
  'service:stopped',
  'takeover:decided',
  'takeover:blocked',
  'takeover:aborted',
  'mode:changed',
  'step:started',
  'step:finished',
  'step:failed',
  'alone:decided',
  'handover:finished',
  'recover:progressed',
  'control:changed',
  'epoch:raised',
  'boot:decided',
  'split:detected',
  'order:failed',
  'peer-health:changed',
];

const monitorTimes = { intervalMs: 100, deadlineMs: 1_000, graceMs: 2_000, latencyMs: 2 };
const mirrorTimes = { orderMs: 1, handshakeMs: 10, resyncMs: 300 };

/** A clock whose timers die with the node. */
class NodeClock implements Clock {
  readonly #clock: VirtualClock;
  dead = false;

  constructor(clock: VirtualClock) {
    this.#clock = clock;
  }

  nowMs(): number {
    return this.#clock.nowMs();
  }

  wallMs(): number {
    return this.#clock.wallMs();
  }

  timer(delayMs: number, fire: () => void): Timer {
    return this.#clock.timer(delayMs, () => {
      if (!this.dead) fire();
    });
  }

  drain(): Promise<void> {
    return this.#clock.drain();
  }
}

/** What of a snapshot helps to understand a failure. */
function brief(snapshot: FailoverSnapshot): object {
  const { node, serving, booting, service, blockedBy, record, peer, heard, moving, takingOver, pendingHandBack } = snapshot;
  return {
    node,
    serving,
    booting,
    service,
    blockedBy,
    record,
    peer: peer && { ...peer, record: peer.record?.epoch },
    heard,
    moving,
    takingOver,
    pendingHandBack,
  };
}

/** Where a record write is interfered with. */
export type WriteFault = 'crash-before' | 'crash-after' | 'fail' | 'fail-written';

/** One machine of the world: what survives a crash, and what runs now. */
export class Machine {
  readonly name: Name;
  readonly disks = new Map<string, FakeDisk>();
  recordBytes = new Uint8Array(pairRecordBytes);
  platform: PlatformRecorder;
  orchestrator!: FailoverOrchestrator;
  monitor!: FakeMonitor;
  mirrors: FakeMirror[] = [];
  clock!: NodeClock;
  alive = false;
  writes = 0;
  /** Asked before each record write. */
  writeFault: (record: PairRecord, number: number) => WriteFault | null = () => null;

  constructor(name: Name, fence: boolean) {
    this.name = name;
    this.platform = new PlatformRecorder({ fence });
  }

  get mirror(): FakeMirror {
    const [mirror] = this.mirrors;
    if (!mirror) throw new Error('no mirror');
    return mirror;
  }

  completes(): boolean {
    return this.alive && this.mirrors.some((mirror) => mirror.completes());
  }
}

/** Two machines, their cables, an arbiter, and the laws that must hold at every moment. */
export class World {
  readonly clock = new VirtualClock();
  readonly network = new FakeNetwork();
  readonly links = new Map<string, FakeDataLink>();
  readonly arbiter: MemoryArbiter | null;
  readonly alpha: Machine;
  readonly beta: Machine;
  readonly seen: Seen[] = [];
  /** Moments when two nodes could acknowledge writes. */
  violations: string[] = [];
  readonly #acknowledged = new Map<string, number>();
  readonly #options: WorldOptions;

  constructor(options: WorldOptions = {}) {
    this.#options = options;
    this.arbiter = options.arbiter ? new MemoryArbiter() : null;
    this.alpha = new Machine('alpha', options.fence ?? false);
    this.beta = new Machine('beta', options.fence ?? false);
    for (const name of options.mirrors ?? ['m0']) {
      this.links.set(name, new FakeDataLink());
      this.alpha.disks.set(name, fakeDisk('data', 'alpha'));
      this.beta.disks.set(name, fakeDisk('blank', 'beta'));
    }
  }

  machine(name: Name): Machine {
    return name === 'alpha' ? this.alpha : this.beta;
  }

  get machines(): readonly [Machine, Machine] {
    return [this.alpha, this.beta];
  }

  /** The machine that serves, by its own word. */
  get serving(): readonly Name[] {
    return this.machines.filter((machine) => machine.alive && machine.orchestrator.status().serving).map(({ name }) => name);
  }

  start(name: Name, policy: FailoverPolicy = this.#options.policy ?? {}): Machine {
    const machine = this.machine(name);
    const clock = new NodeClock(this.clock);
    machine.clock = clock;
    machine.alive = true;
    machine.mirrors = [...this.links].map(([mirror, link]) => {
      const disk = machine.disks.get(mirror);
      if (!disk) throw new Error('no disk');
      return new FakeMirror(mirror, name, disk, link, clock, mirrorTimes);
    });
    machine.monitor = new FakeMonitor(this.network, clock, monitorTimes);
    const orchestrator = new FailoverOrchestrator({
      node: name,
      peer: name === 'alpha' ? 'beta' : 'alpha',
      homes: { alpha: 'primary', beta: 'standby' },
      mirrors: machine.mirrors,
      monitor: machine.monitor,
      platform: machine.platform,
      arbiter: this.#options.otherArbiter ?? this.arbiter,
      records: this.#store(machine),
      ...(this.#options.health?.[name] ? { health: this.#options.health[name] } : {}),
      clock,
      random: new SeededRandom(this.seen.length + (name === 'alpha' ? 1 : 2)),
      policy: { requestDeadlineMs: 500, stepDeadlineMs: 2_000, ...policy },
    });
    machine.orchestrator = orchestrator;
    for (const event of eventNames) {
      orchestrator.events.on(event, (payload: Seen['payload']) => {
        if (!clock.dead) this.seen.push({ node: name, event, payload });
      });
    }
    void orchestrator.start().then(() => {
      machine.monitor.report = () => orchestrator.report();
      machine.monitor.answer = (body) => (clock.dead ? new Promise(() => undefined) : orchestrator.answer(body));
    });
    return machine;
  }

  /** Power off: whatever was not durable is gone. */
  crash(name: Name): void {
    this.kill(name);
    this.machine(name).platform.powerOff();
  }

  /** The process of the node ends; what it did to the operating system stays. */
  kill(name: Name): void {
    const machine = this.machine(name);
    if (!machine.alive) return;
    machine.alive = false;
    machine.clock.dead = true;
    machine.monitor.crash();
    for (const mirror of machine.mirrors) mirror.crash();
  }

  async stop(name: Name): Promise<void> {
    const machine = this.machine(name);
    await this.clock.settled(machine.orchestrator.close({ leave: true }), 60_000);
    machine.monitor.sayGoodbye();
    this.crash(name);
  }

  /** Both data and monitor cables. */
  partition(): void {
    this.network.whole = false;
    this.cutData();
  }

  heal(): void {
    this.network.whole = true;
    this.mendData();
  }

  cutData(): void {
    for (const link of this.links.values()) link.cut();
  }

  mendData(): void {
    for (const link of this.links.values()) link.mend();
  }

  /** Lets time pass, looking at the laws at every step of 1 ms, and writing whenever that is possible. */
  async run(ms: number): Promise<void> {
    for (let passed = 0; passed < ms; passed += 1) {
      await this.clock.runFor(1);
      this.check();
    }
  }

  async until(condition: () => boolean, withinMs: number, what: string): Promise<void> {
    for (let passed = 0; passed < withinMs; passed += 1) {
      if (condition()) return;
      await this.clock.runFor(1);
      this.check();
    }
    const state = JSON.stringify(this.machines.map((machine) => (machine.alive ? brief(machine.orchestrator.snapshot()) : machine.name)));
    throw new Error(`${what} did not come true within ${String(withinMs)} ms\n${state}`);
  }

  /** Waits for a promise while time passes. */
  async outcome(promise: Promise<unknown>, withinMs = 60_000): Promise<unknown> {
    let ended: { readonly error: unknown } | null = null;
    promise.then(
      () => (ended = { error: null }),
      (error: unknown) => (ended = { error }),
    );
    await this.until(() => ended !== null, withinMs, 'the outcome');
    return (ended as unknown as { error: unknown }).error;
  }

  check(): void {
    const owners = this.machines.filter((machine) => machine.completes()).map(({ name }) => name);
    if (owners.length > 1) this.violations.push(`two owners at ${String(this.clock.nowMs())} ms`);
    for (const machine of this.machines) if (machine.alive) for (const mirror of machine.mirrors) this.#write(machine, mirror);
  }

  /** What was found so far was expected. */
  forgive(): void {
    this.violations = [];
    this.#acknowledged.clear();
  }

  /** Whoever can acknowledge a write holds every write that was ever acknowledged. */
  #write(machine: Machine, mirror: FakeMirror): void {
    if (!mirror.completes()) return;
    const held = machine.disks.get(mirror.name)?.acknowledged ?? 0;
    const promised = this.#acknowledged.get(mirror.name) ?? 0;
    if (held < promised) this.violations.push(`${machine.name} lost ${String(promised - held)} writes at ${String(this.clock.nowMs())} ms`);
    mirror.write();
    this.#acknowledged.set(mirror.name, Math.max(promised, held + 1));
  }

  /** Both nodes started, the standby filled, alpha serving. */
  async settle(): Promise<void> {
    this.start('alpha');
    this.start('beta');
    await this.until(() => this.serving.join() === 'alpha' && this.calm(), 20_000, 'a pair that serves on alpha');
  }

  /** Everything is connected and uptodate, and both nodes know their place. */
  calm(): boolean {
    return this.machines.every((machine) => {
      if (!machine.alive) return false;
      const { booting, serving, service } = machine.orchestrator.status();
      const healthy = machine.mirrors.every((mirror) => mirror.state().element === 'uptodate' && mirror.state().connection === 'connected');
      return healthy && !booting && (!serving || service === 'running');
    });
  }

  /** Events of one kind, of one node or both. */
  events<E extends keyof FailoverEvents>(event: E, node?: Name): Parameters<FailoverEvents[E]>[0][] {
    return this.seen
      .filter((one) => one.event === event && (node === undefined || one.node === node))
      .map((one) => one.payload as Parameters<FailoverEvents[E]>[0]);
  }

  #store(machine: Machine): PairRecordStore {
    const { clock } = machine;
    // A crash leaves what was durable then: later writes of the dead node go to a copy.
    const contents = machine.recordBytes.slice();
    machine.recordBytes = contents;
    const device = new MemoryDevice({ sizeBytes: pairRecordBytes, contents });
    const store = new DurablePairRecordStore(device);
    const never = new Promise<never>(() => undefined);
    return {
      load: () => store.load(),
      write: async (record) => {
        if (clock.dead) return never;
        machine.writes += 1;
        const fault = machine.writeFault(record, machine.writes);
        if (fault === 'fail') throw new Error('no space');
        if (fault === 'crash-before') {
          this.crash(machine.name);
          return never;
        }
        await store.write(record);
        if (fault === 'fail-written') throw new Error('the flush failed');
        if (fault === 'crash-after') {
          this.crash(machine.name);
          return never;
        }
        // A write takes time, during which everything else goes on.
        await new Promise<void>((resolve) => clock.timer(1, resolve));
        return undefined;
      },
    };
  }
}
