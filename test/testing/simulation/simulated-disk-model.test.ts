import { expect } from 'chai';
import fc from 'fast-check';

import type { BlockDevice, Done } from '../../../src/device/block-device.ts';
import type { HotMirrorError } from '../../../src/errors.ts';
import { SeededRandom } from '../../../src/testing/seeded-random.ts';
import { SimulatedDisk } from '../../../src/testing/simulation/simulated-disk.ts';
import { VirtualClock } from '../../../src/testing/virtual-clock.ts';

const blockBytes = 512;
const tornUnitBytes = 128;
const blocks = 6;
const units = (blocks * blockBytes) / tornUnitBytes;
const unitsPerBlock = blockBytes / tornUnitBytes;
const latencyMs = 10;

/** A value that a unit had, or may have had, and that is not known to be durable. */
interface Version {
  readonly value: number;
  /** When its write completed. */
  readonly at: number;
  doubtful: boolean;
}

/** A write under way. */
interface UnderWay {
  readonly value: number;
  readonly firstUnit: number;
  readonly endUnit: number;
}

/**
 * Which images the contract allows. Because any subset of the units of each write may survive, whatever becomes of others, it is enough to know of each
 * unit its durable value and those written since: an image is allowed if each of its units has one of them.
 */
class Model {
  readonly durable = new Array<number>(units).fill(0);
  readonly #versions: Version[][] = Array.from({ length: units }, () => []);
  #underWay = new Set<UnderWay>();
  #now = 0;

  current(unit: number): number {
    return this.#versions[unit]!.at(-1)?.value ?? this.durable[unit]!;
  }

  issued(value: number, firstUnit: number, endUnit: number): UnderWay {
    const write = { value, firstUnit, endUnit };
    this.#underWay.add(write);
    return write;
  }

  /** A write has ended. After an error each block holds what it held or the new value: the contents say which. */
  ended(write: UnderWay, fua: boolean, error: HotMirrorError | null, contents: readonly number[]): void {
    this.#now += 1;
    this.#underWay.delete(write);
    for (let unit = write.firstUnit; unit < write.endUnit; unit += 1) {
      if (error) {
        this.#expectOneOf(contents[unit]!, [this.current(unit), write.value]);
        expect(contents[unit]).to.equal(contents[unit - (unit % unitsPerBlock)]);
        if (contents[unit] === write.value) this.#push(unit, write.value, true);
      } else if (fua) {
        this.#settle(unit, write.value);
      } else {
        this.#push(unit, write.value, false);
      }
    }
  }

  /** Gives how a flush that is issued now ends. */
  flushIssued(): (error: HotMirrorError | null) => void {
    const issuedAt = this.#now;
    return (error) => {
      this.#versions.forEach((versions, unit) => {
        if (error) for (const version of versions) version.doubtful = true;
        const hardened = error ? -1 : versions.findLastIndex((version) => version.at <= issuedAt && !version.doubtful);
        if (hardened < 0) return;
        this.durable[unit] = versions[hardened]!.value;
        versions.splice(0, hardened + 1);
      });
    };
  }

  /** The process has died: of the writes under way each may have happened, and what is found is what a flush of the next process covers. */
  detached(contents: readonly number[]): void {
    this.#now += 1;
    contents.forEach((value, unit) => {
      const brought = this.#broughtTo(unit);
      this.#expectOneOf(value, [this.current(unit), ...brought]);
      if (brought.length === 0) return;
      const before = this.current(unit);
      for (const possible of brought) this.#push(unit, possible, true);
      // Where it was not changed, what lay there before still does.
      if (value === before) this.#versions[unit]!.splice(-brought.length);
      else this.#push(unit, value, false);
    });
    this.#underWay = new Set();
  }

  powerCut(contents: readonly number[]): void {
    contents.forEach((value, unit) => {
      const cached = this.#versions[unit]!.map((version) => version.value);
      this.#expectOneOf(value, [this.durable[unit]!, ...cached, ...this.#broughtTo(unit)]);
      this.#settle(unit, value);
    });
    this.#underWay = new Set();
  }

  #broughtTo(unit: number): number[] {
    return [...this.#underWay].filter(({ firstUnit, endUnit }) => firstUnit <= unit && unit < endUnit).map(({ value }) => value);
  }

  #push(unit: number, value: number, doubtful: boolean): void {
    this.#versions[unit]!.push({ value, at: this.#now, doubtful });
  }

  #settle(unit: number, value: number): void {
    this.durable[unit] = value;
    this.#versions[unit] = [];
  }

  #expectOneOf(value: number, allowed: readonly number[]): void {
    if (!allowed.includes(value)) expect.fail(`${String(value)} is none of ${allowed.join()}`);
  }
}

/** The value of each unit, which must be the same in all its bytes. */
function unitsOf(image: Uint8Array): number[] {
  return Array.from({ length: units }, (_, unit) => {
    const bytes = image.subarray(unit * tornUnitBytes, (unit + 1) * tornUnitBytes);
    if (bytes.some((byte) => byte !== bytes[0])) expect.fail(`unit ${String(unit)} is torn`);
    return bytes[0]!;
  });
}

