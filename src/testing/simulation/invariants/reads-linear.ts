import type { ApplicationRequest, PairView, Watcher, WatcherFactory } from '../watcher.ts';
import { PermittedLoss } from './permitted-loss.ts';
import { digestsOf, sectorBytes, zeroDigest } from './sectors.ts';

/**
 * A write with the reads that found it. All of them took effect next to each other in the order that a register would show, so its `zone` is where that
 * must have been: a forward zone lies between the first end and the last issue of them, and nothing else fits into it; a backward zone means that
 * all of them were under way at once, and the cluster took effect somewhere inside.
 */
interface Cluster {
  readonly digest: number;
  /** The id of the write; 0 for what was there at the beginning. */
  readonly id: number;
  readonly writeIssuedAt: number;
  /** The earliest end of its write and reads. */
  firstEnd: number;
  /** The latest issue of its write and reads. */
  lastIssue: number;
  /** Its write is acknowledged or it was read: it did take effect. */
  certain: boolean;
}

/** Clusters of one sector that are remembered, so that a long run does not grow for ever. */
const rememberedClusters = 64;

/** One sector as a register, judged after Gibbons and Korach (Testing Shared Memories, 1997), where it is known which write each read found. */
class Register {
  #clusters: Cluster[] = [initial()];
  readonly #byDigest = new Map<number, Cluster>(this.#clusters.map((cluster) => [cluster.digest, cluster]));
  /** Content written more than once: nobody can say which write a read of it found, so neither are judged. */
  readonly #ambiguous = new Set<number>();

  issued(id: number, digest: number, issuedAt: number): Cluster | null {
    if (this.#ambiguous.has(digest)) return null;
    const alike = this.#byDigest.get(digest);
    if (alike) {
      this.#ambiguous.add(digest);
      this.#byDigest.delete(digest);
      this.#clusters = this.#clusters.filter((cluster) => cluster !== alike);
      return null;
    }
    const cluster = { digest, id, writeIssuedAt: issuedAt, firstEnd: Infinity, lastIssue: issuedAt, certain: false };
    this.#clusters.push(cluster);
    this.#byDigest.set(digest, cluster);
    if (this.#clusters.length > 2 * rememberedClusters) this.#forget();
    return cluster;
  }

  acknowledged(cluster: Cluster, endedAt: number): string | null {
    if (this.#byDigest.get(cluster.digest) !== cluster) return null;
    return this.#extend(cluster, endedAt, cluster.lastIssue);
  }

  read(digest: number, issuedAt: number, endedAt: number): string | null {
    const cluster = this.#byDigest.get(digest);
    if (!cluster) return null;
    if (endedAt < cluster.writeIssuedAt) return `${nameOf(cluster)} was read before it was issued`;
    return this.#extend(cluster, endedAt, issuedAt);
  }

  /** What is in the register now is anything that was ever written. */
  cut(): void {
    for (const cluster of this.#clusters) {
      cluster.firstEnd = Infinity;
      cluster.lastIssue = -Infinity;
      cluster.certain = false;
    }
  }

  #forget(): void {
    for (const { digest } of this.#clusters.splice(0, rememberedClusters)) this.#byDigest.delete(digest);
  }

  #extend(cluster: Cluster, endedAt: number, issuedAt: number): string | null {
    cluster.certain = true;
    cluster.firstEnd = Math.min(cluster.firstEnd, endedAt);
    cluster.lastIssue = Math.max(cluster.lastIssue, issuedAt);
    for (const other of this.#clusters) {
      if (other !== cluster && other.certain && contradict(cluster, other))
        return `${nameOf(cluster)} and ${nameOf(other)} were found in an order that no single register shows`;
    }
    return null;
  }
}

function initial(): Cluster {
  return { digest: zeroDigest, id: 0, writeIssuedAt: -Infinity, firstEnd: -Infinity, lastIssue: -Infinity, certain: true };
}

/** Two forward zones must not overlap, and no backward zone may lie inside a forward one. */
function contradict(a: Cluster, b: Cluster): boolean {
  const aForward = a.firstEnd < a.lastIssue;
  const bForward = b.firstEnd < b.lastIssue;
  if (aForward && bForward) return a.firstEnd < b.lastIssue && b.firstEnd < a.lastIssue;
  if (aForward) return a.firstEnd < b.lastIssue && b.firstEnd < a.lastIssue;
  if (bForward) return b.firstEnd < a.lastIssue && a.firstEnd < b.lastIssue;
  return false;
}

function nameOf({ id }: Cluster): string {
  return id === 0 ? 'what was there at the beginning' : `write ${String(id)}`;
}

class ReadsLinear implements Watcher {
  readonly invariant = 'reads-linear';
  readonly #loss: PermittedLoss;
  /** By mirror and sector. */
  readonly #registers: ReadonlyMap<string, Map<number, Register>>;
  readonly #writes = new Map<number, { readonly node: string; readonly clusters: readonly (Cluster | null)[] }>();
  #lastOrder = 0;
  /** By mirror: reads issued before this may have found what was lost since. */
  readonly #cutAt = new Map<string, number>();
  #broken: string | null = null;

  constructor(context: Parameters<WatcherFactory>[0]) {
    this.#registers = new Map(context.mirrors.map((mirror) => [mirror, new Map<number, Register>()]));
    this.#loss = new PermittedLoss(context, {
      cachesLost: (mirror) => this.#cut(mirror),
      reset: () => {
        for (const mirror of context.mirrors) this.#cut(mirror);
      },
    });
  }

