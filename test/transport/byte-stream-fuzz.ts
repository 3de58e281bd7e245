import { Duplex } from 'node:stream';

import { copyOf } from '../../src/bytes.ts';
import { HotMirrorError } from '../../src/errors.ts';
import { SeededRandom } from '../../src/testing/seeded-random.ts';
import { VirtualClock } from '../../src/testing/virtual-clock.ts';
import type { HandshakeIdentity } from '../../src/transport/authentication.ts';
import { transportLimits } from '../../src/transport/limits.ts';
import { StreamConnection } from '../../src/transport/stream-connection.ts';
import { authenticate } from '../../src/transport/stream-handshake.ts';
import { StreamReader } from '../../src/transport/stream-reader.ts';

const limits = transportLimits({ maxFrameBytes: 4_096, highWaterBytes: 8_192, pendingBytes: 65_536 });
const framesEach = 12;
const longestFrame = 600;
const deadlineMs = limits.handshakeDeadlineMs + limits.closeDeadlineMs;

/** What happens to a piece of a stream on its way. */
type Harm = (piece: Buffer) => readonly Buffer[];

/** One end of a socket pair in memory. What the other end writes arrives after `harm`. */
class PipeEnd extends Duplex {
  other: PipeEnd | null = null;
  /** Everything that arrived here. */
  readonly arrived: Buffer[] = [];
  readonly written: Buffer[] = [];
  readonly #harm: Harm;

  constructor(harm: Harm) {
    super({ allowHalfOpen: true });
    this.#harm = harm;
  }

  override _read(): void {
    // What arrives is pushed as it comes.
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: () => void): void {
    this.written.push(Buffer.from(chunk));
    const { other } = this;
    if (other) for (const piece of other.#harm(Buffer.from(chunk))) other.#arrive(piece);
    done();
  }

  override _final(done: () => void): void {
    this.other?.push(null);
    done();
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    const { other } = this;
    if (other && !other.destroyed && !other.readableEnded) queueMicrotask(() => other.destroyed || other.push(null));
    done(error);
  }

  #arrive(piece: Buffer): void {
    if (this.destroyed || piece.length === 0) return;
    this.arrived.push(piece);
    this.push(piece);
  }
}

/** Turns bits, cuts, doubles, drops or invents bytes of a stream, once or several times. */
function harmOf(random: SeededRandom): Harm {
  let left = random.below(3);
  return (piece) => {
    if (left === 0 || random.below(4) > 0) return [piece];
    left -= 1;
    const at = random.below(piece.length);
    switch (random.below(6)) {
      case 0:
        piece[at] = (piece[at] ?? 0) ^ (1 << random.below(8));
        return [piece];
      case 1:
        return [piece.subarray(0, at)];
      case 2:
        return [piece, piece];
      case 3:
        return [];
      case 4:
        return [piece.subarray(0, at), Buffer.from(random.bytes(1 + random.below(40))), piece.subarray(at)];
      default:
        return [piece.subarray(0, at), piece.subarray(at)];
    }
  };
}

interface End {
  readonly pipe: PipeEnd;
  readonly role: 'dialler' | 'listener';
  readonly sent: Uint8Array[];
  readonly received: Uint8Array[];
  authenticated: boolean;
  /** Ended, or never begun. */
  over: boolean;
}

/** Runs streams whose bytes suffer on the way, before and after authentication, at both ends of real connections. Throws what is wrong. */
export async function fuzzByteStreams(seed: number, count: number): Promise<{ readonly authenticated: number; readonly frames: number }> {
  let [authenticated, frames] = [0, 0];
  for (let at = 0; at < count; at += 1) {
    try {
      const ends = await runStream(new SeededRandom(seed * count + at));
      authenticated += ends.filter((end) => end.authenticated).length;
      frames += ends.reduce((sum, { received }) => sum + received.length, 0);
    } catch (cause) {
      throw new Error(`byte stream ${String(at)} of seed ${String(seed)}: ${(cause as Error).message}`, { cause });
    }
  }
  return { authenticated, frames };
}

async function runStream(random: SeededRandom): Promise<readonly End[]> {
  const clock = new VirtualClock();
  const encrypt = random.below(2) === 0;
  const make = (role: End['role']): End => ({
    ...{ pipe: new PipeEnd(harmOf(random)), role, sent: [], received: [], authenticated: false, over: false },
  });
  const ends = [make('dialler'), make('listener')] as const;
  [ends[0].pipe.other, ends[1].pipe.other] = [ends[1].pipe, ends[0].pipe];
  const run = Promise.all(ends.map((end) => runEnd(end, { clock, random, encrypt })));
  await clock.settled(run, 4 * deadlineMs, 'the end of both ends');
  for (const [end, peer] of [
    [ends[0], ends[1]],
    [ends[1], ends[0]],
  ] as const) {
    end.received.forEach((frame, index) => {
      if (Buffer.compare(frame, peer.sent[index] ?? new Uint8Array(0)) !== 0) throw new Error(`frame ${String(index)} was never sent so`);
    });
    if (!end.over) throw new Error(`the ${end.role} never ended`);
  }
  if (clock.pendingTimers > 0) throw new Error('a timer is left');
  return ends;
}

async function runEnd(
  end: End,
  { clock, random, encrypt }: { readonly clock: VirtualClock; readonly random: SeededRandom; readonly encrypt: boolean },
): Promise<void> {
  const [node, peer] = end.role === 'dialler' ? ['alpha', 'beta'] : ['beta', 'alpha'];
  const identity: HandshakeIdentity = { pair: 'office', node, peer, purpose: 'data:m0', key: new Uint8Array(32).fill(9), encrypt };
  const reader = new StreamReader(end.pipe);
  const description = `fuzzed ${end.role}`;
  const { signal } = new AbortController();
  try {
    const options = { role: end.role, identity, clock, random, deadlineMs: limits.handshakeDeadlineMs, signal, description };
    const proven = await authenticate(reader, options);
    end.authenticated = true;
    const connection = new StreamConnection(reader, proven, { dialled: end.role === 'dialler', description, clock, limits });
    await converse(end, connection, clock, random);
  } catch (error) {
    if (!(error instanceof HotMirrorError)) throw error;
  }
  end.over = true;
}

/** Sends frames and takes what comes, until the connection ends; closes it after a while. */
async function converse(end: End, connection: StreamConnection, clock: VirtualClock, random: SeededRandom): Promise<void> {
  let closed = 0;
  const over = new Promise<void>((resolve) => {
    connection.receive({
      frame: (bytes) => void end.received.push(copyOf(bytes)),
      closed: (error) => {
        closed += 1;
        if (error && !(error instanceof HotMirrorError)) throw new Error('an end without a typed error');
        resolve();
      },
    });
  });
  for (let left = framesEach; left > 0; left -= 1) {
    const frame = random.bytes(random.below(longestFrame));
    end.sent.push(frame);
    connection.send([frame]);
    if (left % 4 === 0) await new Promise<void>((resolve) => void clock.timer(random.below(20), resolve));
  }
  const goodbye = clock.timer(deadlineMs, () => void connection.close());
  await over;
  goodbye.cancel();
  if (closed !== 1) throw new Error('an end was told twice');
}
