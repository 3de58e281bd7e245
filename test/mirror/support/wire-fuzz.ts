import { copyOf } from '../../../src/bytes.ts';
import { regionBytes } from '../../../src/mirror/activity-log.ts';
import type { BlockDevice } from '../../../src/device/block-device.ts';
import { defaultMirrorLimits } from '../../../src/mirror/options.ts';
import { maxHeldBytes } from '../../../src/mirror/target.ts';
import { messageTypes } from '../../../src/mirror/wire.ts';
import { SeededRandom } from '../../../src/testing/seeded-random.ts';
import type { Connection } from '../../../src/transport/transport.ts';
import { defaultTransportLimits } from '../../../src/transport/limits.ts';
import { changes, drawMessages, mutations, readFrame } from './frame-fuzz.ts';
import type { MutationContext, PlainMessage } from './frame-fuzz.ts';
import { tamperFrames } from './frame-tap.ts';
import type { Deliver, Tamper } from './frame-tap.ts';
import { MirrorPair, pattern } from './mirror-pair.ts';
import type { NodeName } from './mirror-pair.ts';

const nodes: readonly NodeName[] = ['alpha', 'beta'];
const extentBytes = 65_536;
const blockBytes = 4_096;
const steps = 120;
const recordedFrames = 64;
const drawnFrames = 64;
/** Longer frames are not kept: a write says as much as ten. */
const longestRecorded = 20_000;
const settleMs = 60_000;
const mostTimers = 100;
const rememberedChanges = 16_384;
const maxFrameBytes = defaultTransportLimits.maxFrameBytes;

/** What a round did. */
export interface FuzzCount {
  /** Frames that no peer sent, or not so, and that a mirror took. */
  frames: number;
  /** Of them those that are no frames of this connection at all. */
  malformed: number;
  /** Connections that were made. */
  connections: number;
  /** Rounds after which nothing but the connections had suffered. */
  whole: number;
}

/** A range that may be written now, and with what: `bytes` null for zeroes. */
interface Allowed {
  readonly offsetBytes: number;
  readonly lengthBytes: number;
  readonly bytes: Uint8Array | null;
}

/**
 * Two real mirrors that talk, while an attacker with the key of the pair changes, repeats, swaps and invents frames on their way to either. After each frame
 * it is judged what that did to the mirror which took it; at the end a good peer must be able to connect.
 */
export class FuzzRound {
  readonly count: FuzzCount = { frames: 0, malformed: 0, connections: 0, whole: 0 };
  readonly #random: SeededRandom;
  readonly #seed: number;
  /** Nothing that is well-formed is changed: then nothing at all may suffer but connections. */
  readonly #onlyMalformed: boolean;
  /** Requests to the disks take their time. */
  readonly #slow: boolean;
  readonly #victims: readonly NodeName[];
  readonly #recorded: Uint8Array[] = [];
  readonly #drawn: readonly (readonly PlainMessage[])[];
  readonly #pair: MirrorPair;
  readonly #asked: Allowed[] = [];
  readonly #streams = new WeakMap<Connection, NonNullable<MutationContext['stream']>>();
  readonly #late = new Map<Connection, Uint8Array>();
  #harmPerMille = 0;
  /** What the frame at hand allows the mirror of this node to write. */
  #taking: { readonly node: NodeName; readonly allowed: readonly Allowed[] } | null = null;
  /** What frames before it allowed: while a target looks what a hole would clear, it lets all that follows wait. */
  readonly #delivered: Record<NodeName, Allowed[]> = { alpha: [], beta: [] };
  #violation: string | null = null;
  #epoch = 1;

