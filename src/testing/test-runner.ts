/** What a conformance suite needs of a test runner; mocha, vitest, jest and `node:test` fit as they are. */
export interface TestRunner {
  /** A group of tests. */
  describe(title: string, body: () => void): void;
  /** One test. */
  it(title: string, body: () => Promise<void>): void;
}
