import type { Clock } from '../../../src/clock/clock.ts';
import { sleep } from '../../../src/clock/clock.ts';
import type { Epoch } from '../../../src/epoch.ts';
import { compareEpochs, noEpoch } from '../../../src/epoch.ts';
import { HotMirrorError } from '../../../src/errors.ts';
import type { ElementState, MirrorPort, MirrorView, OutdateOrder, ParkedOn, ResolveOrder } from '../../../src/failover/ports.ts';
import type { Rule } from '../../../src/rules.ts';

/** What survives a crash of the node: metadata and data, where `acknowledged` stands for all completed writes. */
export interface FakeDisk {
  element: ElementState;
  epoch: Epoch;
  currentId: string;
  history: string[];
  acknowledged: number;
}

export function fakeDisk(role: 'data' | 'blank', owner: string): FakeDisk {
  if (role === 'blank') return { element: 'inconsistent', epoch: noEpoch, currentId: '', history: [], acknowledged: 0 };
  return { element: 'uptodate', epoch: { number: 1, owner }, currentId: 'g1', history: [], acknowledged: 0 };
}

export interface FakeMirrorTimes {
  /** Every order takes this long to arrive. */
  readonly orderMs: number;
  readonly handshakeMs: number;
  readonly resyncMs: number;
}

/** The data link of one mirror: both ends, and whether the cable is whole. */
export class FakeDataLink {
  readonly ends = new Set<FakeMirror>();
  whole = true;
  #connections = 0;
  #generations = 1;

  cut(): void {
    this.whole = false;
    for (const end of this.ends) end.disconnected();
  }

  mend(): void {
    this.whole = true;
    for (const end of this.ends) end.dial();
  }

  other(end: FakeMirror): FakeMirror | null {
    return [...this.ends].find((one) => one !== end) ?? null;
  }

  nextConnectionId(): string {
    this.#connections += 1;
    return `c${String(this.#connections)}`;
  }

  nextGeneration(node: string): string {
    this.#generations += 1;
    return `g${String(this.#generations)}-${node}`;
  }
}

/** A mirror that keeps the rules of the data plane in the simplest way: enough for two orchestrators to live on. */
export class FakeMirror implements MirrorPort {
  readonly name: string;
  readonly node: string;
  readonly calls: string[] = [];
  /** Orders that fail once, by name. */
  readonly failures = new Map<string, HotMirrorError>();
  /** An epoch that the data link brings while an order is carried out, by its name. */
  readonly hears = new Map<string, Epoch>();
  readonly #disk: FakeDisk;
  readonly #link: FakeDataLink;
  readonly #clock: Clock;
  readonly #times: FakeMirrorTimes;
  readonly #listeners = new Set<() => void>();
  #dead = false;
  #sealed = false;
  #connection: MirrorView['connection'] = 'connecting';
  #connectionId: string | null = null;
  #serving: MirrorView['serving'] = 'no';
  #lostAtMs: number | null = null;
  #peerBehind = false;
  #split: MirrorView['split'] = null;
  #resync: MirrorView['resync'] = null;

  constructor(name: string, node: string, disk: FakeDisk, link: FakeDataLink, clock: Clock, times: FakeMirrorTimes) {
    this.name = name;
    this.node = node;
    this.#disk = disk;
    this.#link = link;
    this.#clock = clock;
    this.#times = times;
    // Rule element.start.
    if (disk.element === 'uptodate') disk.element = 'consistent';
    link.ends.add(this);
    this.dial();
    link.other(this)?.dial();
  }

