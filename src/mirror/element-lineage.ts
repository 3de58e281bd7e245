import createDebug from 'debug';
import { z } from 'zod';

import { randomHex } from '../clock/random.ts';
import type { Random } from '../clock/random.ts';
import type { BlockDevice } from '../device/block-device.ts';
import { highestEpoch } from '../epoch.ts';
import type { Epoch } from '../epoch.ts';
import { HotMirrorError } from '../errors.ts';
import type { DataConnection } from './data-connection.ts';
import { flushOrFail } from './element-lifecycle.ts';
import { elementRoomBytes, measureElement } from './element-room.ts';
import type { ElementStore } from './element-store.ts';
import type { Findings } from './findings.ts';
import type { Agreement, Start } from './handshake.ts';
import type { LineageView } from './lineage.ts';
import type { ExtentRun } from './dirty-map.ts';
import { historyLength, idSchema, mintedFrom, settled, settledFrom } from './metadata.ts';
import type { ElementMetadata } from './metadata.ts';
import type { WhenSplit } from './options.ts';
import type { Preservation } from './preservation.ts';
import type { ProtocolInForce } from './protocol.ts';
import type { ReplicationHost } from './replication-options.ts';
import type { ElementState } from './state.ts';
import { malformed } from './wire.ts';

const debug = createDebug('hotmirror:mirror');

const generationBytes = 8;

const offerSchema = z.strictObject({
  mirrorId: idSchema,
  sizeBytes: z.number().int().positive(),
  current: idSchema,
  history: z.array(idSchema).max(historyLength + 1),
  epoch: z.strictObject({ number: z.number().int().nonnegative(), owner: z.string() }),
});

const detachSchema = z.strictObject({ generation: idSchema });

function startOf({ mirrorId, sizeBytes }: ElementMetadata, resyncId: string | null): Start {
  return { mirrorId: mirrorId ?? '', sizeBytes, resyncId };
}

/** A connection, which may end while what it asked for is under way. */
export type Endable = Pick<DataConnection, 'ended'>;

/** What a target begins a connection with. */
export interface Beginning {
  readonly agreement: Agreement;
  readonly start: Start;
  /** What the source said of itself. */
  readonly source: LineageView;
}

/** What an element's lineage is made of. */
export interface ElementLineageOptions {
  readonly node: string;
  readonly device: BlockDevice;
  readonly store: ElementStore;
  readonly random: Random;
  readonly findings: Findings;
  readonly host: Pick<ReplicationHost, 'failed'>;
  readonly whenSplit: WhenSplit;
  readonly protocol: ProtocolInForce;
  readonly preservation: Preservation;
}

/**
 * The durable steps by which the lineage of one element changes in the course of a connection (rules lineage.decide, resync.begin, lineage.adopt):
 * each resolves when it is durable, and nothing else changes a lineage but `lineage.mint`.
 */
export class ElementLineage {
  readonly #options: ElementLineageOptions;

  constructor(options: ElementLineageOptions) {
    this.#options = options;
  }

  /** Looks at the device again, which may have been enlarged; what the metadata says now is durable. Where there is no room for its map, only so much of it counts as there is room for. */
  async measure(): Promise<void> {
    const { device, store } = this.#options;
    await measureElement(device, store).catch((error: unknown) => debug('the element is as large as before: %O', error));
    await store.certain();
  }

  /** What this side brings to the handshake. */
  view(state: ElementState, serving: boolean, through: string | null = null): LineageView {
    const { node, device, store, whenSplit } = this.#options;
    const { metadata } = store;
    const blank = metadata.current === null;
    return {
      node,
      mirrorId: metadata.mirrorId,
      sizeBytes: blank ? null : metadata.sizeBytes,
      deviceBytes: elementRoomBytes(device, store),
      state,
      current: metadata.current,
      base: metadata.base,
      history: metadata.history,
      servedEpoch: metadata.servedEpoch,
      mayBeAhead: metadata.mayBeAhead,
      crashed: metadata.crashed,
      serving,
      dirtyExtents: blank ? 0 : store.dirty.count,
      resyncId: metadata.resyncId,
      gaveWayTo: metadata.gaveWay?.own === metadata.current ? metadata.gaveWay.to : null,
      behind: metadata.behind,
      through,
      discardable: whenSplit === 'discard-unchanged' && metadata.unchanged,
    };
  }

  /** Source: prepares durably what the target of this connection is told. Rejects with `HM_CONNECTION_LOST` once that has ended: nothing changes after its end. */
  async prepareSource(agreement: Agreement, connection: Endable): Promise<Start> {
    const { device, store, random, host } = this.#options;
    if (agreement.rule === 'write.error') return startOf(store.metadata, null);
    // The resync clears a bit when the target holds the extent durably; what this element holds only in a cache would then be said to be equal.
    await flushOrFail(device, (error) => host.failed(error));
    mustLast(connection);
    let resyncId = agreement.rule === 'resync.progress' ? store.metadata.resyncId : null;
    if (agreement.scope === 'full') {
      resyncId = randomHex(random, generationBytes);
      store.dirty.markAll();
      await store.persistDirty();
    }
    const { metadata } = store;
    // What a crash may have lost here is settled by the decision itself; were it not, the next decision could be another one.
    // Nor does what was true while this element was alone hold once it has a target: its writes change it too.
    const asItIs = metadata.inUse && !metadata.crashed && !metadata.unchanged && metadata.state === 'consistent' && !metadata.gaveWay;
    if (!asItIs || metadata.resyncId !== resyncId) {
      const prepared = { resyncId, inUse: true, crashed: false, unchanged: false, gaveWay: null, state: 'consistent' } as const;
      await store.update(() => (connection.ended ? {} : prepared));
      mustLast(connection);
    }
    return startOf(metadata, resyncId);
  }

