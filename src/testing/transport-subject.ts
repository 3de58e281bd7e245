import assert from 'node:assert/strict';

import { HotMirrorError } from '../errors.ts';
import type { ErrorCode } from '../errors.ts';
import type { Connection, Listener, Receiver, Transport } from '../transport/transport.ts';

/** Two nodes and the link between them, made anew for each test. */
export interface TransportFixture {
  /** Both nodes' transports of one link. */
  readonly a: Transport;
  readonly b: Transport;
  /** Waits for a promise; with a virtual clock, by letting its time pass. */
  settle<T>(promise: Promise<T>): Promise<T>;
  /** Where bytes can be put on the line without a transport: connects to the listener, writes them, and resolves when the other end has closed. */
  raw?(listener: Listener, bytes: Uint8Array): Promise<void>;
  /** Where there is a key: a transport to `b` like `a`, but with another key. */
  readonly stranger?: Transport;
  /** Lets go of everything. */
  dispose(): Promise<void>;
}

/** Collects what a connection brings, and lets a test wait for it. */
export class Inbox implements Receiver {
  readonly frames: Buffer[] = [];
  readonly ends: (HotMirrorError | null)[] = [];
  batches = 0;
  drains = 0;
  onFrame: (bytes: Uint8Array) => void = () => undefined;
  #watchers: (() => void)[] = [];

  frame(bytes: Uint8Array): void {
    assert.equal(this.ends.length, 0, 'a frame came after the end');
    this.frames.push(Buffer.from(bytes));
    this.onFrame(bytes);
    this.#look();
  }

  batchEnd(): void {
    this.batches += 1;
    this.#look();
  }

  drain(): void {
    this.drains += 1;
    this.#look();
  }

  closed(error: HotMirrorError | null): void {
    this.ends.push(error);
    this.#look();
  }

  /** Resolves once the condition holds. */
  until(condition: () => boolean): Promise<void> {
    return new Promise((resolve) => {
      const look = (): void => {
        if (!condition()) return;
        this.#watchers = this.#watchers.filter((watcher) => watcher !== look);
        resolve();
      };
      this.#watchers.push(look);
      look();
    });
  }

  /** Resolves with the texts of all frames, once there are so many. */
  async texts(count: number): Promise<string[]> {
    await this.until(() => this.frames.length >= count);
    return this.frames.map(String);
  }

  /** Resolves with the error of the end. */
  async end(): Promise<HotMirrorError | null> {
    await this.until(() => this.ends.length > 0);
    return this.ends[0] ?? null;
  }

  #look(): void {
    for (const watcher of [...this.#watchers]) watcher();
  }
}

/** One end of a connection. */
export interface End {
  readonly connection: Connection;
  readonly inbox: Inbox;
}

/** The fixture with the steps that most tests share. */
export class TransportSubject {
  readonly fixture: TransportFixture;
  readonly accepted: Connection[] = [];
  readonly rejected: HotMirrorError[] = [];
  #watchers: (() => void)[] = [];

  constructor(fixture: TransportFixture) {
    this.fixture = fixture;
  }

  settle<T>(promise: Promise<T>): Promise<T> {
    return this.fixture.settle(promise);
  }

  listen(transport: Transport = this.fixture.b): Promise<Listener> {
    return this.settle(
      transport.listen({
        accepted: (connection) => {
          this.accepted.push(connection);
          for (const watcher of this.#watchers) watcher();
        },
        rejected: (error) => {
          this.rejected.push(error);
          for (const watcher of this.#watchers) watcher();
        },
      }),
    );
  }

  /** Waits until what was accepted and rejected meets the condition. */
  async told(condition: () => boolean): Promise<void> {
    await this.settle(
      new Promise<void>((resolve) => {
        const look = (): void => {
          if (condition()) resolve();
        };
        this.#watchers.push(look);
        look();
      }),
    );
  }

  /** A connection whose dialling end is at `a` and whose accepting end is at `b`, without receivers. */
  async connect(): Promise<readonly [Connection, Connection]> {
    const count = this.accepted.length;
    if (count === 0) await this.listen();
    const dialled = await this.settle(this.fixture.a.dial());
    await this.told(() => this.accepted.length > count);
    const accepted = this.accepted.at(-1);
    assert.ok(accepted);
    return [dialled, accepted];
  }

  /** The same with receivers at both ends. */
  async ends(): Promise<readonly [End, End]> {
    const [a, b] = (await this.connect()).map((connection) => {
      const inbox = new Inbox();
      connection.receive(inbox);
      return { connection, inbox };
    });
    assert.ok(a && b);
    return [a, b];
  }

  /** What `a` sent by now has had its chance to arrive: `b` sends a frame and it arrives at `a`. */
  async fence(a: End, b: End): Promise<void> {
    const before = a.inbox.frames.length;
    b.connection.send([text('fence')]);
    await this.settle(a.inbox.texts(before + 1));
  }

  /** Sends the frame from `a` until the way to `b`, which has paused, takes no more of it: what is pending is so only until the next turn where it is encrypted first. */
  async clog(a: End, b: End, frame: Uint8Array): Promise<void> {
    do {
      fill(a.connection, frame);
      for (let turn = 0; turn < turnsToEncrypt; turn += 1) await this.fence(a, b);
    } while (a.connection.pendingBytes === 0);
  }
}

/** More than any transport needs to hand a frame on. */
const turnsToEncrypt = 5;

/** The bytes of a text. */
export const text = (value: string): Uint8Array => Buffer.from(value);

/** Bytes that differ from place to place, so that a shifted or mixed frame is noticed. */
export function pattern(length: number, seed = 1): Buffer {
  const bytes = Buffer.alloc(length);
  for (let at = 0; at < length; at += 1) bytes[at] = (at * 31 + (at >>> 8) * 7 + seed) & 0xff;
  return bytes;
}

/** Asserts that the promise rejects with one of the codes. */
export async function rejectsWith(promise: Promise<unknown>, ...codes: ErrorCode[]): Promise<void> {
  await assert.rejects(promise, (error: unknown) => {
    assert.ok(error instanceof HotMirrorError, String(error));
    assert.ok(codes.includes(error.code), `${error.code}: ${error.message}`);
    return true;
  });
}

/** Sends frames of the longest kind until `send` says that it is enough. Returns how many. */
export function fill(connection: Connection, frame: Uint8Array): number {
  const unreasonable = 10_000;
  for (let count = 1; count < unreasonable; count += 1) if (!connection.send([frame])) return count;
  throw new assert.AssertionError({ message: 'send never returned false' });
}
