/** Tells when nothing is left of something that has ended. */
export class Aftermath {
  readonly #isOver: () => boolean;
  #waiting: (() => void)[] = [];

  constructor(isOver: () => boolean) {
    this.#isOver = isOver;
  }

  /** Resolves when nothing is left; null where nothing is left now. */
  gone(): Promise<void> | null {
    if (this.#isOver()) return null;
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  /** Something is over. */
  look(): void {
    if (this.#waiting.length === 0 || !this.#isOver()) return;
    for (const resolve of this.#waiting.splice(0)) resolve();
  }
}
