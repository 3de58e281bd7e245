import { writeFile } from 'node:fs/promises';

import { expect } from 'chai';

import { systemRandom } from '../../src/clock/system-random.ts';
import { SeededRandom } from '../../src/testing/seeded-random.ts';
import { hasSocat, PseudoTerminals } from '../support/pseudo-terminals.ts';
import { skipBecause } from '../support/skip.ts';
import { AcknowledgedWrites } from './support/acknowledged-writes.ts';
import { CommandPair, poll } from './support/command-pair.ts';
import type { NodeName } from './support/command-pair.ts';
import { socketOf, untilExported } from './support/exported-pair.ts';

const names: readonly NodeName[] = ['alpha', 'beta'];
/** What such a line has copied in a few seconds, in one piece and with no other sign of life meanwhile, on a machine however busy. */
const mirrorBytes = 262_144;
/** The fastest there is. Pseudo-terminals are faster, but no more is handed to them. */
const baudRate = 4_000_000;
/** A little more than the least that is accepted at this rate, which is twice what the longest write takes. */
const serialDeadlineMs = 6_000;
const serialIntervalMs = 500;
const leastWrites = 100;

describe('a pair whose mirror goes over a serial line', function () {
  this.timeout(180_000);

  let terminals: PseudoTerminals;
  let pair: CommandPair;

  before(function () {
    if (!hasSocat()) skipBecause(this, 'socat is not installed');
  });

  beforeEach(async () => {
    terminals = await PseudoTerminals.create();
    pair = await CommandPair.create({
      betaBytes: mirrorBytes,
      change: ({ mirrors: [mirror], monitor }) => {
        mirror!.dataLink = { alpha: urlOf(terminals.one), beta: urlOf(terminals.other) };
        Object.assign(monitor, { intervalMs: serialIntervalMs, deadlineMs: serialDeadlineMs, initialGraceMs: 2 * serialDeadlineMs });
      },
    });
    await writeFile(pair.element('alpha'), systemRandom.bytes(mirrorBytes));
    for (const node of names) await pair.must(node, 'init');
    await Promise.all(names.map((node) => pair.run(node)));
    await pair.health('alpha');
    await untilExported(pair, 'alpha');
  });

  afterEach(async () => {
    await pair.end();
    await terminals.end();
  });

  const urlOf = (device: string): string => `serial:${device}?baudRate=${baudRate}`;

  it('has on the standby what was acknowledged, when the primary is killed; and copies back what the old primary missed', async () => {
    const writes = new AcknowledgedWrites(new SeededRandom(1), mirrorBytes);
    const { ended } = await writes.begin(socketOf(pair, 'alpha'));
    await poll(
      'acknowledged writes',
      async () => writes.acknowledged,
      (count) => count >= leastWrites,
    );
    await pair.kill('alpha');
    await ended;
    await pair.until('beta', 'a fallback', ({ mode, serving }) => mode === 'fallback' && serving);
    await untilExported(pair, 'beta');
    expect(await writes.lost(socketOf(pair, 'beta'))).to.deep.equal([]);
    await pair.run('alpha');
    await pair.health('beta');
    await pair.stopAll();
    expect(await pair.identical()).to.equal(true);
  });
});
