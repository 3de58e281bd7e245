/**
 * The numbers of the NBD protocol, by the names of its text (`doc/proto.md` of the NBD project). All fields are big-endian.
 */

/** What messages begin with. */
export const magic = {
  server: 0x4e42444d41474943n,
  option: 0x49484156454f5054n,
  optionReply: 0x0003e889045565a9n,
  request: 0x25609513,
  simpleReply: 0x67446698,
  structuredReply: 0x668e33ef,
} as const;

/** What a server offers before the client has said anything, and what the client takes of it: the same bits. */
export const handshakeFlags = { fixedNewstyle: 0x1, noZeroes: 0x2 } as const;

/** What an export can do. */
export const transmissionFlags = {
  hasFlags: 0x1,
  readOnly: 0x2,
  sendFlush: 0x4,
  sendFua: 0x8,
  sendTrim: 0x20,
  sendWriteZeroes: 0x40,
  sendDf: 0x80,
  canMultiConn: 0x100,
  sendCache: 0x400,
  sendFastZero: 0x800,
} as const;

/** What a client may ask for while it haggles. */
export const options = {
  exportName: 1,
  abort: 2,
  list: 3,
  starttls: 5,
  info: 6,
  go: 7,
  structuredReply: 8,
  listMetaContext: 9,
  setMetaContext: 10,
} as const;

/** Kinds of answers to an option. Those with the highest bit are refusals and may carry a text for people. */
export const optionReplies = {
  ack: 1,
  server: 2,
  info: 3,
  metaContext: 4,
  unsupported: 0x80000001,
  policy: 0x80000002,
  invalid: 0x80000003,
  tlsRequired: 0x80000005,
  unknown: 0x80000006,
  shutdown: 0x80000007,
  tooBig: 0x80000009,
} as const;

/** Kinds of information about an export. */
export const infos = { export: 0, name: 1, description: 2, blockSize: 3 } as const;

/** What a client may request of an export. */
export const commands = { read: 0, write: 1, disconnect: 2, flush: 3, trim: 4, cache: 5, writeZeroes: 6, blockStatus: 7 } as const;

/** How a request is to be carried out. */
export const commandFlags = { fua: 0x1, noHole: 0x2, df: 0x4, reqOne: 0x8, fastZero: 0x10 } as const;

/** Structured replies: the last chunk of one, and the kinds of chunks. */
export const replyFlagDone = 1;
export const chunks = { none: 0, offsetData: 1, blockStatus: 5, error: 0x8001 } as const;

/** The errors that a reply may carry. */
export const errors = {
  none: 0,
  EPERM: 1,
  EIO: 5,
  ENOMEM: 12,
  EINVAL: 22,
  ENOSPC: 28,
  EOVERFLOW: 75,
  ENOTSUP: 95,
  ESHUTDOWN: 108,
} as const;

/** The number of an error in a reply. */
export type ReplyError = (typeof errors)[keyof typeof errors];

/** The one metadata context that the protocol defines. */
export const baseAllocation = 'base:allocation';

/** What `base:allocation` says of a range, in bits; none of them: it may hold data. */
export const allocationStates = { hole: 1, zero: 2 } as const;

/** Sizes of what travels, in bytes. */
export const sizes = {
  greeting: 18,
  clientFlags: 4,
  optionHeader: 16,
  optionReplyHeader: 20,
  request: 28,
  simpleReply: 16,
  chunkHeader: 20,
  chunkOffset: 8,
  statusContext: 4,
  statusDescriptor: 8,
  /** After the answer to `exportName`, for clients that did not ask to be spared. */
  reservedZeroes: 124,
  /** The longest string that the protocol allows. */
  text: 4096,
} as const;