  issued(request: ApplicationRequest): void {
    this.#loss.issued(request);
    this.#lastOrder = request.issuedAt;
    if (request.kind !== 'write') return;
    const { id, node, issuedAt } = request;
    const clusters = digestsOf(request).map((digest, at) => this.#register(request, at).issued(id, digest, issuedAt));
    this.#writes.set(id, { node, clusters });
  }

  ended(request: ApplicationRequest): void {
    this.#loss.ended(request);
    const { id, kind, endedAt, issuedAt, mirror } = request;
    const write = this.#writes.get(id);
    this.#writes.delete(id);
    if (endedAt === null || request.errorCode !== null || !this.#loss.counts(request)) return;
    this.#lastOrder = endedAt;
    if (kind === 'write')
      write?.clusters.forEach((cluster, at) => {
        if (cluster) this.#note(request, at, this.#register(request, at).acknowledged(cluster, endedAt));
      });
    else if (kind === 'read' && issuedAt > (this.#cutAt.get(mirror) ?? -1))
      digestsOf(request).forEach((digest, at) => {
        this.#note(request, at, this.#register(request, at).read(digest, issuedAt, endedAt));
      });
  }

  entry(entry: Parameters<NonNullable<Watcher['entry']>>[0]): void {
    this.#loss.entry(entry);
  }

  died(node: Parameters<NonNullable<Watcher['died']>>[0], how: 'process' | 'power', view: PairView): void {
    for (const [id, write] of this.#writes) if (write.node === node) this.#writes.delete(id);
    this.#loss.died(node, how, view);
  }

  check(view: PairView): string | null {
    this.#loss.check(view);
    return this.#broken;
  }

  conclude(): string | null {
    return this.#broken;
  }

  #register({ mirror, offsetBytes }: ApplicationRequest, at: number): Register {
    const registers = this.#registers.get(mirror);
    if (!registers) throw new RangeError(`no mirror ${mirror}`);
    const sector = offsetBytes / sectorBytes + at;
    let register = registers.get(sector);
    if (!register) {
      register = new Register();
      registers.set(sector, register);
    }
    return register;
  }

  #note({ id, kind, mirror, node, offsetBytes }: ApplicationRequest, at: number, wrong: string | null): void {
    if (wrong === null) return;
    this.#broken ??= `${kind} ${String(id)} of ${mirror} at ${node}, byte ${String(offsetBytes + at * sectorBytes)}: ${wrong}`;
  }

  #cut(mirror: string): void {
    this.#cutAt.set(mirror, this.#lastOrder);
    for (const register of this.#registers.get(mirror)?.values() ?? []) register.cut();
  }
}

/** Every read finds the last acknowledged write or one that was under way, as from one register: linearizable, sector by sector. */
export const readsLinear: WatcherFactory = (context) => new ReadsLinear(context);
