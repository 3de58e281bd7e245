import type { ExtentRun } from './dirty-map.ts';
import type { Agreement } from './handshake.ts';
import type { KnownElements } from './known-elements.ts';
import type { ElementState } from './state.ts';

/** What a handshake makes durable at a target before the stream begins (rule resync.begin), and what the element is worth meanwhile. */
export class TargetPreparation {
  readonly #known: KnownElements;
  readonly #durably: () => ElementState;
  #underWay: Promise<void> | null = null;

  /** `durably`: what the element is by its metadata. */
  constructor(known: KnownElements, durably: () => ElementState) {
    this.#known = known;
    this.#durably = durably;
  }

  /** Carries it out; gives what `prepare` does. */
  run({ scope }: Agreement, prepare: () => Promise<Iterable<ExtentRun>>): Promise<Iterable<ExtentRun>> {
    const known = this.#known;
    const { element } = known;
    if (scope !== 'nothing') known.element = 'inconsistent';
    const runs = prepare().catch((error: unknown) => {
      // Nothing was begun, and nothing is known any more of how good it is, but by who has told since.
      if (scope === 'nothing') known.doubt();
      else if (known.element === 'inconsistent' && this.#durably() !== 'inconsistent')
        known.element = element === 'uptodate' ? 'consistent' : element;
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
