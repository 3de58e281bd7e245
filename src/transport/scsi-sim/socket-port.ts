import { connect } from 'node:net';
import type { Socket } from 'node:net';

import type { Clock } from '../../clock/clock.ts';
import { sleep } from '../../clock/clock.ts';
import { HotMirrorError } from '../../errors.ts';
import { assertSocketPath, assertTrustedOwner } from '../unix-socket.ts';
import { formatScsiUrl } from './address.ts';
import type { ScsiCommand, ScsiResult } from './command.ts';
import type { DetachReason, ScsiAttachment, ScsiHost, ScsiPort } from './port.ts';
import { BusWire, parseToHost } from './wire.ts';
import type { ToHost } from './wire.ts';

/** Longest wait for the bus to give a place. */
const attachDeadlineMs = 5_000;
/** How long a taken id is asked for again. */
const takenPatienceMs = 1_000;
const takenRetryMs = 50;
/** Commands under way at once; those beyond wait here for a turn, and so many may. */
const mostCommands = 32;
const mostWaiting = 1_024;

/** A place on a bus that another process serves. */
export interface ScsiSocketPortOptions {
  /** Path of the bus's unix socket. */
  readonly path: string;
  readonly id: number;
  readonly clock: Clock;
}

/** Makes the port; `attach` connects, and rejects with `HM_SOCKET_OWNER` too: at a socket of another user than this process's or root. Throws `HM_ADDRESS` for a path that no socket can have. */
export function scsiSocketPort({ path, id, clock }: ScsiSocketPortOptions): ScsiPort {
  assertSocketPath(path);
  const description = formatScsiUrl({ file: path, id });
  return { id, description, attach: (host) => attachedSoon({ path, id, clock, description, host }) };
}

interface Attaching {
  readonly path: string;
  readonly id: number;
  readonly clock: Clock;
  readonly description: string;
  readonly host: ScsiHost;
}

/** A process that has just ended, or left, may still have its place for a moment. */
async function attachedSoon(attaching: Attaching): Promise<ScsiAttachment> {
  const { clock } = attaching;
  const beganMs = clock.nowMs();
  for (;;) {
    try {
      await assertTrustedOwner(attaching.path);
      return await attached(attaching);
    } catch (error) {
      const taken = error instanceof HotMirrorError && error.code === 'HM_ADDRESS_IN_USE';
      if (!taken || clock.nowMs() - beganMs > takenPatienceMs) throw error;
    }
    await sleep(clock, takenRetryMs);
  }
}

function attached({ path, id, clock, description, host }: Attaching): Promise<ScsiAttachment> {
  return new Promise((resolve, reject) => {
    const socket = connect(path);
    const failed = (why: string, cause?: unknown): void => {
      deadline.cancel();
      socket.destroy();
      reject(new HotMirrorError('HM_CONNECT_FAILED', `${description}: ${why}`, { cause }));
    };
    const deadline = clock.timer(attachDeadlineMs, () => failed(`no place on the bus within ${String(attachDeadlineMs)} ms`));
    const attachment = new SocketAttachment(id, socket, host, (given) => {
      deadline.cancel();
      if (given) {
        resolve(attachment);
        return;
      }
      socket.destroy();
      reject(new HotMirrorError('HM_ADDRESS_IN_USE', `${description}: the id is taken`));
    });
    socket.once('error', (error) => failed(error.message, error));
    socket.once('close', () => failed('the bus closed the connection'));
  });
}

interface Waiting {
  readonly target: number;
  readonly command: ScsiCommand;
  readonly end: (result: ScsiResult) => void;
}

class SocketAttachment implements ScsiAttachment {
  readonly id: number;
  readonly #socket: Socket;
  readonly #host: ScsiHost;
  readonly #wire: BusWire;
  readonly #settled: (given: boolean) => void;
  readonly #running = new Map<number, Waiting>();
  readonly #waiting: Waiting[] = [];
  #state: 'asking' | 'attached' | 'over' = 'asking';
  #nextTag = 0;

  constructor(id: number, socket: Socket, host: ScsiHost, settled: (given: boolean) => void) {
    this.id = id;
    this.#socket = socket;
    this.#host = host;
    this.#settled = settled;
    this.#wire = new BusWire(socket, (text) => this.#said(parseToHost(text)));
    socket.on('error', () => undefined);
    socket.on('close', () => this.#over('lost'));
    this.#wire.send({ say: 'attach', id });
  }

  execute(target: number, command: ScsiCommand): Promise<ScsiResult> {
    if (this.#state !== 'attached') return Promise.resolve({ status: 'detached' });
    if (this.#waiting.length >= mostWaiting) return Promise.resolve({ status: 'task-set-full' });
    return new Promise((end) => {
      this.#waiting.push({ target, command, end });
      this.#run();
    });
  }

  setNotice(notice: Uint8Array): void {
    if (this.#state === 'attached') this.#wire.send({ say: 'notice', data: notice });
  }

  detach(): void {
    this.#over('left');
  }

  #said(message: ToHost): void {
    switch (message.say) {
      case 'attached':
        if (this.#state !== 'asking') return;
        this.#state = 'attached';
        this.#settled(true);
        break;
      case 'taken':
        if (this.#state === 'asking') this.#settled(false);
        break;
      case 'done':
        this.#done(message.tag, message.result);
        break;
      case 'message':
        if (this.#state !== 'attached') return;
        this.#host.received(message.from, message.data);
        this.#wire.send({ say: 'took' });
        break;
      case 'detached':
        this.#over(message.reason);
        break;
    }
  }

  #run(): void {
    while (this.#running.size < mostCommands) {
      const next = this.#waiting.shift();
      if (!next) return;
      const tag = this.#nextTag;
      this.#nextTag += 1;
      this.#running.set(tag, next);
      this.#wire.send({ say: 'run', tag, target: next.target, command: next.command });
    }
  }

  #done(tag: number, result: ScsiResult): void {
    const running = this.#running.get(tag);
    if (!running) throw new HotMirrorError('HM_PROTOCOL', 'the bus answered a command that was not sent');
    this.#running.delete(tag);
    running.end(result);
    this.#run();
  }

  #over(reason: DetachReason): void {
    if (this.#state === 'over') return;
    const wasAttached = this.#state === 'attached';
    this.#state = 'over';
    this.#socket.destroy();
    for (const { end } of [...this.#running.values(), ...this.#waiting]) end({ status: 'detached' });
    this.#running.clear();
    this.#waiting.length = 0;
    if (wasAttached) this.#host.detached(reason);
  }
}
