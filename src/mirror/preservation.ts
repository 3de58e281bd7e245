import createDebug from 'debug';

import type { Clock } from '../clock/clock.ts';
import { randomHex } from '../clock/random.ts';
import type { Random } from '../clock/random.ts';
import type { BlockDevice } from '../device/block-device.ts';
import { devicePromises } from '../device/promises.ts';
import { HotMirrorError } from '../errors.ts';
import { flushOrFail } from './element-lifecycle.ts';
import type { ElementStore } from './element-store.ts';
import type { Agreement } from './handshake.ts';
import type { LineageView } from './lineage.ts';
import type { GaveWay, Undo } from './metadata.ts';
import type { OpenSalvage, UndoJournal } from './options.ts';
import { PreImageLog, maxImagesAtOnce, preImageLogBytes } from './pre-image-log.ts';
import type { PreImageHeader } from './pre-image-log.ts';
import { notKept, PreImages, readImages } from './pre-images.ts';
import type { Keeper } from './pre-images.ts';
import type { ReplicationHost } from './replication-options.ts';

const debug = createDebug('hotmirror:mirror');
const idBytes = 8;

/** What the preservation of an element is made of. */
export interface PreservationOptions {
  readonly name: string;
  readonly node: string;
  readonly device: BlockDevice;
  readonly store: ElementStore;
  readonly clock: Clock;
  readonly random: Random;
  readonly undoJournal: UndoJournal | null;
  readonly openSalvage: OpenSalvage | null;
  readonly host: Pick<ReplicationHost, 'emit' | 'failed'>;
}

interface OpenLog {
  readonly log: PreImageLog;
  readonly device: BlockDevice;
}

/**
 * What is kept of an element that is being overwritten: the undo journal, by which it can be rolled back (rule resync.undo), and the salvage file of one that
 * gave way (rule lineage.resolve).
 */
export class Preservation {
  readonly #options: PreservationOptions;
  #undo: PreImageLog | null = null;
  #salvage: OpenLog | null = null;
  #images: PreImages | null = null;
  /** Settles when what the last resync kept is written. */
  #finished = Promise.resolve();

  constructor(options: PreservationOptions) {
    this.#options = options;
  }

  /** At the start: finds the journal of a resync that was begun before. */
  async load(): Promise<void> {
    const { undoJournal, store } = this.#options;
    const { undo } = store.metadata;
    if (!undoJournal || !undo) return;
    try {
      const log = await PreImageLog.open(undoJournal.device);
      if (log?.header.id === undo.id && log.damaged.length === 0) this.#undo = log;
    } catch (error) {
      debug('%s: the undo journal cannot be read: %O', this.#options.name, error);
    }
  }

  /** Through which the writes of the resync under way have to pass; null where nothing is kept. */
  get images(): PreImages | null {
    return this.#images;
  }

  /** Whether {@link Preservation.rollBack} has something to go by. */
  get canRollBack(): boolean {
    const { state, undo } = this.#options.store.metadata;
    return state === 'inconsistent' && undo !== null && this.#undo?.header.id === undo.id;
  }

  /** Before anything of a resync is written: what is to be kept has a durable place. Gives what the metadata must say of the undo journal from then on. */
  async begin(agreement: Agreement, source: LineageView): Promise<Undo | null> {
    const { device, store } = this.#options;
    const { current, sizeBytes, extentBytes, gaveWay } = store.metadata;
    this.#images = null;
    if (current === null) return null;
    const undo = await this.#beginUndo(agreement, source);
    const keepers: Keeper[] = [];
    if (undo && this.#undo) keepers.push({ log: this.#undo, whole: true, failed: (error) => this.#giveUp(error) });
    if (gaveWay?.own === current && gaveWay.salvage) {
      const log = await this.#reopenSalvage(gaveWay.salvage).catch((cause: unknown) => {
        throw notKept(HotMirrorError.from(cause, 'HM_IO_READ', 'the salvage file cannot be opened'));
      });
      keepers.push({ log, whole: false, failed: () => Promise.resolve(false) });
    }
    if (keepers.length > 0) this.#images = new PreImages({ device, sizeBytes, extentBytes, keepers });
    return undo;
  }

