import { writeFileSync } from 'node:fs';
import Mocha from 'mocha';

const { EVENT_TEST_PENDING } = Mocha.Runner.constants;
const skipReason = Symbol.for('hotmirror.skipReason');
const lingerMs = 20_000;

/** The one line that tells how a run went. */
export function tally({ passes, failures, pending }) {
  return `${passes} passed, ${failures} failed, ${pending} skipped`;
}

function reasonOf(test) {
  for (let each = test; each; each = each.parent) {
    if (each[skipReason]) return each[skipReason];
  }
  return 'no reason given';
}

/** Says what keeps the process from ending after its last test, then ends it as a failure. */
function refuseToLinger() {
  const lingering = setTimeout(() => {
    console.error(`The tests are over, but these keep the process alive: ${process.getActiveResourcesInfo().join(', ')}`);
    // Mocha sets the exit code in a listener of its own, before this one.
    process.on('exit', () => (process.exitCode = 1));
    process.exit();
  }, lingerMs);
  lingering.unref();
}

/**
 * Mocha's own report, then every skipped test with its reason, then the tally as the last line.
 * Where HOTMIRROR_TEST_STATS names a file, the stats go there and the tally is left to whoever asked.
 */
export default class Reporter extends Mocha.reporters.Spec {
  #skipped = [];

  constructor(runner, options) {
    super(runner, options);
    runner.on(EVENT_TEST_PENDING, (test) => this.#skipped.push(test));
  }

  /** Mocha calls this when the run has ended. */
  epilogue() {
    super.epilogue();
    for (const test of this.#skipped) console.log(`skipped: ${test.fullTitle()}\n  because ${reasonOf(test)}`);
    const statsFile = process.env['HOTMIRROR_TEST_STATS'];
    if (statsFile) writeFileSync(statsFile, JSON.stringify(this.stats));
    else console.log(tally(this.stats));
    refuseToLinger();
  }
}
