/**
 * What tests of hotmirror, and of what is built on it, need: a whole pair in virtual time with every fault, virtual time and chance from a seed for worlds of
 * your own, conformance suites for your own transports and devices (the test runner is yours to pass in), and devices that record what was durable when.
 *
 * @packageDocumentation
 */
export { simulatePair, SimulatedPair } from './simulation/simulated-pair.ts';
export type { NodeParts } from './simulation/simulated-pair.ts';
export type { PairRequest } from './simulation/pair-requests.ts';
export type { PairCondition } from './simulation/pair-condition.ts';
export { maxDriftPpm } from './simulation/options.ts';
export type {
  PairSimulationOptions,
  SimulatedLatencies,
  SimulatedMirrorOptions,
  SimulationTimes,
  WorkloadOptions,
} from './simulation/options.ts';
export type { CompleteMirror, CompleteOptions } from './simulation/complete-options.ts';
export type { MirrorSize } from './simulation/node-disks.ts';
export type { NodeName, OperatorOrder, SimulationStep } from './simulation/steps.ts';
export type { DiskFault, DiskName } from './simulation/disk-faults.ts';
export type { LinkConditions } from '../transport/link-conditions.ts';
export type { SimulationSchedule } from './simulation/schedule.ts';
export type { SimulationEntry } from './simulation/entry.ts';
export type { TimelineEntry } from './timeline/entry.ts';
export { InvariantError } from './simulation/invariant-error.ts';
export type { InvariantName } from './simulation/watcher.ts';
export { drawSchedule } from './swarm/draw-schedule.ts';
export { runSchedule } from './swarm/run-schedule.ts';
export type { RunHooks, RunReport } from './swarm/run-schedule.ts';
export { shrink } from './swarm/shrink.ts';
export type { Shrunk } from './swarm/shrink.ts';
export type { BrokenPromise, SimulationRunner, StartRunner } from './swarm/runner.ts';
export { timelinePage } from './timeline/page.ts';
export type { TimelinePageOptions } from './timeline/page.ts';
export { readTimeline } from './timeline/read-timeline.ts';
export { explore } from './exploration/explore.ts';
export type { ExplorationBounds, ExplorationFinding, ExplorationOptions, ExplorationReport, PartitionWay } from './exploration/options.ts';
export { VirtualClock } from './virtual-clock.ts';
export type { VirtualClockOptions, WaitingTimer } from './virtual-clock.ts';
export { SeededRandom } from './seeded-random.ts';
export { deviceConformance } from './device-conformance.ts';
export type { DeviceFixture, DeviceSetup } from './device-conformance.ts';
export { transportConformance } from './transport-conformance.ts';
export type { TransportFixture, TransportSetup } from './transport-conformance.ts';
export { Recording, RecordingDevice } from './recording-device.ts';
export type { DeviceEntry, MarkEntry, RecordedEntry, RecordedOperation } from './recording-device.ts';
export { PlatformRecorder } from './platform-recorder.ts';
export type { RecordedStep, ScriptedOutcome } from './platform-recorder.ts';
export type { TestRunner } from './test-runner.ts';
