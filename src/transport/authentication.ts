import { createHash, createHmac, createPrivateKey, createPublicKey, diffieHellman, hkdfSync, timingSafeEqual } from 'node:crypto';
import type { KeyObject } from 'node:crypto';

import { z } from 'zod';

import { randomHex } from '../clock/random.ts';
import type { Random } from '../clock/random.ts';
import { HotMirrorError } from '../errors.ts';
import type { ErrorCode } from '../errors.ts';
import { joined } from './frame-bytes.ts';
import { sealingKeyBytes } from './sealing.ts';

/** Length of the key that both nodes share, in bytes. */
export const sharedKeyBytes = 32;
/** Longest message of a handshake, in bytes: what a stranger can make a node hold. */
export const maxHandshakeMessageBytes = 4_096;

const nonceBytes = 32;
const hexOf32Bytes = /^[0-9a-f]{64}$/;
const connectionIdDigits = 16;
// X25519 keys (RFC 8410) have fixed DER prefixes.
const privateKeyPrefix = Buffer.from('302e020100300506032b656e04220420', 'hex');
const publicKeyPrefix = Buffer.from('302a300506032b656e032100', 'hex');
const eitherKey = 'The log of the other node says what it does not trust: the certificate of this node, or the key of `auth.keyFile`.';
const noKey = new Uint8Array(sharedKeyBytes);

/** Who this end is, whom it wants, and for what; the other end must say the mirror image. */
export interface HandshakeIdentity {
  readonly pair: string;
  readonly node: string;
  readonly peer: string;
  /** The link and its use, such as `data:m0`. */
  readonly purpose: string;
  /** The shared key; null where the link is trusted (loopback only): then nobody's name is proven. */
  readonly key: Uint8Array | null;
  /** This end wants frames encrypted; they are when either end does. */
  readonly encrypt: boolean;
  /** What both ends know of the encrypted channel around the handshake, and nobody who sits between two such channels can; null, or absent, without one. */
  readonly binding?: Uint8Array | null;
}

/** What a handshake came to. */
export interface HandshakeOutcome {
  readonly connectionId: string;
  readonly peer: string | null;
  /** Keys for sealing frames; null where both ends agreed on plain ones. */
  readonly keys: { readonly send: Uint8Array; readonly receive: Uint8Array } | null;
}

const name = z.string();
const bytes32 = z.string().regex(hexOf32Bytes);
const refusalCodes = ['HM_WRONG_KEY', 'HM_WRONG_PEER', 'HM_VERSION', 'HM_PROTOCOL'] as const satisfies readonly ErrorCode[];
const messageSchema = z.discriminatedUnion('kind', [
  z.object({
    kind: z.literal('hello'),
    pair: name,
    node: name,
    peer: name,
    purpose: name,
    nonce: bytes32,
    publicKey: bytes32,
    encrypt: z.boolean(),
  }),
  z.object({ kind: z.literal('challenge'), nonce: bytes32, publicKey: bytes32, encrypt: z.boolean() }),
  z.object({ kind: z.literal('proof'), proof: bytes32 }),
  z.object({ kind: z.literal('refusal'), code: z.enum(refusalCodes) }),
]);
type Message = z.infer<typeof messageSchema>;
type Hello = Extract<Message, { kind: 'hello' }>;
type Challenge = Extract<Message, { kind: 'challenge' }>;

/** What is settled once hello and challenge are exchanged. */
interface Agreement {
  /** Hash of everything said so far, by both ends. */
  readonly transcript: Buffer;
  readonly theirPublicKey: string;
  readonly encrypt: boolean;
}

/**
 * Mutual challenge and response by a shared key, without I/O, for any kind of transport:
 *
 * ```
 * dialler   hello { pair, node, peer, purpose, nonce, publicKey, encrypt }
 * listener                        challenge { nonce, publicKey, encrypt }
 * dialler   proof = HMAC(key, "dialler", transcript)
 * listener                        proof = HMAC(key, "listener", transcript)
 * ```
 *
 * The transcript covers both preambles, hello and challenge, and what binds the handshake to the channel around it, so nothing of them can be changed on the way; the label makes a reflected proof worthless,
 * and the dialler proves first, so that a listener proves nothing to strangers. Either end may answer with a refusal in place of its message.
 * Frames are sealed by keys that both the shared key and an ephemeral X25519 exchange go into: who learns the shared key later cannot read them.
 */
