import type { ExtentRun } from './dirty-map.ts';
import type { Agreement } from './handshake.ts';
import type { KnownElements } from './known-elements.ts';
import type { ReplicationOptions } from './replication-options.ts';

/** What a handshake makes durable at a target before the stream begins (rule resync.begin), and what the element is worth meanwhile. */
export class TargetPreparation {
  readonly #known: KnownElements;
  readonly #options: Pick<ReplicationOptions, 'store' | 'host'>;
  #underWay: Promise<void> | null = null;

  constructor(known: KnownElements, options: Pick<ReplicationOptions, 'store' | 'host'>) {
    this.#known = known;
    this.#options = options;
  }

  /** Carries it out; gives what `prepare` does. */
  run({ scope }: Agreement, prepare: () => Promise<Iterable<ExtentRun>>): Promise<Iterable<ExtentRun>> {
    const known = this.#known;
    const { element } = known;
    const { store, host } = this.#options;
    if (scope !== 'nothing') known.element = 'inconsistent';
    const runs = prepare().catch((error: unknown) => {
      // Nothing was begun, and nothing is known any more of how good it is, but by who has told since.
      if (scope === 'nothing') known.doubt();
      else if (known.element === 'inconsistent' && store.metadata.state !== 'inconsistent')
        known.element = element === 'uptodate' ? 'consistent' : element;
      host.changed();
      throw error;
    });
    const over = (): void => undefined;
    this.#underWay = runs.then(over, over);
    return runs;
  }

  /** Its connection has ended: resolves when nothing of it can reach the element or its lineage any more; null where there was none. */
  left(): Promise<void> | null {
    const left = this.#underWay;
    this.#underWay = null;
    return left;
  }
}
