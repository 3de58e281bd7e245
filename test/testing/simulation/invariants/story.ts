import type { FailoverSnapshot } from '../../../../src/failover/status.ts';
import type { ElementMetadata } from '../../../../src/mirror/metadata.ts';
import type { MirrorState } from '../../../../src/mirror/state.ts';
import { otherNode } from '../../../../src/testing/simulation/steps.ts';
import type { NodeName } from '../../../../src/testing/simulation/steps.ts';
import type { ApplicationRequest, NodeView, PairView, Watcher, WatcherFactory } from '../../../../src/testing/simulation/watcher.ts';

export const sectorBytes = 512;
export const mirror = 'm0';
export const sizeBytes = 8_388_608;
export const deadlineMs = 1_000;

/** A disk that changes when the story says so. */
export class StoryDisk {
  contents: Uint8Array;
  durable: Uint8Array | null = null;
  version = 1;

  constructor(bytes: number) {
    this.contents = new Uint8Array(bytes);
  }

  durableImage(): Uint8Array {
    return (this.durable ?? this.contents).slice();
  }
}

/** What an entry says besides. */
interface StoryEntry {
  readonly mirror?: string;
  readonly rule?: string;
  readonly evidence?: Record<string, unknown>;
}

interface StoryNode extends NodeView {
  running: boolean;
  paused: boolean;
  failover: FailoverSnapshot;
  readonly side: {
    readonly element: StoryDisk;
    readonly metadata: StoryDisk;
    state: MirrorState | null;
    known: ElementMetadata | null;
  };
}

/** The bytes of one sector with this number in it. */
export function content(value: number): Uint8Array {
  const bytes = new Uint8Array(sectorBytes);
  new DataView(bytes.buffer).setUint32(0, value, true);
  return bytes;
}

function mirrorState(node: NodeName): MirrorState {
  const serves = node === 'alpha';
  return {
    name: mirror,
    sizeBytes,
    role: serves ? 'source' : 'target',
    connection: 'connected',
    serving: serves ? 'yes' : 'no',
    element: 'uptodate',
    peerElement: 'uptodate',
    epoch: { number: 1, owner: 'alpha' },
    rival: null,
    currentId: 'a'.repeat(16),
    connectionId: null,
    handshaking: false,
    lostAtMs: null,
    peerBehind: false,
    canRollBack: false,
    split: null,
    protocol: 'sync',
    mayLoseBytes: serves ? null : 0,
    dirtyBytes: 0,
    resync: null,
    resyncPaused: null,
    findingBytes: 0,
  };
}

function failoverOf(node: NodeName): FailoverSnapshot {
  const epoch = { number: 1, owner: 'alpha' };
  const homes = { primary: 'alpha', standby: 'beta' };
  const control = { value: 'auto', version: 1 } as const;
  const record = { epoch, homes, released: null, refused: 0, intent: null, conflict: null, control, journal: null };
  return {
    node,
    home: node === 'alpha' ? 'primary' : 'standby',
    mode: 'normal',
    serving: node === 'alpha',
    booting: false,
    epoch: 1,
    owner: 'alpha',
    control: 'auto',
    service: node === 'alpha' ? 'running' : 'stopped',
    blockedBy: [],
    warnings: [],
    record,
    peer: null,
    heard: epoch,
    moving: null,
    takingOver: false,
    leaving: false,
    pendingHandBack: null,
    raisedFor: [],
    aloneAgainMs: [],
    doubted: [],
    sealed: false,
    taking: null,
    offer: { attempts: 0, force: false, sent: false },
    attempts: { failed: 0, nextMs: 0 },
    unpromoted: [],
    servingSinceMs: 0,
    unreachableAtMs: 0,
    ownershipDoubted: false,
    peerProbedMs: null,
    answeredProbeMs: null,
  };
}

function storyNode(name: NodeName): StoryNode {
  const side = { element: new StoryDisk(sizeBytes), metadata: new StoryDisk(0), state: mirrorState(name), known: null };
  return { name, running: true, paused: false, failover: failoverOf(name), side, mirrors: new Map([[mirror, side]]) };
}

/** A hand-made run of a pair, told to one watcher. At its beginning alpha serves, beta is its target, and both elements are zero. */
export class Story {
  readonly watcher: Watcher;
  readonly alpha: StoryNode = storyNode('alpha');
  readonly beta: StoryNode = storyNode('beta');
  nowMs = 0;
  linkOpen = true;
  #order = 0;
  #ids = 0;
  #entries = 0;

  constructor(
    factory: WatcherFactory,
    promises: { readonly oneOwner?: boolean; readonly powerCuts?: boolean } = {},
    mirrors: Pick<Parameters<WatcherFactory>[0], 'asyncWindows' | 'memsyncWindows' | 'pullAhead' | 'undoJournals'> = {},
  ) {
    this.watcher = factory({ promises: { oneOwner: true, powerCuts: false, ...promises }, mirrors: [mirror], deadlineMs, ...mirrors });
  }

