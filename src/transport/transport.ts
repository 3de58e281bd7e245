import type { HotMirrorError } from '../errors.ts';

/** What a transport can do; callers look here before they ask. */
export interface TransportCapabilities {
  /** Longest frame that may be sent, in bytes. */
  readonly maxFrameBytes: number;
  /** The peer is proven to hold the shared key before a connection is handed out. */
  readonly authenticated: boolean;
  /** Frames are encrypted on their way. */
  readonly encrypted: boolean;
  /** Fast enough for a data link; otherwise for tokens only. */
  readonly bulk: boolean;
}

/**
 * A way to the one peer node: TCP, a serial line, a simulated bus, an in-memory network.
 *
 * Contract, proven for any implementation by `transportConformance` of `hotmirror/testing`:
 *
 * - Both nodes hold a transport for the same link. Either may listen, dial, or do both at once; each success is a connection of its own.
 * - A connection is handed out only when authentication (where there is a key) is complete at this end.
 * - Whatever arrives that is not a proper peer (garbage, a wrong key, silence) ends that connection with a typed error, reported to
 *   `onRejected`; it never throws, never blocks other connections, and holds bounded memory for a bounded time.
 */
export interface Transport {
  readonly capabilities: TransportCapabilities;
  /** The link as a URL or name, without secrets, for messages. */
  readonly description: string;
  /**
   * Makes one attempt to reach the peer.
   * Rejects with `HM_CONNECT_FAILED`, `HM_HANDSHAKE_TIMEOUT`, `HM_WRONG_KEY`, `HM_WRONG_PEER`, `HM_BAD_MAGIC`, `HM_VERSION`, `HM_UNAUTHENTICATED_BIND`,
   * another code of the transport where what answers breaks the protocol, or `HM_ABORTED` by the signal.
   */
  dial(signal?: AbortSignal): Promise<Connection>;
  /** Accepts connections until the listener is closed. Rejects with `HM_ADDRESS_IN_USE`, `HM_ADDRESS`, `HM_UNAUTHENTICATED_BIND`. */
  listen(handlers: ListenHandlers): Promise<Listener>;
}

/** What a listener tells. */
export interface ListenHandlers {
  /** A peer connected and proved itself. */
  accepted(connection: Connection): void;
  /** Something connected and was turned away; it is already closed. */
  rejected?(error: HotMirrorError): void;
}

/** A listener that is open. */
export interface Listener {
  /** Where it really listens (a port of 0 has become a number). */
  readonly address: string;
  /** Stops accepting; connections already handed out live on. */
  close(): Promise<void>;
}

/**
 * One ordered, reliable stream of frames to the authenticated peer.
 *
 * - **Order**: frames arrive whole, once, and in the order sent, or the connection ends. A frame that fails its checksum, its length limit or its sequence ends it
 *   with `HM_BAD_CHECKSUM`, `HM_FRAME_TOO_LONG` or `HM_OUT_OF_SEQUENCE`, and nothing of it reaches the receiver.
 * - **Buffers**: bytes given to `Receiver.frame` are valid during that call only. Bytes given to `send` must not change until `pendingBytes` is 0 again.
 * - **After the end** `Receiver.closed` is called exactly once, also when this side ended it; afterwards nothing arrives and `send` returns false.
 *   A peer that ended in order (`close`) gives null; one that died, or destroyed it, gives `HM_CONNECTION_LOST`.
 * - **Turns**: no receiver is called from within `receive`, `send`, `resume`, `close` or `destroy`.
 */
export interface Connection {
  /** 16 hexadecimal digits, the same at both ends, fresh for each connection. */
  readonly id: string;
  /** This end dialled. */
  readonly dialled: boolean;
  /** The peer's proven node name; null where the transport has no key. */
  readonly peer: string | null;
  /** The link, for messages. */
  readonly description: string;
  readonly maxFrameBytes: number;
  /** Bytes sent and not yet handed to the operating system. */
  readonly pendingBytes: number;

  /** Sets who receives. Frames that came before wait (bounded) until it is called. To be called once. */
  receive(receiver: Receiver): void;
  /**
   * Sends the parts, joined, as one frame. Returns false when more is pending than the connection likes: wait for `drain` before sending more.
   * A frame above `maxFrameBytes` throws `RangeError`; more than the hard limit pending ends the connection with `HM_SEND_WINDOW`.
   */
  send(parts: readonly Uint8Array[]): boolean;
  /** Stops (and restarts) the flow of frames, at once; the peer feels it as back-pressure. The end may go unnoticed until `resume`. */
  pause(): void;
  /** Lets frames flow again. */
  resume(): void;
  /**
   * Sends what is pending (bounded by the transport's close deadline), then ends. Resolves when it has ended.
   * From this call on no frame is delivered here; `closed` gets null, or `HM_CONNECTION_LOST` where not everything could be sent.
   */
  close(): Promise<void>;
  /** Ends at once; pending bytes may be lost. `closed` gets the error, or null. */
  destroy(error?: HotMirrorError): void;
}

/** Who gets what a connection brings. None of these may throw. */
export interface Receiver {
  /** One frame; `bytes` is valid during the call only. */
  frame(bytes: Uint8Array): void;
  /** All frames that one read of the line brought are delivered: the moment to send replies together. */
  batchEnd?(): void;
  /** `pendingBytes` is 0 again after `send` returned false. */
  drain?(): void;
  /** The connection has ended: null when either side closed it in order, else why. */
  closed(error: HotMirrorError | null): void;
}
