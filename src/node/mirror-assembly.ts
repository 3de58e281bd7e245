import path from 'node:path';
import type { MessagePort } from 'node:worker_threads';

import { systemClock } from '../clock/system-clock.ts';
import { systemRandom } from '../clock/system-random.ts';
import type { BlockDevice } from '../device/block-device.ts';
import { openStateFile } from '../device/state-file.ts';
import { HotMirrorError } from '../errors.ts';
import { elementMetadataBytes } from '../mirror/create-element.ts';
import { MirrorLink } from '../mirror/mirror-link.ts';
import type { UndoJournal } from '../mirror/options.ts';
import type { OpenPort } from '../transport/serial.ts';
import { homesOf, peerOf } from './config.ts';
import type { UndoJournalConfig } from './config.ts';
import { elementOf, openElement } from './element.ts';
import type { ElementServer } from './server-news.ts';
import { openSparseFile } from './sparse-file.ts';
import { dataTransport } from './transports.ts';
import type { LinkKeyring } from './link-keyring.ts';
import type { LinkSource } from './transports.ts';

/** What a mirror of this node is made from; plain data, for it travels to a thread. */
export interface MirrorSource extends LinkSource {
  readonly mirror: string;
}

/** What the thread of a mirror is started with. */
export interface MirrorThreadSource extends MirrorSource {
  /** To the `SerialPortHost` of the main thread. */
  readonly serialPorts: MessagePort;
}

/** What a mirror has from its thread, and what its parts tell besides its events. */
export interface MirrorSurroundings {
  /** Opens the serial port of a data link that goes over one. */
  readonly openPort: OpenPort;
  /** Bytes have come over its data link. */
  readonly onBytes: () => void;
  /** What becomes of the NBD server behind its element. */
  readonly onServer: (news: ElementServer) => void;
}

/** Opens element and metadata of one configured mirror; the mirror itself is not open yet. */
export async function assembleMirror(
  source: MirrorSource,
  keyring: LinkKeyring,
  { openPort, onBytes, onServer }: MirrorSurroundings,
): Promise<MirrorLink> {
  const { config, node, mirror: name } = source;
  const mirror = config.mirrors.find((candidate) => candidate.name === name);
  if (!mirror) throw new HotMirrorError('HM_CONFIG', `mirrors: there is no ${name}`);
  const { intervalMs, deadlineMs, leaseMs } = config.monitor;
  const device = await openElement(elementOf(config, name, node), onServer);
  const metadata = await openMetadata(metadataFile(config.nodes[node]?.stateDir ?? '', name), device.sizeBytes);
  const undoJournal = mirror.undoJournal[node];
  return new MirrorLink({
    name,
    node,
    peer: peerOf(config, node),
    preferOwnDial: homesOf(config).primary === node,
    device,
    metadata,
    transport: dataTransport(source, keyring, name, { clock: systemClock, random: systemRandom, openPort, onBytes }),
    clock: systemClock,
    random: systemRandom,
    protocol: mirror.protocol,
    whenCongested: mirror.whenCongested,
    whenSplit: mirror.whenSplit,
    openSalvage: openSparseFile,
    ...(undoJournal ? { undoJournal: await openJournal(undoJournal) } : {}),
    limits: { ...mirror.limits, probeIntervalMs: intervalMs, deadlineMs, leaseMs },
    resync: mirror.resync,
    ...(mirror.verify.digest ? { digest: mirror.verify.digest } : {}),
  });
}

async function openJournal({ file, sizeBytes, whenFull }: UndoJournalConfig): Promise<UndoJournal> {
  const { device } = await openSparseFile(file, sizeBytes);
  return { device, whenFull };
}

/** Metadata has room for the device as it was at `init`; one that is larger now, or smaller, needs no other file. */
function openMetadata(file: string, deviceBytes: number): Promise<BlockDevice> {
  return openStateFile(file, elementMetadataBytes(deviceBytes), { leastBytes: elementMetadataBytes(0) });
}

/** Where the metadata of a mirror lies. */
export function metadataFile(stateDir: string, mirror: string): string {
  return path.join(stateDir, `${mirror}.meta`);
}

/** Where the pair record of a node lies. */
export function recordFile(stateDir: string): string {
  return path.join(stateDir, 'pair.record');
}