const range = fc.tuple(fc.nat(blocks - 1), fc.integer({ min: 1, max: 3 }));
const step = fc.oneof(
  { weight: 8, arbitrary: fc.record({ do: fc.constant('write' as const), range, fua: fc.boolean() }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('flush' as const) }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('read' as const), range }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('run' as const), forMs: fc.integer({ min: 1, max: latencyMs }) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constantFrom('detach' as const, 'cutPower' as const, 'mend' as const) }) },
  {
    weight: 1,
    arbitrary: fc.record({
      do: fc.constant('inject' as const),
      fault: fc.oneof(
        fc.record({ kind: fc.constantFrom('write-error' as const, 'flush-error' as const), count: fc.integer({ min: 1, max: 2 }) }),
        fc.record({ kind: fc.constant('stall' as const), forMs: fc.integer({ min: 1, max: 30 }) }),
        fc.record({ kind: fc.constant('slow' as const), addMs: fc.integer({ min: 1, max: 30 }) }),
      ),
    }),
  },
);
type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;

/** A disk with its model, and the process that has it open. */
class World {
  readonly clock = new VirtualClock();
  readonly model = new Model();
  readonly disk: SimulatedDisk;
  #device: BlockDevice;
  #written = 0;
  #underWay = 0;
  readonly #mirror = new Uint8Array(blocks * blockBytes);

  constructor(seed: number, longestMs: number) {
    this.disk = new SimulatedDisk({
      sizeBytes: blocks * blockBytes,
      blockSizeBytes: blockBytes,
      tornUnitBytes,
      random: new SeededRandom(seed),
      latencyMs: longestMs,
      changed: (offsetBytes, lengthBytes) => {
        this.#mirror.set(this.disk.contents.subarray(offsetBytes, offsetBytes + lengthBytes), offsetBytes);
      },
    });
    this.#device = this.disk.open(this.clock);
  }

  async take(taken: Step): Promise<void> {
    switch (taken.do) {
      case 'write':
        this.#write(...this.#place(taken.range), taken.fua);
        return;
      case 'read':
        this.#read(...this.#place(taken.range));
        return;
      case 'flush':
        this.#device.flush(this.#counted(this.model.flushIssued()));
        return;
      case 'run':
        await this.clock.runFor(taken.forMs);
        return;
      case 'inject':
        this.disk.inject(taken.fault);
        return;
      case 'mend':
        this.disk.mend();
        return;
      case 'detach':
      case 'cutPower':
        this.disk[taken.do]();
        if (taken.do === 'detach') this.model.detached(unitsOf(this.disk.contents));
        else this.model.powerCut(unitsOf(this.disk.contents));
        this.#underWay = 0;
        this.#device = this.disk.open(this.clock);
    }
  }

  /** What a reader finds and what is sure to survive are what the model says, and whoever was told of each change knows the contents. */
  check(): void {
    expect(unitsOf(this.disk.contents)).to.deep.equal(Array.from({ length: units }, (_, unit) => this.model.current(unit)));
    expect(unitsOf(this.disk.durableImage())).to.deep.equal(this.model.durable);
    expect(Buffer.compare(this.#mirror, this.disk.contents)).to.equal(0);
  }

  /** Everything ends once nothing is wrong. */
  async conclude(): Promise<void> {
    this.disk.mend();
    await this.clock.runFor(100);
    expect(this.#underWay).to.equal(0);
    this.check();
    this.disk.cutPower();
    this.model.powerCut(unitsOf(this.disk.contents));
    this.check();
  }

  #place([first, count]: [number, number]): [number, number] {
    return [first, Math.min(first + count, blocks)];
  }

  #counted(done: Done): Done {
    this.#underWay += 1;
    return (error) => {
      this.#underWay -= 1;
      done(error);
    };
  }

  #write(first: number, end: number, fua: boolean): void {
    this.#written += 1;
    const value = this.#written; // unlike any other, so that a unit says whose it is
    const lengthBytes = (end - first) * blockBytes;
    const write = this.model.issued(value, first * unitsPerBlock, end * unitsPerBlock);
    const done = this.#counted((error) => {
      this.model.ended(write, fua, error, unitsOf(this.disk.contents));
    });
    this.#device.write(first * blockBytes, new Uint8Array(lengthBytes).fill(value), { fua }, done);
  }

  #read(first: number, end: number): void {
    const into = new Uint8Array((end - first) * blockBytes);
    const done = this.#counted(() => {
      expect(Buffer.compare(into, this.disk.contents.subarray(first * blockBytes, end * blockBytes))).to.equal(0);
    });
    this.#device.read(first * blockBytes, into, done);
  }
}

describe('SimulatedDisk and a model of what the contract allows', () => {
  for (const longestMs of [0, latencyMs]) {
    it(`agree after any history, with requests of up to ${longestMs} ms`, async () => {
      await fc.assert(
        fc.asyncProperty(fc.array(step, { maxLength: 40 }), fc.nat(), async (steps, seed) => {
          const world = new World(seed, longestMs);
          for (const taken of steps) {
            await world.take(taken);
            world.check();
          }
          await world.conclude();
        }),
        { numRuns: 300 },
      );
    });
  }
});
