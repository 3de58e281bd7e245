import type { HotMirrorError } from '../errors.ts';
import { createEmitter } from '../events.ts';
import type { Emitter } from '../events.ts';
import type { HeartbeatEvents } from './events.ts';
import type { MonitorLink } from './monitor-link.ts';
import type { LinkState, PeerAnswer, PeerState, Verdict } from './types.ts';

/** What keeps a link from ever being used, as long as nobody mends the configuration. */
const unusable: ReadonlySet<string> = new Set(['HM_WRONG_KEY', 'HM_WRONG_PEER', 'HM_VERSION']);

/** Words and sends the events of a monitor. Says nothing before `open` and after `close`. */
export class Reporter {
  readonly events: Emitter<HeartbeatEvents>;
  readonly #changes: Emitter<{ change: () => void }>;
  readonly #peer: string;
  #open = false;

  constructor(peer: string, onListenerError: (error: unknown) => void) {
    this.#peer = peer;
    this.events = createEmitter(onListenerError);
    this.#changes = createEmitter(onListenerError);
  }

  open(): void {
    this.#open = true;
  }

  close(): void {
    this.#open = false;
  }

  /** Something that an observer may want to look at has changed. */
  changed(): void {
    if (this.#open) this.#changes.emit('change');
  }

  peer(from: PeerState, verdict: Verdict, atMs: number): void {
    if (!this.#open) return;
    const { state: to, rule, because, evidence } = verdict;
    const text = `${this.#peer} is ${to} (was ${from}): ${because}.`;
    this.events.emit('peer:changed', { atMs, class: to === 'down' || to === 'left' ? 1 : 0, rule, evidence, text, from, to });
    this.changed();
  }

  /** `expected`: the peer said goodbye, so its links go down. */
  link(link: MonitorLink, from: LinkState, atMs: number, expected: boolean): void {
    if (!this.#open) return;
    const { name, state: to, lastError } = link;
    const evidence = { silentMs: link.watch.silentMs(atMs), lastSeenMs: link.watch.lastSeenMs, lastError };
    const why = to !== 'up' && lastError !== null ? `: ${lastError}` : '';
    const text = `Monitor link ${name} is ${to} (was ${from})${why}.`;
    this.events.emit('link:changed', {
      atMs,
      class: to === 'down' && !expected ? 1 : 0,
      rule: 'watch.all',
      evidence,
      text,
      link: name,
      from,
      to,
    });
    this.changed();
  }

  answered(answer: PeerAnswer): void {
    if (!this.#open) return;
    const { link, heardMs, probeSentMs } = answer;
    const text = `${this.#peer} answered on ${link} after ${String(Math.round(heardMs - probeSentMs))} ms.`;
    this.events.emit('peer:answered', { atMs: heardMs, class: 0, rule: 'watch.token', text, ...answer });
  }

  overslept(lateMs: number, lookedMs: number, atMs: number): void {
    if (!this.#open) return;
    const text = `The monitor stood still for ${String(Math.round(lateMs))} ms; a fresh deadline begins.`;
    this.events.emit('monitor:overslept', { atMs, class: 0, rule: 'watch.pause', evidence: { lateMs, lookedMs }, text, lateMs });
    this.changed();
  }

  /** Counts what a link refused or ignored, and tells at most once within `quietMs`. */
  rejected(link: MonitorLink, error: HotMirrorError, atMs: number, quietMs: number): void {
    link.rejections.count += 1;
    if (!this.#open || atMs - link.rejections.reportedMs < quietMs) return;
    link.rejections.reportedMs = atMs;
    const { count } = link.rejections;
    const eventClass = unusable.has(error.code) ? 1 : 0;
    this.events.emit('frame:rejected', {
      atMs,
      class: eventClass,
      rule: 'trust',
      text: error.message,
      link: link.name,
      code: error.code,
      count,
    });
  }

  onChange(listener: () => void): () => void {
    this.#changes.on('change', listener);
    return () => void this.#changes.off('change', listener);
  }

  onAnswer(listener: (answer: PeerAnswer) => void): () => void {
    this.events.on('peer:answered', listener);
    return () => void this.events.off('peer:answered', listener);
  }

  onOverslept(listener: (lateMs: number) => void): () => void {
    const told = ({ lateMs }: { readonly lateMs: number }): void => {
      listener(lateMs);
    };
    this.events.on('monitor:overslept', told);
    return () => void this.events.off('monitor:overslept', told);
  }
}
