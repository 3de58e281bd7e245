import type { Clock, Timer } from '../../clock/clock.ts';
import { randomHex } from '../../clock/random.ts';
import type { Random } from '../../clock/random.ts';
import type { Transport } from '../transport.ts';
import type { Exchange, ExchangeHost } from './exchange.ts';
import { driven } from './exchange.ts';
import { ScsiLink } from './link.ts';
import type { ScsiLinkOptions } from './link.ts';
import { decodeSlot, encodeSlot, longestSlotMessageBytes, noIncarnation, slotBlocks } from './mailbox-slot.ts';
import type { MailboxSlot } from './mailbox-slot.ts';
import type { ScsiAttachment, ScsiPort } from './port.ts';

/** A link through slots on the shared unit. */
export interface MailboxTransportOptions extends ScsiLinkOptions {
  /** This node's place on the bus. */
  readonly port: ScsiPort;
  /** Id of the shared unit. Default 0. */
  readonly unitId?: number;
  /** First block of the mailbox, which takes `mailboxBlocks`. Default 0. */
  readonly firstBlock?: number;
  /** Wait between two looks at the peer's slot, in ms. Default 100. */
  readonly pollMs?: number;
}

const defaultPollMs = 100;
const incarnationBytes = 8;
/** A peer whose slot stays the same for so many looks is gone. */
const silentLooks = 20;
/** Messages that wait for the slot; more end as undelivered. */
const mostQueued = 64;
/** How often a slot that reads back otherwise is written. */
const writeTries = 3;

/**
 * Makes the transport of a link through a mailbox in the manner of SBD: a slot for each node on the shared unit, that only this node writes, reads back and
 * compares, and the peer reads at its own pace. Unlike SBD it counts a message as delivered only once the peer's slot says that it was taken. Slow: one message
 * of at most 4 KiB each way in a look; for tokens. A node whose writes the unit refuses (a reservation) is silent here. Throws as `scsiTransport` does.
 */
export function mailboxTransport(options: MailboxTransportOptions): Transport {
  const { port, peerId, clock, random, unitId = 0, firstBlock = 0, pollMs = defaultPollMs } = options;
  if (peerId === port.id) throw new RangeError('the peer needs an id of its own');
  if (!(pollMs > 0)) throw new RangeError('pollMs must be above 0');
  const place = { unitId, firstBlock, pollMs, peerId };
  return new ScsiLink(options, `${port.description}, mailbox to id ${String(peerId)}`, (host) =>
    openMailbox(port, clock, random, place, host),
  );
}

interface Place {
  readonly unitId: number;
  readonly firstBlock: number;
  readonly pollMs: number;
  readonly peerId: number;
}

async function openMailbox(port: ScsiPort, clock: Clock, random: Random, place: Place, host: ExchangeHost): Promise<Exchange> {
  let mailbox: Mailbox | null = null;
  const its = { over: false as boolean };
  const attachment = await port.attach({
    received: () => true,
    // It may be told before this end knows that it was attached.
    detached: (reason) => {
      its.over = true;
      mailbox?.close();
      if (reason !== 'left') host.ended(reason);
    },
  });
  mailbox = new Mailbox(attachment, clock, randomHex(random, incarnationBytes), place, host);
  if (its.over) mailbox.close();
  return mailbox;
}

interface Letter {
  readonly to: number;
  readonly message: Uint8Array;
  readonly delivered: (arrived: boolean) => void;
}

interface Question {
  readonly timer: Timer;
  readonly answered: (notice: Uint8Array | null) => void;
}

/** This node's slot and its view of the peer's. It writes and looks once in each poll, whatever there is to say, and at once where there is something. */
class Mailbox implements Exchange {
  readonly longestMessageBytes: number = longestSlotMessageBytes;
  readonly #attachment: ScsiAttachment;
  readonly #clock: Clock;
  readonly #place: Place;
  readonly #host: ExchangeHost;
  readonly #letters: Letter[] = [];
  readonly #questions: Question[] = [];
  #mine: MailboxSlot;
  #theirs: MailboxSlot | null = null;
  /** Looks since the peer's slot changed; whoever was not seen to change it is not there yet. */
  #looks: number = silentLooks;
  #underWay = false;
  /** A turn runs. */
  #turning = false;
  /** Since it began there is something that the peer waits for. */
  #news = false;
  #timer: Timer;
  #closed = false;

  constructor(attachment: ScsiAttachment, clock: Clock, incarnation: string, place: Place, host: ExchangeHost) {
    this.#attachment = attachment;
    this.#clock = clock;
    this.#place = place;
    this.#host = host;
    const nothing = new Uint8Array(0);
    this.#mine = { incarnation, beat: 0, sent: 0, to: place.peerId, takenFrom: noIncarnation, taken: 0, notice: nothing, message: nothing };
    this.#timer = clock.timer(0, this.#turn);
  }

