import type { Mutant } from './mutant.ts';
import { crowdedLog, dirtyMapLost, flushFails, newestLogLost, oneCopyLost, onlyTargetLeft } from './disk-schedules.ts';

/** Of a schedule made for it a mutant needs a few seeds. */
const targetedSeeds = 12;

/** Bugs that show where disks fail, or lose what they had cached. */
export const diskMutants: readonly Mutant[] = [
  {
    name: 'writes one copy of what either copy alone must tell',
    breaks: 'lineage.mint',
    edits: [
      {
        file: 'device/durable-record.ts',
        find: `      await this.#writeNext(copy);
      await this.#repeat(copy);`,
        replace: `      await this.#writeNext(copy);`,
      },
    ],
    withinSeeds: targetedSeeds,
    schedule: oneCopyLost,
  },
  {
    name: 'takes a record without a good copy for one that was never written',
    breaks: 'lineage.union',
    edits: [
      {
        file: 'device/durable-record.ts',
        find: `&& !neverWritten(slots)) throw corrupt(layout, slots);`,
        replace: `&& !neverWritten(slots)) void corrupt;`,
      },
    ],
    withinSeeds: targetedSeeds,
    schedule: dirtyMapLost,
  },
  {
    name: 'trusts an older activity log where the newer one cannot be read',
    breaks: 'write.intent',
    edits: [
      {
        file: 'mirror/element-lifecycle.ts',
        find: `  if (store.mayBeOlder) store.dirty.markAll();\n`,
        replace: ``,
      },
    ],
    withinSeeds: targetedSeeds,
    schedule: newestLogLost,
  },
  {
    name: 'acknowledges before it writes where the device is synchronous',
    breaks: 'write.both',
    edits: [
      {
        file: 'mirror/target.ts',
        find: `      this.#change(
        { offsetBytes, lengthBytes: bytes.byteLength },
        (done) => device.write(offsetBytes, bytes, {}, done),
        () => this.#finish(sequence),
        bytes.byteLength,
      );`,
        replace: `      if (device.capabilities.synchronous) {
        const kept = bytes.slice();
        this.#finish(sequence);
        this.acknowledge();
        void this.idle().then(() => device.write(offsetBytes, kept, {}, () => undefined));
        return;
      }
      this.#change(
        { offsetBytes, lengthBytes: bytes.byteLength },
        (done) => device.write(offsetBytes, bytes, {}, done),
        () => this.#finish(sequence),
        bytes.byteLength,
      );`,
      },
    ],
    withinSeeds: targetedSeeds,
    schedule: onlyTargetLeft,
  },
  {
    name: 'makes room in the activity log without a flush',
    breaks: 'write.intent',
    edits: [
      {
        file: 'mirror/intent-log.ts',
        find: `    await this.#flushBoth();
    this.#flushes = [];`,
        replace: `    void this.#flushBoth;`,
      },
    ],
    withinSeeds: targetedSeeds,
    schedule: crowdedLog,
  },
  {
    name: 'goes on with an element whose flush failed in a handshake',
    breaks: 'write.error',
    edits: [
      {
        file: 'mirror/element-lineage.ts',
        find: `    await flushOrFail(device, (error) => host.failed(error));`,
        replace: `    await flushOrFail(device, () => Promise.resolve(void host));`,
      },
    ],
    withinSeeds: targetedSeeds,
    schedule: flushFails,
  },
];
