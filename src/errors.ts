/**
 * Every error code with its remedy. Codes are stable within a major version; messages are not.
 * `docs/errors.md` lists the same table and a test compares the two.
 */
const remedies = {
  // anywhere
  HM_ABORTED: 'The wait was given up by its caller; what had been made durable stays. Ask again if the wish still holds.',
  HM_CLOSED: 'The object was closed. Open a new one.',
  HM_NOT_SUPPORTED: 'This build or device cannot do that. The message names what it can do.',
  HM_PACKAGE_MISSING: 'An optional package is not installed. Install it beside hotmirror, as the message says.',
  HM_INTERNAL: 'An assumption of the code does not hold. Stop the node, keep its state folder and report the message.',

  // transport
  HM_ADDRESS: 'The address cannot be used. The message says what is wrong with it.',
  HM_ADDRESS_IN_USE: 'Another process listens there. Stop it or choose another address.',
  HM_SOCKET_OWNER: 'Another user serves there, who could read along and lie. Serve it as the user of the node, or as root.',
  HM_UNAUTHENTICATED_BIND:
    'Nothing listens beyond loopback to whoever comes. Configure `auth.keyFile`; for an export, `nbds` with `caFile` or `pskFile`.',
  HM_CONNECT_FAILED: 'The peer could not be reached. It is tried again; check that it runs and that the address is right.',
  HM_CONNECTION_LOST: 'The connection broke or fell silent. It is dialled again.',
  HM_TARGET_STALLED:
    'The other node answers and its element takes nothing: its disk hangs, or is slower than `ackDeadlineMs`. The service goes on without it by rule `alone`. Look at that disk; once it answers the element is regenerated.',
  HM_HANDSHAKE_TIMEOUT: 'The other end accepted and then did not finish the handshake. Check what listens there.',
  HM_WRONG_KEY: 'The two nodes do not hold the same key. Copy the key file from the home primary.',
  HM_WRONG_PEER: 'Something else of this pair answered at that address. Check the addresses of the links.',
  HM_BAD_MAGIC: 'What connected does not speak this protocol. Check what runs at that address.',
  HM_VERSION: 'The two nodes run versions that have no protocol in common. Update the older one.',
  HM_FRAME_TOO_LONG: 'A frame above the agreed limit arrived and the connection was closed. Both nodes need the same limits.',
  HM_BAD_CHECKSUM: 'A frame arrived damaged and the connection was closed; it is dialled again. If it repeats, test the network.',
  HM_OUT_OF_SEQUENCE: 'A frame was lost, repeated or replayed; the connection was closed and is dialled again.',
  HM_PROTOCOL: 'The peer sent a message that makes no sense here; the connection was closed. If both versions are equal, report it.',
  HM_SEND_WINDOW: 'More was sent than the connection may hold. Wait for `drain`.',

  // device
  HM_DEVICE_NOT_FOUND: 'No such file or device. Create it first; hotmirror never creates an element.',
  HM_DEVICE_IN_USE: 'Another process holds this element. Stop it: two owners of one disk destroy it.',
  HM_DEVICE_ACCESS: 'The file or device cannot be opened for reading and writing. Check its owner and mode.',
  HM_OUT_OF_RANGE: 'The request reaches beyond the end of the device.',
  HM_UNALIGNED: 'Offset and length must be multiples of the block size.',
  HM_IO_READ:
    'The device failed to read, and the element of the peer could not help: it is not `uptodate`, or cannot read the same block either. Writing the block again may mend it. Where this node serves, run `hotmirror fallback` (`recover` from the home standby). Then replace the device, run `hotmirror init --force --blank` here and let it be filled.',
  HM_IO_WRITE:
    'The device failed to write. Where this node serves, it serves through the other node while that holds everything: run `hotmirror switchover`. Where the service ended, because the other node failed too or was away, stop this node, and on the other run `hotmirror fallback --force --yes` (`recover` where that is the home primary). Then replace the device, run `hotmirror init --force --blank` here and let it be filled.',
  HM_IO_FLUSH:
    'The device failed to make data durable; what it holds cannot be trusted. Where this node serves, it serves through the other node while that holds everything: run `hotmirror switchover`. Where the service ended, because the other node failed too or was away, stop this node, and on the other run `hotmirror fallback --force --yes` (`recover` where that is the home primary). Then replace the device, run `hotmirror init --force --blank` here and let it be filled.',
  HM_NO_SPACE: 'The file system under the element is full. Free space; the data already there is intact.',

  // durable state
  HM_METADATA_MISSING: 'This element has no metadata. Run `hotmirror init`.',
  HM_METADATA_EXISTS:
    'This node was initialised before. `init --force` forgets what it knows of the data; add `--blank` where the other node holds the newer data.',
  HM_METADATA_CORRUPT:
    'Both copies are damaged. If the other node holds the data, run `hotmirror init --force --blank` here and let it be filled.',
  HM_METADATA_VERSION: 'The file was written by a newer version. Update this node.',
  HM_STATE_UNWRITABLE: 'The state folder cannot be written. Check its owner, mode and free space.',

  // mirror
  HM_NOT_SERVING: 'This node does not serve the mirror. Ask the serving node.',
  HM_STALE_EPOCH: 'The other node has taken over with a higher epoch. Nothing of this request was acknowledged.',
  HM_SPLIT_BRAIN:
    'Both elements were written alone. Nothing is copied until an operator names the survivor: `hotmirror resolve MIRROR --survivor NODE`.',
  HM_UNRELATED:
    'The two elements belong to different mirrors. Check the configuration; `init --force --blank` gives up the data of the node it is run on.',
  HM_BOTH_BLANK: 'Neither element holds data. Run `init` on the home primary.',
  HM_ELEMENT_TOO_SMALL:
    'An element is smaller than the mirror. Use a device at least as large; or, where what the home primary holds ends before, set `sizeBytes` of the mirror and run `init --force` there.',
  HM_NO_DIRECTION: 'Both elements may hold the newer data. An operator must name the survivor: `hotmirror resolve MIRROR --survivor NODE`.',
  HM_BUSY: 'Too many requests wait. Send fewer at a time.',

  // heartbeat
  HM_PEER_UNREACHABLE: 'No monitor link to the peer is up. Look at the other node, and at `hotmirror status` for why each link is down.',
  HM_REQUEST_TIMEOUT: 'The peer did not answer in time. Whether it acted is unknown; ask for its status.',

  // failover
  HM_REFUSED:
    'The message says what stands in the way, and the rule why: look at `hotmirror status` of both nodes, and ask again once that has changed.',
  HM_STEP_FAILED: 'A step failed for good and the sequence stopped there. Mend what its message says and run the command again.',
  HM_STEP_TIMEOUT: 'A step did not finish in time. Whether it took effect is probed before it is run again.',

  // node and command
  HM_SALVAGE:
    'Name a file that `hotmirror resolve --salvage` made, on the node that gave way, and an extent that `hotmirror salvage ls` lists.',
  HM_USAGE: 'See `hotmirror --help`.',
  HM_CONFIG: 'The configuration is not valid; the message names the path.',
  HM_KEY_MISSING: '`hotmirror init` makes the key file on the home primary; copy it from there to the home standby.',
  HM_KEY_INVALID: 'The key file must hold 32 bytes and be readable by its owner only.',
  HM_TLS_KEYS:
    'The key, certificate, CA or pre-shared keys of an export cannot be used. Check the files that `mirrors[].export` names; those that hold keys must be readable by their owner only.',
  HM_NODE_RUNNING: 'This node already runs on this machine; stop it first if it is to start anew.',
  HM_NO_NODE: 'No node answers on the control socket. Start it with `hotmirror run`; of a simulated pair, `boot` or `resume` it.',
  HM_THREAD_DIED: 'The thread of a mirror ended unexpectedly; the node stops serving. Look at its log and start it again.',

  // simulation
  HM_INVARIANT:
    'A simulated pair broke a promise. The same test, or the same seed of `hotmirror simulate`, breaks it again; `timelinePage(pair.log, …)`, or `--report FILE.html`, shows how. Report it with the test or the schedule.',
  HM_NOT_REACHED: 'The simulated pair did not come to that in time. `pair.explain()` says who waits for what.',
  HM_NODE_DIED:
    'The simulated node died before it answered, so what it was asked may have been done or not. Wait until a node serves, then look.',
} as const;

