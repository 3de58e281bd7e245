/** Two mirrors in one process, in virtual time: a write reaches both, one node dies, the other serves what was written. */
import { devicePromises, elementMetadataBytes, MirrorLink } from 'hotmirror';
import { MemoryDevice } from 'hotmirror/device/memory';
import { SeededRandom, VirtualClock } from 'hotmirror/testing';
import { MemoryNetwork } from 'hotmirror/transport/memory';

const sizeBytes = 1_048_576;
const patienceMs = 10_000;
const clock = new VirtualClock();
const random = new SeededRandom(1);
const link = new MemoryNetwork({ clock, random }).link('data', { nodes: ['alpha', 'beta'], conditions: { delayMs: 1 } });

async function open(node: 'alpha' | 'beta', kind: 'data' | 'blank'): Promise<MirrorLink> {
  const device = new MemoryDevice({ sizeBytes });
  const metadata = new MemoryDevice({ sizeBytes: elementMetadataBytes(sizeBytes) });
  await MirrorLink.create({ kind, sizeBytes, metadata, random, epoch: { number: 1, owner: 'alpha' }, replace: false });
  const mirror = new MirrorLink({
    name: 'm0',
    node,
    peer: node === 'alpha' ? 'beta' : 'alpha',
    preferOwnDial: node === 'alpha',
    device,
    metadata,
    transport: link.transport(node),
    clock,
    random,
  });
  await mirror.open();
  return mirror;
}

const alpha = await open('alpha', 'data');
const beta = await open('beta', 'blank');
await clock.until(() => beta.state().element === 'uptodate', patienceMs, 'the first copy');

await alpha.promote({ epoch: { number: 1, owner: 'alpha' }, alone: false });
await clock.settled(devicePromises(alpha).write(0, new TextEncoder().encode('hello'.padEnd(512)), { fua: true }), patienceMs);
console.log(`alpha wrote, and beta is ${beta.state().element}`);

link.kill('alpha');
await clock.until(() => beta.state().connection !== 'connected', patienceMs, 'the loss');
await clock.settled(beta.seal(), patienceMs);
// The next epoch, which alpha can't have; in production a FailoverOrchestrator decides this.
await beta.promote({ epoch: { number: 2, owner: 'beta' }, alone: true });
const bytes = await clock.settled(devicePromises(beta).read(0, 512), patienceMs);
console.log(`beta serves alone and reads: ${new TextDecoder().decode(bytes).trimEnd()}`);

await clock.settled(beta.close(), patienceMs);
