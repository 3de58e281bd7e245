import { expect } from 'chai';

import { hasSocat, PseudoTerminals } from '../support/pseudo-terminals.ts';
import { skipBecause } from '../support/skip.ts';
import { CommandPair, deadlineMs, never } from './support/command-pair.ts';
import type { NodeName } from './support/command-pair.ts';
import { CutNetwork } from './support/cut-network.ts';

/** What a serial line, a start and a busy machine have time for. */
const serialIntervalMs = 400;
const serialDeadlineMs = 4 * deadlineMs;

const names: readonly NodeName[] = ['alpha', 'beta'];

describe('a pair with a serial monitor link', function () {
  this.timeout(120_000);

  let terminals: PseudoTerminals;
  let pair: CommandPair;
  let network: CutNetwork;

  before(function () {
    if (!hasSocat()) skipBecause(this, 'socat is not installed');
  });

  beforeEach(async () => {
    terminals = await PseudoTerminals.create();
    pair = await CommandPair.create();
    const file = await pair.readConfig();
    network = await CutNetwork.of(file);
    file.monitor.intervalMs = serialIntervalMs;
    file.monitor.deadlineMs = serialDeadlineMs;
    file.monitor.initialGraceMs = 2 * serialDeadlineMs;
    file.monitor.links[1] = { name: 'line', alpha: urlOf(terminals.one), beta: urlOf(terminals.other) };
    await pair.writeConfig(file);
    for (const node of names) await pair.must(node, 'init');
    await Promise.all(names.map((node) => pair.run(node)));
    await pair.health('alpha');
  });

  afterEach(async () => {
    await pair.end();
    await network.end();
    await terminals.end();
  });

  const urlOf = (device: string): string => `serial:${device}?baudRate=115200`;

  it('does not fall back while the serial line answers, and does once the primary is dead', async () => {
    const before = await pair.until('beta', 'both links up', ({ monitor }) => monitor.links.every(({ state }) => state === 'up'));
    expect(before.mode).to.equal('normal');
    network.cut();
    await pair.until('beta', 'the network not up', ({ monitor }) => monitor.links[0]?.state !== 'up');
    await never(
      'a fallback, or a peer that is not up, while the serial line answers',
      () => pair.status('beta'),
      ({ mode, serving, monitor }) => mode !== 'normal' || serving || monitor.peer === 'down' || monitor.links[1]?.state === 'down',
      3 * serialDeadlineMs,
    );
    expect((await pair.status('alpha')).serving).to.equal(true);
    await network.mend(pair);
    network.cut();
    terminals.cut();
    await pair.kill('alpha');
    await pair.until('beta', 'a fallback', ({ mode, serving }) => mode === 'fallback' && serving);
    terminals.mend();
  });

  it('has the line back after its device went away and came again', async () => {
    await terminals.pull();
    await pair.until('beta', 'the line not up', ({ monitor }) => monitor.links[1]?.state !== 'up');
    await terminals.plug();
    for (const node of names) await pair.until(node, 'the line up', ({ monitor }) => monitor.links[1]?.state === 'up');
    expect((await pair.status('beta')).mode).to.equal('normal');
  });
});