  /** The resync has completed, durably: nothing has to be kept any more. */
  adopted(): void {
    const saved = this.#images?.end();
    this.#images = null;
    this.#undo = null;
    const salvage = this.#salvage;
    this.#salvage = null;
    // The element waits for no disk that only keeps what it once held.
    this.#finished = this.#finish(salvage, saved);
  }

  async #finish(salvage: OpenLog | null, saved: Promise<void> | undefined): Promise<void> {
    try {
      await saved;
      await salvage?.log.finish();
      await salvage?.device.close();
    } catch (error) {
      debug('%s: the salvage file is not marked as complete: %O', this.#options.name, error);
    }
  }

  /**
   * Saves what this element alone may hold, all that its map names, and gives what the metadata must say of the file; what else will be overwritten follows
   * during the resync. Rejects with `HM_NOT_SUPPORTED`, `HM_REFUSED` for a file of something else, or `HM_NO_SPACE`; then nothing was changed.
   */
  async salvage(file: string): Promise<GaveWay['salvage']> {
    const { store, openSalvage, device } = this.#options;
    if (!openSalvage) throw new HotMirrorError('HM_NOT_SUPPORTED', 'this mirror has no place for a salvage file');
    const { sizeBytes, extentBytes } = store.metadata;
    await this.#closeSalvage();
    const opened = await openSalvage(file, preImageLogBytes(store.dirty.extents, extentBytes));
    try {
      const log = opened.created
        ? await PreImageLog.create(opened.device, this.#header('salvage'))
        : await this.#known(file, opened.device);
      this.#salvage = { log, device: opened.device };
      const lacking = [...store.dirty.runs()].flatMap(({ first, count }) =>
        Array.from({ length: count }, (_, at) => first + at).filter((extent) => !log.has(extent)),
      );
      for (let at = 0; at < lacking.length; at += maxImagesAtOnce)
        await log.add(await readImages({ device, sizeBytes, extentBytes }, lacking.slice(at, at + maxImagesAtOnce)));
      return { file, id: log.header.id };
    } catch (error) {
      this.#salvage = null;
      await opened.device.close();
      throw error;
    }
  }

  /**
   * Restores what the element held before the resync: what is restored is durably dirty first, and the state tells of it last, so that a crash at any step leaves
   * an inconsistent element that can be rolled back again, or filled. Rejects with `HM_REFUSED` where there is nothing to go by, `HM_METADATA_CORRUPT` where
   * the journal is damaged, and nothing was written then.
   */
  async rollBack(): Promise<void> {
    const { device, store, host, name } = this.#options;
    const { undo, extentBytes } = store.metadata;
    const log = this.#undo;
    if (!undo || !log || !this.canRollBack)
      throw new HotMirrorError('HM_REFUSED', `${name} has no undo journal of this resync`, { rule: 'resync.undo' });
    let extents = 0;
    for await (const { bytes } of log.images()) extents += bytes.byteLength > 0 ? 1 : 0;
    for (const { first, count } of log.runs()) store.dirty.markRun(first, count);
    await store.persistDirty();
    try {
      const io = devicePromises(device);
      for await (const { extent, bytes } of log.images()) await io.write(extent * extentBytes, bytes);
    } catch (cause) {
      const error = HotMirrorError.from(cause, 'HM_IO_WRITE', 'the element could not be rolled back');
      if (error.code.startsWith('HM_IO_')) await host.failed(error);
      throw error;
    }
    await flushOrFail(device, (error) => host.failed(error));
    await store.update((metadata) => ({ state: 'outdated', undo: null, resyncId: null, behind: metadata.behind || undo.behind }));
    this.#undo = null;
    host.emit('element:rolled-back', 1, `${name} is what it was before the resync: ${String(extents)} extents were restored`, {
      rule: 'resync.undo',
      evidence: { extents },
    });
  }

  /** Lets go of the files. */
  async close(): Promise<void> {
    await this.#finished;
    await this.#closeSalvage();
    await this.#options.undoJournal?.device.close();
  }

  async #beginUndo(agreement: Agreement, source: LineageView): Promise<Undo | null> {
    const { store, undoJournal } = this.#options;
    const { state, undo, current } = store.metadata;
    const behind = source.current === current;
    if (state === 'inconsistent') {
      if (undo && !this.#undo) this.#tellGivenUp('the journal of this resync cannot be read');
      return undo && this.#undo ? { id: undo.id, behind: undo.behind || behind } : null;
    }
    if (!undoJournal) return null;
    try {
      const log = await this.#createUndo(agreement, source, undoJournal.device);
      this.#undo = log;
      return { id: log.header.id, behind };
    } catch (cause) {
      const error = HotMirrorError.from(cause, 'HM_INTERNAL', 'the undo journal could not be begun');
      if (undoJournal.whenFull === 'refuse' || error.code === 'HM_IO_FLUSH') throw error;
      this.#tellGivenUp(error.message);
      return null;
    }
  }

  async #createUndo({ scope }: Agreement, source: LineageView, journal: BlockDevice): Promise<PreImageLog> {
    const { device, store, host } = this.#options;
    const { dirty } = store;
    const extents = scope === 'full' ? dirty.extents : Math.min(dirty.extents, dirty.count + source.dirtyExtents);
    const neededBytes = preImageLogBytes(extents, dirty.extentBytes);
    if (journal.sizeBytes < neededBytes) {
      const text = `the undo journal has ${String(journal.sizeBytes)} bytes, and this resync needs ${String(neededBytes)}`;
      throw new HotMirrorError('HM_REFUSED', text, { rule: 'resync.undo' });
    }
    await this.#finished;
    // What the element is rolled back to must not be lost by a power cut while it is kept nowhere else.
    await flushOrFail(device, (error) => host.failed(error));
    return PreImageLog.create(journal, this.#header('undo')).catch((cause: unknown) => {
      throw notKept(HotMirrorError.from(cause, 'HM_IO_WRITE', 'the undo journal could not be begun'));
    });
  }

  async #reopenSalvage({ file, id }: NonNullable<GaveWay['salvage']>): Promise<PreImageLog> {
    if (this.#salvage?.log.header.id === id) return this.#salvage.log;
    const { openSalvage, store } = this.#options;
    if (!openSalvage) throw new HotMirrorError('HM_NOT_SUPPORTED', 'this mirror has no place for a salvage file');
    await this.#finished;
    await this.#closeSalvage();
    const { device } = await openSalvage(file, preImageLogBytes(store.dirty.extents, store.metadata.extentBytes));
    const log = await PreImageLog.open(device);
    if (log?.header.id !== id) {
      await device.close();
      throw new HotMirrorError(
        'HM_REFUSED',
        `${file} is not the salvage file of this element any more: bring it back, or start the node with a blank element, which gives up what it holds`,
        { rule: 'lineage.resolve' },
      );
    }
    this.#salvage = { log, device };
    return log;
  }

  /** A file that is there already counts only where it is of this element and this split: an earlier try was cut short. */
  async #known(file: string, device: BlockDevice): Promise<PreImageLog> {
    const { mirrorId, current } = this.#options.store.metadata;
    const log = await PreImageLog.open(device).catch(() => null);
    const { kind, generation, finished } = log?.header ?? {};
    if (log?.header.mirrorId === mirrorId && kind === 'salvage' && generation === current && finished === false) return log;
    throw new HotMirrorError('HM_REFUSED', `${file} exists and is no salvage file of this split`, { rule: 'lineage.resolve' });
  }

  #header(kind: PreImageHeader['kind']): PreImageHeader {
    const { name, node, store, random, clock } = this.#options;
    const { mirrorId, current, sizeBytes, extentBytes } = store.metadata;
    return {
      ...{ kind, mirror: name, node, sizeBytes, extentBytes },
      id: randomHex(random, idBytes),
      mirrorId: mirrorId ?? '',
      generation: current ?? '',
      time: new Date(clock.wallMs()).toISOString(),
      finished: false,
    };
  }

  /** The journal is of no use any more, durably; then the resync may go on without it. */
  async #giveUp(error: HotMirrorError): Promise<boolean> {
    await this.#options.store.update(() => ({ undo: null }));
    this.#undo = null;
    this.#tellGivenUp(error.message);
    return true;
  }

  #tellGivenUp(because: string): void {
    const { name, host } = this.#options;
    host.emit('undo:given-up', 1, `${name} cannot be rolled back while this resync runs: ${because}`, { rule: 'resync.undo' });
  }

  async #closeSalvage(): Promise<void> {
    const salvage = this.#salvage;
    this.#salvage = null;
    await salvage?.device.close();
  }
}
