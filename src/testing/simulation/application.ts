import type { HotMirrorError } from '../../errors.ts';
import type { SeededRandom } from '../seeded-random.ts';
import type { VirtualClock } from '../virtual-clock.ts';
import type { MirrorSize } from './node-disks.ts';
import type { WorkloadOptions } from './options.ts';
import type { SimulatedProcess } from './simulated-process.ts';
import type { NodeName } from './steps.ts';
import { nodeNames } from './steps.ts';
import type { ApplicationRequest } from './watcher.ts';

const percent = 100;
const headBytes = 4;

/** What one request is to be. */
export interface Request {
  readonly kind: 'read' | 'write' | 'flush';
  readonly mirror: string;
  readonly offsetBytes: number;
  /** What is written, or filled. */
  readonly bytes: Uint8Array;
  readonly fua: boolean;
}

/** What the application tells of its requests. */
export interface ApplicationHooks {
  readonly issued: (request: ApplicationRequest) => void;
  readonly ended: (request: ApplicationRequest) => void;
  readonly running: (node: NodeName) => SimulatedProcess | undefined;
}

/** The users of a pair: what they ask is noted, with its order in time. */
export class Application {
  /** Requests that succeeded. */
  acknowledged = 0;
  readonly #clock: VirtualClock;
  readonly #hooks: ApplicationHooks;
  #requests = 0;
  /** The order of everything that the application sees. */
  #at = 0;
  readonly #outstanding = new Map<SimulatedProcess, number>();

  constructor(clock: VirtualClock, hooks: ApplicationHooks) {
    this.#clock = clock;
    this.#hooks = hooks;
  }

  /** Requests of this process that have no answer yet. */
  outstanding(process: SimulatedProcess): number {
    return this.#outstanding.get(process) ?? 0;
  }

  /** Asks one node; `done` hears of the end unless its process dies. */
  ask(process: SimulatedProcess, { kind, mirror, offsetBytes, bytes, fua }: Request, done: (error: HotMirrorError | null) => void): void {
    const link = process.mirrors.get(mirror)!;
    this.#requests += 1;
    this.#at += 1;
    const request: ApplicationRequest = {
      id: this.#requests,
      kind,
      mirror,
      node: process.node,
      offsetBytes,
      bytes,
      fua,
      issuedAt: this.#at,
      issuedMs: this.#clock.nowMs(),
      endedAt: null,
      endedMs: null,
      errorCode: null,
      epoch: null,
    };
    this.#count(process, 1);
    this.#hooks.issued(request);
    const ended = (error: HotMirrorError | null): void => {
      if (!process.alive) return;
      this.#count(process, -1);
      this.#at += 1;
      request.endedAt = this.#at;
      request.endedMs = this.#clock.nowMs();
      request.errorCode = error?.code ?? null;
      if (!error) {
        request.epoch = link.state().epoch;
        this.acknowledged += 1;
      }
      this.#hooks.ended(request);
      done(error);
    };
    if (kind === 'read') link.read(offsetBytes, bytes, ended);
    else if (kind === 'write') link.write(offsetBytes, bytes, { fua }, ended);
    else link.flush(ended);
  }

  #count(process: SimulatedProcess, by: number): void {
    this.#outstanding.set(process, this.outstanding(process) + by);
  }
}

/** The workload with its defaults. */
export function completeWorkload(options: WorkloadOptions, powerCuts: boolean): Required<WorkloadOptions> {
  return {
    blocks: options.blocks ?? 8,
    blockBytes: options.blockBytes ?? 4_096,
    depth: options.depth ?? 4,
    pauseMs: options.pauseMs ?? 30,
    writesPercent: options.writesPercent ?? 50,
    readsPercent: options.readsPercent ?? 40,
    fuaPercent: options.fuaPercent ?? (powerCuts ? percent : percent / 5),
  };
}

/** An application that never rests: it asks wherever a mirror is served. */
export class Workload {
  /** False: it rests. */
  on = true;
  readonly #application: Application;
  readonly #clock: VirtualClock;
  readonly #random: SeededRandom;
  readonly #mirrors: readonly MirrorSize[];
  readonly #options: Required<WorkloadOptions>;
  readonly #hooks: ApplicationHooks;
  #writes = 0;

  constructor(
    application: Application,
    clock: VirtualClock,
    random: SeededRandom,
    mirrors: readonly MirrorSize[],
    options: Required<WorkloadOptions>,
    hooks: ApplicationHooks,
  ) {
    this.#application = application;
    this.#clock = clock;
    this.#random = random;
    this.#mirrors = mirrors;
    this.#options = options;
    this.#hooks = hooks;
  }

  /** Begins to work. */
  start(): void {
    this.#clock.timer(1 + this.#random.below(this.#options.pauseMs), () => this.#work(), 'workload');
  }

  #work(): void {
    if (this.on) for (const node of nodeNames) for (const mirror of this.#mirrors) this.#ask(node, mirror);
    this.start();
  }

  #ask(node: NodeName, { name, sizeBytes }: MirrorSize): void {
    const process = this.#hooks.running(node);
    if (!process?.ready || process.clock.paused || this.#application.outstanding(process) >= this.#options.depth) return;
    if (process.mirrors.get(name)?.state().serving === 'no') return;
    const { blocks, blockBytes, writesPercent, readsPercent, fuaPercent } = this.#options;
    const strideBytes = Math.max(blockBytes, Math.floor(sizeBytes / blocks / blockBytes) * blockBytes);
    const offsetBytes = this.#random.below(Math.min(blocks, Math.floor(sizeBytes / blockBytes))) * strideBytes;
    const dice = this.#random.below(percent);
    if (dice < writesPercent) {
      const fua = this.#random.below(percent) < fuaPercent;
      this.#request(process, { kind: 'write', mirror: name, offsetBytes, bytes: this.#content(blockBytes), fua });
    } else if (dice < writesPercent + readsPercent) {
      this.#request(process, { kind: 'read', mirror: name, offsetBytes, bytes: new Uint8Array(blockBytes), fua: false });
    } else {
      this.#request(process, { kind: 'flush', mirror: name, offsetBytes: 0, bytes: new Uint8Array(0), fua: false });
    }
  }

  #request(process: SimulatedProcess, request: Request): void {
    this.#application.ask(process, request, () => undefined);
  }

  /** Bytes that no other write has, in every sector. */
  #content(lengthBytes: number): Uint8Array {
    this.#writes += 1;
    const bytes = new Uint8Array(lengthBytes);
    const view = new DataView(bytes.buffer);
    for (let at = 0; at + headBytes <= lengthBytes; at += 512) view.setUint32(at, this.#writes, true);
    return bytes;
  }
}
