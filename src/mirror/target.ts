import { copyOf } from '../bytes.ts';
import type { Done } from '../device/block-device.ts';
import type { HotMirrorError } from '../errors.ts';
import { ApplyOrder } from './apply-order.ts';
import { compareDigests, digestExtents } from './digests.ts';
import type { ByteRange } from './pre-images.ts';
import { protocols } from './protocol.ts';
import { SpareBuffers } from './spare-buffers.ts';
import type { TargetSessionOptions } from './target-options.ts';
import { changedBytes, decodeCompare, decodeLength, decodeZeroes, malformed, maxComparingBytes, maxFetchingBytes } from './wire.ts';
import type { Message } from './wire.ts';
import { isZero } from './zero-bytes.ts';

/** With more than this under way to its device, a target takes nothing more from the stream. Far above any window, so that no proper source feels it. */
export const maxHeldBytes = 67_108_864;
/** The same for requests, barriers included. */
export const maxHeldRequests = 65_536;
/** Buffers of comparisons that are kept for the next: read from memory they come one after the other. */
const mostSpare = 2;

/** Zeroes to be written at their place of the stream. */
interface ZeroesWrite extends ByteRange {
  readonly sequence: number;
  readonly noHole: boolean;
}

/**
 * The receiving end of a mirror (rules write.order, write.flush, lineage.adopt): applies writes in the order of the stream, acknowledges what is
 * applied, confirms a flush only when everything before it in the stream is durable. By memsync it confirms what arrived before it applies it, and applies it
 * whatever becomes of the connection.
 */
export class TargetSession {
  readonly #options: TargetSessionOptions;
  /** Sequence of the last write received. */
  #received = 0;
  /** Everything up to this is applied. */
  #applied = 0;
  /** Applied beyond the first gap. */
  readonly #ahead = new Set<number>();
  #acknowledged = 0;
  /** What arrived together is being applied: one acknowledgement follows for all of it. */
  #applying = false;
  /** Work that waits until all writes before it are applied. */
  readonly #barriers: { readonly after: number; readonly run: () => void }[] = [];
  /** Asked for by fetches that have no answer yet. */
  #fetchingBytes = 0;
  /** Of comparisons that have no answer yet. */
  #comparingBytes = 0;
  readonly #buffers = new SpareBuffers(mostSpare);
  #deviceRequests = 0;
  /** Bytes of writes that the device has not taken. */
  #bytesUnderWay = 0;
  readonly #order = new ApplyOrder(() => this.#applied);
  /** The source completes what this side has in its hands (protocol memsync). */
  #confirmsReceipt = false;
  #idle: (() => void)[] = [];
  #failed = false;

  constructor(options: TargetSessionOptions) {
    this.#options = options;
  }

