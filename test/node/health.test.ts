import { expect } from 'chai';

import { sleep } from '../../src/clock/clock.ts';
import { systemClock } from '../../src/clock/system-clock.ts';
import type { ServiceState } from '../../src/failover/peer-report.ts';
import type { HealthWatch } from '../../src/heartbeat/health.ts';
import { loadConfig } from '../../src/node/config.ts';
import type { HealthProbeConfig } from '../../src/node/config.ts';
import { nodeHealth } from '../../src/node/health.ts';

const { config: example } = await loadConfig(new URL('../../../test/support/office-pair.json', import.meta.url).pathname);

const patienceMs = 30_000;
const pollMs = 25;
const usual = { when: 'always', everyMs: 100, deadlineMs: patienceMs } as const;

describe('The health probes of a node', () => {
  let watch: HealthWatch;
  let service: ServiceState;

  beforeEach(() => (service = 'running'));
  afterEach(() => watch.close());

  function start(...health: readonly HealthProbeConfig[]): void {
    const config = { ...example, monitor: { ...example.monitor, health } };
    const status = () => ({ serving: service !== 'stopped', service });
    watch = nodeHealth({ config, node: 'north', mirrors: [], clock: systemClock, status });
    watch.start();
  }

  async function until(wanted: string): Promise<void> {
    const limitMs = systemClock.nowMs() + patienceMs;
    const found = (): string => watch.results().map(({ name, state, text = '' }) => `${name} ${state} ${text}`.trim())[0] ?? '';
    while (found() !== wanted) {
      if (systemClock.nowMs() > limitMs) throw new Error(`${wanted} did not come about; last: ${found()}`);
      await sleep(systemClock, pollMs);
    }
  }

  const says = (text: string, exitCode: number): readonly string[] => ['sh', '-c', `echo first; echo "${text}"; exit ${String(exitCode)}`];

  it('are none where the configuration has none, and the lag alone where its list is empty', () => {
    watch = nodeHealth({ config: example, node: 'north', mirrors: [], clock: systemClock, status: () => ({ serving: true, service }) });
    expect(watch.results()).to.deep.equal([]);
    start();
    expect(watch.results().map(({ name }) => name)).to.deep.equal(['lag']);
  });

  it('are programs: exit code 0 is ok, whatever they say; another one failed, with the last line', async () => {
    start({ ...usual, name: 'web', argv: says('all is well', 0) });
    await until('web ok');
    await watch.close();
    start({ ...usual, name: 'web', argv: says('$HOTMIRROR_NODE to $HOTMIRROR_PEER: no response', 2) });
    await until('web failed exited with 2: north to south: no response');
  });

  it('fail where the program cannot be started, or has not ended by its deadline and is ended', async () => {
    start({ ...usual, name: 'web', argv: ['/nowhere/to/be/found'] });
    await until('web failed web could not be started: spawn /nowhere/to/be/found ENOENT');
    await watch.close();
    start({ ...usual, name: 'web', argv: ['sleep', '600'], deadlineMs: 200 });
    await until('web failed no answer within 200 ms');
  });

  it('with "serving" run on the node alone on which the service runs', async () => {
    service = 'stopped';
    start({ ...usual, name: 'web', argv: says('no response', 2), when: 'serving' });
    await until('web unknown the service does not run on this node');
    service = 'starting';
    await sleep(systemClock, 4 * usual.everyMs);
    await until('web unknown the service does not run on this node');
    service = 'running';
    await until('web failed exited with 2: no response');
    service = 'stopped';
    await until('web unknown the service does not run on this node');
  });
});
