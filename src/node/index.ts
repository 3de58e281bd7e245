/**
 * One node of a pair, assembled from a configuration file: what `hotmirror run` runs, for products that embed it.
 *
 * @packageDocumentation
 */
export { HotMirrorNode } from './hotmirror-node.ts';
export { loadConfig, parseConfig, pairJsonSchema } from './config.ts';
export type {
  ElementConfig,
  FailoverConfig,
  HealthProbeConfig,
  LinkAddress,
  LinkTlsFiles,
  LoadedConfig,
  ExportConfig,
  ExportTlsConfig,
  MirrorConfig,
  ResyncConfig,
  MirrorLimitsConfig,
  MonitorConfig,
  MonitorLinkConfig,
  NodeConfig,
  PairConfig,
  PlatformConfig,
  TlsFiles,
  UndoJournalConfig,
  VerifyConfig,
} from './config.ts';
export type { ProgramOptions } from './programs.ts';
export { judgeTiming } from './timing.ts';
export type { TimingReport, TimingRow, WorstCase } from './timing.ts';
export type { Blocked, LinkStatus, LoggedEvent, MirrorStatus, NodeStatus, StatusWarning, VerifyStatus } from './control-protocol.ts';
export { initNode } from './init.ts';
export type { InitOptions, InitReport } from './programs.ts';
export type { MirrorProxy } from './mirror-proxy.ts';
export type { MirrorThreadEvent } from './mirror-messages.ts';
export type { EventLog, LogEntry } from './event-log.ts';
