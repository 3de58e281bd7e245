import { crc32 } from 'node:zlib';

import { scsiBlockBytes, scsiIds } from './command.ts';

/** Blocks of a slot. Slot 0 begins at the first block of the mailbox; the slot of id n is number n. */
export const slotBlocks = 8;
/** Blocks of a mailbox: a slot for each id. */
export const mailboxBlocks: number = scsiIds * slotBlocks;
/** Bytes of a slot. */
export const slotBytes: number = slotBlocks * scsiBlockBytes;

/** What a node's slot holds. Only its node writes it. */
export interface MailboxSlot {
  /** 16 hexadecimal digits, fresh each time the node opens the mailbox. */
  readonly incarnation: string;
  /** Grows with each write of the slot, so that a reader sees that the node lives. */
  readonly beat: number;
  /** The message that lies here, counted from 1; 0: none yet. */
  readonly sent: number;
  /** The node that the message is for. */
  readonly to: number;
  /** Of whose messages `taken` tells: the other node's incarnation; zeroes before the first. */
  readonly takenFrom: string;
  /** The latest message of the other node that this one has taken. */
  readonly taken: number;
  readonly notice: Uint8Array;
  readonly message: Uint8Array;
}

/** Stands for an incarnation that was never seen. */
export const noIncarnation = '0000000000000000';

const magic = Buffer.from('HMSLOT1\n', 'latin1');
const incarnationAt = 8;
const incarnationBytes = 8;
const beatAt = 16;
const sentAt = 20;
const takenFromAt = 24;
const takenAt = 32;
const toAt = 36;
const noticeLengthAt = 37;
const messageLengthAt = 38;
const crcAt = 40;
const noticeAt = 44;
/** Longest notice in a slot, in bytes. */
export const longestNoticeBytes = 84;
const messageAt: number = noticeAt + longestNoticeBytes;
/** Longest message in a slot, in bytes. */
export const longestSlotMessageBytes: number = slotBytes - messageAt;

/** The bytes of a slot. Throws `RangeError` where notice or message is too long. */
export function encodeSlot({ incarnation, beat, sent, to, takenFrom, taken, notice, message }: MailboxSlot): Uint8Array {
  if (notice.length > longestNoticeBytes) throw new RangeError(`a notice holds at most ${String(longestNoticeBytes)} bytes`);
  if (message.length > longestSlotMessageBytes) throw new RangeError(`a message holds at most ${String(longestSlotMessageBytes)} bytes`);
  const bytes = Buffer.alloc(slotBytes);
  magic.copy(bytes);
  bytes.write(incarnation, incarnationAt, incarnationBytes, 'hex');
  bytes.writeUInt32BE(beat, beatAt);
  bytes.writeUInt32BE(sent, sentAt);
  bytes.write(takenFrom, takenFromAt, incarnationBytes, 'hex');
  bytes.writeUInt32BE(taken, takenAt);
  bytes.writeUInt8(to, toAt);
  bytes.writeUInt8(notice.length, noticeLengthAt);
  bytes.writeUInt16BE(message.length, messageLengthAt);
  bytes.set(notice, noticeAt);
  bytes.set(message, messageAt);
  bytes.writeUInt32BE(checksum(bytes), crcAt);
  return bytes;
}

/** Reads a slot; null where it was never written, or is damaged. */
export function decodeSlot(slot: Uint8Array): MailboxSlot | null {
  const bytes = Buffer.from(slot);
  if (bytes.length !== slotBytes || magic.compare(bytes, 0, magic.length) !== 0) return null;
  const [noticeBytes, messageBytes] = [bytes.readUInt8(noticeLengthAt), bytes.readUInt16BE(messageLengthAt)];
  if (noticeBytes > longestNoticeBytes || messageBytes > longestSlotMessageBytes || checksum(bytes) !== bytes.readUInt32BE(crcAt))
    return null;
  return {
    incarnation: bytes.toString('hex', incarnationAt, incarnationAt + incarnationBytes),
    beat: bytes.readUInt32BE(beatAt),
    sent: bytes.readUInt32BE(sentAt),
    takenFrom: bytes.toString('hex', takenFromAt, takenFromAt + incarnationBytes),
    taken: bytes.readUInt32BE(takenAt),
    to: bytes.readUInt8(toAt),
    notice: bytes.subarray(noticeAt, noticeAt + noticeBytes),
    message: bytes.subarray(messageAt, messageAt + messageBytes),
  };
}

/** The CRC-32 of everything but itself. */
function checksum(bytes: Buffer): number {
  return crc32(bytes.subarray(noticeAt), crc32(bytes.subarray(0, crcAt)));
}
