import { readdirSync } from 'node:fs';
import path from 'node:path';

import { expect } from 'chai';

import { loadSchedule } from '../../src/node/simulate/schedule-file.ts';
import { simulatePair } from '../../src/testing/simulation/simulated-pair.ts';
import { runSchedule } from '../../src/testing/swarm/run-schedule.ts';
import { repositoryRoot } from '../support/repository.ts';

const folder = path.join(repositoryRoot, 'test', 'scenarios');
const files = readdirSync(folder).filter((file) => file.endsWith('.json'));

/** Schedules that once broke a promise, shrunk, each with a note of what was wrong. */
describe('a schedule that once broke a promise holds', function () {
  this.timeout(60_000);

  for (const file of files.sort()) {
    it(path.basename(file, '.json').replaceAll('-', ' '), async () => {
      const schedule = await loadSchedule(path.join(folder, file));
      expect(schedule.note, 'a scenario says what was wrong')
        .to.be.a('string')
        .and.to.match(/\w.*\.$/u);
      const { outcome, text } = await runSchedule(schedule, { start: simulatePair });
      expect(outcome, text).to.equal('held');
    });
  }
});
