import { copyOf } from '../bytes.ts';
import type { BlockDevice } from '../device/block-device.ts';
import type { HotMirrorError } from '../errors.ts';
import type { DirtyMap } from './dirty-map.ts';
import type { Read } from './reads.ts';
import type { SourceSession } from './source.ts';
import { maxBodyBytes } from './wire.ts';

/** What the peer's element can do for a block that cannot be read here. */
export type PeerHelp =
  /** Its element is `uptodate` and can be asked. */
  | 'uptodate'
  /** It is connected, lacks nothing, and is about to take over the lineage. */
  | 'settling'
  /** It is away, and it is not decided yet whether this node goes on without it. */
  | 'away'
  /** It is behind, cannot be asked, or this node goes on without it. */
  | 'none';

/** What is done about a read that failed here. */
export type ReadJudgement = 'fetch' | 'wait' | 'fail';

/**
 * Rule write.error: an unreadable range is served by the peer where its element is `uptodate` and no dirty bit says that the elements may differ there; where
 * that may yet become so at once, the read waits.
 */
export function judgeUnreadable(peer: PeerHelp, clean: boolean): ReadJudgement {
  if (peer === 'away') return 'wait';
  if (peer === 'none' || !clean) return 'fail';
  return peer === 'uptodate' ? 'fetch' : 'wait';
}

/** What the peer can do for a node that serves. While a resync runs towards it, it is no help, and neither is one that the node does without. */
export function helpOf(session: SourceSession | null, resyncRuns: boolean, mayBeAlone: boolean): PeerHelp {
  if (!session) return mayBeAlone ? 'none' : 'away';
  if (!session.fetches.supported) return 'none';
  if (session.fetches.uptodate) return 'uptodate';
  return resyncRuns ? 'none' : 'settling';
}

/** What the repair of reads needs to know of the serving side. */
export interface ReadRepairOptions {
  readonly device: BlockDevice;
  readonly dirty: () => DirtyMap;
  /** This node's element has failed and the peer's is served through: every read is fetched, and nothing is written back. */
  readonly diskless: () => boolean;
  readonly session: () => SourceSession | null;
  readonly peer: () => PeerHelp;
  /** Whether what this part of a read holds may be seen now. */
  readonly mayRead: (read: Read, offsetBytes: number, lengthBytes: number) => boolean;
  /** Begins the read anew, from this node's element. */
  readonly restart: (read: Read) => void;
  readonly reply: (read: Read, error: HotMirrorError | null) => void;
  /** What could not be read is written back. */
  readonly repaired: (offsetBytes: number, lengthBytes: number) => void;
  /** What could not be read could not be written either. */
  readonly failed: (error: HotMirrorError) => void;
  /** A request to the device that nobody waits for is over. */
  readonly rewritten: () => void;
}

/** A read that is served by the peer from `atBytes` on, with the error of this node's element. */
interface Unreadable {
  readonly read: Read;
  readonly atBytes: number;
  readonly error: HotMirrorError;
}

interface Fetching extends Unreadable {
  readonly offsetBytes: number;
  readonly lengthBytes: number;
  /** A newer write has gone to both elements since: what was asked for must not be written over it. */
  overtaken: boolean;
}

/**
 * Reads that this node's element could not serve (rule write.error). Each is fetched from the peer in the stream of writes, so that it is what both elements hold
 * at one place of it, and written back here, unless a newer write went there meanwhile.
 */
export class ReadRepair {
  readonly #options: ReadRepairOptions;
  /** Asked of the peer. Those of a connection that has ended are no longer in here. */
  readonly #fetching = new Set<Fetching>();
  /** Wait for the peer, or for room. */
  #waiting: Unreadable[] = [];
  /** Requests to the device by which what could not be read is written back. */
  rewrites = 0;

  constructor(options: ReadRepairOptions) {
    this.#options = options;
  }

  /** Requests inside. */
  get inside(): number {
    return this.#fetching.size + this.#waiting.length + this.rewrites;
  }

