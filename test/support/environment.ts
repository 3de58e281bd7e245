const ofThisRun: ReadonlySet<string> = new Set(['NODE_V8_COVERAGE', 'HOTMIRROR_TEST_STATS']);

/**
 * What the programs that a test starts get as environment: they run the build, of which no coverage is counted, and counting it would make them slow; nor do
 * they count as tests of this run.
 */
export function ownEnvironment(): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => !ofThisRun.has(name)));
}
