import { maxBodyBytes } from '../mirror/wire.ts';
import { lineMs } from '../transport/serial-pace.ts';
import { maxPacketBytes } from '../transport/serial-packet.ts';

/** How slow a link is by its kind, in whole ms. */
export interface LinkPace {
  /** From the first byte until both ends are proven, with what is damaged and sent again. */
  readonly connectMs: number;
  /** A token and its answer. */
  readonly tripMs: number;
  /** How long the tokens and answers of both nodes keep it busy, in each interval. */
  readonly tokensMs: number;
  /** How long after the death of a node its last word may still come. */
  readonly lastWordMs: number;
  /** The longest write of a mirror, in one piece; 0 where it is for tokens only. */
  readonly writeMs: number;
}

/** A dial may take half of a deadline. */
const dialsPerDeadline = 2;

/** The shortest deadline with which a link can connect, in ms. */
export function dialNeedsMs({ connectMs }: LinkPace): number {
  return dialsPerDeadline * connectMs;
}

/** A late link is late with what it has: tokens that are to find out whether it lives leave it as much for answers, and for what was there before. */
const tokensPerLateProbe = 2;

/** How long, at least, between two tokens on a link that is late. */
export function lateProbeNeedsMs({ tokensMs }: LinkPace): number {
  return tokensPerLateProbe * tokensMs;
}

/** While a write passes, nothing else shows that the peer lives; what is sent again, and machines that are late, need as much again. */
const writesPerDeadline = 2;

/** The shortest deadline with which a mirror's longest write passes, in ms. */
export function writeNeedsMs({ writeMs }: LinkPace): number {
  return writesPerDeadline * writeMs;
}

/** Bytes on a serial line, deflated and sealed, with their packets (docs/serial.md). */
const connectingBytes = 2_100;
const tokenBytes = 72;
const tokensBytes = 150;
/** What the system holds beside one packet. */
const handedOverMs = 10;

/** A serial line of that rate. */
export function serialPace(baudRate: number): LinkPace {
  const wholeMs = (bytes: number): number => Math.ceil(lineMs(bytes, baudRate));
  return {
    connectMs: wholeMs(connectingBytes),
    tripMs: wholeMs(2 * tokenBytes),
    tokensMs: wholeMs(tokensBytes),
    lastWordMs: wholeMs(maxPacketBytes) + handedOverMs,
    writeMs: wholeMs(maxBodyBytes),
  };
}

/** A look at the slots costs a moment of the bus and of both machines; so often is enough. */
const pollsPerDeadline = 50;
const shortestPollMs = 10;
const longestPollMs = 100;
/** What the commands of a look take on a served bus, on a machine that has time for them. */
const lookMs = 5;
/** Where both nodes dial at once; it was measured to take 10. */
const connectingPolls = 12;
const tripPolls = 2;

/** Between two looks at a mailbox, so that a dial fits well into the half of a deadline that it has. */
export function mailboxPollMs(deadlineMs: number): number {
  return Math.min(longestPollMs, Math.max(shortestPollMs, Math.ceil(deadlineMs / pollsPerDeadline)));
}

/** A mailbox, looked at as often as it is between nodes with that deadline. */
export function mailboxPace(deadlineMs: number): LinkPace {
  const pollMs = mailboxPollMs(deadlineMs) + lookMs;
  return {
    connectMs: connectingPolls * pollMs,
    tripMs: tripPolls * pollMs,
    // What gathers meanwhile goes in one message.
    tokensMs: tripPolls * pollMs,
    lastWordMs: pollMs,
    writeMs: 0,
  };
}
