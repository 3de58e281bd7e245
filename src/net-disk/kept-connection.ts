import { sleep } from '../clock/clock.ts';
import type { Clock, Timer } from '../clock/clock.ts';
import { HotMirrorError } from '../errors.ts';
import { ClientConnection } from './client-connection.ts';
import type { ClientOptions } from './client-connection.ts';
import { keepAliveMs } from './client-limits.ts';
import type { NetDiskDeviceLimits } from './client-limits.ts';
import { replacementProblem } from './server-export.ts';

/** Who uses the connection. */
export interface ConnectionUser {
  /** There is none now; what had no answer will have none, and is not carried out any more. */
  lost(): void;
  /** There is one again. */
  restored(connection: ClientConnection): void;
  /** There will be none any more. */
  failed(error: HotMirrorError): void;
  /** The server is away: its connection is lost, or as good as lost. */
  away(because: HotMirrorError): void;
  /** It does again what it is asked, or nobody waits for it and it is connected. */
  returned(): void;
}

/** What is needed to keep a connection. */
export interface KeptConnectionOptions extends Pick<ClientOptions, 'address' | 'name' | 'clock'> {
  readonly first: ClientConnection;
  readonly limits: NetDiskDeviceLimits;
  readonly user: ConnectionUser;
}

/** In place of that of the code, by which it is dialled again. */
const lostRemedy =
  'It is not dialled again: the disk is lost for good. See that the server runs; where it is an element, stop its node, run `hotmirror init --force --blank --yes` there and start it, to be filled.';

const firstPauseMs = 100;
const longestPauseMs = 2_000;

/** How long to wait before a server is dialled again, after so many attempts since it last completed a request. */
export function pauseBeforeMs(attempts: number): number {
  return attempts === 0 ? 0 : Math.min(longestPauseMs, firstPauseMs * 2 ** (attempts - 1));
}

/**
 * Keeps a connection to a server: notices its silence, and makes a lost one anew.
 *
 * Requests without an answer are asked again on the new connection. A server that still carried out the old ones then could put them over what is written later, and nothing in the protocol
 * tells whether it does. So a new one is made only where no change was without answer, or the server itself ended the old one: it has died, or has done with it. In any other case the disk
 * fails for good.
 */
export class KeptConnection {
  readonly #options: KeptConnectionOptions;
  readonly #clock: Clock;
  /** Aborted: nothing is kept any more. */
  readonly #stop: AbortController = new AbortController();
  #connection: ClientConnection;
  /** Dialled since a request was last completed. */
  #attempts = 0;
  /** Why it was lost last, or could not be made anew. */
  #because: HotMirrorError | null = null;
  /** Set while somebody waits for a server that was lost, and has completed nothing since. */
  #deadline: Timer | null = null;
  /** The user has heard that it is away, and not that it is back. */
  #isAway = false;
  #watch: Timer;

  constructor(options: KeptConnectionOptions) {
    this.#options = options;
    this.#clock = options.clock;
    this.#connection = options.first;
    this.#use(options.first);
    this.#watch = this.#watched();
  }

  /** The connection, where requests may be made. */
  get current(): ClientConnection | null {
    return this.#connection.open ? this.#connection : null;
  }

  /** The server has done what it was asked: that it was lost before counts no more. */
  progress(): void {
    this.idle();
    this.#attempts = 0;
  }

  /** Nobody waits for the server: it may be lost again, as often as it likes. */
  idle(): void {
    this.#deadline?.cancel();
    this.#deadline = null;
    if (!this.#isAway || !this.current) return;
    this.#isAway = false;
    this.#options.user.returned();
  }

  /** The server is as good as lost. */
  giveUp(because: HotMirrorError): void {
    this.#away(because);
    this.#connection.retire(because);
  }

  /** Ends it in order. For one without requests under way. */
  close(): void {
    this.#end();
    this.#connection.close();
  }

  /** Ends it because of an error; the user hears that it failed. */
  fail(error: HotMirrorError): void {
    if (this.#stop.signal.aborted) return;
    this.#end();
    this.#connection.abandon();
    this.#options.user.failed(error);
  }

  #end(): void {
    this.#stop.abort(new HotMirrorError('HM_CLOSED', 'the connection is not kept any more'));
    this.#watch.cancel();
    this.#deadline?.cancel();
  }

  #use(connection: ClientConnection): void {
    this.#connection = connection;
    connection.onEnd(({ error, mayStillChange }) => {
      if (mayStillChange) {
        this.fail(
          new HotMirrorError('HM_CONNECTION_LOST', `${error.message}; whether it still carries out what it was asked is not known`, {
            details: { remedy: lostRemedy },
          }),
        );
        return;
      }
      this.#away(error);
      this.#options.user.lost();
      void this.#connectAgain();
    });
  }

  #away(because: HotMirrorError): void {
    this.#because = because;
    if (!this.#isAway) {
      this.#isAway = true;
      this.#options.user.away(because);
    }
    const { reconnectMs } = this.#options.limits;
    this.#deadline ??= this.#clock.timer(reconnectMs, () => {
      const last = this.#because ?? because;
      this.fail(
        new HotMirrorError(last.code, `the server completed nothing for ${String(reconnectMs)} ms: ${last.message}`, {
          cause: last,
          details: { remedy: lostRemedy },
        }),
      );
    });
  }

  async #connectAgain(): Promise<void> {
    const connection = await this.#dial();
    if (!connection) return;
    const problem = replacementProblem(this.#options.first.exported, connection.exported);
    if (problem) {
      connection.close();
      this.fail(problem);
      return;
    }
    this.#use(connection);
    if (this.current === connection) this.#options.user.restored(connection);
  }

  /** Dials until somebody answers; null: nothing is kept any more. */
  async #dial(): Promise<ClientConnection | null> {
    const { signal } = this.#stop;
    const { limits } = this.#options;
    const { connectDeadlineMs } = limits;
    while (!signal.aborted) {
      try {
        await sleep(this.#clock, pauseBeforeMs(this.#attempts), signal);
        this.#attempts += 1;
        return await ClientConnection.open({ ...this.#options, connectDeadlineMs, keepAliveMs: keepAliveMs(limits), signal });
      } catch (error) {
        this.#because = HotMirrorError.from(error, 'HM_CONNECT_FAILED', 'the NBD server');
      }
    }
    return null;
  }

  /** Looks now and then whether a server that owes answers says anything. */
  #watched(): Timer {
    const { silenceMs } = this.#options.limits;
    return this.#clock.timer(silenceMs / 2, () => {
      this.#watch = this.#watched();
      // After a pause of this process what has come meanwhile is read first.
      if (this.#connection.silentMs > silenceMs) void this.#clock.drain().then(() => this.#endSilence());
    });
  }

  #endSilence(): void {
    const { silenceMs } = this.#options.limits;
    if (this.#stop.signal.aborted || this.#connection.silentMs <= silenceMs) return;
    this.giveUp(new HotMirrorError('HM_CONNECTION_LOST', `the server owes an answer and has said nothing for ${String(silenceMs)} ms`));
  }
}
