import type { Done } from '../../../src/device/block-device.ts';
import { HotMirrorError } from '../../../src/errors.ts';
import type { MirrorLink } from '../../../src/mirror/mirror-link.ts';
import { defaultMirrorLimits } from '../../../src/mirror/options.ts';
import { isMinted } from '../../../src/mirror/metadata.ts';
import { other } from '../support/mirror-pair.ts';
import type { NodeName } from '../support/mirror-pair.ts';
import { sectorBytes } from './crash-disk.ts';
import type { WritePoint } from './crash-disk.ts';
import { initialValue, nodes } from './crash-nodes.ts';
import type { CrashWorldOptions } from './crash-nodes.ts';
import { CrashOrders } from './crash-orders.ts';
import { SectorModel } from './sector-model.ts';
import type { Acknowledgement } from './sector-model.ts';

/** Two nodes, their orchestrator, and an application that knows what it may find on its disk. */
export class CrashWorld extends CrashOrders {
  /** What both nodes would serve; while they are split, each what is in its own. */
  #models: Readonly<Record<NodeName, SectorModel>>;
  #diverged = false;
  readonly #windowBytes: number;
  /** Sectors that a node's disk has lost without a word. */
  readonly #forgotten: Readonly<Record<NodeName, Set<number>>> = { alpha: new Set(), beta: new Set() };

  constructor(options: CrashWorldOptions, writes: (point: WritePoint) => void) {
    super(options, writes);
    this.#windowBytes = options.limits?.windowBytes ?? defaultMirrorLimits.windowBytes;
    const model = new SectorModel((options.deviceBytes ?? options.sizeBytes) / sectorBytes, initialValue);
    this.#models = { alpha: model, beta: model };
  }

  /** Both nodes may be served from now on, by two applications that know nothing of each other. */
  fork(): void {
    this.goOn();
    const { alpha } = this.#models;
    this.#models = { alpha: alpha.branch(1), beta: alpha.branch(2) };
  }

  /** The same, where the element of this one will be what it was before a resync: all that was acknowledged since is not there (rule resync.undo). */
  forkRolledBack(node: NodeName): void {
    this.fork();
    this.#models[node].rolledBack(this.kept.before(node));
  }

  /** To be called when it may have become so that the elements hold different generations. */
  noteDivergence(): void {
    this.#diverged ||= this.forked && this.#differs;
  }

  get forked(): boolean {
    return this.#models.alpha !== this.#models.beta;
  }

  /** A disk that nobody has open keeps what it held there at the beginning in the place of what was written. */
  forget(node: NodeName, offsetBytes: number): void {
    this.goOn();
    const { contents } = this.disk(node, 'element');
    contents.fill(0, offsetBytes, offsetBytes + sectorBytes);
    new DataView(contents.buffer, contents.byteOffset).setUint32(offsetBytes, initialValue, true);
    this.#forgotten[node].add(offsetBytes / sectorBytes);
  }

  /** What this node's disk has lost without a word is lost: the other's is not asked any more. */
  isTheCopy(node: NodeName): void {
    const { buffer, byteOffset } = this.disk(node, 'element').contents;
    const view = new DataView(buffer, byteOffset);
    this.#models[node].forgets([...this.#forgotten[node]].filter((sector) => view.getUint32(sector * sectorBytes, true) === initialValue));
  }