  /** Resolves once the peer has taken the message, or is gone. */
  send(to: number, message: Uint8Array): Promise<boolean> {
    if (this.#closed || to !== this.#place.peerId || this.#letters.length >= mostQueued) return Promise.resolve(false);
    const copy = Uint8Array.from(message);
    return new Promise((delivered) => {
      this.#letters.push({ to, message: copy, delivered });
      if (!this.#underWay) this.#turnAtOnce();
    });
  }

  /** What the peer lets be read, once it was seen to live; null where it was not in time. */
  noticeOf(host: number): Promise<Uint8Array | null> {
    if (this.#closed || host !== this.#place.peerId || this.#questions.length >= mostQueued) return Promise.resolve(null);
    if (this.#theirs && this.#looks < silentLooks) return Promise.resolve(this.#theirs.notice);
    return new Promise((answered) => {
      const timer = this.#clock.timer(silentLooks * this.#place.pollMs, () => {
        this.#questions.splice(this.#questions.indexOf(question), 1);
        answered(null);
      });
      const question: Question = { timer, answered };
      this.#questions.push(question);
    });
  }

  setNotice(notice: Uint8Array): void {
    this.#mine = { ...this.#mine, notice: Uint8Array.from(notice) };
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#timer.cancel();
    this.#attachment.detach();
    this.#giveUp();
    this.#answer(null);
  }

  readonly #turn = (): void => {
    this.#turning = true;
    this.#news = false;
    void this.#writeAndLook().then(() => {
      this.#turning = false;
      if (!this.#closed) this.#timer = this.#clock.timer(this.#news ? 0 : this.#place.pollMs, this.#turn);
    });
  };

  /** There is something to say: the peer finds it at its next look, and no later one. */
  #turnAtOnce(): void {
    this.#news = true;
    if (this.#turning || this.#closed) return;
    this.#timer.cancel();
    this.#timer = this.#clock.timer(0, this.#turn);
  }

  /** All commands at once: the bus keeps their order, and another process is asked once in place of three times. */
  async #writeAndLook(): Promise<void> {
    this.#putLetter();
    const [theirs] = await Promise.all([this.#readSlot(this.#place.peerId), this.#write()]);
    if (!this.#closed) this.#look(theirs);
  }

  /** The first letter goes into the slot, and stays until it was taken. */
  #putLetter(): void {
    const [letter] = this.#letters;
    const { sent, beat } = this.#mine;
    this.#mine = { ...this.#mine, beat: (beat + 1) >>> 0 };
    if (!letter || this.#underWay) return;
    this.#underWay = true;
    this.#mine = { ...this.#mine, sent: sent + 1, to: letter.to, message: letter.message };
  }

  /** Writes, reads back and compares. */
  async #write(): Promise<void> {
    const data = encodeSlot(this.#mine);
    const { unitId } = this.#place;
    for (let tries = 0; tries < writeTries && !this.#closed; tries += 1) {
      const block = this.#blockOf(this.#attachment.id);
      // A read that overtakes the write, because the bus lost that, finds something else, and both are done again.
      const [written, back] = await Promise.all([
        driven(this.#clock, this.#attachment, unitId, { op: 'write', block, data }),
        driven(this.#clock, this.#attachment, unitId, { op: 'read', block, count: slotBlocks }),
      ]);
      if (written.status !== 'good') return;
      if (back.status === 'good' && Buffer.compare(back.data, data) === 0) return;
    }
  }

  async #readSlot(id: number): Promise<MailboxSlot | null> {
    const { unitId } = this.#place;
    const read = await driven(this.#clock, this.#attachment, unitId, { op: 'read', block: this.#blockOf(id), count: slotBlocks });
    return read.status === 'good' ? decodeSlot(read.data) : null;
  }

  #look(theirs: MailboxSlot | null): void {
    const before = this.#theirs;
    // What an earlier owner of the slot left there does not count: only change shows life.
    const alive = theirs && before && (theirs.beat !== before.beat || theirs.incarnation !== before.incarnation);
    this.#looks = alive ? 0 : this.#looks + 1;
    if (theirs) this.#theirs = theirs;
    if (!theirs || this.#looks >= silentLooks) {
      if (this.#looks >= silentLooks) this.#giveUp();
      return;
    }
    this.#answer(theirs.notice);
    if (theirs.takenFrom === this.#mine.incarnation && theirs.taken === this.#mine.sent) this.#settle(true);
    this.#take(theirs);
  }

  #take({ incarnation, sent, to, message }: MailboxSlot): void {
    const news = incarnation !== this.#mine.takenFrom || sent !== this.#mine.taken;
    if (sent === 0 || !news || to !== this.#attachment.id) return;
    this.#mine = { ...this.#mine, takenFrom: incarnation, taken: sent };
    this.#turnAtOnce();
    this.#host.received(this.#place.peerId, message);
  }

  #answer(notice: Uint8Array | null): void {
    for (const { timer, answered } of this.#questions.splice(0)) {
      timer.cancel();
      answered(notice);
    }
  }

  #settle(arrived: boolean): void {
    if (!this.#underWay) return;
    this.#underWay = false;
    this.#letters.shift()?.delivered(arrived);
    if (this.#letters.length > 0) this.#turnAtOnce();
  }

  /** The peer is gone, and what was for it. */
  #giveUp(): void {
    this.#underWay = false;
    for (const { delivered } of this.#letters.splice(0)) delivered(false);
  }

  #blockOf(id: number): number {
    return this.#place.firstBlock + id * slotBlocks;
  }
}
