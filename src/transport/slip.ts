/** What stands between packets, and what escapes it, as in RFC 1055. */
const end = 0xc0;
const escape = 0xdb;
const escapedEnd = 0xdc;
const escapedEscape = 0xdd;

/** Writes a packet so that no byte of it is the one that ends packets; one stands at each side of it, so that noise before it ends where it begins. */
export function slipEncode(packet: Uint8Array): Buffer {
  let lengthBytes = packet.length + 2;
  for (const byte of packet) if (byte === end || byte === escape) lengthBytes += 1;
  const encoded = Buffer.allocUnsafe(lengthBytes);
  let at = encoded.writeUInt8(end, 0);
  for (const byte of packet) {
    const special = byte === end || byte === escape;
    if (special) at = encoded.writeUInt8(escape, at);
    at = encoded.writeUInt8(special ? (byte === end ? escapedEnd : escapedEscape) : byte, at);
  }
  encoded.writeUInt8(end, at);
  return encoded;
}

/** What a decoder found. */
export interface SlipHandlers {
  /** Bytes between two ends; they are valid during the call only. Whether they are a packet, their checksum must tell. */
  packet(bytes: Uint8Array): void;
  /** So many bytes were dropped: longer than any packet, or with an escape that escapes nothing. */
  dropped(bytes: number): void;
}

/** Takes packets out of whatever comes, in memory of one packet. */
export class SlipDecoder {
  readonly #packet: Buffer;
  readonly #handlers: SlipHandlers;
  #lengthBytes = 0;
  #escaped = false;
  /** Bytes dropped since the last end; they are more than 0 where what comes up to the next end is no packet. */
  #droppedBytes = 0;

  constructor(longestBytes: number, handlers: SlipHandlers) {
    this.#packet = Buffer.alloc(longestBytes);
    this.#handlers = handlers;
  }

  /** Takes what was read. */
  take(chunk: Uint8Array): void {
    for (const byte of chunk) {
      if (byte === end) this.#end();
      else if (this.#droppedBytes > 0) this.#droppedBytes += 1;
      else if (this.#escaped) this.#afterEscape(byte);
      else if (byte === escape) this.#escaped = true;
      else this.#add(byte);
    }
  }

  #afterEscape(byte: number): void {
    this.#escaped = false;
    if (byte === escapedEnd) this.#add(end);
    else if (byte === escapedEscape) this.#add(escape);
    else this.#drop();
  }

  #add(byte: number): void {
    if (this.#lengthBytes === this.#packet.length) this.#drop();
    else this.#packet[this.#lengthBytes++] = byte;
  }

  #drop(): void {
    this.#droppedBytes = this.#lengthBytes + 1;
    this.#lengthBytes = 0;
  }

  #end(): void {
    const [lengthBytes, droppedBytes] = [this.#lengthBytes, this.#droppedBytes + Number(this.#escaped)];
    this.#lengthBytes = 0;
    this.#droppedBytes = 0;
    if (this.#escaped) {
      this.#escaped = false;
      this.#handlers.dropped(lengthBytes + droppedBytes);
    } else if (droppedBytes > 0) this.#handlers.dropped(droppedBytes);
    else if (lengthBytes > 0) this.#handlers.packet(this.#packet.subarray(0, lengthBytes));
  }
}
