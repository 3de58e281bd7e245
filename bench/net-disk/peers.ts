import { existsSync } from 'node:fs';
import { connect } from 'node:net';

import { systemRandom } from '../../src/clock/system-random.ts';
import { freePorts } from '../../src/node/demo/free-ports.ts';
import type { Started, Workplace } from '../support/processes.ts';
import { makeImages } from './images.ts';
import type { Subject } from './subject.ts';

const qemu = 'qemu-storage-daemon';
/** Of a file: cached as everybody's, its flushes heeded. */
const fileOptions = 'cache.direct=off,cache.no-flush=off,discard=unmap,aio=threads';

/** nbdkit as the other machine of a peer of hotmirror: its server sets TCP_NODELAY, which that of qemu 7.2 does not. */
export interface TcpLeg {
  readonly server: Started;
  readonly port: number;
}

/** Serves a file by TCP of this machine. */
export async function startTcpLeg(place: Workplace, file: string): Promise<TcpLeg> {
  const [port] = (await freePorts(1, systemRandom)) as [number];
  const server = place.start('nbdkit', ['-f', '-i', '127.0.0.1', '-p', String(port), '-e', 'd', '--filter=noextents', 'file', file]);
  await place.until(`nbdkit at port ${String(port)}`, server, () => answers(port));
  return { server, port };
}

/** The words by which qemu reaches such a leg. */
export function qemuLeg({ port }: TcpLeg): readonly string[] {
  return ['--blockdev', `driver=nbd,node-name=rem,server.type=inet,server.host=127.0.0.1,server.port=${String(port)},export=d`];
}

/** The words by which qemu opens a file. */
export function qemuFile(file: string): readonly string[] {
  return ['--blockdev', `driver=file,node-name=loc,filename=${file},${fileOptions}`];
}

/** Debian's qemu over a file and an NBD server on "the other machine". */
export const quorum: Subject = {
  name: 'qemu quorum',
  copies: 2,
  async start(place, sizeBytes) {
    const images = [place.file('a.raw'), place.file('b.raw')] as const;
    await makeImages(images, sizeBytes);
    const leg = await startTcpLeg(place, images[1]);
    const socket = place.file('q.sock');
    const server = place.start(qemu, [
      ...qemuFile(images[0]),
      ...qemuLeg(leg),
      ...['--blockdev', 'driver=quorum,node-name=q,vote-threshold=1,children.0=loc,children.1=rem,read-pattern=fifo'],
      ...['--nbd-server', `addr.type=unix,addr.path=${socket}`, '--export', 'type=nbd,id=e,node-name=q,name=d,writable=on'],
    ]);
    await place.until('the export of qemu', server, async () => existsSync(socket));
    return { uri: uriOf(socket), pids: [server.pid, leg.server.pid], images };
  },
};

/** One copy, and nothing between it and the client: what a mirror cannot be better than. */
export const nbdkitFile: Subject = {
  name: 'nbdkit file, one copy',
  copies: 1,
  async start(place, sizeBytes) {
    const images = [place.file('a.raw')] as const;
    await makeImages(images, sizeBytes);
    const socket = place.file('n.sock');
    const server = place.start('nbdkit', ['-f', '-U', socket, '-e', 'd', 'file', images[0]]);
    await place.until('the export of nbdkit', server, async () => existsSync(socket));
    return { uri: uriOf(socket), pids: [server.pid], images };
  },
};

/** qemu with a file and a leg, to be ordered about by QMP at a socket. */
export async function startQemuCopier(place: Workplace, file: string, leg: TcpLeg): Promise<string> {
  const socket = place.file('qmp.sock');
  const monitor = ['--chardev', `socket,id=m,path=${socket},server=on,wait=off`, '--monitor', 'chardev=m'];
  const server = place.start(qemu, [...qemuFile(file), ...qemuLeg(leg), ...monitor]);
  await place.until('the monitor of qemu', server, async () => existsSync(socket));
  return socket;
}

function uriOf(socket: string): string {
  return `nbd+unix:///d?socket=${socket}`;
}

function answers(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = connect(port, '127.0.0.1');
    probe.once('connect', () => resolve(true)).once('error', () => resolve(false));
    probe.once('connect', () => probe.destroy());
  });
}
