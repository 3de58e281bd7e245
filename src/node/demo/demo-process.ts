import { fork } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { fileURLToPath } from 'node:url';

import { HotMirrorError } from '../../errors.ts';
import type { LoggedEvent, NodeStatus } from '../control-protocol.ts';
import type { DemoMessage, DemoRequest } from './demo-messages.ts';

type Ask = DemoRequest extends infer Each ? (Each extends DemoRequest ? Omit<Each, 'id'> : never) : never;

interface Pending {
  readonly resolve: (result: unknown) => void;
  readonly reject: (error: HotMirrorError) => void;
}

/** One node of a demonstration as its parent sees it: an operating-system process, asked over IPC. */
export class DemoProcess {
  readonly node: string;
  /** Resolves when the node runs. Rejects with what the node rejected with. */
  readonly ready: Promise<void>;
  readonly #child: ChildProcess;
  readonly #exited: Promise<void>;
  readonly #pending = new Map<number, Pending>();
  #ids = 0;
  #ended: HotMirrorError | null = null;

  /** Starts a node's process; {@link ready} tells when the node runs. */
  constructor(configFile: string, node: string, onEvent: (event: LoggedEvent) => void) {
    const program = fileURLToPath(new URL('./demo-node.js', import.meta.url));
    const child = fork(program, [configFile, node], { serialization: 'advanced', stdio: ['ignore', 'ignore', 'inherit', 'ipc'] });
    this.node = node;
    this.#child = child;
    this.#exited = new Promise((resolve) => {
      child.once('exit', (code, signal) => {
        this.#end(`the process of ${node} ended (${signal ?? `exit code ${String(code)}`})`);
        resolve();
      });
    });
    this.ready = new Promise((resolve, reject) => {
      child.on('message', (message: DemoMessage) => {
        if (message.say === 'ready') resolve();
        else if (message.say === 'failed') reject(HotMirrorError.fromJSON(message.error));
        else if (message.say === 'event') onEvent(message.event);
        else this.#answered(message);
      });
      child.once('exit', () => {
        reject(new HotMirrorError('HM_INTERNAL', `the process of ${node} ended before it was ready`));
      });
    });
  }

  /** The process lives, as far as is known. */
  get alive(): boolean {
    return this.#ended === null;
  }

  status(): Promise<NodeStatus> {
    return this.#ask({ ask: 'status' });
  }

  /** Resolves when the write is acknowledged to this process. */
  async write(offsetBytes: number, bytes: Uint8Array): Promise<void> {
    await this.#ask({ ask: 'write', offsetBytes, bytes });
  }

  read(offsetBytes: number, lengthBytes: number): Promise<Uint8Array> {
    return this.#ask({ ask: 'read', offsetBytes, lengthBytes });
  }

  async flush(): Promise<void> {
    await this.#ask({ ask: 'flush' });
  }

  async recover(): Promise<void> {
    await this.#ask({ ask: 'recover' });
  }

  /** Stops the node in order; resolves when its process is gone. */
  async close(): Promise<void> {
    await this.#ask({ ask: 'close' });
    await this.#exited;
  }

  /** SIGSTOP: the process stands still and knows nothing of it. What it was asked counts as unanswered, as after a client's own deadline. */
  pause(): void {
    this.#child.kill('SIGSTOP');
    this.#giveUp(new HotMirrorError('HM_ABORTED', `the process of ${this.node} stands still`));
  }

  /** SIGCONT. */
  resume(): void {
    this.#child.kill('SIGCONT');
  }

  /** SIGKILL, at once; resolves when the process is gone. */
  async kill(): Promise<void> {
    this.#child.kill('SIGKILL');
    await this.#exited;
  }

  #ask<Result>(ask: Ask): Promise<Result> {
    if (this.#ended) return Promise.reject(this.#ended);
    this.#ids += 1;
    const id = this.#ids;
    return new Promise<Result>((resolve, reject) => {
      this.#pending.set(id, { resolve: resolve as (result: unknown) => void, reject });
      this.#child.send({ ...ask, id }, (error) => {
        if (error) this.#answered({ say: 'refused', id, error: new HotMirrorError('HM_CLOSED', error.message).toJSON() });
      });
    });
  }

  #answered(message: Extract<DemoMessage, { say: 'done' | 'refused' }>): void {
    const pending = this.#pending.get(message.id);
    this.#pending.delete(message.id);
    if (message.say === 'done') pending?.resolve(message.result);
    else pending?.reject(HotMirrorError.fromJSON(message.error));
  }

  #end(because: string): void {
    this.#ended = new HotMirrorError('HM_CLOSED', because);
    this.#giveUp(this.#ended);
  }

  #giveUp(error: HotMirrorError): void {
    for (const { reject } of this.#pending.values()) reject(error);
    this.#pending.clear();
  }
}
