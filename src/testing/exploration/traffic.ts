import { createHash } from 'node:crypto';

import { decodeMessage } from '../../heartbeat/token.ts';
import { decodeFrameHeader, decodeMessages } from '../../mirror/wire.ts';
import type { Message } from '../../mirror/wire.ts';
import type { Connection } from '../../transport/transport.ts';
import type { GateTap } from '../simulation/effects.ts';
import type { NodeName } from '../simulation/steps.ts';
import { nodeNames, otherNode } from '../simulation/steps.ts';
import { renameIds } from './rename-ids.ts';

/** A message, as far as a later step depends on it. */
interface Told {
  readonly text: string;
  /** A question or its answer that is asked again and again: when the question was sent. It leaves no trace in a conversation. */
  readonly askedMs: number | null;
}

/** How a connection is over for one end. */
type End = 'closed' | 'destroyed' | 'died';

interface Way {
  /** Frames on their way, oldest first. */
  readonly onTheWay: (readonly Told[])[];
  /** What arrived, but for idle questions and answers: with what is on its way it decides the state of both ends. */
  history: string;
  heardMs: number;
  ended: 'no' | End;
}

interface Conversation {
  readonly link: string;
  readonly madeMs: number;
  readonly ways: Readonly<Record<NodeName, Way>>;
}

/** What an end of a connection depends on, with times as ages. */
export type ConversationView = readonly unknown[];

const headBytes = 4;
const dataLink = 'memory:data:';
const opaque: ReadonlySet<string> = new Set(['write', 'resync', 'map']);

/**
 * Listens to every connection of a small world, and tells for each what is on its way and what its ends have been told. Both ends are functions of that,
 * so no class has to show what it keeps of a connection.
 */
export class Traffic {
  readonly #nowMs: () => number;
  readonly #conversations = new Map<string, Conversation>();
  readonly #asked = new Map<string, number>();
  /** Messages sent or received so far that are no idle questions or answers. */
  news = 0;
  /** Messages that arrived since {@link Traffic.arrivals} was last called. */
  #arrivals: string[] = [];

  constructor(nowMs: () => number) {
    this.#nowMs = nowMs;
  }

  /** Listens for one process. */
  tap(node: NodeName): GateTap {
    return {
      frame: (way, connection, parts) => {
        if (way === 'sent') this.#sent(node, connection, parts);
        else this.#received(node, connection);
      },
      ended: ({ id }, destroyed) => this.#ended(node, id, destroyed ? 'destroyed' : 'closed'),
    };
  }

  /** The process of this node died. Of what it sent, half is still on its way, as the steady chance of a small world has it. */
  died(node: NodeName): void {
    for (const id of [...this.#conversations.keys()]) this.#ended(node, id, 'died');
  }

  /** What arrived since the last call, in words. */
  arrivals(): readonly string[] {
    const arrivals = this.#arrivals;
    this.#arrivals = [];
    return arrivals;
  }

  /** Every connection that is not over at both ends, in the order in which they were first used. `age` makes an age of a time. */
  view(age: (atMs: number) => unknown): readonly ConversationView[] {
    return [...this.#conversations.values()].map(({ link, madeMs, ways }) => [
      link,
      age(madeMs),
      ...nodeNames.map((node) => {
        const { onTheWay, history, heardMs, ended } = ways[node];
        const told = onTheWay.map((frame) => frame.map(({ text, askedMs }) => (askedMs === null ? text : [text, age(askedMs)])));
        return [told, history, age(heardMs), ended];
      }),
    ]);
  }

  #sent(node: NodeName, connection: Connection, parts: readonly Uint8Array[]): void {
    const told = this.#told(node, connection, Buffer.concat(parts));
    this.#conversation(connection).ways[node].onTheWay.push(told);
    for (const { askedMs } of told) if (askedMs === null) this.news += 1;
  }

  #received(node: NodeName, connection: Connection): void {
    const conversation = this.#conversation(connection);
    const way = conversation.ways[otherNode(node)];
    const frame = way.onTheWay.shift() ?? [];
    way.heardMs = this.#nowMs();
    this.#arrivals.push(`${node} receives ${frame.map(({ text }) => text.slice(0, textBytes)).join(', ')} over ${conversation.link}`);
    const news = frame.filter(({ askedMs }) => askedMs === null).map(({ text }) => text);
    this.news += news.length;
    if (news.length > 0)
      way.history = createHash('sha1')
        .update(`${way.history}\n${renameIds(news.join('\n'))}`)
        .digest('base64');
  }

  #ended(node: NodeName, id: string, how: End): void {
    const conversation = this.#conversations.get(id);
    if (!conversation) return;
    const own = conversation.ways[node];
    const other = conversation.ways[otherNode(node)];
    if (own.ended === 'no') own.ended = how;
    if (how === 'destroyed') own.onTheWay.length = 0;
    other.onTheWay.length = 0;
    if (other.ended !== 'no') this.#conversations.delete(id);
  }

  #conversation({ id, description }: Connection): Conversation {
    let conversation = this.#conversations.get(id);
    if (!conversation) {
      const madeMs = this.#nowMs();
      const way = (): Way => ({ onTheWay: [], history: '', heardMs: madeMs, ended: 'no' });
      conversation = { link: description, madeMs, ways: { alpha: way(), beta: way() } };
      this.#conversations.set(id, conversation);
    }
    return conversation;
  }

  #told(node: NodeName, { id, description }: Connection, frame: Uint8Array): readonly Told[] {
    if (!description.startsWith(dataLink)) return [this.#toldByMonitor(frame)];
    const { epochNumber, owner } = decodeFrameHeader(frame);
    return decodeMessages(frame).map((message) => this.#toldByMirror(node, id, `${String(epochNumber)} ${owner}`, message));
  }

  #toldByMonitor(frame: Uint8Array): Told {
    const message = decodeMessage(frame);
    if (message.kind !== 'token' && message.kind !== 'answer') return { text: `${message.kind} ${JSON.stringify(message)}`, askedMs: null };
    const content = message.kind === 'token' ? message.run : JSON.stringify(message.report);
    return { text: `${message.kind} ${content}`, askedMs: this.#askedMs(message.kind === 'token', message.nonce) };
  }

  #toldByMirror(node: NodeName, id: string, epoch: string, { name, a, b, body }: Message): Told {
    if (name === 'ping' || name === 'pong') {
      const asker = name === 'ping' ? node : otherNode(node);
      return { text: `${name} ${epoch}`, askedMs: this.#askedMs(name === 'ping', `${id} ${asker} ${String(a)}`) };
    }
    const content = opaque.has(name) ? Buffer.from(body.subarray(0, headBytes)).toString('base64') : Buffer.from(body).toString('utf8');
    return { text: `${name} ${epoch} ${String(a)} ${String(b)} ${content}`, askedMs: null };
  }

  #askedMs(question: boolean, name: string): number {
    if (question) this.#asked.set(name, this.#nowMs());
    return this.#asked.get(name) ?? 0;
  }
}

/** Of a message, in words. */
const textBytes = 60;
