import { sleep } from '../../src/clock/clock.ts';
import { systemClock as clock } from '../../src/clock/system-clock.ts';
import { systemRandom as random } from '../../src/clock/system-random.ts';
import { MemoryDevice } from '../../src/device/memory.ts';
import { elementMetadataBytes } from '../../src/mirror/create-element.ts';
import { MirrorLink } from '../../src/mirror/mirror-link.ts';
import { MemoryNetwork } from '../../src/transport/memory.ts';
import { secondsOf } from '../support/seconds.ts';
import { NullDevice } from './null-device.ts';

const extentBytes = 65_536;
const writeBytes = 4_096;
/** Writes under way at a time. */
const depth = 32;
const pollMs = 1;
const epoch = { number: 1, owner: 'alpha' } as const;

/** What so many dirty extents cost. */
export interface DirtyCost {
  /** As many as were written to, by what the metadata says. */
  readonly extents: number;
  /** Of one write that makes an extent dirty, while the other node is away. */
  readonly microsecondsPerWrite: number;
  /** Reads the metadata of the element. */
  readonly loadedMs: number;
  /** From the start of the other node until the resync runs: both know what is to be copied. */
  readonly startedMs: number;
  /** Of which the digests were compared. */
  readonly extentsPerSecond: number;
}

/** Both nodes of a mirror in one process, over disks that hold nothing. The metadata is all that outlives its mirrors. */
export class NullPair {
  readonly #sizeBytes: number;
  readonly #metadata: Record<'alpha' | 'beta', Uint8Array>;
  readonly #network = new MemoryNetwork({ clock, random });
  #links = 0;

  private constructor(sizeBytes: number) {
    this.#sizeBytes = sizeBytes;
    const bytes = elementMetadataBytes(sizeBytes);
    this.#metadata = { alpha: new Uint8Array(bytes), beta: new Uint8Array(bytes) };
  }

  /** Makes one and copies everything once, which takes a while. */
  static async whole(extents: number): Promise<NullPair> {
    const pair = new NullPair(extents * extentBytes);
    for (const node of ['alpha', 'beta'] as const) {
      const metadata = new MemoryDevice({ sizeBytes: pair.#metadata[node].length, contents: pair.#metadata[node] });
      await MirrorLink.create({ kind: node === 'alpha' ? 'data' : 'blank', sizeBytes: pair.#sizeBytes, metadata, random, epoch });
    }
    const [alpha, beta] = pair.#mirrors(pair.#metadata);
    for (const mirror of [alpha, beta]) await mirror.open();
    await whole(alpha);
    for (const mirror of [beta, alpha]) await mirror.close();
    return pair;
  }

  /** Makes so many extents dirty, spread over all, and tells what that costs; the next row begins whole again. */
  async measure(extents: number, seconds: number): Promise<DirtyCost> {
    const metadata = { alpha: this.#metadata.alpha.slice(), beta: this.#metadata.beta.slice() };
    const [serving, target] = this.#mirrors(metadata);
    for (const mirror of [serving, target]) await mirror.open();
    await whole(serving);
    await serving.promote({ epoch, alone: false });
    await target.close();
    await until(() => serving.state().connection !== 'connected');
    await serving.goAlone({ epoch: { ...epoch, number: 2 }, rule: 'alone', connectionId: serving.state().connectionId });
    const markedSeconds = await secondsOf(() => this.#dirty(serving, extents));
    await serving.close();
    const [source, late] = this.#mirrors(metadata);
    const loadedMs = 1e3 * (await secondsOf(() => source.open()));
    const dirtyExtents = source.state().dirtyBytes / extentBytes;
    const started = new Promise<void>((resolve) => void source.events.on('resync:started', () => resolve()));
    const startedMs = 1e3 * (await secondsOf(() => Promise.all([late.open(), started])));
    const extentsPerSecond = await copyRate(source, seconds);
    for (const mirror of [late, source]) await mirror.close();
    return { extents: dirtyExtents, microsecondsPerWrite: (1e6 * markedSeconds) / extents, loadedMs, startedMs, extentsPerSecond };
  }

  #mirrors(metadata: Record<'alpha' | 'beta', Uint8Array>): [MirrorLink, MirrorLink] {
    this.#links += 1;
    const link = this.#network.link(`data-${String(this.#links)}`, { nodes: ['alpha', 'beta'], poison: false });
    const mirror = (node: 'alpha' | 'beta', peer: 'alpha' | 'beta'): MirrorLink =>
      new MirrorLink({
        ...{ name: 'm0', node, peer, preferOwnDial: node === 'alpha', clock, random },
        device: new NullDevice(this.#sizeBytes),
        metadata: new MemoryDevice({ sizeBytes: metadata[node].length, contents: metadata[node] }),
        transport: link.transport(node),
      });
    return [mirror('alpha', 'beta'), mirror('beta', 'alpha')];
  }

  async #dirty(mirror: MirrorLink, extents: number): Promise<void> {
    const stride = Math.floor(this.#sizeBytes / extentBytes / extents) * extentBytes;
    const bytes = new Uint8Array(writeBytes).fill(1);
    let next = 0;
    const writer = async (): Promise<void> => {
      while (next < extents) {
        const offsetBytes = next * stride;
        next += 1;
        await new Promise<void>((resolve, reject) => mirror.write(offsetBytes, bytes, {}, (error) => (error ? reject(error) : resolve())));
      }
    };
    await Promise.all(Array.from({ length: depth }, writer));
  }
}

/** Until it is done, or for so long. */
async function copyRate(source: MirrorLink, seconds: number): Promise<number> {
  const before = source.state().dirtyBytes;
  const took = await secondsOf(() => Promise.race([until(() => source.state().dirtyBytes === 0), sleep(clock, seconds * 1e3)]));
  return (before - source.state().dirtyBytes) / extentBytes / took;
}

function whole(mirror: MirrorLink): Promise<void> {
  return until(() => mirror.state().element === 'uptodate' && mirror.state().peerElement === 'uptodate' && mirror.state().dirtyBytes === 0);
}

async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await sleep(clock, pollMs);
}