  constructor(seed: number) {
    this.#seed = seed;
    this.#random = new SeededRandom(seed);
    const random = this.#random;
    this.#onlyMalformed = random.below(3) === 0;
    this.#victims = random.below(3) === 0 ? nodes : [nodes[random.below(2)] as NodeName];
    this.#drawn = drawMessages(seed, drawnFrames);
    const sizeBytes = random.below(8) === 0 ? regionBytes + extentBytes : 4 * extentBytes;
    const delayMs = random.below(3);
    this.#slow = random.below(3) === 0;
    this.#pair = new MirrorPair({
      ...{ seed, sizeBytes, delayMs },
      settles: 'promises',
      completion: this.#slow ? 1 + random.below(3) : 'sync',
      wrap: (device, what) => (what.endsWith(':disk') ? this.#guarded(device, what.split(':')[0] as NodeName) : device),
      wrapTransport: (transport, node) => tamperFrames(transport, this.#tamper(node)),
    });
  }

  /** Runs it; throws what is wrong. */
  async run(): Promise<FuzzCount> {
    // Promises are told apart from what comes from outside only within one.
    await Promise.resolve();
    const pair = await this.#pair.init();
    for (const node of nodes) await pair.open(node);
    for (let step = 0; step < steps; step += 1) {
      // Each phase comes undisturbed as well, or none after the first would be reached.
      if (step % 4 === 0) this.#harmPerMille = [0, 100, 500, 900][this.#random.below(4)] ?? 0;
      this.#orchestrate();
      this.#request();
      await pair.clock.runFor(this.#random.below(5) === 0 ? this.#random.below(1_500) : this.#random.below(20));
      this.#checkBounds();
    }
    await this.#recover();
    this.count.connections = pair.told.filter(({ name }) => name === 'link:connected').length;
    return this.count;
  }

  #tamper(node: NodeName): Tamper {
    return (frame, deliver, connection) => {
      if (this.#recorded.length < recordedFrames || this.#random.below(8) === 0) this.#record(frame);
      const harmed = this.#victims.includes(node) && this.#random.below(1_000) < this.#harmPerMille;
      const frames = harmed ? this.#harm(frame, connection) : [frame];
      for (const one of frames) this.#deliver(one, one !== frame, { node, deliver, connection });
    };
  }

  #record(frame: Uint8Array): void {
    if (frame.length > longestRecorded) return;
    const at = this.#recorded.length < recordedFrames ? this.#recorded.length : this.#random.below(recordedFrames);
    this.#recorded[at] = copyOf(frame);
  }

  /** What arrives in place of a frame. The very same array stands for the frame as it was. */
  #harm(frame: Uint8Array, connection: Connection): readonly Uint8Array[] {
    const random = this.#random;
    const late = this.#late.get(connection);
    this.#late.delete(connection);
    const names = [...Object.keys(mutations), 'delay'];
    const name = random.below(3) === 0 ? 'storm' : (names[random.below(names.length)] as string);
    if (name === 'delay' && !this.#onlyMalformed) {
      this.#late.set(connection, copyOf(frame));
      return late ? [late] : [];
    }
    const context = {
      random,
      connectionId: connection.id,
      recorded: this.#recorded,
      drawn: this.#drawn,
      stream: this.#streams.get(connection) ?? null,
    };
    const frames = [...(mutations[name]?.(frame, context) ?? [frame]), ...(late ? [late] : [])];
    if (!this.#onlyMalformed) return frames;
    const malformed = frames.filter((one) => readFrame(one, connection.id) === null);
    return malformed.length > 0 ? malformed : [frame];
  }