/** A stable name for what went wrong. */
export type ErrorCode = keyof typeof remedies;

/** All codes with their remedies, for documentation and for tools that list them. */
export const errorRemedies: Readonly<Record<ErrorCode, string>> = remedies;

/** What may accompany an error. */
export interface HotMirrorErrorOptions {
  /** The error behind this one. */
  readonly cause?: unknown;
  /** The rule that refused, for `HM_REFUSED` and its like. */
  readonly rule?: string;
  /** Plain, serialisable facts for programs. */
  readonly details?: Readonly<Record<string, unknown>>;
}

/** The plain form of an error, for messages between threads and nodes. */
export interface SerializedError {
  readonly code: ErrorCode;
  readonly message: string;
  readonly rule?: string;
  readonly details?: Readonly<Record<string, unknown>>;
}

const brand: unique symbol = Symbol.for('hotmirror.error') as never;

/**
 * The one error class of hotmirror. Match on {@link HotMirrorError.code}; `instanceof` works across copies of the package.
 */
export class HotMirrorError extends Error {
  override readonly name: string = 'HotMirrorError';
  /** The stable code. */
  readonly code: ErrorCode;
  /** What a person can do about it: `details.remedy`, where this error has one of its own, or that of the code. */
  readonly remedy: string;
  /** The rule that refused, where one did. */
  readonly rule?: string;
  /** Plain facts, where there are any. */
  readonly details?: Readonly<Record<string, unknown>>;

