import { X509Certificate } from 'node:crypto';
import { isDeepStrictEqual } from 'node:util';

import type { Clock, Timer } from '../clock/clock.ts';
import { HotMirrorError } from '../errors.ts';
import type { EventBase } from '../events.ts';
import { LinkKeys } from '../transport/tcp.ts';
import type { LinkCredentials } from '../transport/tcp.ts';
import type { LinkTlsFiles, PairConfig } from './config.ts';
import { peerOf } from './config.ts';
import { linkKeyFiles } from './link-keyring.ts';
import type { CredentialsByName, KeyRenewal } from './link-keyring.ts';
import { readTlsFiles } from './tls-files.ts';

/** How often the files are looked at. */
export const lookMs = 30_000;
/** Several files are not replaced at one moment: what is wrong with them is told when it still is after this time. */
export const confirmMs = 2_000;

const remedy =
  'Check the files that `tls` of the links names on this node: the key fits the certificate, the certificate is for this node and valid now, and keys are readable by their owner only.';

/** What is told of keys: `tls:ready` ends a `tls:failed` after which nothing has changed. */
export type LinkKeyEventName = 'tls:renewed' | 'tls:failed' | 'tls:ready';

/** What a {@link LinkKeyWatch} needs. */
export interface LinkKeyWatchOptions {
  readonly config: PairConfig;
  readonly node: string;
  readonly clock: Clock;
  /** What was read at the start. */
  readonly credentials: CredentialsByName;
  /** Hands what is new to all who dial and listen. */
  readonly renew: (renewal: KeyRenewal) => void;
  readonly tell: (name: LinkKeyEventName, news: Omit<EventBase, 'atMs'>) => void;
}

/** The files of some links, and what became of them. */
interface Watched {
  readonly name: string;
  readonly files: LinkTlsFiles;
  inUse: LinkCredentials | undefined;
  /** What was wrong at the last look. */
  problem: string | null;
  /** Of what was wrong, what was told last. */
  told: string | null;
}

/** Reads the keys of a node's links. Rejects with `HM_TLS_KEYS` for those that cannot be used; that a certificate is not valid now is found out later. */
export async function readLinkKeys(config: PairConfig, node: string): Promise<CredentialsByName> {
  const entries = [...linkKeyFiles(config, node)].map(async ([name, files]) => [name, await readCredentials(config, node, files)] as const);
  return new Map(await Promise.all(entries));
}

/**
 * Looks for new keys in the files of a node's links, every half a minute and when it is asked to. What is new and can be used is for the next connections; those that are
 * there go on. What cannot be used is told, and the keys before stay in use.
 */
export class LinkKeyWatch {
  readonly #options: LinkKeyWatchOptions;
  readonly #watched: readonly Watched[];
  #timer: Timer | null = null;
  #closed = false;
  /** One look at a time. */
  #turn: Promise<void> = Promise.resolve();

  constructor(options: LinkKeyWatchOptions) {
    this.#options = options;
    const { config, node, credentials } = options;
    this.#watched = [...linkKeyFiles(config, node)].map(([name, files]) => ({
      ...{ name, files, inUse: credentials.get(name) },
      ...{ problem: null, told: null },
    }));
    if (this.#watched.length > 0) void this.look();
  }

  /** Looks now; resolves when it has. */
  look(): Promise<void> {
    this.#turn = this.#turn.then(() => this.#look());
    return this.#turn;
  }

  /** Looks no more; resolves when the last look has ended. */
  close(): Promise<void> {
    this.#closed = true;
    this.#timer?.cancel();
    return this.#turn;
  }

  async #look(): Promise<void> {
    this.#timer?.cancel();
    const outcomes: readonly boolean[] = await Promise.all(this.#watched.map((each) => this.#lookAt(each)));
    if (this.#closed || this.#watched.length === 0) return;
    this.#timer = this.#options.clock.timer(outcomes.includes(false) ? confirmMs : lookMs, () => void this.look());
  }

  /** Gives false where what was found is to be confirmed. */
  async #lookAt(watched: Watched): Promise<boolean> {
    const { config, node, clock, tell } = this.#options;
    const found = await readCredentials(config, node, watched.files).catch((error: unknown) => (error as HotMirrorError).message);
    if (this.#closed) return true;
    const problem = typeof found === 'string' ? found : validityProblem(found, clock.wallMs());
    if (problem !== null) return this.#tellProblem(watched, problem);
    if (!isDeepStrictEqual(found, watched.inUse)) this.#use(watched, found as LinkCredentials);
    else if (watched.told !== null) tell('tls:ready', { class: 0, text: `${watched.name} can be used` });
    watched.problem = null;
    watched.told = null;
    return true;
  }

  #tellProblem(watched: Watched, problem: string): boolean {
    const lasts = watched.problem === problem;
    watched.problem = problem;
    if (!lasts) return false;
    if (watched.told !== problem) {
      const text = `for TLS on links the keys of before stay in use while this lasts: ${problem}`;
      this.#options.tell('tls:failed', { class: 1, text, evidence: { code: 'HM_TLS_KEYS', remedy } });
    }
    watched.told = problem;
    return true;
  }

  #use(watched: Watched, credentials: LinkCredentials): void {
    const { renew, tell } = this.#options;
    watched.inUse = credentials;
    renew({ name: watched.name, credentials });
    const until = 'psk' in credentials ? '' : `, valid until ${new X509Certificate(credentials.certificate).validTo}`;
    tell('tls:renewed', { class: 0, text: `new connections of links use what ${watched.name} hold by now${until}` });
  }
}

/** Reads keys that can be used. */
async function readCredentials(config: PairConfig, node: string, files: LinkTlsFiles): Promise<LinkCredentials> {
  try {
    const credentials = (await readTlsFiles(files)) as LinkCredentials;
    return new LinkKeys({ node, peer: peerOf(config, node), credentials }).credentials;
  } catch (cause) {
    const { message } = cause as Error;
    const where = 'pskFile' in files ? files.pskFile : files.certificateFile;
    throw new HotMirrorError('HM_TLS_KEYS', message.includes(where) ? message : `${where}: ${message}`, {
      ...{ cause, rule: 'trust' },
      details: { remedy },
    });
  }
}

/** Why the peer will not trust the certificate now, or null. */
function validityProblem(credentials: LinkCredentials, wallMs: number): string | null {
  if ('psk' in credentials) return null;
  const { subject, validFrom, validTo } = new X509Certificate(credentials.certificate);
  if (wallMs < Date.parse(validFrom)) return `the certificate of ${subject} is not valid before ${validFrom}`;
  return wallMs > Date.parse(validTo) ? `the certificate of ${subject} has expired at ${validTo}` : null;
}
