import type { Arbiter } from '../arbiter/arbiter.ts';
import { OperatorArbiter } from '../arbiter/operator.ts';
import type { Clock } from '../clock/clock.ts';
import type { BlockDevice } from '../device/block-device.ts';
import { openStateFile } from '../device/state-file.ts';
import { noEpoch } from '../epoch.ts';
import type { Epoch } from '../epoch.ts';
import { HotMirrorError } from '../errors.ts';
import type { EventBase } from '../events.ts';
import { FailoverOrchestrator } from '../failover/orchestrator.ts';
import { DurablePairRecordStore, pairRecordBytes } from '../failover/pair-record-store.ts';
import { within } from '../clock/within.ts';
import type { HealthWatch } from '../heartbeat/health.ts';
import { HeartbeatMonitor } from '../heartbeat/heartbeat-monitor.ts';
import type { MirrorCounters } from '../mirror/counters.ts';
import { commandPlatform } from '../platform/command.ts';
import { nonePlatform } from '../platform/none.ts';
import type { PlatformActions } from '../platform/platform-actions.ts';
import { ConfigComparison, configPortrait } from './config-comparison.ts';
import { homesOf, peerOf } from './config.ts';
import type { PairConfig } from './config.ts';
import type { ControlSocket } from './control-socket.ts';
import { openControlSocket } from './control-socket.ts';
import { schemaVersion } from './control-protocol.ts';
import type { NodeStatus, StatusWarning } from './control-protocol.ts';
import { EventLog } from './event-log.ts';
import { nodeHealth } from './health.ts';
import { readKeyFile } from './key-file.ts';
import { LinkKeyWatch, readLinkKeys } from './link-key-files.ts';
import { LinkKeyring } from './link-keyring.ts';
import type { MirrorSource } from './mirror-assembly.ts';
import { recordFile } from './mirror-assembly.ts';
import { carryOut, mirrorOf } from './mirror-orders.ts';
import { MirrorProxy } from './mirror-proxy.ts';
import { mirrorStatus } from './mirror-status.ts';
import { controlHandlers } from './node-control.ts';
import type { NodeControl } from './node-control.ts';
import { NodeEvents } from './node-events.ts';
import { Parts } from './parts.ts';
import { PeerOrders } from './peer-orders.ts';
import type { ProgramOptions } from './programs.ts';
import { monitorLinks } from './transports.ts';
import type { LinkSource } from './transports.ts';
import { VerifyCalendar } from './verify-calendar.ts';
import { verifyHistory } from './verify-due.ts';
import { TurnedAway } from './turned-away.ts';
import { warningsOf } from './warnings.ts';
import { WatchOrders, detectorOf } from './watch-orders.ts';
import { mirrorThread } from './worker-thread.ts';

/** A thread that its disk keeps for longer tells no counters. */
const countersDeadlineMs = 2_000;
const hourMs = 3_600_000;

/** @internal What a node consists of. */
export interface NodeParts {
  readonly name: string;
  readonly clock: Clock;
  readonly config: PairConfig;
  readonly log: EventLog;
  readonly monitor: HeartbeatMonitor;
  readonly orchestrator: FailoverOrchestrator;
  readonly mirrors: ReadonlyMap<string, MirrorProxy>;
  readonly calendar: VerifyCalendar;
  readonly health: HealthWatch;
  readonly keys: LinkKeyWatch;
  /** What an operator should know that the status does not show. */
  readonly warnings: () => readonly StatusWarning[];
  readonly parts: Parts;
}

/**
 * One node of a pair, assembled from its configuration: a thread for each mirror, the monitor, the orchestrator, the event log and the control socket.
 * For products that embed a node as `hotmirror run` does.
 */
export class HotMirrorNode {
  readonly name: string;
  /** What happened, as `hotmirror events` shows it. */
  readonly log: EventLog;
  readonly orchestrator: FailoverOrchestrator;
  readonly monitor: HeartbeatMonitor;
  readonly #clock: Clock;
  readonly #config: PairConfig;
  readonly #mirrors: ReadonlyMap<string, MirrorProxy>;
  readonly #calendar: VerifyCalendar;
  readonly #health: HealthWatch;
  readonly #keys: LinkKeyWatch;
  readonly #warnings: () => readonly StatusWarning[];
  readonly #parts: Parts;
  readonly #waiting = new Set<() => void>();
  #closing: Promise<void> | null = null;

  /** @internal Use {@link HotMirrorNode.start}. */
  constructor(options: NodeParts) {
    this.name = options.name;
    this.#clock = options.clock;
    this.#config = options.config;
    this.log = options.log;
    this.monitor = options.monitor;
    this.orchestrator = options.orchestrator;
    this.#mirrors = options.mirrors;
    this.#calendar = options.calendar;
    this.#health = options.health;
    this.#keys = options.keys;
    this.#warnings = options.warnings;
    this.#parts = options.parts;
  }

