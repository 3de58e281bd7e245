import { rm } from 'node:fs/promises';

import { openStateFile } from '../device/state-file.ts';
import { HotMirrorError } from '../errors.ts';
import { DurablePairRecordStore, pairRecordBytes } from '../failover/pair-record-store.ts';
import { elementMetadataBytes } from '../mirror/create-element.ts';
import { MirrorLink } from '../mirror/mirror-link.ts';
import { elementOf, openElement } from './element.ts';
import { ensureKeyFile, readKeyFile } from './key-file.ts';
import { metadataFile, recordFile } from './mirror-assembly.ts';
import type { InitOptions, InitReport } from './programs.ts';

/** The epoch that a new pair begins in. */
const firstEpochNumber = 1;

/**
 * Makes the key file (on the home primary) and each mirror's metadata: the home primary's elements hold the data, the home standby's are blank.
 * With `blank` they are blank on either. With `force`, what metadata and pair record knew is forgotten.
 */
export async function initNode({ loaded, node, random, force, blank }: InitOptions): Promise<InitReport> {
  const { config } = loaded;
  const home = config.nodes[node]?.home ?? 'standby';
  const key = await prepareKey(config.auth?.keyFile, home, random);
  const stateDir = config.nodes[node]?.stateDir ?? '';
  const mirrors: InitReport['mirrors'][number][] = [];
  for (const { name, sizeBytes: wantedBytes } of config.mirrors) {
    const file = metadataFile(stateDir, name);
    const kind = home === 'primary' && !blank ? 'data' : 'blank';
    const device = await openElement(elementOf(config, name, node));
    try {
      const sizeBytes = mirrorBytes(name, kind, device.sizeBytes, wantedBytes);
      // What is there may have too little room for a device that has grown since.
      if (force) await rm(file, { force: true });
      const metadata = await openStateFile(file, elementMetadataBytes(device.sizeBytes));
      try {
        await MirrorLink.create({ kind, sizeBytes, metadata, random, epoch: { number: firstEpochNumber, owner: node }, replace: force });
      } finally {
        await metadata.close();
      }
      mirrors.push({ name, sizeBytes, element: kind, metadata: file });
    } finally {
      await device.close();
    }
  }
  await prepareRecord(recordFile(stateDir), force);
  return { node, home, key, mirrors };
}

/**
 * How large the mirror is: as the configuration says, else as the home primary's device. It is never made to fit the smaller device by itself, for that would
 * cut off the end of what the home primary's may hold already, such as a file system. Throws `HM_ELEMENT_TOO_SMALL`.
 */
function mirrorBytes(name: string, kind: 'data' | 'blank', deviceBytes: number, wantedBytes: number | undefined): number {
  if (wantedBytes !== undefined && deviceBytes < wantedBytes) {
    const sizes = `${String(deviceBytes)} bytes, the mirror ${String(wantedBytes)}`;
    throw new HotMirrorError('HM_ELEMENT_TOO_SMALL', `the element of ${name} has ${sizes}`, { rule: 'lineage.size' });
  }
  return kind === 'data' ? (wantedBytes ?? deviceBytes) : deviceBytes;
}

async function prepareRecord(file: string, force: boolean): Promise<void> {
  if (force) await rm(file, { force: true });
  const device = await openStateFile(file, pairRecordBytes);
  try {
    await DurablePairRecordStore.prepare(device);
  } finally {
    await device.close();
  }
}

async function prepareKey(
  keyFile: string | undefined,
  home: 'primary' | 'standby',
  random: InitOptions['random'],
): Promise<InitReport['key']> {
  if (keyFile === undefined) return 'none';
  if (home === 'primary') return ensureKeyFile(keyFile, random);
  await readKeyFile(keyFile);
  return 'present';
}
