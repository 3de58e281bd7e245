/** Opens and closes the parts of a node in order. */
export class Parts {
  readonly #closers: (() => Promise<void>)[] = [];

  /** Waits for a part and remembers how to close it. */
  async add<Part>(opening: Promise<Part>, close: (part: Part) => Promise<void>): Promise<Part> {
    const part = await opening;
    this.#closers.push(() => close(part));
    return part;
  }

  /** Closes what was opened, the latest first; goes on where one fails and then rejects with the first error. */
  async close(): Promise<void> {
    const errors: unknown[] = [];
    for (const close of this.#closers.splice(0).reverse()) await close().catch((error: unknown) => errors.push(error));
    if (errors.length > 0) throw errors[0];
  }
}
