import type { Clock } from '../clock/clock.ts';

/** How much of one kind of work a connection may begin before everything else in the thread has its turn. */
export class TurnBudget {
  readonly #clock: Pick<Clock, 'timer'>;
  readonly #renewed: () => void;
  /** In this turn; 0: no later one is waited for. */
  #spent = 0;

  /** `renewed` is called in the turn after each in which something was spent. */
  constructor(clock: Pick<Clock, 'timer'>, renewed: () => void) {
    this.#clock = clock;
    this.#renewed = renewed;
  }

  /** What was spent in this turn. */
  get spent(): number {
    return this.#spent;
  }

  spend(amount: number): void {
    if (this.#spent === 0 && amount > 0)
      this.#clock.timer(1, () => {
        this.#spent = 0;
        this.#renewed();
      });
    this.#spent += amount;
  }
}
