/**
 * A simulated SCSI bus for two nodes on this machine, whose monitor links name its file: `scsi-sim:bus.sock?id=7`.
 * Run as `node scsi-bus.mjs bus.sock`; a line on stdin makes a fault: `error`, `remove 7`, `terminate`. It ends when stdin does.
 */
import { createInterface } from 'node:readline';

import { systemClock, systemRandom } from 'hotmirror';
import { ScsiBus, serveScsiBus } from 'hotmirror/transport/scsi-sim';

const bus = new ScsiBus({ clock: systemClock, random: systemRandom });
const server = await serveScsiBus({ path: process.argv[2] ?? 'bus.sock', bus, clock: systemClock });
console.log(`the bus is ready at ${server.path}`);

for await (const line of createInterface({ input: process.stdin })) {
  const [fault = '', id = ''] = line.trim().split(' ');
  if (fault === 'error') bus.breakDown();
  else if (fault === 'remove') bus.remove(Number(id));
  else if (fault === 'terminate') bus.terminate();
  else console.error(`${line}: write error, remove ID or terminate`);
  console.log(`hosts ${bus.hosts.join(' ') || 'none'}, ${bus.terminated ? 'terminated' : 'unterminated'}`);
}
await server.close();
