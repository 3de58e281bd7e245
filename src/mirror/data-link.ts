import type { Clock, Timer } from '../clock/clock.ts';
import type { Random } from '../clock/random.ts';
import { HotMirrorError } from '../errors.ts';
import { PeerLink } from '../transport/peer-link.ts';
import type { Connection, Transport } from '../transport/transport.ts';
import type { MirrorLimits } from './options.ts';

/** What the data link tells its user. */
export interface DataLinkHandlers {
  /** There is a connection to the peer now. */
  connected(connection: Connection): void;
  /** Something was turned away, or the peer cannot be used as it is. */
  refused(eventClass: 0 | 1, text: string, error: HotMirrorError): void;
}

/** What the data link is made of. */
export interface DataLinkOptions {
  readonly transport: Transport;
  readonly preferOwnDial: boolean;
  readonly clock: Clock;
  readonly random: Random;
  readonly limits: MirrorLimits;
  readonly handlers: DataLinkHandlers;
}

/** What no repetition of a dial will mend. */
const lasting = new Set(['HM_WRONG_KEY', 'HM_WRONG_PEER', 'HM_VERSION', 'HM_BAD_MAGIC']);

/** Keeps a connection for a mirror, and can be stopped and started again as its orders demand. */
export class DataLink {
  readonly #options: DataLinkOptions;
  #link: PeerLink | null = null;
  #restart: Timer | null = null;
  /** Counts what was asked for: whoever waits knows by it whether that still holds. */
  #wishes = 0;

  constructor(options: DataLinkOptions) {
    this.#options = options;
  }

  /** Neither listening nor dialling. */
  get stopped(): boolean {
    return this.#link === null;
  }

  /** Listens and dials. Rejects as the transport does. */
  async start(): Promise<void> {
    const { handlers, limits, ...rest } = this.#options;
    const link = new PeerLink({
      ...rest,
      retryMinMs: limits.retryMinMs,
      retryMaxMs: limits.retryMaxMs,
      dialDeadlineMs: limits.handshakeDeadlineMs,
      listener: {
        connected: (connection) => {
          handlers.connected(connection);
        },
        rejected: (error) => {
          handlers.refused(0, `the data link turned something away: ${error.message}`, error);
        },
        unreachable: (error) => {
          if (lasting.has(error.code)) handlers.refused(1, `the data link cannot be used: ${error.message}`, error);
        },
      },
    });
    this.#link = link;
    try {
      await link.start();
    } catch (error) {
      if (this.#link === link) this.#link = null;
      throw error;
    }
  }

  /** Undoes `stop`. Where the transport cannot listen now, it is tried again and again: what was ordered holds without a data link too. */
  async resume(): Promise<void> {
    if (!this.stopped) return;
    const { clock, limits, handlers } = this.#options;
    const wish = (this.#wishes += 1);
    try {
      await this.start();
    } catch (cause) {
      if (wish !== this.#wishes) return;
      const error = HotMirrorError.from(cause, 'HM_ADDRESS', 'the data link cannot listen');
      handlers.refused(1, `the data link cannot listen: ${error.message}`, error);
      this.#restart?.cancel();
      this.#restart = clock.timer(limits.retryMaxMs, () => void this.resume());
    }
  }

  /** Ends listening, dialling and the connection. */
  async stop(): Promise<void> {
    const link = this.#link;
    this.#link = null;
    this.#wishes += 1;
    this.#restart?.cancel();
    await link?.stop();
  }

  /** Ends the connection and begins anew after a back-off. */
  redial(): void {
    this.#link?.redial();
  }
}
