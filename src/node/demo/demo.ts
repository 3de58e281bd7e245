import { sleep } from '../../clock/clock.ts';
import type { NodeStatus } from '../control-protocol.ts';
import type { DemoOptions, DemoVerdict } from '../programs.ts';
import { firstDifference, isClean } from './demo-image.ts';
import { DemoPair } from './demo-pair.ts';
import { DemoWriter } from './demo-writer.ts';

const sizeBytes = 33_554_432;
const intervalMs = 200;
const deadlineMs = 1_000;
const writesAtOnce = 8;
const trafficMs = 1_500;
const patienceMs = 60_000;
const msPerSecond = 1_000;

/**
 * Shows a pair of two processes on this machine through a failure and back: mirror, kill -9 in the middle of writes, fallback, recovery;
 * then proves that nothing acknowledged is lost. Leaves no process and no file behind.
 */
export async function demonstrate({ clock, random, signal, tell }: DemoOptions): Promise<DemoVerdict> {
  const startMs = clock.nowMs();
  const account = (text: string): void => tell(`${seconds(clock.nowMs() - startMs).padStart(8)}  ${text}`);
  const pair = await DemoPair.create({
    clock,
    random,
    sizeBytes,
    intervalMs,
    deadlineMs,
    onEvent: ({ node, class: eventClass, event, text }) => {
      if (eventClass > 0) account(`          ${node} reports (class ${String(eventClass)}): ${event}: ${text}`);
    },
  });
  const interrupted = new Promise<never>((_resolve, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true });
  });
  interrupted.catch(() => undefined);
  try {
    account(
      `two nodes in ${pair.folder}; the disk holds ${pair.image.fileSystem ? 'an ext4 file system' : 'random bytes'} and room for raw writes`,
    );
    return await Promise.race([interrupted, story(pair, { clock, random, account })]);
  } catch (error) {
    if (!signal.aborted) throw error;
    return { passed: false, stopped: true, text: `stopped after ${seconds(clock.nowMs() - startMs)}, before the verdict` };
  } finally {
    await pair.remove();
    account('processes ended, files removed');
  }
}

interface Teller extends Pick<DemoOptions, 'clock' | 'random'> {
  readonly account: (text: string) => void;
}

async function story(pair: DemoPair, { clock, random, account }: Teller): Promise<DemoVerdict> {
  const { roomAtBytes } = pair.image;
  const writer = new DemoWriter({
    clock,
    random,
    roomAtBytes,
    roomBytes: sizeBytes - roomAtBytes,
    depth: writesAtOnce,
    serving: pair.serving,
  });
  const phase = async (what: string, run: () => Promise<unknown>): Promise<void> => {
    const fromMs = clock.nowMs();
    await run();
    account(`${what}: ${seconds(clock.nowMs() - fromMs)}`);
  };
  const traffic = async (node: string): Promise<void> => {
    const before = writer.acknowledged;
    await sleep(clock, trafficMs);
    account(`${String(writer.acknowledged - before)} writes acknowledged by ${node} in ${seconds(trafficMs)}`);
  };

  await phase('alpha and beta started, beta filled from alpha', async () => {
    await Promise.all([pair.start('alpha'), pair.start('beta')]);
    await pair.until('alpha', 'the first copy', ({ serving, mirrors }) => serving && mirrors[0]?.peerElement === 'uptodate', patienceMs);
    await pair.until('beta', 'the armed monitor', ({ monitor }) => monitor.state === 'normal', patienceMs);
  });
  writer.start();
  await traffic('alpha');
  const killedMs = clock.nowMs();
  account('kill -9 alpha, in the middle of writes');
  await pair.kill('alpha');
  await pair.until('beta', 'the fallback', ({ serving, mode }) => serving && mode === 'fallback', patienceMs);
  account(`fallback: beta serves ${seconds(clock.nowMs() - killedMs)} after the kill (deadline ${seconds(deadlineMs)})`);
  await until(() => writer.lastAcknowledgedMs > killedMs && pair.serving()?.node === 'beta', clock);
  account(`first write acknowledged by beta ${seconds(clock.nowMs() - killedMs)} after the kill`);
  await traffic('beta');
  await phase('alpha started again and regenerated from beta, while writes go on', async () => {
    await pair.start('alpha');
    await pair.until('alpha', 'the regeneration', ({ mirrors }) => mirrors[0]?.element === 'uptodate', patienceMs);
    // The data link may be back before the monitor links are, and a recovery needs both (rule `recover.ready`).
    const heard = ({ monitor: { peer, links } }: NodeStatus): boolean => peer === 'up' && links.every(({ state }) => state === 'up');
    await pair.until('beta', 'alpha heard again on every link', heard, patienceMs);
  });
  await phase('recovery: alpha serves again', async () => {
    await pair.recover();
    await pair.until('alpha', 'the recovery', ({ serving, mode }) => serving && mode === 'normal', patienceMs);
  });
  await traffic('alpha');
  await writer.stop();
  await phase('both nodes stopped in order', async () => {
    await pair.stop('beta');
    await pair.stop('alpha');
  });
  return judge(pair, writer);
}

async function judge(pair: DemoPair, writer: DemoWriter): Promise<DemoVerdict> {
  const lost = await writer.lostIn(pair.element('alpha'));
  const difference = await firstDifference(pair.element('alpha'), pair.element('beta'));
  const dirty: string[] = [];
  if (pair.image.fileSystem) for (const node of ['alpha', 'beta'] as const) if (!(await isClean(pair.element(node)))) dirty.push(node);
  const elements = difference === null ? 'elements identical' : `elements differ at byte ${String(difference)}`;
  const fileSystems = dirty.length === 0 ? '' : `, e2fsck finds errors on ${dirty.join(' and ')}`;
  const passed = lost === 0 && difference === null && dirty.length === 0 && writer.acknowledged > 0;
  return {
    passed,
    stopped: false,
    text: `verdict: ${String(writer.acknowledged)} acknowledged writes, ${String(lost)} lost, ${elements}${fileSystems}`,
  };
}

async function until(condition: () => boolean, clock: Teller['clock']): Promise<void> {
  const limitMs = clock.nowMs() + patienceMs;
  while (!condition()) {
    if (clock.nowMs() > limitMs) throw new Error('no write was acknowledged after the fallback');
    await sleep(clock, 1);
  }
}

function seconds(ms: number): string {
  return `${(ms / msPerSecond).toFixed(3)} s`;
}