  /** This node's element could not read it. */
  unreadable(read: Read, error: HotMirrorError): void {
    this.#next({ read, atBytes: 0, error });
  }

  /** A write to the range goes to the elements now. */
  issued(offsetBytes: number, lengthBytes: number): void {
    for (const fetching of this.#fetching) {
      if (fetching.offsetBytes < offsetBytes + lengthBytes && offsetBytes < fetching.offsetBytes + fetching.lengthBytes) {
        fetching.overtaken = true;
      }
    }
  }

  /** The connection has ended: no answer comes any more. What is to be done next, the reads find out from the beginning. */
  lost(): void {
    const { restart } = this.#options;
    const fetching = [...this.#fetching];
    this.#fetching.clear();
    for (const { read } of fetching) restart(read);
  }

  /** There may be room for more to be asked. */
  room(): void {
    for (const unreadable of this.#waiting.splice(0)) this.#next(unreadable);
  }

  /** Something changed that may let waiting reads go on. */
  retry(): void {
    for (const { read } of this.#waiting.splice(0)) this.#options.restart(read);
  }

  /** Gives up every read, which the caller fails. */
  stop(): readonly Read[] {
    const reads = [...this.#fetching, ...this.#waiting.splice(0)].map(({ read }) => read);
    this.#fetching.clear();
    return reads;
  }

  /** Fetches what lies at `atBytes` of the read and the rest after it, a message at a time. */
  #next(unreadable: Unreadable): void {
    const { session, peer, mayRead, restart, reply } = this.#options;
    const { read, atBytes, error } = unreadable;
    const offsetBytes = read.offsetBytes + atBytes;
    const lengthBytes = Math.min(maxBodyBytes, read.into.byteLength - atBytes);
    if (!mayRead(read, offsetBytes, lengthBytes)) {
      restart(read);
      return;
    }
    const judgement = judgeUnreadable(peer(), this.#clean(offsetBytes, lengthBytes));
    const fetches = session()?.fetches;
    if (judgement === 'fail') {
      reply(read, error);
    } else if (judgement === 'wait' || !fetches?.hasRoom(lengthBytes)) {
      this.#waiting.push(unreadable);
    } else {
      const fetching: Fetching = { ...unreadable, offsetBytes, lengthBytes, overtaken: false };
      this.#fetching.add(fetching);
      fetches.ask(offsetBytes, lengthBytes, (bytes) => {
        if (this.#fetching.delete(fetching)) this.#fetched(fetching, bytes);
      });
    }
  }

  #fetched({ read, atBytes, error, offsetBytes, lengthBytes, overtaken }: Fetching, bytes: Uint8Array | null): void {
    const { reply } = this.#options;
    if (bytes === null) {
      reply(read, error);
    } else {
      read.into.set(bytes, atBytes);
      if (!overtaken && !this.#options.diskless()) this.#rewrite(offsetBytes, copyOf(bytes));
      if (atBytes + lengthBytes < read.into.byteLength) this.#next({ read, atBytes: atBytes + lengthBytes, error });
      else reply(read, null);
    }
    this.room();
  }

  /** No durable intent is needed: the elements hold the same here, before and after, and a write of which a crash leaves a part too. */
  #rewrite(offsetBytes: number, bytes: Uint8Array): void {
    const { device, repaired, failed, rewritten } = this.#options;
    this.rewrites += 1;
    device.write(offsetBytes, bytes, {}, (error) => {
      this.rewrites -= 1;
      if (!error) repaired(offsetBytes, bytes.byteLength);
      // For want of space the block stays as it is: that is no corruption.
      else if (error.code !== 'HM_NO_SPACE') failed(error);
      rewritten();
    });
  }

  #clean(offsetBytes: number, lengthBytes: number): boolean {
    if (this.#options.diskless()) return true;
    const dirty = this.#options.dirty();
    const next = dirty.next(Math.floor(offsetBytes / dirty.extentBytes));
    return next < 0 || next * dirty.extentBytes >= offsetBytes + lengthBytes;
  }
}