  state(): MirrorView {
    const peer = this.#connection === 'connected' ? this.#link.other(this) : null;
    return {
      name: this.name,
      sizeBytes: 1 << 20,
      role: this.#serving !== 'no' ? 'source' : peer?.completes() ? 'target' : 'none',
      connection: this.#connection,
      serving: this.#serving,
      element: this.#disk.element,
      peerElement: peer ? peer.#disk.element : 'absent',
      epoch: this.#disk.epoch,
      currentId: this.#disk.currentId,
      connectionId: this.#connectionId,
      handshaking: false,
      lostAtMs: this.#lostAtMs,
      canRollBack: false,
      split: this.#split,
      peerBehind: this.#peerBehind,
      dirtyBytes: 0,
      resync: this.#resync,
    };
  }

  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Whether a write would be acknowledged now: what two nodes must never do at once. */
  completes(): boolean {
    if (this.#dead) return false;
    return this.#serving === 'alone' || (this.#serving === 'yes' && this.#connection === 'connected');
  }

  /** Completes a write, if it can. */
  write(): boolean {
    if (!this.completes()) return false;
    this.#disk.acknowledged += 1;
    const peer = this.#connection === 'connected' ? this.#link.other(this) : null;
    if (peer && peer.#disk.element === 'uptodate') peer.#disk.acknowledged = this.#disk.acknowledged;
    return true;
  }

  crash(): void {
    this.#dead = true;
    this.#link.ends.delete(this);
    this.#link.other(this)?.disconnected();
  }

  dial(): void {
    if (this.#connection === 'connected' || this.#sealed || this.#dead) return;
    this.#clock.timer(this.#times.handshakeMs, () => {
      const peer = this.#link.other(this);
      if (!peer || !this.#link.whole || peer.#sealed || peer.#dead || this.#sealed || this.#dead || this.#connection === 'connected')
        return;
      FakeMirror.#handshake(this, peer, this.#link.nextConnectionId());
    });
  }

  /** As a connection does whose end came before the other side knew of it. */
  missesTheEndOfADial(connectionId: string): void {
    this.#connectionId = connectionId;
  }

  disconnected(): void {
    if (this.#connection !== 'connected') return;
    this.#connection = 'connecting';
    this.#lostAtMs = this.#clock.nowMs();
    this.#resync = null;
    if (this.#serving === 'yes') this.#serving = 'parked';
    this.#changed();
    this.dial();
  }

  static #handshake(a: FakeMirror, b: FakeMirror, connectionId: string): void {
    a.#learn(b.#disk.epoch);
    b.#learn(a.#disk.epoch);
    const source = FakeMirror.#source(a, b);
    for (const end of [a, b]) {
      end.#connectionId = connectionId;
      end.#split = null;
      if (!source) {
        end.#connection = 'split-brain';
        end.#split = { rule: 'lineage.split', judged: { [a.node]: a.#disk.currentId, [b.node]: b.#disk.currentId } };
        end.#changed();
        continue;
      }
      end.#connection = 'connected';
      end.#lostAtMs = null;
    }
    if (!source) return;
    const target = source === a ? b : a;
    const same = source.#disk.currentId === target.#disk.currentId && target.#disk.element !== 'inconsistent';
    if (same) FakeMirror.#inSync(source, target);
    else FakeMirror.#regenerate(source, target, connectionId);
    a.#changed();
    b.#changed();
  }

  /** The side whose generation is the newer one; a serving side of two equal ones; null: split brain. */
  static #source(a: FakeMirror, b: FakeMirror): FakeMirror | null {
    if (a.#disk.currentId === b.#disk.currentId) return b.#serving !== 'no' || a.#disk.element === 'inconsistent' ? b : a;
    if (a.#disk.history.includes(b.#disk.currentId) || b.#disk.currentId === '') return a;
    return b.#disk.history.includes(a.#disk.currentId) || a.#disk.currentId === '' ? b : null;
  }

  static #regenerate(source: FakeMirror, target: FakeMirror, connectionId: string): void {
    target.#disk.element = 'inconsistent';
    source.#disk.element = 'uptodate';
    source.#peerBehind = true;
    const resync = { doneBytes: 0, totalBytes: 1 << 20, bytesPerSecond: 1, remainingMs: source.#times.resyncMs };
    source.#resync = resync;
    target.#resync = resync;
    source.#clock.timer(source.#times.resyncMs, () => {
      if (source.#connectionId !== connectionId || source.#connection !== 'connected' || target.#connection !== 'connected') return;
      FakeMirror.#inSync(source, target);
      source.#changed();
      target.#changed();
    });
  }

  static #inSync(source: FakeMirror, target: FakeMirror): void {
    target.#disk.currentId = source.#disk.currentId;
    target.#disk.history = [...source.#disk.history];
    target.#disk.acknowledged = source.#disk.acknowledged;
    for (const end of [source, target]) {
      end.#disk.element = 'uptodate';
      end.#resync = null;
      end.#peerBehind = false;
      if (end.#serving === 'parked' || end.#serving === 'alone') end.#serving = 'yes';
    }
  }

  async promote(order: { readonly epoch: Epoch; readonly alone: boolean; readonly force?: boolean }): Promise<void> {
    await this.#arrive(`promote ${String(order.epoch.number)}`);
    if (this.#disk.element !== 'uptodate' && !(order.force && ['consistent', 'outdated'].includes(this.#disk.element))) {
      throw new HotMirrorError('HM_REFUSED', `element is ${this.#disk.element}`, { rule: 'boot.uptodate' });
    }
    if (compareEpochs(order.epoch, this.#disk.epoch) === 'lower') throw new HotMirrorError('HM_STALE_EPOCH', 'a higher epoch is known');
    this.#disk.epoch = order.epoch;
    this.#sealed = false;
    if (this.#connection === 'connected') this.#serving = 'yes';
    else if (order.alone) this.#mint();
    else this.#serving = 'parked';
    this.#changed();
    this.dial();
  }

  async demote(): Promise<{ readonly handedOver: boolean }> {
    await this.#arrive('demote');
    const handedOver = this.#connection === 'connected' && this.#link.other(this)?.state().element === 'uptodate';
    this.#serving = 'no';
    this.#changed();
    return { handedOver };
  }

  async seal(parked: ParkedOn | null = null): Promise<MirrorView> {
    await this.#arrive(parked ? 'hold' : 'seal');
    if (parked?.endedByPeer && parked.connectionId === this.#connectionId) this.#cutOff();
    if (parked && (this.#connection === 'connected' || parked.connectionId !== this.#connectionId))
      throw new HotMirrorError('HM_REFUSED', 'void', { rule: 'alone' });
    this.#sealed = true;
    this.#cutOff();
    return this.state();
  }

  async unseal(): Promise<void> {
    await this.#arrive('unseal');
    this.#sealed = false;
    this.dial();
  }

  async goAlone(order: { readonly epoch: Epoch; readonly rule: Rule; readonly connectionId: string | null }): Promise<void> {
    await this.#arrive(`goAlone ${String(order.epoch.number)} ${order.rule}`);
    if (this.#serving !== 'parked' || order.connectionId !== this.#connectionId)
      throw new HotMirrorError('HM_REFUSED', 'void', { rule: 'alone' });
    if (compareEpochs(order.epoch, this.#disk.epoch) === 'lower') throw new HotMirrorError('HM_STALE_EPOCH', 'a higher epoch is known');
    this.#disk.epoch = order.epoch;
    this.#mint();
    this.#changed();
  }

  async rollBack(): Promise<void> {
    await this.#arrive('rollBack');
    throw new HotMirrorError('HM_REFUSED', 'no journal', { rule: 'resync.undo' });
  }

  async resolve({ survivor, judged }: ResolveOrder): Promise<void> {
    await this.#arrive(`resolve ${survivor}`);
    if (judged[this.node] !== this.#disk.currentId)
      throw new HotMirrorError('HM_REFUSED', 'another generation', { rule: 'lineage.resolve' });
    if (survivor === this.node) return;
    if (this.#serving !== 'no') throw new HotMirrorError('HM_REFUSED', 'served here', { rule: 'lineage.resolve' });
    // As if it were blank: the next handshake fills it.
    this.#disk.currentId = '';
    this.#disk.element = 'outdated';
    this.#connection = 'connecting';
    this.#changed();
    this.dial();
  }

  async outdate(order: OutdateOrder): Promise<void> {
    await this.#arrive('outdate');
    if (order.currentId !== this.#disk.currentId) throw new HotMirrorError('HM_REFUSED', 'other data', { rule: 'outdate' });
    // After a restart the element knows of no connection.
    const another = this.#connectionId !== null && order.connectionId !== this.#connectionId;
    if (another && (this.#connection === 'connected' || order.peerConnectionId !== this.#connectionId))
      throw new HotMirrorError('HM_REFUSED', 'another connection', { rule: 'outdate', details: { connectionId: this.#connectionId } });
    if (this.#serving !== 'no') throw new HotMirrorError('HM_REFUSED', 'serving', { rule: 'outdate' });
    this.#cutOff();
    this.#disk.element = 'outdated';
    this.#changed();
  }

  async doubt(because: string): Promise<void> {
    await this.#arrive(`doubt ${because}`);
    if (this.#disk.element === 'uptodate' && this.#serving === 'no' && this.#connection !== 'connected') this.#disk.element = 'consistent';
    this.#changed();
  }

  async raiseEpoch(epoch: Epoch): Promise<void> {
    await this.#arrive(`raiseEpoch ${String(epoch.number)}`);
    this.#learn(epoch);
    this.#changed();
  }

  /** Rule lineage.epoch: a higher epoch of another owner ends serving; so does another owner of the same number. */
  #learn(epoch: Epoch): void {
    const order = compareEpochs(epoch, this.#disk.epoch);
    if ((order === 'higher' || order === 'conflict') && epoch.owner !== this.node) this.#serving = 'no';
    if (order === 'higher') this.#disk.epoch = epoch;
  }

  renewLease(): void {
    this.calls.push('renewLease');
  }

  async setElement(wish: 'off' | 'on'): Promise<void> {
    await this.#arrive(`setElement ${wish}`);
    this.#disk.element = wish === 'off' ? 'off' : 'outdated';
    this.#changed();
  }

  async leave(): Promise<void> {
    await this.#arrive('leave');
    const peer = this.#connection === 'connected' ? this.#link.other(this) : null;
    if (peer && this.#serving === 'no' && peer.#serving !== 'no') {
      this.#disk.element = 'outdated';
      peer.#peerBehind = true;
    }
    this.#sealed = true;
    if (peer) {
      this.disconnected();
      peer.disconnected();
    }
  }

  #cutOff(): void {
    if (this.#connection !== 'connected') return;
    this.disconnected();
    this.#link.other(this)?.disconnected();
  }

  #mint(): void {
    this.#disk.history.push(this.#disk.currentId);
    this.#disk.currentId = this.#link.nextGeneration(this.node);
    this.#serving = 'alone';
  }

  async #arrive(call: string): Promise<void> {
    this.calls.push(call);
    if (this.#dead) return new Promise(() => undefined);
    await sleep(this.#clock, this.#times.orderMs);
    const heard = this.hears.get(call.split(' ')[0] ?? '');
    if (heard) this.#learn(heard);
    const failure = this.failures.get(call.split(' ')[0] ?? '');
    if (failure) {
      this.failures.delete(call.split(' ')[0] ?? '');
      throw failure;
    }
  }

  #changed(): void {
    for (const listener of [...this.#listeners]) listener();
  }
}
