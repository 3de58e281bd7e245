import { expect } from 'chai';

import { sleep } from '../../src/clock/clock.ts';
import { systemClock } from '../../src/clock/system-clock.ts';
import { firstDifference, isClean } from '../../src/node/demo/demo-image.ts';
import { DemoPair } from '../../src/node/demo/demo-pair.ts';
import type { DemoNode } from '../../src/node/demo/demo-pair.ts';
import { DemoWriter } from '../../src/node/demo/demo-writer.ts';
import { SeededRandom } from '../../src/testing/seeded-random.ts';

const sizeBytes = 16_777_216;
const kills = 20;
const longestTrafficMs = 1_200;
const patienceMs = 60_000;
const writesAtOnce = 8;
const seedRange = 1_000_000;

/** A node's process dies at a random moment of the traffic and comes back; service goes on or moves; nothing acknowledged is lost. */
describe('kill -9 of either process, twenty times at random moments', function () {
  this.timeout(300_000);

  it('loses no acknowledged write and ends with identical elements', async () => {
    const seed = Number(process.env['HOTMIRROR_SEED'] ?? Math.floor(Math.random() * seedRange));
    console.log(`      seed ${String(seed)}`);
    const random = new SeededRandom(seed);
    const history: string[] = [];
    const pair = await DemoPair.create({
      clock: systemClock,
      random,
      sizeBytes,
      intervalMs: 100,
      deadlineMs: 500,
      onEvent: ({ time, node, event, text }) => history.push(`${time} ${node} ${event}: ${text}`),
    });
    try {
      await killAndReturn(pair, random);
    } catch (error) {
      console.log(history.slice(-80).join('\n'));
      throw error;
    } finally {
      await pair.remove();
    }
  });
});

async function killAndReturn(pair: DemoPair, random: SeededRandom): Promise<void> {
  const { roomAtBytes, fileSystem } = pair.image;
  const writer = new DemoWriter({
    clock: systemClock,
    random,
    roomAtBytes,
    roomBytes: sizeBytes - roomAtBytes,
    depth: writesAtOnce,
    serving: pair.serving,
  });
  await Promise.all([pair.start('alpha'), pair.start('beta')]);
  await healthy(pair);
  writer.start();
  for (let kill = 0; kill < kills; kill += 1) {
    await sleep(systemClock, random.fraction() * longestTrafficMs);
    const victim: DemoNode = random.fraction() < 0.5 ? 'alpha' : 'beta';
    await pair.kill(victim);
    // Sometimes it comes back before anyone can be sure that it is gone.
    await sleep(systemClock, random.fraction() * longestTrafficMs);
    const acknowledged = writer.acknowledged;
    await pair.start(victim);
    await healthy(pair);
    while (writer.acknowledged === acknowledged) await sleep(systemClock, 10);
  }
  await writer.stop();
  await pair.recover();
  await pair.until('alpha', 'the recovery', ({ serving, mode }) => serving && mode === 'normal', patienceMs);
  await pair.stop('beta');
  await pair.stop('alpha');
  console.log(`      ${String(writer.acknowledged)} writes acknowledged, ${String(writer.unanswered)} without an answer`);
  expect(await writer.lostIn(pair.element('alpha')), 'acknowledged writes lost').to.equal(0);
  expect(await firstDifference(pair.element('alpha'), pair.element('beta')), 'first difference').to.equal(null);
  if (fileSystem) expect(await isClean(pair.element('beta')), 'e2fsck').to.equal(true);
}

/** One serves, and both elements are the same. */
async function healthy(pair: DemoPair): Promise<void> {
  const elements = ({
    mirrors: [mirror],
  }: {
    readonly mirrors: readonly { readonly element: string; readonly peerElement: string }[];
  }): boolean => mirror?.element === 'uptodate' && mirror.peerElement === 'uptodate';
  await Promise.all((['alpha', 'beta'] as const).map((node) => pair.until(node, 'health', elements, patienceMs)));
  const limitMs = systemClock.nowMs() + patienceMs;
  while (!pair.serving()) {
    if (systemClock.nowMs() > limitMs) throw new Error('nobody serves');
    await sleep(systemClock, 10);
  }
}
