/**
 * What tests of hotmirror, and of what is built on it, need: virtual time, chance from a seed, conformance suites for your own transports and devices
 * (the test runner is yours to pass in), and devices that record what was durable when.
 *
 * @packageDocumentation
 */
export { VirtualClock } from './virtual-clock.ts';
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
