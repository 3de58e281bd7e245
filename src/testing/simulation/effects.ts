import type { Arbiter } from '../../arbiter/arbiter.ts';
import type { BlockDevice, Done } from '../../device/block-device.ts';
import { allData } from '../../device/requests.ts';
import { HotMirrorError } from '../../errors.ts';
import type { PlatformAction, PlatformActions, PlatformStep } from '../../platform/platform-actions.ts';
import type { Connection, ListenHandlers, Receiver, Transport } from '../../transport/transport.ts';

/** Never settles: nobody is there any more to be told. One for each question, or it would hold on to all that ever waited for it. */
const never = (): Promise<never> => new Promise(() => undefined);

/** Hears of what a process sends and receives, as it happens. */
export interface GateTap {
  /** A frame goes out over, or came in by, this connection. */
  frame(way: 'sent' | 'received', connection: Connection, parts: readonly Uint8Array[]): void;
  /** The connection is over for this process; `destroyed`: what it sent over it and is on its way is lost. */
  ended(connection: Connection, destroyed: boolean): void;
}

/**
 * Stands between a process and the outside. Every effect passes here, so that a process can die at any of them; of a dead one nothing goes out and
 * nothing comes in, and one that stands still hears nothing until it goes on.
 */
export class EffectGate {
  dead = false;
  /** Effects so far. */
  effects = 0;
  tap: GateTap | null = null;
  #die: () => void = () => undefined;
  #left = Infinity;
  readonly #whenRunning: (told: () => void) => void;

  /** `whenRunning` has the process hear something, at once or as soon as it no longer stands still. Default: at once. */
  constructor(whenRunning: (told: () => void) => void = (told) => told()) {
    this.#whenRunning = whenRunning;
  }

  /**
   * The process dies at the n-th effect from now: that one still happens, and its answer is never heard. `die` ends the process; it is called in the
   * middle of whatever the process does.
   */
  dieAfter(effects: number, die: () => void): void {
    this.#left = Math.max(1, effects);
    this.#die = die;
  }

  /** At which effect from now it dies; null where none is set. */
  get diesAfter(): number | null {
    return Number.isFinite(this.#left) ? this.#left : null;
  }

  /** It lives on. */
  spare(): void {
    this.#left = Infinity;
  }

  /** Carries an effect out, unless the process is dead. */
  effect<Result>(run: () => Result, unheard: Result): Result {
    if (this.dead) return unheard;
    this.effects += 1;
    this.#left -= 1;
    if (this.#left > 0) return run();
    this.dead = true;
    run();
    this.#die();
    return unheard;
  }

  /** The same for an effect that answers by a promise. */
  async ask<Answer>(question: () => Promise<Answer>): Promise<Answer> {
    const answer = this.effect(() => unheard(question()), never());
    await Promise.allSettled([answer]);
    await new Promise<void>((resolve) => this.hear(resolve));
    return answer;
  }

  /** The process is told, where it lives. */
  hear(told: () => void): void {
    this.#whenRunning(() => {
      if (!this.dead) told();
    });
  }

  device(device: BlockDevice): BlockDevice {
    const heard = (done: Done): Done => {
      return (error) => {
        if (!this.dead) done(error);
      };
    };
    const request = (run: () => void): void => this.effect(run, undefined);
    return {
      sizeBytes: device.sizeBytes,
      blockSizeBytes: device.blockSizeBytes,
      capabilities: device.capabilities,
      read: (offsetBytes, into, done) => request(() => device.read(offsetBytes, into, heard(done))),
      write: (offsetBytes, from, options, done) => request(() => device.write(offsetBytes, from, options, heard(done))),
      flush: (done) => request(() => device.flush(heard(done))),
      trim: (offsetBytes, lengthBytes, done) => request(() => device.trim(offsetBytes, lengthBytes, heard(done))),
      writeZeroes: (offsetBytes, lengthBytes, options, done) =>
        request(() => device.writeZeroes(offsetBytes, lengthBytes, options, heard(done))),
      allocation: (offsetBytes, lengthBytes, mostPieces) =>
        device.allocation?.(offsetBytes, lengthBytes, mostPieces) ?? allData(lengthBytes),
      close: () => this.ask(() => device.close()),
    };
  }

