import { writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import path from 'node:path';

import { expect } from 'chai';

import { MemoryDevice } from '../../src/device/memory.ts';
import type { MirrorView } from '../../src/failover/ports.ts';
import { MirrorExport } from '../../src/node/mirror-export.ts';
import type { ExportNews } from '../../src/node/mirror-export.ts';
import { VirtualClock } from '../../src/testing/virtual-clock.ts';
import { withFolder } from './temporary-folder.ts';

/** A mirror that is served as the test says. */
class ServedMirror extends MemoryDevice {
  readonly name = 'm0';
  readonly #listeners = new Set<() => void>();
  #serving: MirrorView['serving'] = 'no';

  constructor() {
    super({ sizeBytes: 65_536 });
  }

  state(): MirrorView {
    return { serving: this.#serving } as MirrorView;
  }

  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  serve(serving: MirrorView['serving']): void {
    this.#serving = serving;
    for (const tell of this.#listeners) tell();
  }
}

async function exporting(
  use: (parts: { mirror: ServedMirror; exported: MirrorExport; told: string[]; clock: VirtualClock; socket: string }) => Promise<void>,
): Promise<void> {
  await withFolder(async (folder) => {
    const [mirror, clock, told] = [new ServedMirror(), new VirtualClock(), [] as string[]];
    const socket = path.join(folder, 'm0.nbd');
    const config = { uri: `nbd+unix:///m0?socket=${socket}`, address: { path: socket }, name: 'm0', tls: null };
    const exported = new MirrorExport({ config, mirror, clock, onBytes: () => undefined, tell: (name) => void told.push(name) });
    try {
      await use({ mirror, exported, told, clock, socket });
    } finally {
      await exported.end();
    }
  });
}

describe('The net disk of a mirror', () => {
  it('is there while the mirror is served, parked or not', () =>
    exporting(async ({ mirror, exported, told }) => {
      for (const serving of ['yes', 'parked', 'alone', 'no', 'yes'] as const) {
        mirror.serve(serving);
        await exported.settle();
      }
      expect(told).to.deep.equal(['export:opened', 'export:closed', 'export:opened']);
    }));

  it('is closed before serving ends, and stays so until the last who ends it is through', () =>
    exporting(async ({ mirror, exported, told }) => {
      mirror.serve('yes');
      await exported.settle();
      let go: () => void = () => undefined;
      const first = exported.during(() => new Promise<void>((resolve) => (go = resolve)));
      await exported.during(() => Promise.resolve());
      await exported.settle();
      expect(told).to.deep.equal(['export:opened', 'export:closed']);
      go();
      await first;
      await exported.settle();
      expect(told).to.deep.equal(['export:opened', 'export:closed', 'export:opened']);
    }));

  it('says before it has to open that its key cannot be used, and says nothing where it can', () =>
    exporting(async ({ mirror, exported, told, clock, socket }) => {
      await exported.check();
      expect(told).to.deep.equal([]);
      const texts: string[] = [];
      const tls = { mode: 'required', files: { pskFile: `${socket}.psk` } } as const;
      const config = { uri: `nbds+unix:///m0?socket=${socket}`, address: { path: socket }, name: 'm0', tls };
      const secured = new MirrorExport({
        config,
        mirror,
        clock,
        onBytes: () => undefined,
        tell: (name, { text }) => void texts.push(`${name} ${text}`),
      });
      await secured.check();
      expect(texts).to.have.length(1);
      expect(texts[0]).to.contain('export:failed').and.to.contain(`${socket}.psk cannot be read`);
      await secured.check();
      expect(texts).to.have.length(1);
      await writeFile(`${socket}.psk`, `alice:${'07'.repeat(32)}\n`, { mode: 0o600 });
      await secured.check();
      expect(texts.slice(1)).to.deep.equal([`export:ready ${config.uri} can be opened now`]);
      await secured.end();
      expect(clock.pendingTimers).to.equal(0);
    }));

  it('says why it cannot be opened, again where that is something else by now, and no more once it is open', () =>
    exporting(async ({ mirror, clock, socket }) => {
      const texts: string[] = [];
      const [place, psk] = [`${socket}.tls`, `${socket}.psk`];
      const tls = { mode: 'required', files: { pskFile: psk } } as const;
      const config = { uri: `nbds+unix:///m0?socket=${place}`, address: { path: place }, name: 'm0', tls };
      const tell = (name: string, { text }: ExportNews): void => void texts.push(`${name} ${text}`);
      const secured = new MirrorExport({ config, mirror, clock, onBytes: () => undefined, tell });
      const again = async (): Promise<void> => {
        await clock.runFor(2_000);
        await secured.settle();
      };
      mirror.serve('yes');
      await secured.settle();
      await again();
      await writeFile(psk, 'no key', { mode: 0o600 });
      await again();
      await writeFile(psk, `alice:${'07'.repeat(32)}\n`);
      await again();
      expect(texts.join('\n')).to.match(/^.*cannot be read.*\n.*line 1 is not NAME:KEY.*\nexport:opened .*$/u);
      await secured.end();
    }));

  it('that could not be opened until the service moved away says what would keep it from opening for the next one, and when nothing does', () =>
    exporting(async ({ mirror, clock, socket }) => {
      const told: string[] = [];
      const psk = `${socket}.psk`;
      const tls = { mode: 'required', files: { pskFile: psk } } as const;
      const config = { uri: `nbds+unix:///m0?socket=${socket}`, address: { path: socket }, name: 'm0', tls };
      const tell = (name: string, news: ExportNews): void => void told.push(`${name} ${String(news.class)}`);
      const secured = new MirrorExport({ config, mirror, clock, onBytes: () => undefined, tell });
      await secured.check();
      mirror.serve('yes');
      await secured.settle();
      await secured.check();
      mirror.serve('no');
      await secured.settle();
      // It looks at the key by itself, and nobody waits for that.
      for (let turn = 0; turn < 1_000 && clock.pendingTimers === 0; turn += 1) await new Promise((resolve) => setImmediate(resolve));
      expect(told).to.deep.equal(['export:failed 2', 'export:failed 3', 'export:failed 2']);
      expect(clock.pendingTimers).to.equal(1);
      await writeFile(psk, `alice:${'07'.repeat(32)}\n`, { mode: 0o600 });
      await secured.check();
      expect(told.at(-1)).to.equal('export:ready 0');
      await secured.end();
      expect(clock.pendingTimers).to.equal(0);
    }));

  it('that cannot be opened says so once a service, and is tried again by one timer however much changes', () =>
    exporting(async ({ mirror, exported, told, clock, socket }) => {
      const taken = createServer();
      await new Promise<void>((resolve) => taken.listen(socket, resolve));
      mirror.serve('yes');
      await exported.settle();
      for (let change = 0; change < 50; change += 1) mirror.serve('yes');
      await exported.settle();
      expect([told, clock.pendingTimers]).to.deep.equal([['export:failed'], 1]);
      mirror.serve('no');
      await exported.settle();
      mirror.serve('yes');
      await exported.settle();
      expect(told).to.deep.equal(['export:failed', 'export:failed']);
      await new Promise((resolve) => taken.close(resolve));
      await clock.runFor(2_000);
      await exported.settle();
      expect([told.at(-1), clock.pendingTimers]).to.deep.equal(['export:opened', 0]);
    }));
});
