/** A promise whose work begins when somebody first waits for it, as time does that passes only inside awaited calls. */
export class LazyPromise<Value> extends Promise<Value> {
  readonly #work: () => Promise<Value>;
  #begun: Promise<Value> | null = null;

  /** What hangs on it is an ordinary promise. */
  static override get [Symbol.species](): PromiseConstructor {
    return Promise;
  }

  constructor(work: () => Promise<Value>) {
    super(() => undefined);
    this.#work = work;
  }

  // Every way to wait for a promise comes by here.
  override then<Kept = Value, Caught = never>(
    kept?: ((value: Value) => Kept | PromiseLike<Kept>) | null,
    caught?: ((reason: unknown) => Caught | PromiseLike<Caught>) | null,
  ): Promise<Kept | Caught> {
    this.#begun ??= this.#work();
    return this.#begun.then(kept, caught);
  }
}
