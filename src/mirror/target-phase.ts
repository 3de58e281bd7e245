import { malformed } from './wire.ts';

/** What a source asks of its target besides writes: to be the same as it, to be behind it, or to hold everything alone. */
export type LineageWord = 'adopt' | 'ahead' | 'detach';

/** After which of them each may come, on one connection. */
const follows = { adopt: ['begun'], ahead: ['adopt'], detach: ['adopt'] } as const satisfies Record<
  LineageWord,
  readonly (LineageWord | 'begun')[]
>;

/**
 * The order in which a source may change what its target's element is worth (docs/wire.md). A target that took any other would count for what it is not.
 */
export class TargetPhase {
  #last: LineageWord | 'begun';

  /** `through`: the target holds everything alone from the beginning of the connection. */
  constructor(through: boolean) {
    this.#last = through ? 'detach' : 'begun';
  }

  /** Throws `HM_PROTOCOL` where it is out of turn. */
  take(word: LineageWord): void {
    if (!(follows[word] as readonly string[]).includes(this.#last)) throw malformed(`${word} after ${this.#last}`);
    this.#last = word;
  }
}