  /**
   * A frame of the source is here, and nothing of it is applied yet (rule write.both, memsync). What is confirmed here will be applied: nothing of it makes no
   * sense, and nobody but this process can lose it. Throws `HM_PROTOCOL`.
   */
  arrived(messages: readonly Message[]): void {
    this.#applying = true;
    if (!this.#confirmsReceipt || this.#failed) return;
    let received = this.#received;
    for (const message of messages) {
      const lengthBytes = changedBytes(message);
      if (lengthBytes === null) continue;
      this.#check(message.a, received + 1, message.b, lengthBytes);
      received = message.a;
    }
    if (received === this.#received) return;
    this.#options.data.send('received', received);
    this.#options.data.flush();
  }

  /** Takes one message of the source. Throws `HM_PROTOCOL` on what makes no sense, before anything of it takes effect. */
  message(message: Message): void {
    this.#take(message);
    this.#hold();
  }

  #take(message: Message): void {
    switch (message.name as string) {
      case 'write':
      case 'resync':
        this.#write(message);
        return;
      case 'zeroes':
        this.#zeroes(message);
        return;
      case 'fetch':
        this.#fetch(message);
        return;
      case 'hole':
        this.#hole(message);
        return;
      case 'protocol':
        this.#protocol(message);
        return;
      case 'ahead':
        this.#options.phase.take('ahead');
        this.#options.handlers.behind(() => this.#options.data.send('behind'));
        return;
      case 'barrier':
        this.#order.barrier(this.#received);
        return;
      case 'compare':
        this.#compare(message);
        return;
      case 'waived':
        this.#options.findings.clear();
        this.#options.handlers.changed();
        return;
      case 'flush':
        this.#whenApplied(() => {
          this.#flush(() => {
            this.#options.data.send('flushed', message.a);
          });
        });
        return;
      case 'adopt':
      case 'detach':
        this.#changeLineage(copyOf(message.body), message.name === 'adopt' ? 'adopt' : 'detach');
        return;
      default:
        throw malformed(`a target cannot take ${message.name}`);
    }
  }

  /** A change of the lineage at its place in the stream, once everything before it is durable. */
  #changeLineage(body: Uint8Array, change: 'adopt' | 'detach'): void {
    const { data, handlers, phase } = this.#options;
    phase.take(change);
    const answer = (): void => data.send(`${change}ed`);
    this.#whenApplied(() => this.#flush(() => handlers[change](body, answer)));
  }

  /** Acknowledges what was applied since the last time, once for everything that arrived together. */
  acknowledge(): void {
    this.#applying = false;
    if (this.#applied === this.#acknowledged || this.#failed) return;
    this.#acknowledged = this.#applied;
    this.#options.data.send('ack', this.#applied);
  }

  /** Resolves when everything that was received is applied, or has failed, and no request to the device is under way (rule takeover.seal). */
  idle(): Promise<void> {
    if (this.#isIdle) return Promise.resolve();
    return new Promise((resolve) => this.#idle.push(resolve));
  }

  #write({ name, a: sequence, b: offsetBytes, body }: Message): void {
    const { device, counters, images } = this.#options;
    if (!this.#receive(sequence, offsetBytes, body.byteLength)) return;
    if (name === 'resync') counters.resync.receivedBytes += body.byteLength;
    else this.#count(body.byteLength);
    // The bytes are valid during this call only.
    const bytes = device.capabilities.synchronous && !images && this.#order.open ? body : copyOf(body);
    this.#order.add(() => {
      this.#change(
        { offsetBytes, lengthBytes: bytes.byteLength },
        (done) => device.write(offsetBytes, bytes, {}, done),
        () => this.#finish(sequence),
        bytes.byteLength,
      );
    }, bytes.byteLength);
  }

  #zeroes({ a: sequence, b: offsetBytes, body }: Message): void {
    const { lengthBytes, noHole } = decodeZeroes(body);
    if (!this.#receive(sequence, offsetBytes, lengthBytes)) return;
    this.#count(lengthBytes);
    this.#order.add(() => this.#writeZeroes({ sequence, offsetBytes, lengthBytes, noHole }));
  }

  #writeZeroes({ sequence, offsetBytes, lengthBytes, noHole }: ZeroesWrite): void {
    this.#change(
      { offsetBytes, lengthBytes },
      (done) => this.#options.device.writeZeroes(offsetBytes, lengthBytes, { noHole }, done),
      () => this.#finish(sequence),
    );
  }

  #protocol({ a, b }: Message): void {
    const protocol = protocols[a];
    if (!protocol) throw malformed(`protocol ${String(a)} is not known`);
    this.#confirmsReceipt = protocol === 'memsync';
    this.#options.handlers.protocol(protocol, b);
  }

  /**
   * What the range holds when all before the fetch is applied, and nothing after it (rule write.error). A block that cannot be read here either does not fail
   * the element: what else it holds may be the only good copy.
   */
  #fetch({ a: fetch, b: offsetBytes, body }: Message): void {
    const lengthBytes = decodeLength(body, 'fetch');
    this.#assertRange(offsetBytes, lengthBytes, 'fetch');
    if (this.#fetchingBytes + lengthBytes > maxFetchingBytes) throw malformed('more is fetched at a time than there is room for');
    this.#fetchingBytes += lengthBytes;
    const bytes = new Uint8Array(lengthBytes);
    const fetched: Done = (error) => {
      this.#fetchingBytes -= lengthBytes;
      if (!this.#failed) this.#options.data.send('fetched', fetch, 0, error ? undefined : bytes);
    };
    this.#whenApplied(() => this.#readInOrder(offsetBytes, bytes, fetched));
  }

  /** Zeroes of a resync: where holes can be punched they become one, elsewhere what is zero already stays as it is, so that a sparse file stays sparse. */
  #hole({ a: sequence, b: offsetBytes, body }: Message): void {
    const lengthBytes = decodeLength(body, 'hole');
    if (!this.#receive(sequence, offsetBytes, lengthBytes)) return;
    this.#options.counters.resync.receivedBytes += lengthBytes;
    const zero = (): void => this.#writeZeroes({ sequence, offsetBytes, lengthBytes, noHole: false });
    this.#order.add(() => {
      if (this.#options.device.capabilities.punchHole) {
        zero();
        return;
      }
      this.#look(offsetBytes, lengthBytes, (bytes) => {
        if (bytes && isZero(bytes)) this.#finish(sequence);
        else zero();
      });
    });
  }

  /** Compares the range as it is at this place of the stream (rules resync.progress, verify). What cannot be read differs: the copy that follows writes it anew. */
  #compare({ a: number, b: offsetBytes, body }: Message): void {
    const { data, extentBytes, findings, handlers } = this.#options;
    const { lengthBytes, digest, verify, digests } = decodeCompare(body, extentBytes);
    this.#assertRange(offsetBytes, lengthBytes, 'comparison');
    if (offsetBytes % extentBytes !== 0) throw malformed('a comparison that begins within an extent');
    if (this.#comparingBytes + lengthBytes > maxComparingBytes) throw malformed('more is compared at a time than there is room for');
    this.#comparingBytes += lengthBytes;
    const theirs = copyOf(digests);
    const mine = this.#buffers.take(lengthBytes);
    this.#readInOrder(offsetBytes, mine, (error) => {
      this.#comparingBytes -= lengthBytes;
      const extents = Math.ceil(lengthBytes / extentBytes);
      const differing = error ? new Uint8Array(extents).fill(1) : compareDigests(digest, digestExtents(digest, mine, extentBytes), theirs);
      // Where it failed its device may not be done with it.
      if (!error) this.#buffers.release(mine);
      const first = offsetBytes / extentBytes;
      if (verify && !this.#failed && differing.filter((differs, at) => differs === 1 && findings.add(first + at)).length > 0)
        handlers.changed();
      if (!this.#failed) data.send('compared', number, 0, differing);
    });
  }

  /** Reads what the element holds at this place of the stream, behind the writes that wait for a pre-image. */
  #readInOrder(offsetBytes: number, into: Uint8Array, then: Done): void {
    const { device, images } = this.#options;
    this.#order.add(() => {
      this.#deviceRequests += 1;
      const read = (): void =>
        device.read(offsetBytes, into, (error) => {
          then(error);
          this.#ended();
        });
      if (images) images.inOrder(read);
      else read();
    });
  }

  /** Reads a range of the element at this place of the stream; `then` gets its bytes, or null where it cannot be read. */
  #look(offsetBytes: number, lengthBytes: number, then: (bytes: Uint8Array | null) => void): void {
    const bytes = new Uint8Array(lengthBytes);
    this.#order.look();
    this.#deviceRequests += 1;
    const looked: Done = (error) => {
      if (!this.#failed) then(error ? null : bytes);
      this.#order.looked();
      this.#ended();
    };
    this.#whenKept({ offsetBytes, lengthBytes }, (mayGo) => {
      if (mayGo) this.#options.device.read(offsetBytes, bytes, looked);
      else looked(null);
    });
  }

  /** Takes the next change of the stream; false where nothing is applied any more. */
  #receive(sequence: number, offsetBytes: number, lengthBytes: number): boolean {
    this.#check(sequence, this.#received + 1, offsetBytes, lengthBytes);
    this.#received = sequence;
    return !this.#failed;
  }

  #check(sequence: number, expected: number, offsetBytes: number, lengthBytes: number): void {
    if (sequence !== expected) throw malformed(`write ${String(sequence)} in place of ${String(expected)}`);
    this.#assertRange(offsetBytes, lengthBytes, 'write');
  }

  #assertRange(offsetBytes: number, lengthBytes: number, what: string): void {
    const { device, sizeBytes } = this.#options;
    const block = device.blockSizeBytes;
    if (lengthBytes === 0 || offsetBytes % block !== 0 || lengthBytes % block !== 0) throw malformed(`a ${what} is not in whole blocks`);
    if (offsetBytes + lengthBytes > sizeBytes) throw malformed(`a ${what} reaches beyond the mirror`);
  }

  #count(lengthBytes: number): void {
    const { replication } = this.#options.counters;
    replication.receivedWrites += 1;
    replication.receivedBytes += lengthBytes;
  }

  #finish(sequence: number): void {
    if (sequence !== this.#applied + 1) {
      this.#ahead.add(sequence);
      return;
    }
    this.#applied = sequence;
    while (this.#ahead.delete(this.#applied + 1)) this.#applied += 1;
    if (!this.#applying) this.acknowledge();
    while (this.#barriers[0] && this.#barriers[0].after <= this.#applied) this.#barriers.shift()?.run();
    this.#order.release();
  }

  #whenApplied(run: () => void): void {
    if (this.#applied === this.#received) run();
    else this.#barriers.push({ after: this.#received, run });
  }

  #flush(then: () => void): void {
    this.#request((done) => this.#options.device.flush(done), then);
  }

  /** A source that keeps no window must not fill this node's memory. */
  #hold(): void {
    const requests = this.#deviceRequests + this.#barriers.length + this.#order.length;
    this.#options.data.hold(this.#bytesUnderWay + this.#order.bytes > maxHeldBytes || requests > maxHeldRequests);
  }

  get #isIdle(): boolean {
    return this.#deviceRequests === 0 && this.#order.length === 0;
  }

  /** Changes the device once what it holds there is kept, where anything has to be. */
  #change(range: ByteRange, start: (done: Done) => void, then: () => void, bytes = 0): void {
    this.#request((done) => this.#whenKept(range, (mayGo) => (mayGo ? start(done) : done(null))), then, bytes);
  }

  /** After all that waits to be kept before it; where that fails the connection ends, and nothing was overwritten. */
  #whenKept({ offsetBytes, lengthBytes }: ByteRange, then: (mayGo: boolean) => void): void {
    const { images, data } = this.#options;
    const go = (lost: HotMirrorError | null): void => {
      if (lost) {
        this.#failed = true;
        this.#order.clear();
        data.refuse(lost);
      }
      then(!lost);
    };
    if (images) images.before(offsetBytes, lengthBytes, go);
    else go(null);
  }

  /** After the first failure nothing is confirmed any more. */
  #request(start: (done: (error: HotMirrorError | null) => void) => void, then: () => void, bytes = 0): void {
    this.#deviceRequests += 1;
    this.#bytesUnderWay += bytes;
    start((error) => {
      if (error && !this.#failed) {
        this.#failed = true;
        this.#order.clear();
        this.#options.handlers.failed(error);
      } else if (!this.#failed) {
        then();
      }
      this.#ended(bytes);
    });
  }

  /** A request to the device is over, and lets go of as many bytes of writes. */
  #ended(bytes = 0): void {
    this.#deviceRequests -= 1;
    this.#bytesUnderWay -= bytes;
    this.#hold();
    if (this.#isIdle) for (const resolve of this.#idle.splice(0)) resolve();
  }
}