  /**
   * Starts a node; resolves when its control socket answers. Rejects with what its parts reject with, such as `HM_NODE_RUNNING`, `HM_KEY_MISSING`,
   * `HM_METADATA_MISSING`, `HM_DEVICE_IN_USE` or `HM_ADDRESS_IN_USE`; then nothing is left open.
   */
  static async start(options: ProgramOptions): Promise<HotMirrorNode> {
    const parts = new Parts();
    try {
      return await assemble(options, parts);
    } catch (error) {
      await parts.close().catch(() => undefined);
      throw error;
    }
  }

  /**
   * Resolves when this node serves all its mirrors, at once where it does. A home primary waits for its peer the first time, and a standby until the service moves to it.
   * Rejects with the signal's reason when that aborts first, and with `HM_CLOSED` when the node closes.
   */
  serving(options: { readonly signal?: AbortSignal } = {}): Promise<void> {
    const { events } = this.orchestrator;
    const { signal } = options;
    const mirrors = [...this.#mirrors.values()];
    return new Promise((resolve, reject) => {
      const settle = (end: () => void): void => {
        events.off('service:started', look);
        for (const stop of stops) stop();
        signal?.removeEventListener('abort', aborted);
        this.#waiting.delete(closed);
        end();
      };
      // The pair decides first, and its mirrors follow.
      const look = (): void => {
        if (this.orchestrator.status().serving && mirrors.every((mirror) => mirror.state().serving !== 'no')) settle(resolve);
      };
      const aborted = (): void => settle(() => reject(signal?.reason as Error));
      const closed = (): void => settle(() => reject(new HotMirrorError('HM_CLOSED', `node ${this.name} is closing`)));
      const stops = mirrors.map((mirror) => mirror.onChange(look));
      events.on('service:started', look);
      signal?.addEventListener('abort', aborted, { once: true });
      this.#waiting.add(closed);
      if (this.#closing) closed();
      else if (signal?.aborted) aborted();
      else look();
    });
  }

  /** A mirror by name, to read, write and flush while this node serves it. Throws `RangeError` where there is none. */
  mirror(name: string): MirrorProxy {
    const mirror = this.#mirrors.get(name);
    if (!mirror) throw new RangeError(`there is no mirror ${name}`);
    return mirror;
  }

  /** What `hotmirror status --json` prints. */
  status(): NodeStatus {
    const { home, mode, serving, epoch, control, blockedBy, peerHealth } = this.orchestrator.status();
    const health = this.#health.results();
    const status: NodeStatus = {
      schema: schemaVersion,
      node: this.name,
      home,
      mode: mode ?? 'normal',
      serving,
      epoch,
      control,
      monitor: { ...this.monitor.status(), ...this.#timesInForce() },
      mirrors: this.#config.mirrors.map((configured) =>
        mirrorStatus(this.mirror(configured.name), configured, this.#calendar.status(configured.name)),
      ),
      blockedBy,
      ...(health.length === 0 ? {} : { health }),
      ...(peerHealth ? { peerHealth } : {}),
    };
    const warnings = [...this.#warnings(), ...warningsOf(status)];
    return warnings.length === 0 ? status : { ...status, warnings };
  }

  /** What `hotmirror status --statistics --json` prints: `status()` with the counters of each mirror and the quality of each link. Waits for a mirror's thread at most two seconds. */
  async statistics(): Promise<NodeStatus> {
    const told = await Promise.all(this.#config.mirrors.map(({ name }) => this.#countersOf(this.mirror(name))));
    const status = this.status();
    const quality = this.monitor.quality();
    const links = status.monitor.links.map((link) => ({ ...link, quality: quality.get(link.name)! }));
    const mirrors = status.mirrors.map((mirror, index) => ({ ...mirror, counters: told[index] ?? null }));
    return { ...status, monitor: { ...status.monitor, links }, mirrors };
  }

  /**
   * Looks now for new keys and certificates of links, as SIGHUP has `hotmirror run` do; resolves when it has. Connections that are there go on; the event `tls:renewed` says
   * that the next ones use new keys, `tls:failed` that those before stay in use.
   */
  renewKeys(): Promise<void> {
    return this.#keys.look();
  }

  /** What an operator has changed of them (rule `watch.live`). */
  #timesInForce(): Pick<NodeStatus['monitor'], 'times'> {
    const { intervalMs, deadlineMs } = this.monitor.times;
    const configured = this.#config.monitor;
    return intervalMs === configured.intervalMs && deadlineMs === configured.deadlineMs ? {} : { times: { intervalMs, deadlineMs } };
  }

  async #countersOf(mirror: MirrorProxy): Promise<MirrorCounters | null> {
    const limit = { deadlineMs: countersDeadlineMs, code: 'HM_REQUEST_TIMEOUT', what: `the thread of mirror ${mirror.name}` } as const;
    return within(this.#clock, limit, () => mirror.counters()).catch(() => null);
  }

  /** Stops in order (rule node.leave): services, mirrors, links, and lets go of everything. */
  close(): Promise<void> {
    this.#closing ??= this.#parts.close();
    for (const closed of [...this.#waiting]) closed();
    return this.#closing;
  }

  /** The same as `close`, for `await using`. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}

async function assemble({ loaded, node, clock, random }: ProgramOptions, parts: Parts): Promise<HotMirrorNode> {
  const { config } = loaded;
  const { intervalMs, deadlineMs, initialGraceMs } = config.monitor;
  const settings = config.nodes[node];
  const peer = peerOf(config, node);
  const key = config.auth ? await readKeyFile(config.auth.keyFile) : null;
  const source: LinkSource = { config, node, key, credentials: await readLinkKeys(config, node) };
  const keyring = new LinkKeyring(source);
  const assembled = later<NodeControl>();
  await parts.add<ControlSocket>(
    openControlSocket({ path: settings?.controlSocket ?? '', handlers: controlHandlers(assembled.promise) }),
    (socket) => socket.close(),
  );
  const log = await parts.add(EventLog.open({ stateDir: settings?.stateDir ?? '', node, clock }), (opened) => opened.close());
  const events = await parts.add(Promise.resolve(new NodeEvents(log, clock)), (made) => made.close());
  const record = await parts.add<BlockDevice>(openStateFile(recordFile(settings?.stateDir ?? ''), pairRecordBytes), (device) =>
    device.close(),
  );
  const records = new DurablePairRecordStore(record);
  const { epoch } = (await records.load()) ?? { epoch: noEpoch };
  const mirrors = await allOf(
    config.mirrors.map(({ name }) => parts.add(openMirror({ ...source, mirror: name }, epoch, events), (mirror) => mirror.close())),
  );
  const monitor: HeartbeatMonitor = new HeartbeatMonitor({
    node,
    peer,
    preferOwnDial: homesOf(config).primary === node,
    links: monitorLinks(source, keyring, clock, random),
    clock,
    random,
    intervalMs,
    deadlineMs,
    initialGraceMs,
    detector: detectorOf(config.monitor),
    report: () => orchestrator.report(),
    answer: async (body) => orders.answer(body) ?? watchOrders.answer(body) ?? comparison.answer(body) ?? orchestrator.answer(body),
  });
  const orders: PeerOrders = new PeerOrders({
    ...{ peer, monitor, clock, random },
    carryOut: (order, stream) => carryOut(order, mirrorOf(mirrors, order.mirror), stream),
  });
  const tell = (name: string, news: Omit<EventBase, 'atMs'>): void => events.append(name, news);
  const watchOrders = new WatchOrders({ config, peer, monitor, clock, random, tell });
  const turnedAway = new TurnedAway(monitor, clock);
  const comparison = new ConfigComparison({ mine: configPortrait(loaded), peer, monitor, clock, tell });
  for (const [name, mirror] of mirrors) mirror.onHeard((atMs) => monitor.heard(`data:${name}`, { atMs }));
  const health: HealthWatch = nodeHealth({ config, node, clock, mirrors: [...mirrors.values()], status: () => orchestrator.status() });
  events.health(health);
  const orchestrator = makeOrchestrator(config, node, { mirrors, monitor, records, clock, random, events, health });
  events.monitor(monitor);
  events.orchestrator(orchestrator);
  await parts.add(orchestrator.start(), () => Promise.resolve());
  await parts.add(monitor.start(), () => monitor.close({ leave: true }));
  for (const given of [orders, watchOrders, comparison]) await parts.add(Promise.resolve(given), async (opened) => opened.close());
  // Closed before the monitor: what it says to the peer on the way out travels over the monitor's links.
  await parts.add(Promise.resolve(), () => orchestrator.close({ leave: true }));
  health.start();
  await parts.add(Promise.resolve(), () => health.close());
  const calendar = await parts.add(Promise.resolve(makeCalendar(config, mirrors, log, clock)), (opened) => opened.close());
  const keys = await parts.add(Promise.resolve(watchKeys(source, keyring, { clock, events, mirrors })), (watch) => watch.close());
  const assembledNode = new HotMirrorNode({
    ...{ name: node, clock, config, log, monitor, orchestrator },
    ...{ mirrors, calendar, health, keys, parts, warnings: () => [...turnedAway.warnings, ...comparison.warnings] },
  });
  assembled.resolve({
    ...{ orchestrator, log, mirrors, orders, watchOrders },
    status: () => assembledNode.status(),
    statistics: () => assembledNode.statistics(),
  });
  return assembledNode;
}

/** Opened at once: a thread takes its time to start. Rejects when each has ended its opening, so that what is open can be closed. */
async function allOf(opening: readonly Promise<MirrorProxy>[]): Promise<ReadonlyMap<string, MirrorProxy>> {
  await Promise.allSettled(opening);
  return new Map((await Promise.all(opening)).map((mirror) => [mirror.name, mirror]));
}

async function openMirror(source: MirrorSource, epoch: Epoch, events: NodeEvents): Promise<MirrorProxy> {
  const { mirror: name } = source;
  let opened: MirrorProxy | null = null;
  const serving = (): boolean => opened !== null && opened.state().serving !== 'no';
  const mirror = await MirrorProxy.open(name, mirrorThread(source), events.mirror(name, serving), epoch);
  opened = mirror;
  mirror.onDeath((error) => {
    events.append('thread:died', { class: 3, text: error.message }, name);
  });
  return mirror;
}

/** The links of this thread and those of the mirrors' threads use what is new. */
function watchKeys(
  { config, node, credentials }: LinkSource,
  keyring: LinkKeyring,
  made: { readonly clock: Clock; readonly events: NodeEvents; readonly mirrors: ReadonlyMap<string, MirrorProxy> },
): LinkKeyWatch {
  const { clock, events, mirrors } = made;
  return new LinkKeyWatch({
    ...{ config, node, clock, credentials },
    renew(renewal) {
      keyring.renew(renewal);
      // A thread that has ended makes no connection.
      for (const mirror of mirrors.values()) void mirror.renewKeys(renewal).catch(() => undefined);
    },
    tell: (name, news) => events.append(name, news),
  });
}

function makeCalendar(
  { mirrors: configured }: PairConfig,
  mirrors: ReadonlyMap<string, MirrorProxy>,
  log: EventLog,
  clock: Clock,
): VerifyCalendar {
  const every = new Map(configured.map(({ name, verify }) => [name, verify.everyHours]));
  const entries = [...mirrors.values()].map((mirror) => {
    const everyHours = every.get(mirror.name);
    return { mirror, everyMs: everyHours === undefined ? null : everyHours * hourMs };
  });
  const scheduled = entries.some(({ everyMs }) => everyMs !== null);
  // Who verifies nothing by the calendar need not read the log.
  const history = scheduled ? verifyHistory(log.read()) : Promise.resolve({ oldestMs: null, finishedMs: new Map<string, number>() });
  return new VerifyCalendar({ clock, mirrors: entries, history });
}

function makeOrchestrator(
  config: PairConfig,
  node: string,
  made: Pick<ProgramOptions, 'clock' | 'random'> & {
    readonly mirrors: ReadonlyMap<string, MirrorProxy>;
    readonly monitor: HeartbeatMonitor;
    readonly records: DurablePairRecordStore;
    readonly events: NodeEvents;
    readonly health: HealthWatch;
  },
): FailoverOrchestrator {
  const { mirrors, monitor, records, clock, random, events, health } = made;
  const { control, whenAlone, bootAlone, stepDeadlineMs, stepRetries } = config.failover;
  return new FailoverOrchestrator({
    node,
    peer: peerOf(config, node),
    homes: Object.fromEntries(Object.entries(config.nodes).map(([name, { home }]) => [name, home])),
    mirrors: [...mirrors.values()],
    monitor,
    platform: platformOf(config, clock, events),
    arbiter: arbiterOf(config),
    records,
    clock,
    random,
    policy: { control, whenAlone, bootAlone, stepDeadlineMs, stepRetries },
    health: () => health.results(),
  });
}

function platformOf({ failover: { platform } }: PairConfig, clock: ProgramOptions['clock'], events: NodeEvents): PlatformActions {
  if (platform.kind === 'command') return commandPlatform(platform.commands, clock);
  return nonePlatform((text) => events.append('step:skipped', { class: 0, text }));
}

function arbiterOf({ failover: { arbiter } }: PairConfig): Arbiter | null {
  return arbiter === null ? null : new OperatorArbiter();
}

function later<T>(): { readonly promise: Promise<T>; readonly resolve: (value: T) => void } {
  let resolve: (value: T) => void = () => undefined;
  const promise = new Promise<T>((settle) => {
    resolve = settle;
  });
  return { promise, resolve };
}