  static {
    Object.defineProperty(this.prototype, brand, { value: true });
  }

  constructor(code: ErrorCode, message: string, options: HotMirrorErrorOptions = {}) {
    super(message, options.cause === undefined ? {} : { cause: options.cause });
    this.code = code;
    const given = options.details?.['remedy'];
    this.remedy = typeof given === 'string' ? given : remedies[code];
    if (options.rule !== undefined) this.rule = options.rule;
    if (options.details !== undefined) this.details = options.details;
  }

  /** The plain form, to be sent to another thread or node. */
  toJSON(): SerializedError {
    return {
      code: this.code,
      message: this.message,
      ...(this.rule === undefined ? {} : { rule: this.rule }),
      ...(this.details === undefined ? {} : { details: this.details }),
    };
  }

  /** Makes an error of what `toJSON` gave, or of anything else that a peer sent in its place. */
  static fromJSON(value: unknown): HotMirrorError {
    const plain = (typeof value === 'object' && value !== null ? value : {}) as Partial<SerializedError>;
    const known = typeof plain.code === 'string' && Object.hasOwn(remedies, plain.code);
    return new HotMirrorError(known ? plain.code : 'HM_INTERNAL', String(plain.message ?? 'unknown error'), {
      ...(typeof plain.rule === 'string' ? { rule: plain.rule } : {}),
      ...(typeof plain.details === 'object' ? { details: plain.details } : {}),
    });
  }

  /** Gives back a `HotMirrorError` as it is and wraps anything else. */
  static from(cause: unknown, code: ErrorCode, what: string): HotMirrorError {
    if (cause instanceof HotMirrorError) return cause;
    const reason = cause instanceof Error ? cause.message : String(cause);
    return new HotMirrorError(code, `${what}: ${reason}`, { cause });
  }

  /** Recognises errors of another copy of the package too. */
  static override [Symbol.hasInstance](value: unknown): boolean {
    return typeof value === 'object' && value !== null && brand in value;
  }
}
