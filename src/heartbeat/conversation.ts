import createDebug from 'debug';

import type { Clock, Timer } from '../clock/clock.ts';
import { HotMirrorError } from '../errors.ts';
import type { Line, MonitorLink, MonitorLinkHandlers } from './monitor-link.ts';
import { PeerChannel } from './peer-channel.ts';
import { Presence } from './presence.ts';
import { Responder } from './responder.ts';
import { checkBody } from './token.ts';
import type { Answer, Message, Token } from './token.ts';
import type { Json } from './types.ts';

const debug = createDebug('hotmirror:heartbeat');

/** What the monitor learns from what arrives. */
export interface ConversationListener {
  /** A sign of life on this link. */
  alive(link: MonitorLink): void;
  /** The peer answered a token that was sent at `probeSentMs`. */
  answered(link: MonitorLink, probeSentMs: number, report: Json): void;
  /** The peer said goodbye. */
  left(): void;
  /** Something was refused, and its connection ended, or ignored. */
  rejected(link: MonitorLink, error: HotMirrorError): void;
}

/** What a conversation needs. */
export interface ConversationSetup {
  readonly clock: Clock;
  /** This node's start. */
  readonly run: string;
  readonly report: () => Json;
  readonly answer: (body: Json) => Promise<Json>;
  /** The connections that stand, best first. */
  readonly lines: () => readonly Line[];
  readonly listener: ConversationListener;
}

/** What this node and the peer say to each other over all links: tokens and answers, requests and replies, goodbyes. */
export class Conversation implements MonitorLinkHandlers {
  readonly presence: Presence = new Presence();
  readonly channel: PeerChannel;
  readonly responder: Responder;
  readonly #setup: ConversationSetup;
  /** Set while this node waits for its goodbye to be confirmed. */
  #farewell: (() => void) | null = null;

  constructor(setup: ConversationSetup) {
    this.#setup = setup;
    this.channel = new PeerChannel(setup.clock, setup.run, () => this.openLines());
    this.responder = new Responder(setup.run, setup.answer);
  }

  /** The connections on which the present start of the peer can be asked, best first. */
  openLines(): readonly Line[] {
    if (this.presence.left) return [];
    return this.#setup.lines().filter(({ run }) => run === null || run === this.presence.run);
  }

  /**
   * Says goodbye on every link, and again at each interval, for who does not know this start yet takes no goodbye of it; resolves when one brought the confirmation, or
   * after the deadline (rule `node.leave`).
   */
  leave(deadlineMs: number, intervalMs: number): Promise<void> {
    if (this.#setup.lines().length === 0) return Promise.resolve();
    return new Promise((resolve) => {
      const { clock, run } = this.#setup;
      const deadline: Timer = clock.timer(deadlineMs, () => this.#farewell?.());
      let again: Timer | null = null;
      const say = (): void => {
        for (const line of this.#setup.lines()) line.send({ kind: 'goodbye', run });
        again = clock.timer(intervalMs, say);
      };
      this.#farewell = () => {
        this.#farewell = null;
        deadline.cancel();
        again?.cancel();
        resolve();
      };
      say();
    });
  }

  connected(link: MonitorLink, line: Line): void {
    this.#setup.listener.alive(link);
    if (this.#farewell) line.send({ kind: 'goodbye', run: this.#setup.run });
    this.channel.linesChanged();
  }

  disconnected(): void {
    this.channel.linesChanged();
  }

  rejected(link: MonitorLink, error: HotMirrorError): void {
    this.#setup.listener.rejected(link, error);
  }

  message(link: MonitorLink, line: Line, message: Message): void {
    switch (message.kind) {
      case 'token':
        this.#token(link, line, message);
        return;
      case 'answer':
        this.#answered(link, line, message);
        return;
      default:
        // A connection of a start that has been followed by another brings nothing else that counts.
        if (line.run === this.presence.run) this.#said(link, line, message);
        else this.#ignore(link, `a ${message.kind} of a former start of the peer`);
    }
  }

  #said(link: MonitorLink, line: Line, message: Exclude<Message, Token | Answer>): void {
    switch (message.kind) {
      case 'request':
        this.#setup.listener.alive(link);
        this.responder.request(line, message);
        return;
      case 'reply':
        this.#setup.listener.alive(link);
        this.channel.reply(message);
        return;
      case 'goodbye':
        this.#goodbye(link, line, message.run);
        return;
      case 'farewell':
        this.#setup.listener.alive(link);
        if (message.run === this.#setup.run) this.#farewell?.();
    }
  }

  #started(run: string): void {
    this.responder.peerStarted(run);
    this.channel.peerStarted(run);
  }

  #token(link: MonitorLink, line: Line, token: Token): void {
    if (!link.watch.tokenIsFresh(token.run, token.sequence)) {
      this.#ignore(link, 'a token that came before');
      return;
    }
    if (this.presence.arrived(token.run, this.#setup.clock.nowMs()) === 'new') this.#started(token.run);
    // One of a start that seems to be over is answered too, and counts: what may renew a lease is a sign of life, and only answers can prove which start is the present one.
    this.#setup.listener.alive(link);
    this.channel.linesChanged();
    if (!line.flows) return;
    const answer: Answer = { kind: 'answer', sequence: token.sequence, nonce: token.nonce, report: this.#report() };
    if (!line.send(answer)) line.send({ ...answer, report: null });
  }

  #answered(link: MonitorLink, line: Line, answer: Answer): void {
    const nowMs = this.#setup.clock.nowMs();
    const probeSentMs = link.watch.answered(answer, nowMs);
    if (probeSentMs === null || line.run === null) {
      this.#ignore(link, 'an answer to no token that waits for one');
      return;
    }
    const start = this.presence.answered(line.run, probeSentMs, nowMs);
    if (start === 'former') {
      this.#ignore(link, 'an answer of a former start of the peer');
      return;
    }
    if (start === 'new') this.#started(line.run);
    this.#setup.listener.alive(link);
    this.#setup.listener.answered(link, probeSentMs, answer.report);
  }

  #goodbye(link: MonitorLink, line: Line, run: string): void {
    this.#setup.listener.alive(link);
    if (run !== this.presence.run) {
      this.#ignore(link, 'a goodbye of another start of the peer');
      return;
    }
    if (!this.presence.proven) {
      // A start that is over may say goodbye late; taken for its successor's, it would be leave to serve beside that one.
      this.#ignore(link, 'a goodbye of a start of the peer that has answered nothing yet');
      return;
    }
    line.send({ kind: 'farewell', run });
    if (this.presence.left) return;
    this.presence.left = true;
    this.presence.leftAtMs = this.#setup.clock.nowMs();
    this.#setup.listener.left();
  }

  /** This node's report; its lack must not look like death, so a token is answered in any case. */
  #report(): Json {
    try {
      const report = this.#setup.report();
      checkBody(report, 'the report');
      return report;
    } catch (error) {
      debug('no report: %O', error);
      return null;
    }
  }

  #ignore(link: MonitorLink, what: string): void {
    this.#setup.listener.rejected(link, new HotMirrorError('HM_PROTOCOL', `the link ${link.name} brought ${what}; it was ignored`));
  }
}
