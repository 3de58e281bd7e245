import { nodeNames } from '../steps.ts';
import type { NodeName } from '../steps.ts';
import type { ApplicationRequest, PairView, Watcher, WatcherFactory } from '../watcher.ts';
import { AsyncTail } from './async-tail.ts';
import { PermittedLoss } from './permitted-loss.ts';
import { digestSector, digestsOf, sectorBytes, zeroDigest } from './sectors.ts';
import type { SectorWrite } from './write-history.ts';
import { WriteHistory } from './write-history.ts';

/** What of one sector is promised, as numbers of its writes. */
interface Claim {
  /** Nothing older may be found: it was acknowledged, or read. */
  floor: number;
  /** Nothing older may be found even where every cache was lost. */
  durable: number;
}

/** A request under way, with what was promised when it was issued. */
interface Open {
  readonly node: NodeName;
  /** What a write is to each of its sectors. */
  readonly writes: readonly SectorWrite[];
  /** By sector: what a read must find, or what a flush covers. */
  readonly floors: ReadonlyMap<number, number>;
}

const none: ReadonlyMap<number, number> = new Map();

/** What was asked, promised and found of one mirror. */
class MirrorClaims {
  readonly history = new WriteHistory();
  readonly #claims = new Map<number, Claim>();
  /** Null where the protocol is sync. */
  readonly #tail: AsyncTail | null;

  constructor(windowBytes: number | undefined) {
    this.#tail = windowBytes === undefined ? null : new AsyncTail(windowBytes);
  }

