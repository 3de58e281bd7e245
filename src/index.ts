/**
 * High availability for two machines: `MirrorLink` keeps one disk the same on two nodes, `HeartbeatMonitor` decides whether the peer is viable,
 * `FailoverOrchestrator` moves the service between them. Transports, devices, platform actions and arbiters are pluggable; those that ship
 * have entry points of their own.
 *
 * @packageDocumentation
 */
export { errorRemedies, HotMirrorError } from './errors.ts';
export type { ErrorCode, HotMirrorErrorOptions, SerializedError } from './errors.ts';
export { rules } from './rules.ts';
export type { Decision, Rule } from './rules.ts';
export type { Emitter, EventBase, EventMap } from './events.ts';
export { compareEpochs, formatEpoch, highestEpoch, noEpoch } from './epoch.ts';
export type { Epoch, EpochOrder } from './epoch.ts';
export type {
  ElementState,
  Json,
  OutdateOrder,
  ParkedOn,
  PeerAnswer,
  PeerState,
  ResyncProgress,
  SilenceEvidence,
  Verdict,
  WatchState,
} from './vocabulary.ts';

export { sleep } from './clock/clock.ts';
export type { Clock, Timer } from './clock/clock.ts';
export { randomHex } from './clock/random.ts';
export type { Random } from './clock/random.ts';
export { systemClock } from './clock/system-clock.ts';
export { systemRandom } from './clock/system-random.ts';

export type { AllocationPiece, BlockDevice, DeviceCapabilities, Done, WriteOptions, ZeroesOptions } from './device/block-device.ts';
export { devicePromises } from './device/promises.ts';
export type { DevicePromises } from './device/promises.ts';
export type { Connection, Listener, ListenHandlers, Receiver, Transport, TransportCapabilities } from './transport/transport.ts';
export { platformSteps } from './platform/platform-actions.ts';
export type { PlatformAction, PlatformActions, PlatformCapabilities, PlatformStep, StepContext } from './platform/platform-actions.ts';
export type { Arbiter, ArbiterCapabilities, GrantAnswer } from './arbiter/arbiter.ts';

export { MirrorLink } from './mirror/mirror-link.ts';
export { elementMetadataBytes } from './mirror/create-element.ts';
export type { CreateElementOptions } from './mirror/create-element.ts';
export type { LatencyMs, MirrorCounters, RequestCounters, RequestKind } from './mirror/counters.ts';
export { defaultMirrorLimits } from './mirror/options.ts';
export type {
  MirrorLimits,
  MirrorLinkOptions,
  MirrorProtocol,
  OpenSalvage,
  UndoJournal,
  WhenCongested,
  WhenSplit,
} from './mirror/options.ts';
export { defaultResyncRate } from './mirror/resync-rate.ts';
export type { ResyncRateLimits } from './mirror/resync-rate.ts';
export type { GoAloneOrder, PromoteOrder } from './mirror/orders.ts';
export { mirrorEventNames } from './mirror/mirror-events.ts';
export type { MirrorEvent, MirrorEventName, MirrorEvents } from './mirror/mirror-events.ts';
export type { MirrorSnapshot } from './mirror/describe.ts';
export type { DataLinkState, MirrorRole, MirrorState, ServingState } from './mirror/state.ts';
export type { ElementMetadata, GaveWay, Undo } from './mirror/metadata.ts';
export type { Growth } from './mirror/grow.ts';
export type { ElementWish } from './mirror/element-orders.ts';
export type { RegenerateOrder, VerifyOrder, VerifyOutcome } from './mirror/regenerate.ts';
export type { ExtentRun } from './mirror/dirty-map.ts';
export type { ResolveOrder, SplitEvidence } from './vocabulary.ts';
export { decideSync } from './mirror/lineage.ts';
export type { CopyScope, LineageView, SyncDecision } from './mirror/lineage.ts';

export { HeartbeatMonitor } from './heartbeat/heartbeat-monitor.ts';
export type { HeartbeatMonitorOptions, MonitorLinkOptions, WatchTimes } from './heartbeat/options.ts';
export type { DetectorChoice, DetectorKind, DetectorOptions } from './heartbeat/detector.ts';
export type { LinkQuality, LossShare, RoundTripsMs } from './heartbeat/link-statistics.ts';
export type { FrameRejected, HeartbeatEvents, LinkChanged, MonitorOverslept, PeerAnswered, PeerChanged } from './heartbeat/events.ts';
export type { LinkState, MonitorStatus, WatchPause } from './heartbeat/types.ts';
export { HealthWatch } from './heartbeat/health.ts';
export type { HealthAnswer, HealthEvents, HealthProbe, HealthWatchOptions, ProbeResult } from './heartbeat/health.ts';
export type { HealthChanged, HealthState, ProbeReport } from './health.ts';
export type { RequestOptions } from './heartbeat/peer-channel.ts';

export { FailoverOrchestrator } from './failover/orchestrator.ts';
export type { FallbackOptions } from './failover/orchestrator.ts';
export type { FailoverOptions, FailoverPolicy } from './failover/options.ts';
export type {
  AloneDecided,
  FailoverEvents,
  FailoverFailed,
  HandoverFinished,
  ModeChanged,
  RecordWritten,
  ServiceChanged,
  StepEvent,
  TakeoverEvent,
} from './failover/failover-events.ts';
export type { FailoverPlan, FailoverSnapshot, FailoverStatus } from './failover/status.ts';
export type { PlannedStep, Way } from './failover/plan.ts';
export type { Block } from './failover/takeover.ts';
export type { AloneAction, AloneEvidence, WhenAlone } from './failover/alone.ts';
export type { BootAction, BootRecord } from './failover/boot.ts';
export type { PeerMirror, PeerReport, ServiceState } from './failover/peer-report.ts';
export type { MirrorPort, MirrorView, MonitorPort } from './failover/ports.ts';
export type { Control, Homes, Journal, Mode, PairRecord, PairRecordStore } from './failover/pair-record.ts';
export { DurablePairRecordStore, pairRecordBytes } from './failover/pair-record-store.ts';