export class Handshake {
  readonly #role: 'dialler' | 'listener';
  readonly #identity: HandshakeIdentity;
  readonly #key: Uint8Array;
  readonly #privateKey: KeyObject;
  readonly #nonce: string;
  readonly #publicKey: string;
  readonly #preambles: readonly Uint8Array[];
  #hello: Uint8Array | null = null;
  #agreement: Agreement | null = null;
  #outcome: HandshakeOutcome | null = null;

  /** `preambles` are what the dialler and the listener sent, in this order. Throws `RangeError` for a key of another length. */
  constructor(role: 'dialler' | 'listener', identity: HandshakeIdentity, random: Random, preambles: readonly [Uint8Array, Uint8Array]) {
    if (identity.key && identity.key.length !== sharedKeyBytes)
      throw new RangeError(`the shared key must hold ${String(sharedKeyBytes)} bytes`);
    this.#role = role;
    this.#identity = identity;
    this.#key = derive(identity.key ?? noKey, new Uint8Array(0), 'hotmirror 1 authentication');
    this.#privateKey = createPrivateKey({ key: Buffer.concat([privateKeyPrefix, random.bytes(32)]), format: 'der', type: 'pkcs8' });
    this.#publicKey = createPublicKey(this.#privateKey)
      .export({ format: 'der', type: 'spki' })
      .subarray(publicKeyPrefix.length)
      .toString('hex');
    this.#nonce = randomHex(random, nonceBytes);
    this.#preambles = preambles;
  }

  /** What the handshake came to; null until then. */
  get outcome(): HandshakeOutcome | null {
    return this.#outcome;
  }

  /** The dialler's first message. */
  hello(): Uint8Array {
    const { pair, node, peer, purpose, encrypt } = this.#identity;
    this.#hello = encode({ kind: 'hello', pair, node, peer, purpose, nonce: this.#nonce, publicKey: this.#publicKey, encrypt });
    return this.#hello;
  }

