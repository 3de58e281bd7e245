import type { Clock } from '../../clock/clock.ts';
import type { MirrorPort, MirrorView, OutdateOrder, ParkedOn, ResolveOrder } from '../../failover/ports.ts';
import type { MirrorLink } from '../../mirror/mirror-link.ts';

/** One way between two threads. Messages keep their order, whatever the clock rounds. */
class Passage {
  readonly #clock: Clock;
  readonly #lagMs: () => number;
  readonly #underWay: (() => void)[] = [];
  #arrivalMs = 0;

  constructor(clock: Clock, lagMs: () => number) {
    this.#clock = clock;
    this.#lagMs = lagMs;
  }

  send(arrive: () => void): void {
    const nowMs = this.#clock.nowMs();
    this.#arrivalMs = Math.max(this.#arrivalMs, nowMs + this.#lagMs());
    this.#underWay.push(arrive);
    this.#clock.timer(this.#arrivalMs - nowMs, () => this.#underWay.shift()?.());
  }
}

/** A mirror in another thread: orders and views travel in order, each with a lag. */
export class LaggedMirror implements MirrorPort {
  readonly name: string;
  readonly #link: MirrorLink;
  readonly #listeners = new Set<() => void>();
  #view: MirrorView;
  readonly #toThere: Passage;
  readonly #toHere: Passage;

  constructor(link: MirrorLink, clock: Clock, lagMs: () => number) {
    this.name = link.name;
    this.#link = link;
    this.#toThere = new Passage(clock, lagMs);
    this.#toHere = new Passage(clock, lagMs);
    this.#view = link.state();
    link.onChange(() => {
      const view = link.state();
      this.#back(() => this.#show(view));
    });
  }

  state(): MirrorView {
    return this.#view;
  }

  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  promote(order: Parameters<MirrorPort['promote']>[0]): Promise<void> {
    return this.#call(() => this.#link.promote(order));
  }

  demote(): Promise<{ readonly handedOver: boolean }> {
    return this.#call(() => this.#link.demote());
  }

  seal(parked: ParkedOn | null = null): Promise<MirrorView> {
    return this.#call(() => this.#link.seal(parked));
  }

  unseal(): Promise<void> {
    return this.#call(() => this.#link.unseal());
  }

  goAlone(order: Parameters<MirrorPort['goAlone']>[0]): Promise<void> {
    return this.#call(() => this.#link.goAlone(order));
  }

  outdate(order: OutdateOrder): Promise<void> {
    return this.#call(() => this.#link.outdate(order));
  }

  resolve(order: ResolveOrder): Promise<void> {
    return this.#call(() => this.#link.resolve(order));
  }

  rollBack(): Promise<void> {
    return this.#call(() => this.#link.rollBack());
  }

  doubt(because: string): Promise<void> {
    return this.#call(() => this.#link.doubt(because));
  }

  raiseEpoch(epoch: Parameters<MirrorPort['raiseEpoch']>[0]): Promise<void> {
    return this.#call(() => this.#link.raiseEpoch(epoch));
  }

  renewLease(evidence: { readonly probeSentMs: number }): void {
    void this.#call(async () => this.#link.renewLease(evidence));
  }

  setElement(wish: 'off' | 'on'): Promise<void> {
    return this.#call(() => this.#link.setElement(wish));
  }

  leave(): Promise<void> {
    return this.#call(() => this.#link.leave());
  }

  #show(view: MirrorView): void {
    this.#view = view;
    for (const listener of this.#listeners) listener();
  }

  #back(run: () => void): void {
    this.#toHere.send(run);
  }

  async #call<T>(order: () => Promise<T>): Promise<T> {
    await new Promise<void>((resolve) => {
      this.#toThere.send(resolve);
    });
    const outcome = order();
    await Promise.allSettled([outcome]);
    const view = this.#link.state();
    await new Promise<void>((resolve) => {
      this.#back(() => {
        this.#show(view);
        resolve();
      });
    });
    return outcome;
  }
}