  /** What is promised of these sectors now. */
  floors(first: number, count: number): ReadonlyMap<number, number> {
    const floors = new Map<number, number>();
    for (let sector = first; sector < first + count; sector += 1) floors.set(sector, this.#claims.get(sector)?.floor ?? 0);
    return floors;
  }

  /** What is promised of every sector now. */
  allFloors(): ReadonlyMap<number, number> {
    return new Map([...this.#claims].map(([sector, { floor }]) => [sector, floor]));
  }

  acknowledged(request: ApplicationRequest, writes: readonly SectorWrite[]): void {
    const { fua } = request;
    const first = request.offsetBytes / sectorBytes;
    this.#tail?.acknowledged(request, writes);
    writes.forEach(({ number }, at) => {
      const claim = this.#claim(first + at);
      claim.floor = Math.max(claim.floor, number);
      if (fua) claim.durable = Math.max(claim.durable, number);
    });
  }

  flushed(floors: ReadonlyMap<number, number>): void {
    for (const [sector, floor] of floors) {
      const claim = this.#claim(sector);
      claim.durable = Math.max(claim.durable, floor);
    }
  }

  cachesLost(): void {
    this.#tail?.clear();
    for (const claim of this.#claims.values()) claim.floor = claim.durable;
  }

  tailLost(): void {
    const tail = this.#tail;
    if (!tail) return;
    for (const [sector, claim] of this.#claims) claim.floor = Math.min(claim.floor, Math.max(claim.durable, tail.safe(sector)));
    tail.lost();
  }

  drained(yes: boolean): void {
    this.#tail?.drained(yes);
  }

  reset(): void {
    this.#tail?.clear();
    this.#claims.clear();
  }

  /** A sector was found to hold this; what is wrong with that, or null. What was found must never vanish. */
  found(sector: number, digest: number, floorAtIssue: number): string | null {
    const atBytes = `byte ${String(sector * sectorBytes)}`;
    const history = this.history.sectors.get(sector);
    const candidates = history ? history.candidates(digest) : digest === zeroDigest ? [] : null;
    if (candidates === null || (history && candidates.length === 0)) return `invented: ${atBytes} holds what nobody wrote there`;
    if (!history) return null;
    const claim = this.#claim(sector);
    // A power cut meanwhile may have taken from what was promised at the issue.
    const least = Math.min(floorAtIssue, claim.floor);
    const fitting = candidates.find(({ number }) => number >= least);
    if (!fitting) {
      const found = candidates.at(-1)?.id ?? 0;
      return `lost: ${atBytes} holds ${nameOf(found)}, but ${nameOf(history.idOf(least))} was acknowledged or read before`;
    }
    // Of writes with the same content it may have been the oldest that fits.
    claim.floor = Math.max(claim.floor, fitting.number);
    return null;
  }

  #claim(sector: number): Claim {
    let claim = this.#claims.get(sector);
    if (!claim) {
      claim = { floor: 0, durable: 0 };
      this.#claims.set(sector, claim);
    }
    return claim;
  }
}

function nameOf(id: number): string {
  return id === 0 ? 'what was there at the beginning' : `write ${String(id)}`;
}

class NoLostWrite implements Watcher {
  readonly invariant = 'no-lost-write';
  readonly #loss: PermittedLoss;
  readonly #mirrors: ReadonlyMap<string, MirrorClaims>;
  readonly #open = new Map<number, Open>();
  #broken: string | null = null;

  constructor(context: Parameters<WatcherFactory>[0]) {
    this.#mirrors = new Map(
      context.mirrors.map((mirror) => [mirror, new MirrorClaims(context.asyncWindows?.get(mirror) ?? context.memsyncWindows?.get(mirror))]),
    );
    this.#loss = new PermittedLoss(context, {
      cachesLost: (mirror) => this.#mirrors.get(mirror)?.cachesLost(),
      tailLost: (mirror) => this.#mirrors.get(mirror)?.tailLost(),
      drained: (mirror, yes) => this.#mirrors.get(mirror)?.drained(yes),
      reset: () => {
        for (const claims of this.#mirrors.values()) claims.reset();
      },
    });
  }

  issued(request: ApplicationRequest): void {
    this.#loss.issued(request);
    const claims = this.#mirrors.get(request.mirror);
    if (!claims) return;
    const { id, node, kind, offsetBytes, bytes } = request;
    const first = offsetBytes / sectorBytes;
    if (kind === 'write') this.#open.set(id, { node, writes: claims.history.issue(request), floors: none });
    else if (kind === 'read') this.#open.set(id, { node, writes: [], floors: claims.floors(first, bytes.byteLength / sectorBytes) });
    else this.#open.set(id, { node, writes: [], floors: claims.allFloors() });
  }

  ended(request: ApplicationRequest): void {
    this.#loss.ended(request);
    const open = this.#open.get(request.id);
    const claims = this.#mirrors.get(request.mirror);
    this.#open.delete(request.id);
    if (!open || !claims || request.errorCode !== null || !this.#loss.counts(request)) return;
    const first = request.offsetBytes / sectorBytes;
    if (request.kind === 'write') claims.acknowledged(request, open.writes);
    else if (request.kind === 'flush') claims.flushed(open.floors);
    else
      digestsOf(request).forEach((digest, at) => {
        const wrong = claims.found(first + at, digest, open.floors.get(first + at) ?? 0);
        if (wrong) this.#broken ??= `read ${String(request.id)} of ${request.mirror} at ${request.node}: ${wrong}`;
      });
  }

  entry(entry: Parameters<NonNullable<Watcher['entry']>>[0]): void {
    this.#loss.entry(entry);
  }

  died(node: NodeName, how: 'process' | 'power', view: PairView): void {
    for (const [id, open] of this.#open) if (open.node === node) this.#open.delete(id);
    this.#loss.died(node, how, view);
  }

  check(view: PairView): string | null {
    this.#loss.check(view);
    return this.#broken;
  }

  conclude(view: PairView): string | null {
    this.#loss.check(view);
    if (this.#broken !== null || this.#loss.suspended) return this.#broken;
    for (const [mirror, claims] of this.#mirrors) {
      const floors = claims.allFloors();
      for (const node of nodeNames) {
        const side = view.nodes[node].mirrors.get(mirror);
        if (side?.state?.element !== 'uptodate') continue;
        const wrong = judgeElement(claims, floors, side.element.contents);
        if (wrong) return `the element of ${mirror} at ${node}: ${wrong}`;
      }
    }
    return null;
  }
}

function judgeElement(claims: MirrorClaims, floors: ReadonlyMap<number, number>, contents: Uint8Array): string | null {
  const { sectors } = claims.history;
  for (let pieceAt = 0; pieceAt < contents.byteLength; pieceAt += zeroes.byteLength) {
    const endBytes = Math.min(pieceAt + zeroes.byteLength, contents.byteLength);
    if (isZero(contents, pieceAt, endBytes)) continue;
    for (let at = pieceAt; at < endBytes; at += sectorBytes)
      if (!sectors.has(at / sectorBytes) && !isZero(contents, at, at + sectorBytes))
        return claims.found(at / sectorBytes, digestSector(contents, at), 0);
  }
  for (const sector of sectors.keys()) {
    const wrong = claims.found(sector, digestSector(contents, sector * sectorBytes), floors.get(sector) ?? 0);
    if (wrong) return wrong;
  }
  return null;
}

/** Most of a disk is zero; it is looked at in pieces of this size. */
const zeroes = Buffer.alloc(65_536);

function isZero(contents: Uint8Array, fromBytes: number, toBytes: number): boolean {
  return zeroes.compare(contents, fromBytes, toBytes, 0, toBytes - fromBytes) === 0;
}

/** No read, and at the end no element, holds something older than what was acknowledged or read, nor what nobody wrote. */
export const noLostWrite: WatcherFactory = (context) => new NoLostWrite(context);