  transport(transport: Transport): Transport {
    const { capabilities, description } = transport;
    return {
      capabilities,
      description,
      dial: (signal) => this.#dial(transport, signal),
      listen: (handlers) => transport.listen(this.#handlers(handlers)),
    };
  }

  arbiter(arbiter: Arbiter): Arbiter {
    return {
      capabilities: arbiter.capabilities,
      current: (signal) => this.ask(() => arbiter.current(signal)),
      grant: (from, to, signal) => this.ask(() => arbiter.grant(from, to, signal)),
      handBack: (granted, earlier, signal) => this.ask(() => arbiter.handBack(granted, earlier, signal)),
      close: () => Promise.resolve(),
    };
  }

  platform(platform: PlatformActions): PlatformActions {
    const gated = (action: PlatformAction): PlatformAction => ({
      run: (context, signal) => this.ask(() => action.run(context, signal)),
      ...(action.probe ? { probe: (context, signal) => this.ask(async () => (await action.probe?.(context, signal)) ?? null) } : {}),
    });
    const actions: Partial<Record<PlatformStep, PlatformAction>> = {};
    for (const [step, action] of Object.entries(platform.actions)) actions[step as PlatformStep] = gated(action);
    return { capabilities: platform.capabilities, actions };
  }

  #handlers(handlers: ListenHandlers): ListenHandlers {
    return {
      accepted: (connection) => this.hear(() => handlers.accepted(this.#connection(connection))),
      rejected: (error) => this.hear(() => handlers.rejected?.(error)),
    };
  }

  /** Who gave the dial up while it stood still hears of that, and of no connection. */
  async #dial(transport: Transport, signal?: AbortSignal): Promise<Connection> {
    const connection = await this.ask(() => transport.dial(signal));
    if (!signal?.aborted) return this.#connection(connection);
    connection.destroy();
    throw new HotMirrorError('HM_ABORTED', `dialling ${transport.description} was given up`, { cause: signal.reason });
  }

  #connection(connection: Connection): Connection {
    return new GatedConnection(connection, this);
  }
}

/** A promise whose failure may find nobody left to hear it. */
function unheard<Answer>(promise: Promise<Answer>): Promise<Answer> {
  promise.catch(() => undefined);
  return promise;
}

class GatedConnection implements Connection {
  readonly id: string;
  readonly dialled: boolean;
  readonly peer: string | null;
  readonly description: string;
  readonly maxFrameBytes: number;
  readonly #connection: Connection;
  readonly #gate: EffectGate;

  constructor(connection: Connection, gate: EffectGate) {
    this.id = connection.id;
    this.dialled = connection.dialled;
    this.peer = connection.peer;
    this.description = connection.description;
    this.maxFrameBytes = connection.maxFrameBytes;
    this.#connection = connection;
    this.#gate = gate;
  }

  get pendingBytes(): number {
    return this.#connection.pendingBytes;
  }

  receive(receiver: Receiver): void {
    // Frames wait in the network for a process that stands still, but the end of a connection comes without one.
    this.#connection.receive({
      frame: (bytes) => {
        this.#gate.tap?.frame('received', this, [bytes]);
        receiver.frame(bytes);
      },
      batchEnd: () => receiver.batchEnd?.(),
      drain: () => receiver.drain?.(),
      closed: (error) => {
        this.#gate.hear(() => {
          this.#gate.tap?.ended(this, false);
          receiver.closed(error);
        });
      },
    });
  }

  send(parts: readonly Uint8Array[]): boolean {
    return this.#gate.effect(() => {
      this.#gate.tap?.frame('sent', this, parts);
      return this.#connection.send(parts);
    }, false);
  }

  pause(): void {
    this.#connection.pause();
  }

  resume(): void {
    this.#connection.resume();
  }

  close(): Promise<void> {
    return this.#gate.ask(() => this.#connection.close());
  }

  destroy(...[error]: Parameters<Connection['destroy']>): void {
    if (this.#gate.dead) return;
    this.#gate.tap?.ended(this, true);
    this.#connection.destroy(error);
  }
}
