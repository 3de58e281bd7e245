/** What a conformance suite needs of a test runner; mocha, vitest, jest and `node:test` fit as they are. */
export interface TestRunner {
  describe(title: string, body: () => void): void;
  it(title: string, body: () => Promise<void>): void;
}
