/** Who waits until no request is left inside. */
export class Drain {
  #waiting: ((drained: boolean) => void)[] = [];

  /** Whether anybody waits. */
  get wanted(): boolean {
    return this.#waiting.length > 0;
  }

  /** Resolves true when none is left, false when that can no longer be waited for. */
  wait(): Promise<boolean> {
    return new Promise((resolve) => {
      this.#waiting.push(resolve);
    });
  }

  /** Tells all who wait. */
  end(drained: boolean): void {
    for (const resolve of this.#waiting.splice(0)) resolve(drained);
  }
}
