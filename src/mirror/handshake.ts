import { z } from 'zod';

import type { Clock, Timer } from '../clock/clock.ts';
import { HotMirrorError } from '../errors.ts';
import type { ErrorCode } from '../errors.ts';
import type { DataConnection } from './data-connection.ts';
import { commonFeatures } from './features.ts';
import { decideSync } from './lineage.ts';
import type { LineageView, SyncDecision } from './lineage.ts';
import { historyLength, idSchema } from './metadata.ts';
import { malformed, wireVersion } from './wire.ts';
import type { Message } from './wire.ts';

const pairBytes = 8;
const wordBytes = 4;
/** Runs in one `map` message. */
const runsPerMessage = 65_536;

const generation = idSchema.nullable();
const whole = z.number().int().nonnegative();

/** A peer of a later version may say more than this one knows. */
const maxFeatures = 64;
const maxFeatureLength = 32;

const helloSchema = z.object({
  wire: z.number().int(),
  features: z.array(z.string().max(maxFeatureLength)).max(maxFeatures),
  mirror: z.string(),
  protocol: z.string(),
  extentBytes: whole.positive(),
  view: z.object({
    node: z.string(),
    mirrorId: generation,
    sizeBytes: whole.nullable(),
    deviceBytes: whole,
    state: z.enum(['uptodate', 'consistent', 'outdated', 'inconsistent', 'failed', 'off', 'absent']),
    current: generation,
    base: generation,
    history: z.array(idSchema).max(historyLength),
    servedEpoch: whole,
    mayBeAhead: z.boolean().default(false),
    crashed: z.boolean(),
    serving: z.boolean(),
    dirtyExtents: whole,
    resyncId: generation,
    gaveWayTo: generation.default(null),
    discardable: z.boolean().default(false),
    behind: z.boolean().default(false),
    through: generation.default(null),
  }),
});

const startSchema = z.strictObject({
  mirrorId: idSchema,
  sizeBytes: whole.positive(),
  resyncId: generation,
});

/** What two decisions must have in common to be the same. */
const decisionSchema = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('sync'), source: z.string(), target: z.string(), scope: z.string(), rule: z.string() }),
  z.object({ kind: z.literal('refuse'), outcome: z.string(), rule: z.string() }),
]);

/** What each side says of itself first. */
export interface Hello {
  readonly wire: number;
  /** What it can do beyond the first version; see `features.ts`. */
  readonly features: readonly string[];
  readonly mirror: string;
  /** By which this side completes requests, or would if it served; the source's counts. */
  readonly protocol: string;
  readonly extentBytes: number;
  readonly view: LineageView;
}

/** What the source says when both have decided. */
export interface Start {
  readonly mirrorId: string;
  readonly sizeBytes: number;
  /** Names a full copy, on both sides; null for any other. */
  readonly resyncId: string | null;
}

/** A decision to copy, or that there is nothing to copy. */
export type Agreement = Extract<SyncDecision, { kind: 'sync' }>;

/** What a mirror does for its handshake. */
export interface HandshakeHost {
  /** What this side says; asked for once, when nothing that it depends on can change any more. */
  hello(): Promise<Hello>;
  /** Both refused to copy, from these views: the connection is closed. */
  refused(decision: Extract<SyncDecision, { kind: 'refuse' }>, views: readonly LineageView[], error: HotMirrorError): void;
  /** This side is the source: prepares durably what the target is told. */
  prepareSource(agreement: Agreement, theirs: LineageView): Promise<Start>;
  /** This side is the target: makes durable what must be before the first write (rule resync.begin); gives its dirty runs. */
  prepareTarget(
    agreement: Agreement,
    start: Start,
    source: LineageView,
  ): Promise<Iterable<{ readonly first: number; readonly count: number }>>;
  /** Some extents that differ by the target's knowledge (rule lineage.union). */
  include(first: number, count: number): void;
  /** Done: the stream begins. */
  source(agreement: Agreement): void;
  target(agreement: Agreement, start: Start): void;
}

type Phase = 'hello' | 'decide' | 'start' | 'map' | 'busy' | 'done';

/**
 * The conversation at the beginning of a connection (rule lineage.decide): both say what they know, both decide, both echo the decision, and only
 * when the echoes agree does anything change on either side.
 */