  /** Sectors that a disk has lost without a word: that they differ nobody needs to know. */
  get forgotten(): readonly number[] {
    return nodes.flatMap((node) => [...this.#forgotten[node]]);
  }

  /** These nodes have lost what no flush covers. */
  cachesLost(lost: readonly NodeName[]): void {
    if (!this.forked && lost.length > 0) this.#models.alpha.cachesLost();
    else for (const node of lost) this.#models[node].cachesLost();
  }

  /**
   * What is wrong with what both elements hold now, or null. After a split it is what one of the applications knows, and the other had been acknowledged nothing, or
   * an operator let it give way (rule lineage.resolve).
   */
  judge(contents: Uint8Array): string | null {
    if (!this.forked) return this.#models.alpha.judge(contents);
    const wrong = nodes.map((node) => {
      const lost = this.#models[other(node)].acknowledgedHere;
      if (lost > 0 && !this.survivors.has(node))
        return `${String(lost)} writes that ${other(node)} acknowledged were given up without a word`;
      return this.#models[node].judge(contents);
    });
    return wrong.includes(null) ? null : wrong.join('; ');
  }

  protected override takesOver(node: NodeName, force: boolean): () => void {
    const { mayLoseBytes: said, protocol } = this.mirror(node).state();
    // An operator who takes over with an element that is not whole is told nothing, and by async loses the window all the same (rule write.both).
    const mayLoseBytes = said ?? (force && protocol === 'async' ? this.#windowBytes : 0);
    this.#rejoin();
    const model = this.#models[node];
    this.isTheCopy(node);
    return () => {
      const wrong = model.takenOver(this.disk(node, 'element').contents, mayLoseBytes);
      if (wrong !== null) throw new Error(wrong);
    };
  }

  protected override covers(node: NodeName): () => void {
    return this.#models[node].flush();
  }

  /** Issues a write of whole sectors; resolves when it is acknowledged, never when its node crashes first. */
  write(node: NodeName, offsetBytes: number, lengthBytes: number, { fua = false } = {}): Promise<void> {
    this.#rejoin();
    const { bytes, acknowledged } = this.#models[node].issue(offsetBytes, lengthBytes, false);
    return this.#change(
      node,
      `write of ${String(lengthBytes)} at ${String(offsetBytes)}`,
      (mirror, done) => mirror.write(offsetBytes, bytes, { fua }, done),
      (mayLag) => acknowledged({ fua, mayLag }),
    );
  }

  zeroes(node: NodeName, offsetBytes: number, lengthBytes: number): Promise<void> {
    this.#rejoin();
    const { acknowledged } = this.#models[node].issue(offsetBytes, lengthBytes, true);
    return this.#change(
      node,
      `zeroes of ${String(lengthBytes)} at ${String(offsetBytes)}`,
      (mirror, done) => mirror.writeZeroes(offsetBytes, lengthBytes, {}, done),
      (mayLag) => acknowledged({ fua: false, mayLag }),
    );
  }

  flush(node: NodeName): Promise<void> {
    this.#rejoin();
    const flushed = this.#models[node].flush();
    return this.#issue(node, 'flush', (mirror, done) => mirror.flush(done), flushed);
  }

  /** Reads, and looks at what came. */
  read(node: NodeName, offsetBytes: number, lengthBytes: number): Promise<void> {
    const bytes = new Uint8Array(lengthBytes);
    const ended: { wrong: string | null } = { wrong: null };
    const look = (): void => {
      ended.wrong = this.#models[node].judgeRead(bytes, offsetBytes);
    };
    return this.#issue(node, `read at ${String(offsetBytes)}`, (mirror, done) => mirror.read(offsetBytes, bytes, done), look).then(() => {
      if (ended.wrong !== null) throw new Error(`a read: ${ended.wrong}`);
    });
  }

  /** Waits for requests. */
  all(requests: readonly Promise<void>[]): Promise<void> {
    return this.done(
      Promise.all(requests).then(() => undefined),
      'the requests',
    );
  }

  /** What completes while its node serves through the peer is durable there, with all before it (rule write.error). */
  #change(
    node: NodeName,
    what: string,
    start: (mirror: MirrorLink, done: Done) => void,
    acknowledged: (mayLag: Acknowledgement['mayLag']) => void,
  ): Promise<void> {
    const isAsync = (): boolean => this.mirror(node).state().protocol === 'async';
    const wasAsync = isAsync();
    return this.#issue(node, what, start, () => {
      acknowledged(wasAsync || isAsync());
      if (this.mirror(node).state().element === 'failed') this.#models[node].flush()();
    });
  }

  /** Once both hold the same again there is one application, and what it knows is what the survivor's knew. */
  #rejoin(): void {
    this.goOn();
    const survivors = nodes.filter((node) => this.survivors.has(node) || this.#models[other(node)].acknowledgedHere === 0);
    if (!this.forked || !this.#diverged || this.#differs) return;
    // Where an operator has named first one and then the other, what there is tells whose word came to be.
    const holds = (node: NodeName): boolean => this.#models[node].branch(0).judge(this.#contents(node)) === null;
    const survivor = survivors.length > 1 ? survivors.find(holds) : survivors[0];
    if (!survivor) return;
    const model = this.#models[survivor];
    this.#models = { alpha: model, beta: model };
  }

  #contents(node: NodeName): Uint8Array {
    return this.disk(node, 'element').contents.subarray(0, this.stored(node)?.metadata.sizeBytes);
  }

  /** Whether the elements hold different generations. */
  get #differs(): boolean {
    const [alpha, beta] = nodes.map((node) => this.stored(node)?.metadata.current);
    return alpha !== beta;
  }

  #issue(node: NodeName, what: string, start: (mirror: MirrorLink, done: Done) => void, succeeded: () => void): Promise<void> {
    this.goOn();
    const process = this.processes[node];
    if (!process) throw new Error(`${node} does not run`);
    this.tell(what);
    return new Promise((resolve) => {
      start(process.mirror, (error) => {
        if (!process.alive) return;
        this.tell(`  ${what}: ${error?.code ?? 'done'}`);
        if (!error) succeeded();
        this.noteDivergence();
        resolve();
      });
    });
  }
}

/** Whether an element holds everything alone, durably (rule lineage.mint). */
export function holdsAlone(world: CrashWorld, node: NodeName): boolean {
  const stored = world.stored(node);
  return stored !== null && isMinted(stored.metadata);
}

/** The code of a refusal that says so, of anything else the error itself. */
export function codeOf(error: unknown): string {
  return error instanceof HotMirrorError ? error.code : String(error);
}