  #deliver(
    frame: Uint8Array,
    harmed: boolean,
    to: { readonly node: NodeName; readonly deliver: Deliver; readonly connection: Connection },
  ): void {
    const messages = readFrame(frame, to.connection.id);
    const before = this.#taking;
    this.#taking = { node: to.node, allowed: (messages ?? []).flatMap(allowedBy) };
    if (this.#slow) this.#remember(to.node, this.#taking.allowed);
    let outcome: ReturnType<Deliver> = 'unwanted';
    try {
      outcome = to.deliver(frame);
    } catch (error) {
      this.#fail(`a frame threw ${String(error)}`);
    }
    this.#taking = before;
    if (outcome === 'goes on') this.#follow(messages ?? [], to.connection);
    if (!harmed || outcome === 'unwanted') return;
    this.count.frames += 1;
    if (messages !== null) return;
    this.count.malformed += 1;
    if (outcome !== 'ended') this.#fail('a malformed frame did not end its connection');
  }

  #remember(node: NodeName, allowed: readonly Allowed[]): void {
    const kept = allowed.map(({ bytes, ...range }) => ({ ...range, bytes: bytes === null ? null : new Uint8Array(bytes) }));
    this.#delivered[node].push(...kept);
    this.#delivered[node].splice(0, this.#delivered[node].length - rememberedChanges);
  }

  /** Notes how far the stream of a connection has come. */
  #follow(messages: readonly PlainMessage[], connection: Connection): void {
    for (const { number, a } of messages) {
      const sequence = this.#streams.get(connection)?.sequence ?? 0;
      if (number === messageTypes.begun || number === messageTypes.ack) this.#streams.set(connection, { from: 'target', sequence });
      else if (changes.includes(number)) this.#streams.set(connection, { from: 'source', sequence: a });
      else if (number === messageTypes.adopt) this.#streams.set(connection, { from: 'source', sequence });
    }
  }

  /** The element writes what a message of the frame at hand says, or what the application asked for: nothing else. */
  #guarded(device: BlockDevice, node: NodeName): BlockDevice {
    const check = (offsetBytes: number, lengthBytes: number, bytes: Uint8Array | null): void => {
      const same = (allowed: Allowed): boolean =>
        allowed.offsetBytes === offsetBytes &&
        allowed.lengthBytes === lengthBytes &&
        (bytes === null || allowed.bytes === null ? bytes === allowed.bytes : Buffer.compare(bytes, allowed.bytes) === 0);
      const taking = this.#taking?.node === node ? this.#taking.allowed : [];
      const waited = this.#delivered[node].findIndex(same);
      if (waited >= 0) this.#delivered[node].splice(waited, 1);
      if (waited >= 0 || taking.some(same) || this.#asked.some(same)) return;
      this.#fail(`${String(lengthBytes)} bytes at ${String(offsetBytes)} were written on ${node}, and nobody had asked for it`);
    };
    let underWay = 0;
    const counted = (bytes: number): void => {
      underWay += bytes;
      if (underWay > maxHeldBytes + maxFrameBytes) this.#fail(`${String(underWay)} bytes wait for the disk of ${node}`);
    };
    return {
      sizeBytes: device.sizeBytes,
      blockSizeBytes: device.blockSizeBytes,
      capabilities: device.capabilities,
      read: (offsetBytes, into, done) => device.read(offsetBytes, into, done),
      flush: (done) => device.flush(done),
      trim: (offsetBytes, lengthBytes, done) => device.trim(offsetBytes, lengthBytes, done),
      write: (offsetBytes, from, options, done) => {
        check(offsetBytes, from.byteLength, from);
        counted(from.byteLength);
        device.write(offsetBytes, from, options, (error) => {
          counted(-from.byteLength);
          done(error);
        });
      },
      writeZeroes: (offsetBytes, lengthBytes, options, done) => {
        check(offsetBytes, lengthBytes, null);
        device.writeZeroes(offsetBytes, lengthBytes, options, done);
      },
      close: () => device.close(),
    };
  }

  #request(): void {
    const mirror = this.#pair.mirror('alpha');
    if (mirror.state().serving === 'no') return;
    const random = this.#random;
    const done = (): void => undefined;
    const offsetBytes = random.below(mirror.sizeBytes / blockBytes) * blockBytes;
    const kind = random.below(10);
    if (kind < 6) {
      const bytes = pattern(blockBytes, 1 + random.below(250));
      this.#asked.push({ offsetBytes, lengthBytes: blockBytes, bytes });
      mirror.write(offsetBytes, bytes, { fua: random.below(4) === 0 }, done);
    } else if (kind < 8) {
      this.#asked.push({ offsetBytes, lengthBytes: blockBytes, bytes: null });
      mirror.writeZeroes(offsetBytes, blockBytes, {}, done);
    } else mirror.flush(done);
  }

  /** What an orchestrator would do: it serves on alpha, in ever higher epochs, alone where beta is behind. */
  #orchestrate(): void {
    const mirror = this.#pair.mirrors.alpha;
    if (!mirror) return;
    const { serving, element, connectionId, epoch, peerBehind } = mirror.state();
    const next = { number: Math.max(this.#epoch, epoch.number) + 1, owner: 'alpha' };
    const given = (order: Promise<void>): void => void order.then(() => (this.#epoch = next.number)).catch(() => undefined);
    if (next.number > 0xffff_ffff) return;
    if (serving === 'no' && element === 'uptodate') given(mirror.promote({ epoch: next, alone: false }));
    else if (serving === 'parked' && peerBehind) given(mirror.goAlone({ epoch: next, rule: 'alone', connectionId }));
  }

  #checkBounds(): void {
    if (this.#violation) throw new Error(this.#violation);
    let requests = 0;
    for (const node of nodes) {
      const { inside } = this.#pair.mirror(node).snapshot();
      if (inside > defaultMirrorLimits.queuedRequests) throw new Error(`${String(inside)} requests are inside ${node}`);
      requests += inside;
    }
    // A request that is with its device is a timer there.
    const timers = this.#pair.clock.pendingTimers - requests;
    if (timers > mostTimers) throw new Error(`${String(timers)} timers wait`);
  }

  /** The attacker is gone: a good peer connects. Where only malformed frames came, the pair is whole by itself. */
  async #recover(): Promise<void> {
    const pair = this.#pair;
    this.#harmPerMille = 0;
    this.#late.clear();
    pair.link.break();
    const whole = await this.#becomesWhole();
    if (whole) this.count.whole += 1;
    if (!whole && this.#onlyMalformed) throw new Error(`no way to a whole pair: ${this.#states()}`);
    if (this.#onlyMalformed && !pair.identical) throw new Error('the elements differ, and no well-formed frame was changed');
    if (this.#onlyMalformed) return;
    // A peer that lies may spoil what it is trusted with, its own element above all: a new one takes its place.
    await this.#replaceBeta();
    if (!(await this.#becomesWhole())) throw new Error(`no way to a whole pair with a new peer: ${this.#states()}`);
    if (!pair.identical) throw new Error('the elements differ after a full copy');
  }

  async #replaceBeta(): Promise<void> {
    const pair = this.#pair;
    pair.kill('beta');
    await pair.initNode('beta', 'blank', true);
    const { element } = pair.mirror('alpha').state();
    if (element === 'inconsistent' || element === 'failed') {
      // A well-formed lie made it a target: what it holds is what it was sent.
      pair.kill('alpha');
      await pair.initNode('alpha', 'data', true);
      await pair.open('alpha');
    }
    await pair.open('beta');
  }

  async #becomesWhole(): Promise<boolean> {
    const { clock } = this.#pair;
    const untilMs = clock.nowMs() + settleMs;
    while (clock.nowMs() < untilMs) {
      await clock.runFor(100);
      this.#orchestrate();
      this.#checkBounds();
      const states = nodes.map((node) => this.#pair.mirror(node).state());
      const source = states.find(({ role }) => role === 'source');
      if (source?.peerElement === 'uptodate' && source.dirtyBytes === 0) {
        await clock.runFor(100);
        return true;
      }
    }
    return false;
  }

  #states(): string {
    return JSON.stringify(nodes.map((node) => this.#pair.mirrors[node]?.state()));
  }

  #fail(what: string): void {
    this.#violation ??= `seed ${String(this.#seed)}: ${what}`;
  }
}

/** What a message of a source allows to be written. */
function allowedBy({ number, b, body }: PlainMessage): readonly Allowed[] {
  if (number === messageTypes.write || number === messageTypes.resync) return [{ offsetBytes: b, lengthBytes: body.length, bytes: body }];
  if ((number !== messageTypes.zeroes && number !== messageTypes.hole) || body.length < 4) return [];
  const lengthBytes = Buffer.from(body.buffer, body.byteOffset, body.byteLength).readUInt32LE(0);
  return [{ offsetBytes: b, lengthBytes, bytes: null }];
}