export class Handshake {
  readonly #data: DataConnection;
  readonly #host: HandshakeHost;
  readonly #peer: string;
  readonly #clock: Clock;
  readonly #deadlineMs: number;
  #deadline: Timer | null = null;
  #phase: Phase = 'hello';
  #mine: Hello | null = null;
  #theirs: Hello | null = null;
  #decision: SyncDecision | null = null;
  /** End of the last run of the target's map: runs come in order, so that a map has an end. */
  #mapEnd = 0;

  constructor(options: {
    readonly data: DataConnection;
    readonly host: HandshakeHost;
    readonly peer: string;
    readonly clock: Clock;
    readonly deadlineMs: number;
  }) {
    this.#data = options.data;
    this.#host = options.host;
    this.#peer = options.peer;
    this.#clock = options.clock;
    this.#deadlineMs = options.deadlineMs;
    this.#awaitPeer();
  }

  /** Says hello. */
  async begin(): Promise<void> {
    const hello = await this.#host.hello();
    if (this.#data.ended) return;
    this.#mine = hello;
    this.#data.sendJson('hello', hello);
    this.#decide();
  }

  /** The connection has ended. */
  end(): void {
    this.#deadline?.cancel();
    this.#phase = 'done';
  }

  /** From now on nothing may stay away for longer than the deadline. */
  #awaitPeer(): void {
    this.#deadline?.cancel();
    this.#deadline = this.#clock.timer(this.#deadlineMs, () => {
      this.#data.destroy(
        new HotMirrorError('HM_HANDSHAKE_TIMEOUT', `the handshake of the data link came no further than "${this.#phase}"`),
      );
    });
  }

  /** Takes one message. Throws `HM_PROTOCOL` on what makes no sense. */
  message(message: Message): void {
    this.#awaitPeer();
    switch (message.name as string) {
      case 'hello':
        if (this.#theirs) throw malformed('a second hello');
        this.#theirs = parse(helloSchema, message.body, 'hello');
        this.#check(this.#theirs);
        this.#decide();
        return;
      case 'decide':
        this.#expect('decide', message);
        this.#echoed(parse(decisionSchema, message.body, 'decision'));
        return;
      case 'start':
        this.#expect('start', message);
        this.#begin(parse(startSchema, message.body, 'start'));
        return;
      case 'map':
        this.#expect('map', message);
        this.#include(message.body);
        return;
      case 'begun':
        this.#expect('map', message);
        this.end();
        this.#host.source(this.#agreement());
        return;
      default:
        throw malformed(`${message.name} during the handshake`);
    }
  }

  #expect(phase: Phase, message: Message): void {
    if (this.#phase !== phase) throw malformed(`${message.name} in phase ${this.#phase} of the handshake`);
  }

  #check(hello: Hello): void {
    const mine = this.#mine;
    if (hello.wire !== wireVersion)
      throw new HotMirrorError('HM_VERSION', `the peer speaks version ${String(hello.wire)} of the data link`);
    if (hello.view.node !== this.#peer) throw new HotMirrorError('HM_WRONG_PEER', `${hello.view.node} answered instead of ${this.#peer}`);
    if (mine && hello.mirror !== mine.mirror) throw new HotMirrorError('HM_WRONG_PEER', `the link of mirror ${hello.mirror} answered`);
    if (mine && hello.extentBytes !== mine.extentBytes) {
      throw new HotMirrorError('HM_VERSION', 'the two nodes are configured with different extents');
    }
    const protocols = mine ? [mine.protocol, hello.protocol] : [];
    if (protocols.some((protocol) => protocol !== 'sync') && !commonFeatures(hello.features).has('protocols')) {
      throw new HotMirrorError('HM_VERSION', `the peer knows the protocol sync alone; configured are ${protocols.join(' and ')}`);
    }
  }

  #decide(): void {
    if (!this.#mine || !this.#theirs || this.#phase !== 'hello') return;
    this.#check(this.#theirs);
    this.#data.features = commonFeatures(this.#theirs.features);
    const { features } = this.#data;
    const known = (view: LineageView): LineageView => ({
      ...view,
      ...(features.has('giveWay') ? {} : { gaveWayTo: null, discardable: false }),
      ...(features.has('diskless') ? {} : { through: null }),
    });
    this.#decision = decideSync(known(this.#mine.view), known(this.#theirs.view));
    this.#phase = 'decide';
    this.#data.sendJson('decide', this.#decision);
  }

  #echoed(theirs: z.infer<typeof decisionSchema>): void {
    const decision = this.#decision;
    if (!decision) throw malformed('decide before hello');
    // Not why, in words: another version may find others.
    if (JSON.stringify(decisionSchema.parse(decision)) !== JSON.stringify(theirs))
      throw malformed(`the two nodes decided differently: ${JSON.stringify(decision)} and ${JSON.stringify(theirs)}`);
    if (decision.kind === 'refuse') {
      this.#phase = 'done';
      const error = new HotMirrorError(refusalCode(decision), decision.because, { rule: decision.rule });
      this.#host.refused(
        decision,
        [this.#mine, this.#theirs].flatMap((hello) => hello?.view ?? []),
        error,
      );
      this.#data.refuse(error);
      return;
    }
    if (decision.source === this.#mine?.view.node) {
      this.#phase = 'busy';
      this.#whenDone(this.#host.prepareSource(decision, this.#theirs?.view as LineageView), (start) => {
        this.#phase = 'map';
        this.#data.sendJson('start', start);
      });
    } else {
      this.#phase = 'start';
    }
  }

  #begin(start: Start): void {
    const agreement = this.#agreement();
    const promised = this.#theirs?.view;
    if (start.mirrorId !== promised?.mirrorId || start.sizeBytes !== promised.sizeBytes)
      throw malformed('a start that differs from its hello');
    this.#phase = 'busy';
    this.#whenDone(this.#host.prepareTarget(agreement, start, promised), (runs) => {
      this.#sendMap(runs);
      this.#data.send('begun');
      this.end();
      this.#host.target(agreement, start);
    });
  }

  #whenDone<T>(promise: Promise<T>, next: (value: T) => void): void {
    promise
      .then((value) => {
        if (this.#data.ended) return;
        this.#awaitPeer();
        next(value);
      })
      .catch((error: unknown) => {
        this.#data.refuse(HotMirrorError.from(error, 'HM_STATE_UNWRITABLE', 'the handshake could not be made durable'));
      });
  }

  #sendMap(runs: Iterable<{ readonly first: number; readonly count: number }>): void {
    let body = Buffer.alloc(runsPerMessage * pairBytes);
    let at = 0;
    for (const { first, count } of runs) {
      body.writeUInt32LE(first, at);
      body.writeUInt32LE(count, at + wordBytes);
      at += pairBytes;
      if (at < body.length) continue;
      this.#data.send('map', 0, 0, body);
      body = Buffer.alloc(runsPerMessage * pairBytes);
      at = 0;
    }
    if (at > 0) this.#data.send('map', 0, 0, body.subarray(0, at));
  }

  #include(body: Uint8Array): void {
    if (body.byteLength % pairBytes !== 0) throw malformed('a map is cut off');
    const bytes = Buffer.from(body.buffer, body.byteOffset, body.byteLength);
    for (let at = 0; at < bytes.length; at += pairBytes) {
      const first = bytes.readUInt32LE(at);
      const count = bytes.readUInt32LE(at + wordBytes);
      if (first < this.#mapEnd || count === 0) throw malformed('the runs of a map are out of order');
      this.#mapEnd = first + count;
      this.#host.include(first, count);
    }
  }

  #agreement(): Agreement {
    if (this.#decision?.kind !== 'sync') throw malformed('nothing was agreed');
    return this.#decision;
  }
}

function refusalCode(decision: Extract<SyncDecision, { kind: 'refuse' }>): ErrorCode {
  if (decision.outcome === 'split-brain') return 'HM_SPLIT_BRAIN';
  if (decision.outcome === 'unrelated') return 'HM_UNRELATED';
  if (decision.rule === 'lineage.blank') return 'HM_BOTH_BLANK';
  if (decision.rule === 'lineage.size') return 'HM_ELEMENT_TOO_SMALL';
  if (decision.rule === 'lineage.direction') return 'HM_NO_DIRECTION';
  return 'HM_REFUSED';
}

function parse<T>(schema: z.ZodType<T>, body: Uint8Array, what: string): T {
  try {
    return schema.parse(JSON.parse(Buffer.from(body).toString('utf8')));
  } catch (cause) {
    throw new HotMirrorError('HM_PROTOCOL', `a ${what} makes no sense`, { cause });
  }
}