  /**
   * Target: it alone holds everything from now on, under this generation (rule lineage.mint). What the source's element lacks nobody knows: a failed flush may have lost it
   * anything that no earlier one covers. So everything is dirty.
   */
  async holdAlone(body: Uint8Array): Promise<string> {
    const { store } = this.#options;
    const { generation } = detachSchema.parse(JSON.parse(Buffer.from(body).toString('utf8')));
    if (store.metadata.current === generation) return generation;
    if (store.metadata.state !== 'consistent') throw malformed(`an element that is ${store.metadata.state} cannot be served through`);
    store.dirty.markAll();
    await store.persistDirty();
    await store.update((metadata) => (metadata.state === 'consistent' ? mintedFrom(metadata, generation, false) : {}));
    const { current, state } = store.metadata;
    if (current !== generation) throw malformed(`an element that is ${state} cannot be served through`);
    return generation;
  }

  /**
   * Target: makes durable what must be before the first write of this connection (rule resync.begin); gives its dirty runs. Rejects with `HM_CONNECTION_LOST` once that has
   * ended: nothing changes after its end.
   */
  async prepareTarget({ agreement, start, source }: Beginning, connection: Endable): Promise<Iterable<ExtentRun>> {
    const { store, preservation } = this.#options;
    if (agreement.scope === 'nothing') {
      if (!store.metadata.inUse) await store.update(() => ({ inUse: true }));
      return [];
    }
    const undo = await preservation.begin(agreement, source);
    await store.update(() => (connection.ended ? {} : { state: 'inconsistent', inUse: true, resyncId: start.resyncId, undo }));
    mustLast(connection);
    return agreement.scope === 'union' ? store.dirty.runs() : [];
  }

  /**
   * Source: the peer may hold the current generation from now on; what is offered. That this element was rolled back is over: what the peer adopts is no more than this
   * one holds, and with the mark it would be the peer's target as soon as that has adopted it.
   */
  async offer(epoch: () => Epoch): Promise<() => unknown> {
    const { store } = this.#options;
    const isNews = ({ base, offered, behind }: ElementMetadata): boolean => behind || (base !== null && !offered);
    if (isNews(store.metadata)) await store.update(({ base }) => ({ offered: base !== null, behind: false }));
    return () => {
      const { mirrorId, sizeBytes, current, history, base } = store.metadata;
      return { mirrorId, sizeBytes, current, history: base === null ? history : [base, ...history], epoch: epoch() };
    };
  }

  /** Source: the target holds the current generation; base and map are dropped. */
  async settle(): Promise<void> {
    const { store, protocol, findings } = this.#options;
    findings.clear();
    const { base, resyncId, crashed, behind, mayBeAhead } = store.metadata;
    if (base !== null || resyncId !== null || crashed || behind || mayBeAhead !== protocol.ahead) {
      await store.update((metadata) => ({ ...settledFrom(metadata), mayBeAhead: protocol.ahead }));
    }
    await store.persistDirty();
  }

  /** Target: what it holds is known to be old from now on (rule write.congested). */
  async fallBehind(): Promise<void> {
    await this.#options.store.update(({ state }) => (state === 'consistent' ? { state: 'outdated' } : {}));
  }

  /** Target: the offered lineage becomes this element's. Rejects with `HM_PROTOCOL` what does not fit the start of the connection. */
  async take(body: Uint8Array, start: Start): Promise<void> {
    const { store, findings, preservation } = this.#options;
    const offer = offerSchema.parse(JSON.parse(Buffer.from(body).toString('utf8')));
    if (offer.mirrorId !== start.mirrorId || offer.sizeBytes !== start.sizeBytes) throw malformed('an offer that differs from its start');
    if (store.metadata.sizeBytes !== offer.sizeBytes) await store.resize(offer.sizeBytes, store.metadata.extentBytes);
    await store.update((metadata) => ({
      ...offer,
      epoch: highestEpoch([metadata.epoch, offer.epoch]),
      history: offer.history.slice(0, historyLength),
      state: 'consistent',
      base: null,
      offered: false,
      ...settled,
      note: '',
    }));
    preservation.adopted();
    store.dirty.clearAll();
    findings.clear();
    await store.persistDirty();
  }
}

/** What a connection asked for that has ended is nobody's wish any more: another may have agreed on something else since. */
function mustLast({ ended }: Endable): void {
  if (ended) throw new HotMirrorError('HM_CONNECTION_LOST', 'the data link ended while its handshake was being made durable');
}