  get view(): PairView {
    const { nowMs, linkOpen, alpha, beta } = this;
    return { nowMs, nodes: { alpha, beta }, dataLinkOpen: () => linkOpen };
  }

  /** What the watcher says now. */
  check(): string | null {
    return this.watcher.check?.(this.view) ?? null;
  }

  conclude(): string | null {
    return this.watcher.conclude?.(this.view) ?? null;
  }

  /** A write of this number to this block is issued. */
  write(node: NodeName, block: number, value: number, fua = false): ApplicationRequest {
    return this.#issue(node, 'write', block, content(value), fua);
  }

  /** A write of this number to so many blocks in a row is issued. */
  writeAcross(node: NodeName, block: number, blocks: number, value: number): ApplicationRequest {
    const bytes = new Uint8Array(blocks * sectorBytes);
    for (let at = 0; at < blocks; at += 1) bytes.set(content(value), at * sectorBytes);
    return this.#issue(node, 'write', block, bytes, false);
  }

  /** A read of several blocks in a row, from its issue to its end. */
  foundAcross(node: NodeName, block: number, values: readonly number[]): void {
    const request = this.#issue(node, 'read', block, new Uint8Array(values.length * sectorBytes), false);
    for (const [at, value] of values.entries()) request.bytes.set(content(value), at * sectorBytes);
    this.end(request);
  }

  read(node: NodeName, block: number): ApplicationRequest {
    return this.#issue(node, 'read', block, new Uint8Array(sectorBytes), false);
  }

  flush(node: NodeName): ApplicationRequest {
    return this.#issue(node, 'flush', 0, new Uint8Array(), false);
  }

  /** A request ends well; a read finds this number. */
  end(request: ApplicationRequest, finds?: number, epoch = { number: 1, owner: request.node as string }): void {
    if (finds !== undefined) request.bytes.set(content(finds));
    request.epoch = epoch;
    this.#end(request);
  }

  fail(request: ApplicationRequest, errorCode: string): void {
    request.errorCode = errorCode;
    this.#end(request);
  }

  /** A write from its issue to its acknowledgement, on both elements. */
  wrote(node: NodeName, block: number, value: number, fua = false): void {
    const request = this.write(node, block, value, fua);
    this.put(node, block, value);
    this.put(otherNode(node), block, value);
    this.end(request);
  }

  /** A read from its issue to its end. */
  found(node: NodeName, block: number, value: number): void {
    this.end(this.read(node, block), value);
  }

  flushed(node: NodeName): void {
    this.end(this.flush(node));
  }

  /** An element changes. */
  put(node: NodeName, block: number, value: number): void {
    const { element } = this[node].side;
    const offsetBytes = block * sectorBytes;
    element.contents.set(content(value), offsetBytes);
    element.version += 1;
    this.watcher.changed?.({ node, disk: 'element', mirror, offsetBytes, lengthBytes: sectorBytes });
  }

  crash(node: NodeName, how: 'process' | 'power'): void {
    this.watcher.died?.(node, how, this.view);
    this[node].running = false;
    this[node].side.state = null;
  }

  /** The node is there again, with what its element is worth. */
  boot(node: NodeName, state: Partial<MirrorState> = {}): void {
    this[node].running = true;
    this[node].side.state = {
      ...mirrorState(node),
      serving: 'no',
      role: 'none',
      element: 'consistent',
      connection: 'connecting',
      ...state,
    };
    this.tell(node, 'mirror:state');
  }

  /** A node's mirror is in another state. */
  state(node: NodeName, state: Partial<MirrorState>): void {
    this[node].side.state = { ...(this[node].side.state ?? mirrorState(node)), ...state };
    this.tell(node, 'mirror:state');
  }

  tell(node: NodeName | 'world', event: string, rest: StoryEntry = {}): void {
    this.#entries += 1;
    this.watcher.entry?.({ schema: 1, seq: this.#entries, time: '', atMs: this.nowMs, node, event, class: 0, text: 'a test', ...rest });
  }

  #issue(node: NodeName, kind: 'read' | 'write' | 'flush', block: number, bytes: Uint8Array, fua: boolean): ApplicationRequest {
    this.#order += 1;
    this.#ids += 1;
    const request: ApplicationRequest = {
      ...{ id: this.#ids, kind, mirror, node, offsetBytes: block * sectorBytes, bytes, fua, issuedAt: this.#order, issuedMs: this.nowMs },
      ...{ endedAt: null, endedMs: null, errorCode: null, epoch: null },
    };
    this.watcher.issued?.(request);
    return request;
  }

  #end(request: ApplicationRequest): void {
    this.#order += 1;
    request.endedAt = this.#order;
    request.endedMs = this.nowMs;
    this.watcher.ended?.(request);
  }
}
