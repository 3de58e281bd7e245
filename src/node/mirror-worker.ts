import { parentPort, workerData } from 'node:worker_threads';

import { mirrorEventNames } from '../mirror/mirror-events.ts';
import { BusyPoll } from '../clock/system-busy-poll.ts';
import { systemClock } from '../clock/system-clock.ts';
import type { MirrorLink } from '../mirror/mirror-link.ts';
import { LinkKeyring } from './link-keyring.ts';
import { assembleMirror } from './mirror-assembly.ts';
import type { MirrorThreadSource } from './mirror-assembly.ts';
import { MirrorExport } from './mirror-export.ts';
import { serveMirror } from './mirror-host.ts';
import type { HostedMirror } from './mirror-host.ts';
import { serverChanged } from './mirror-messages.ts';
import type { MirrorThreadPort } from './mirror-messages.ts';
import { threadPorts } from './serial-port-client.ts';

/**
 * The thread of one mirror: its element, metadata and data link live here, so that a busy or stalled disk never looks like a dead node.
 * Run as a worker with a {@link MirrorThreadSource}, never imported.
 */
const port = parentPort as MirrorThreadPort;

const source = workerData as MirrorThreadSource;
const openPort = threadPorts(source.serialPorts);
const keyring = new LinkKeyring(source);
const config = source.config.mirrors.find(({ name }) => name === source.mirror);
const { busyPollUs = 0 } = config ?? {};
const onBytes = busyPollUs > 0 ? new BusyPoll(busyPollUs).woken : (): void => undefined;

async function assemble(): Promise<MirrorLink> {
  const tell = (name: string, payload: unknown): void => port.postMessage({ kind: 'event', event: { name, payload } });
  const mirror = await assembleMirror(source, keyring, { openPort, onBytes, onServer: (news) => tell(serverChanged, news) });
  for (const name of mirrorEventNames) mirror.events.on(name, (payload: unknown) => tell(name, payload));
  mirror.onHeard((atMs) => {
    port.postMessage({ kind: 'heard', atMs });
  });
  return mirror;
}

function exportOf(mirror: HostedMirror): MirrorExport | null {
  const place = config?.export[source.node];
  if (!place) return null;
  const exported = new MirrorExport({
    ...{ config: place, mirror, clock: systemClock, onBytes },
    tell: (name, news) => port.postMessage({ kind: 'event', event: { name, payload: { atMs: systemClock.nowMs(), ...news } } }),
  });
  void exported.check();
  return exported;
}

serveMirror(port, assemble, exportOf, (renewal) => keyring.renew(renewal));
