import createDebug from 'debug';

import type { Clock, Timer } from '../clock/clock.ts';
import type { BlockDevice } from '../device/block-device.ts';
import { HotMirrorError } from '../errors.ts';
import type { EventBase } from '../events.ts';
import type { MirrorPort } from '../failover/ports.ts';
import { NetDiskServer } from '../net-disk/net-disk-server.ts';
import type { ExportConfig } from './config.ts';
import { readExportTls } from './export-credentials.ts';

/** What a {@link MirrorExport} tells, besides when. */
export type ExportNews = Omit<EventBase, 'atMs'>;

/** What an export tells of: `export:ready` ends an `export:failed` of before it had to open. */
export type ExportEventName = 'export:opened' | 'export:closed' | 'export:failed' | 'export:ready';

/** What an export is made from. */
export interface MirrorExportOptions {
  readonly config: ExportConfig;
  readonly mirror: Pick<MirrorPort, 'name' | 'state' | 'onChange'> & BlockDevice;
  readonly clock: Clock;
  /** Called whenever bytes of a client come. */
  readonly onBytes: () => void;
  readonly tell: (name: ExportEventName, news: ExportNews) => void;
}

const debug = createDebug('hotmirror:node');

/** How long until an export that could not be opened is tried again. */
const retryMs = 2_000;
/** How long until keys that could not be used are looked at again, while nothing has to be opened. */
const recheckMs = 30_000;

/**
 * The net disk of one mirror: it is there exactly while the mirror is served. Whoever uses it is answered before it goes, as far as the mirror answers.
 */
export class MirrorExport {
  readonly #options: MirrorExportOptions;
  readonly #stopWatching: () => void;
  #server: NetDiskServer | null = null;
  /** How many keep it closed, whatever the mirror says: serving is about to end. */
  #held = 0;
  #ended = false;
  /** One step at a time. */
  #turn: Promise<void> = Promise.resolve();
  #retry: Timer | null = null;
  #recheck: Timer | null = null;
  /** What was told last that would keep it from opening. */
  #checkProblem: string | null = null;
  /** What was told last, in this service, that keeps it from opening. */
  #openProblem: string | null = null;

  constructor(options: MirrorExportOptions) {
    this.#options = options;
    this.#stopWatching = options.mirror.onChange(() => {
      if (this.#wanted !== (this.#server !== null) && !this.#retry) void this.settle();
    });
  }

  /** Tells what would keep it from opening, before it has to, and once nothing does any more. */
  async check(): Promise<void> {
    const { config, clock, tell } = this.#options;
    this.#recheck?.cancel();
    const problem = await readExportTls(config).then(
      () => null,
      (cause: unknown) => HotMirrorError.from(cause, 'HM_TLS_KEYS', config.uri),
    );
    // Opening it finds out more.
    if (this.#ended || this.#wanted) return;
    if (problem) {
      const text = `${config.uri} cannot be opened while this lasts: ${problem.message}`;
      if (text !== this.#checkProblem) tell('export:failed', { class: 2, text, evidence: { code: problem.code } });
      this.#checkProblem = text;
      this.#recheck?.cancel();
      this.#recheck = clock.timer(recheckMs, () => void this.check());
    } else if (this.#checkProblem !== null) {
      this.#checkProblem = null;
      tell('export:ready', { class: 0, text: `${config.uri} can be opened now`, evidence: { uri: config.uri } });
    }
  }

  /** Resolves when it is as it should be by now: open while the mirror is served, or tried in vain. */
  settle(): Promise<void> {
    this.#turn = this.#turn.then(() => this.#step()).catch((error: unknown) => debug('%s: %O', this.#options.config.uri, error));
    return this.#turn;
  }

  /** Closes it for as long as `work` takes, which may end serving. */
  async during<T>(work: () => Promise<T>): Promise<T> {
    this.#held += 1;
    try {
      await this.settle();
      return await work();
    } finally {
      this.#held -= 1;
      void this.settle();
    }
  }

  /** Closes it for good. */
  async end(): Promise<void> {
    this.#stopWatching();
    this.#recheck?.cancel();
    this.#ended = true;
    await this.settle();
  }

  get #wanted(): boolean {
    return this.#held === 0 && !this.#ended && this.#options.mirror.state().serving !== 'no';
  }

  async #step(): Promise<void> {
    this.#retry?.cancel();
    this.#retry = null;
    if (!this.#wanted) {
      const couldNot = this.#openProblem !== null;
      this.#openProblem = null;
      await this.#close();
      if (!couldNot || this.#ended) return;
      // What was told is of a service that is over; what holds for the next one was not looked at meanwhile.
      this.#checkProblem = null;
      void this.check();
    } else if (!this.#server) await this.#open();
  }

  async #open(): Promise<void> {
    const { config, mirror, clock, tell, onBytes } = this.#options;
    try {
      const tls = await readExportTls(config);
      const server = await NetDiskServer.listen({ listen: config.address, clock, onBytes, ...(tls ? { tls } : {}) });
      this.#server = server;
      server.add({ name: config.name, device: mirror, description: `mirror ${mirror.name}` });
    } catch (cause) {
      const error = HotMirrorError.from(cause, 'HM_ADDRESS', config.uri);
      await this.#server?.close();
      this.#server = null;
      this.#retry = clock.timer(retryMs, () => void this.settle());
      const text = `${config.uri} could not be opened, and is tried again: ${error.message}`;
      // Without it nobody can use what is served.
      if (text !== this.#openProblem) tell('export:failed', { class: 3, text, evidence: { code: error.code } });
      this.#openProblem = text;
      return;
    }
    this.#openProblem = null;
    this.#checkProblem = null;
    tell('export:opened', { class: 0, text: `${config.uri} can be used`, evidence: { uri: config.uri } });
  }

  async #close(): Promise<void> {
    const server = this.#server;
    if (!server) return;
    this.#server = null;
    await server.close();
    const { config, tell } = this.#options;
    tell('export:closed', { class: 0, text: `${config.uri} is gone`, evidence: { uri: config.uri } });
  }
}