  /** Takes a message of the other end and gives the answer, where there is one. Throws `HM_PROTOCOL`, `HM_WRONG_PEER`, `HM_WRONG_KEY` or what the other end refused with. */
  hear(bytes: Uint8Array): Uint8Array | null {
    const message = decode(bytes);
    if (message.kind === 'refusal') throw this.#refused(message.code);
    if (this.#role === 'listener' && message.kind === 'hello' && !this.#hello) return this.#answerHello(message, bytes);
    if (this.#role === 'dialler' && message.kind === 'challenge' && this.#hello && !this.#agreement)
      return this.#answerChallenge(message, bytes);
    if (message.kind === 'proof' && this.#agreement && !this.#outcome) return this.#answerProof(message.proof, this.#agreement);
    throw new HotMirrorError('HM_PROTOCOL', `a ${message.kind} came out of turn`);
  }

  #refused(code: ErrorCode): HotMirrorError {
    const { peer, purpose, binding } = this.#identity;
    const details = binding && code === 'HM_WRONG_KEY' ? { details: { remedy: eitherKey } } : {};
    return new HotMirrorError(code, `${peer} refused the connection for ${purpose}`, details);
  }

  #answerHello(hello: Hello, bytes: Uint8Array): Uint8Array {
    const mine = this.#identity;
    if (hello.pair !== mine.pair || hello.node !== mine.peer || hello.peer !== mine.node || hello.purpose !== mine.purpose) {
      const [theirs, wanted] = [`${hello.node} for ${hello.peer}`, `${mine.peer} for ${mine.node}`].map((who) => JSON.stringify(who));
      const where = `pair ${JSON.stringify(hello.pair)}, ${JSON.stringify(hello.purpose)}`;
      throw new HotMirrorError(
        'HM_WRONG_PEER',
        `${String(theirs)} (${where}) dialled instead of ${String(wanted)} (pair "${mine.pair}", "${mine.purpose}")`,
      );
    }
    const encrypt = hello.encrypt || mine.encrypt;
    const challenge = encode({ kind: 'challenge', nonce: this.#nonce, publicKey: this.#publicKey, encrypt });
    this.#hello = joined([bytes]);
    this.#agreement = { transcript: this.#hash(this.#hello, challenge), theirPublicKey: hello.publicKey, encrypt };
    return challenge;
  }

  #answerChallenge(challenge: Challenge, bytes: Uint8Array): Uint8Array {
    if (this.#identity.encrypt && !challenge.encrypt) throw new HotMirrorError('HM_PROTOCOL', 'the other end would not encrypt');
    const transcript = this.#hash(this.#hello ?? new Uint8Array(0), bytes);
    this.#agreement = { transcript, theirPublicKey: challenge.publicKey, encrypt: challenge.encrypt };
    return encode({ kind: 'proof', proof: this.#proof('dialler', transcript).toString('hex') });
  }

  #answerProof(proof: string, agreement: Agreement): Uint8Array | null {
    const theirRole = this.#role === 'dialler' ? 'listener' : 'dialler';
    if (!timingSafeEqual(Buffer.from(proof, 'hex'), this.#proof(theirRole, agreement.transcript))) {
      throw new HotMirrorError(
        'HM_WRONG_KEY',
        `what calls itself ${this.#identity.peer} does not hold the key of pair ${this.#identity.pair}`,
      );
    }
    this.#outcome = {
      connectionId: this.#hmac('connection id', agreement.transcript).toString('hex').slice(0, connectionIdDigits),
      peer: this.#identity.key ? this.#identity.peer : null,
      keys: agreement.encrypt ? this.#sealingKeys(agreement) : null,
    };
    return this.#role === 'listener'
      ? encode({ kind: 'proof', proof: this.#proof('listener', agreement.transcript).toString('hex') })
      : null;
  }

  #sealingKeys({ transcript, theirPublicKey }: Agreement): { send: Uint8Array; receive: Uint8Array } {
    const secret = joined([this.#identity.key ?? noKey, exchange(this.#privateKey, theirPublicKey)]);
    const fromDialler = derive(secret, transcript, 'hotmirror 1 frames of the dialler');
    const fromListener = derive(secret, transcript, 'hotmirror 1 frames of the listener');
    return this.#role === 'dialler' ? { send: fromDialler, receive: fromListener } : { send: fromListener, receive: fromDialler };
  }

  #hash(hello: Uint8Array, challenge: Uint8Array): Buffer {
    const hash = createHash('sha256');
    const { binding } = this.#identity;
    for (const part of [...this.#preambles, hello, challenge, ...(binding ? [binding] : [])]) {
      const length = Buffer.alloc(4);
      length.writeUInt32LE(part.length, 0);
      hash.update(length).update(part);
    }
    return hash.digest();
  }

  #proof(role: 'dialler' | 'listener', transcript: Uint8Array): Buffer {
    return this.#hmac(`proof of the ${role}`, transcript);
  }

  #hmac(label: string, transcript: Uint8Array): Buffer {
    return createHmac('sha256', this.#key).update(`hotmirror 1 ${label}\n`).update(transcript).digest();
  }
}

/** The message that tells the other end why it is turned away; null for what it need not know. */
export function refusal(error: HotMirrorError): Uint8Array | null {
  const code = refusalCodes.find((known) => known === error.code);
  return code ? encode({ kind: 'refusal', code }) : null;
}

function encode(message: Message): Uint8Array {
  return Buffer.from(JSON.stringify(message));
}

function decode(bytes: Uint8Array): Message {
  try {
    return messageSchema.parse(JSON.parse(Buffer.from(bytes).toString('utf8')));
  } catch (cause) {
    throw new HotMirrorError('HM_PROTOCOL', 'a message of the handshake cannot be read', { cause });
  }
}

function derive(secret: Uint8Array, salt: Uint8Array, info: string): Uint8Array {
  return new Uint8Array(hkdfSync('sha256', secret, salt, info, sealingKeyBytes));
}

function exchange(privateKey: KeyObject, theirPublicKey: string): Uint8Array {
  try {
    const publicKey = createPublicKey({
      key: Buffer.concat([publicKeyPrefix, Buffer.from(theirPublicKey, 'hex')]),
      format: 'der',
      type: 'spki',
    });
    return diffieHellman({ privateKey, publicKey });
  } catch (cause) {
    throw new HotMirrorError('HM_PROTOCOL', 'the public key of the other end is not usable', { cause });
  }
}
