import { writeFileSync } from 'node:fs';
import os from 'node:os';
import { setTimeout as wait } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

import { systemClock } from '../../src/clock/system-clock.ts';
import { systemRandom } from '../../src/clock/system-random.ts';
import { decodeMessage, encodeMessage } from '../../src/heartbeat/token.ts';
import { tcpTransport } from '../../src/transport/tcp.ts';
import type { Transport } from '../../src/transport/transport.ts';
import { describeMachine } from '../support/machine.ts';
import { Workplace } from '../support/processes.ts';
import type { RecordingFile } from './recording.ts';

/*
 * Records how long tokens take from one process to another, over TCP of this machine, while its cores are busy, into a file for `bench/traces`:
 *
 *   node .build/bench/detectors/record-trace.js --out FILE [--seconds 150] [--interval 100] [--busy 2]
 *
 * A token carries when it was due, in place of its nonce: on Linux, both processes see the same monotonic clock.
 */

const run = 'feedfacefeedface';
const nonceDigits = 16;
const nanosecondsPerMicrosecond = 1_000n;
const hex = 16;

function nowUs(): number {
  return Number(process.hrtime.bigint() / nanosecondsPerMicrosecond);
}

function transport(node: string, peer: string, listen: string | null, dial: string): Transport {
  return tcpTransport({
    listen,
    dial,
    pair: 'trace',
    node,
    peer,
    purpose: 'monitor:trace',
    key: null,
    clock: systemClock,
    random: systemRandom,
  });
}

/** The sender: a token at each interval, however late, until it is ended. */
async function send(address: string, intervalMs: number): Promise<void> {
  const connection = await transport('beta', 'alpha', null, address).dial();
  connection.receive({ frame: () => undefined, closed: () => process.exit() });
  for (let dueUs = nowUs(), sequence = 1; ; sequence += 1) {
    dueUs += intervalMs * 1_000;
    // Not before: timers take whole milliseconds.
    await wait(Math.max(0, Math.ceil((dueUs - nowUs()) / 1_000)));
    connection.send([encodeMessage({ kind: 'token', run, sequence, nonce: dueUs.toString(hex).padStart(nonceDigits, '0') })]);
  }
}

/** The receiver: gives how long each of so many tokens took, in microseconds. */
function receive(workplace: Workplace, tokens: number, intervalMs: number): Promise<readonly number[]> {
  return new Promise((resolve, reject) => {
    const delaysUs: number[] = [];
    const frame = (bytes: Uint8Array): void => {
      const message = decodeMessage(bytes);
      if (message.kind === 'token') delaysUs.push(nowUs() - parseInt(message.nonce, hex));
      if (delaysUs.length === tokens) resolve(delaysUs);
    };
    const accepted = transport('alpha', 'beta', 'tcp://127.0.0.1:0', 'tcp://127.0.0.1:1').listen({
      accepted: (connection) => connection.receive({ frame, closed: () => reject(new Error('the sender ended')) }),
    });
    accepted.then(({ address }) => {
      const program = fileURLToPath(import.meta.url);
      workplace.start(process.execPath, [program, '--send', address, '--interval', String(intervalMs)]);
    }, reject);
  });
}

async function record(out: string, seconds: number, intervalMs: number, busy: number): Promise<void> {
  const workplace = new Workplace(os.tmpdir());
  try {
    for (let each = 0; each < busy; each += 1) workplace.start(process.execPath, ['-e', 'for (;;);']);
    const delaysUs = await receive(workplace, Math.ceil((seconds * 1_000) / intervalMs), intervalMs);
    const about = `loopback TCP between two processes, ${String(busy)} busy loops beside them, load ${os.loadavg()[0]!.toFixed(1)} at the end`;
    const recorded = `${new Date().toISOString().slice(0, 16).replace('T', ' ')} UTC`;
    const file: RecordingFile = { machine: describeMachine([]), recorded, about, intervalMs, delaysUs };
    writeFileSync(out, `${JSON.stringify(file)}\n`);
  } finally {
    await workplace.end();
  }
}

const text = { type: 'string' } as const;
const { values } = parseArgs({ options: { out: text, send: text, seconds: text, interval: text, busy: text } });
const { out, seconds = '150', interval = '100', busy = '2' } = values;
if (values.send !== undefined) {
  await send(values.send, Number(interval));
} else if (out !== undefined) {
  await record(out, Number(seconds), Number(interval), Number(busy));
  process.exit();
} else {
  console.error('record-trace needs --out FILE');
  process.exitCode = 2;
}
