import type { Socket } from 'node:net';
import { connect } from 'node:net';

import type { Clock, Timer } from '../clock/clock.ts';
import { HotMirrorError } from '../errors.ts';
import type { ControlCommand, ControlCommands, ControlReply } from './control-protocol.ts';
import { maxLineBytes, parseReply } from './control-protocol.ts';
import { assertSocketPath } from './control-socket.ts';
import { LineSplitter } from './lines.ts';

/** How a request is made. */
export interface AskOptions<Progress> {
  readonly clock: Clock;
  /** Longest silence of the node. Absent: as long as the connection stands, for commands that wait on people or disks. */
  readonly silenceMs?: number;
  readonly signal?: AbortSignal;
  /** Gets each progress report. */
  readonly onProgress?: (progress: Progress) => void;
}

/**
 * Asks the node behind a control socket. Rejects with the node's own error, `HM_NO_NODE` where nothing answers, `HM_REQUEST_TIMEOUT`,
 * `HM_CONNECTION_LOST` where the node goes away meanwhile, `HM_PROTOCOL` where something else answers, or `HM_ABORTED`.
 */
export function askNode<Name extends ControlCommand>(
  socketPath: string,
  command: Name,
  params: ControlCommands[Name]['params'],
  options: AskOptions<ControlCommands[Name]['progress']>,
): Promise<ControlCommands[Name]['result']> {
  assertSocketPath(socketPath);
  return new Promise((resolve, reject) => {
    const socket = connect(socketPath);
    const end = (settle: () => void): void => {
      silence.cancel();
      options.signal?.removeEventListener('abort', onAbort);
      socket.destroy();
      settle();
    };
    const fail = (error: HotMirrorError): void => end(() => reject(error));
    const onAbort = (): void => fail(new HotMirrorError('HM_ABORTED', 'given up'));
    const silence = new Silence(options.clock, options.silenceMs, () =>
      fail(new HotMirrorError('HM_REQUEST_TIMEOUT', `the node did not answer within ${String(options.silenceMs)} ms`)),
    );
    if (options.signal?.aborted) {
      onAbort();
      return;
    }
    options.signal?.addEventListener('abort', onAbort, { once: true });
    socket.once('connect', () => socket.write(`${JSON.stringify({ id: 1, command, params })}\n`));
    receiveReplies(socket, fail, (reply) => {
      silence.restart();
      if ('progress' in reply) options.onProgress?.(reply.progress as unknown as ControlCommands[Name]['progress']);
      else if (reply.ok) end(() => resolve(reply.result as ControlCommands[Name]['result']));
      else fail(HotMirrorError.fromJSON(reply.error));
    });
  });
}

function receiveReplies(socket: Socket, fail: (error: HotMirrorError) => void, received: (reply: ControlReply) => void): void {
  const splitter = new LineSplitter(maxLineBytes);
  let connected = false;
  socket.once('connect', () => (connected = true));
  socket.on('data', (chunk: Buffer) => {
    try {
      for (const line of splitter.push(chunk)) if (!socket.destroyed) received(parseReply(line));
    } catch (error) {
      fail(HotMirrorError.from(error, 'HM_PROTOCOL', 'the reply of the node'));
    }
  });
  socket.on('error', (error) => {
    fail(connected ? lost(error) : new HotMirrorError('HM_NO_NODE', `no node answers: ${error.message}`, { cause: error }));
  });
  socket.once('close', () => fail(lost()));
}

function lost(cause?: Error): HotMirrorError {
  return new HotMirrorError('HM_CONNECTION_LOST', 'the node went away before it answered', { cause });
}

/** Fires once the node was silent for too long. */
class Silence {
  readonly #clock: Clock;
  readonly #silenceMs: number | undefined;
  readonly #fire: () => void;
  #timer: Timer | null = null;

  constructor(clock: Clock, silenceMs: number | undefined, fire: () => void) {
    this.#clock = clock;
    this.#silenceMs = silenceMs;
    this.#fire = fire;
    this.restart();
  }

  restart(): void {
    this.cancel();
    if (this.#silenceMs !== undefined) this.#timer = this.#clock.timer(this.#silenceMs, this.#fire);
  }

  cancel(): void {
    this.#timer?.cancel();
    this.#timer = null;
  }
}
