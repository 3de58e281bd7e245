import type { Clock } from '../clock/clock.ts';
import type { BlockDevice } from '../device/block-device.ts';
import { compareEpochs, formatEpoch } from '../epoch.ts';
import type { Epoch } from '../epoch.ts';
import { HotMirrorError } from '../errors.ts';
import type { OutdateOrder, ParkedOn } from '../vocabulary.ts';
import type { Rule } from '../rules.ts';
import { flushOrFail } from './element-lifecycle.ts';
import type { ElementStore, MetadataChange } from './element-store.ts';
import type { KnownEpoch } from './known-epoch.ts';
import type { Preservation } from './preservation.ts';
import { isMinted } from './metadata.ts';
import type { ProtocolInForce } from './protocol.ts';
import type { Replication } from './replication.ts';
import type { ReplicationHost } from './replication-options.ts';
import type { Serving } from './serving.ts';
import type { ElementState } from './state.ts';

/**
 * The orders that change who serves and what an element is worth, as `MirrorLink` documents them. They run one at a time; whatever they wait for, they judge
 * again what may have changed meanwhile.
 */
export interface OrderContext {
  readonly name: string;
  readonly node: string;
  readonly peer: string;
  readonly clock: Clock;
  readonly device: BlockDevice;
  readonly store: ElementStore;
  readonly serving: Serving;
  readonly replication: Replication;
  readonly preservation: Preservation;
  /** The pair's epoch as this node knows it; it may rise at any time. */
  readonly known: KnownEpoch;
  readonly protocol: ProtocolInForce;
  readonly emit: ReplicationHost['emit'];
  /** Something of the mirror's state changed. */
  readonly changed: () => void;
  /** Tells listeners of something done by rule element.off. */
  readonly announce: (name: 'element:detached' | 'element:attached', eventClass: 0 | 1, text: string) => void;
  /** The element failed; resolves when that is durable, or cannot be. */
  readonly failed: (error: HotMirrorError) => Promise<void>;
}

/** See `MirrorLink.promote`. */
export interface PromoteOrder {
  readonly epoch: Epoch;
  readonly alone: boolean;
  readonly force?: boolean;
  /** Whether force rolls an element back that is `inconsistent` and can be. Default true. */
  readonly rollBack?: boolean;
}

/** See `MirrorLink.goAlone`. */
export interface GoAloneOrder {
  readonly epoch: Epoch;
  readonly rule: Rule;
  /** The connection whose loss was judged. */
  readonly connectionId: string | null;
}

/** See `MirrorLink.promote`. */
export async function promote(context: OrderContext, { epoch, alone, force = false, rollBack = true }: PromoteOrder): Promise<void> {
  const { active, rested } = context.serving.diskless;
  if ((active || rested) && !alone) {
    goOnThrough(context, epoch);
    return;
  }
  const { store, serving, replication, preservation, known, clock, protocol } = context;
  const { wanted } = replication;
  try {
    assertOwnEpoch(context, epoch);
    if (force && rollBack && preservation.canRollBack) await rollBackHere(context);
    // A handshake or a copy that may yet make the element fit is not ended in vain.
    assertFit(context, force);
    await readyToServe(context, force);
    protocol.ahead = protocol.current === 'async';
    const promoted: MetadataChange = (metadata) => ({
      ...{ epoch, servedEpoch: epoch.number, inUse: true, crashed: false, state: 'consistent' },
      ...(protocol.ahead ? { mayBeAhead: true } : {}),
      // Served again it gives way no more, and what it writes is not what was judged: that gets a generation of its own.
      ...(metadata.gaveWay ? { gaveWay: null, offered: true } : {}),
    });
    await store.update((metadata) => (ownsEpoch(context, epoch) ? promoted(metadata) : {}));
    // A connection, or a higher epoch, may have come meanwhile.
    await readyToServe(context, force);
    assertOwnEpoch(context, epoch);
  } catch (error) {
    if (wanted) await replication.resume();
    throw error;
  }
  known.epoch = epoch;
  replication.element = 'uptodate';
  if (replication.connection !== 'connected') replication.lostAtMs = clock.nowMs();
  serving.start(alone);
  await replication.resume();
  context.changed();
}

/** The peer, through which this node served or still serves, was to take over and did not: it is served through as before (rule write.error). */
function goOnThrough(context: OrderContext, epoch: Epoch): void {
  const { serving, known, changed } = context;
  assertOwnEpoch(context, epoch);
  known.epoch = epoch;
  if (serving.diskless.rested) serving.diskless.resume();
  serving.start(false);
  changed();
}

/** Nobody else writes to the element any more, neither a source nor one that a handshake is about to make it; then its state is judged. */
async function readyToServe(context: OrderContext, force: boolean): Promise<void> {
  const { replication } = context;
  if (replication.role !== 'source') await replication.stop();
  assertFit(context, force);
}

function assertFit({ name, replication }: OrderContext, force: boolean): void {
  const allowed: readonly ElementState[] = force ? ['uptodate', 'consistent', 'outdated'] : ['uptodate'];
  if (allowed.includes(replication.element)) return;
  throw new HotMirrorError('HM_REFUSED', `the element of ${name} is ${replication.element}`, { rule: 'boot.uptodate' });
}

/** See `MirrorLink.rollBack`. */
export async function rollBack(context: OrderContext): Promise<void> {
  const { name, store, serving, replication, changed } = context;
  if (serving.state !== 'no') throw new HotMirrorError('HM_REFUSED', `${name} is served here`, { rule: 'resync.undo' });
  if (store.metadata.state !== 'inconsistent') return;
  const { wanted } = replication;
  try {
    await rollBackHere(context);
  } finally {
    if (wanted) await replication.resume();
  }
  changed();
}

/** Nothing of a source reaches the element any more, then it becomes what it was. */
async function rollBackHere({ store, replication, preservation }: OrderContext): Promise<void> {
  await replication.stop();
  await preservation.rollBack();
  replication.element = store.metadata.state;
}

/** See `MirrorLink.demote`. */
export async function demote({ serving, replication, device, changed, failed }: OrderContext): Promise<{ readonly handedOver: boolean }> {
  if (serving.state !== 'yes') return { handedOver: serving.state === 'no' && replication.handedOver };
  let settled = false;
  try {
    if (await serving.drain()) {
      if (!serving.diskless.active) await flushOrFail(device, failed);
      settled = await replication.flushTarget();
    }
  } finally {
    if (!settled || !replication.handedOver) serving.accept();
  }
  if (!settled || !replication.handedOver) return { handedOver: false };
  if (serving.diskless.active) serving.diskless.rest();
  serving.stop(new HotMirrorError('HM_NOT_SERVING', 'the service was handed over'));
  changed();
  return { handedOver: true };
}

/** See `MirrorLink.seal`. */
export async function seal(context: OrderContext, parked: ParkedOn | null): Promise<void> {
  const { name, serving, replication } = context;
  if (parked?.endedByPeer && replication.connectionId === parked.connectionId) await replication.stop();
  const { losses } = replication;
  if (parked) assertStillLost(context, parked.connectionId, losses);
  else if (serving.state !== 'no') throw new HotMirrorError('HM_REFUSED', `${name} is served here`, { rule: 'takeover.seal' });
  await replication.stop();
  if (parked) assertStillLost(context, parked.connectionId, losses);
}

/** See `MirrorLink.raiseEpoch`. */
export async function raiseEpoch({ node, store, serving, known, changed }: OrderContext, epoch: Epoch): Promise<void> {
  const order = compareEpochs(epoch, known.epoch);
  if (epoch.owner !== node || order === 'lower' || order === 'conflict') return;
  known.epoch = epoch;
  changed();
  if (serving.state !== 'no' && !serving.diskless.active) await store.update(() => ({ epoch, servedEpoch: epoch.number }));
}

/** See `MirrorLink.goAlone`. */
export async function goAlone(context: OrderContext, { epoch, connectionId }: GoAloneOrder): Promise<void> {
  const { name, store, serving, replication, known } = context;
  assertOwnEpoch(context, epoch);
  if (serving.state === 'no') throw new HotMirrorError('HM_NOT_SERVING', `${name} is not served here`);
  if (serving.diskless.active)
    throw new HotMirrorError('HM_REFUSED', `the element of ${name} has failed: there is nothing to go on with`, { rule: 'write.error' });
  const { losses } = replication;
  assertStillLost(context, connectionId, losses);
  await store.update(() => ({ epoch, servedEpoch: epoch.number }));
  assertOwnEpoch(context, epoch);
  known.epoch = epoch;
  assertStillLost(context, connectionId, losses);
  serving.alone();
  context.changed();
}

/** The peer may have become as good as this element on any connection since the one that was judged, an unfinished handshake included. */
function assertStillLost({ name, replication }: OrderContext, connectionId: string | null, losses: number): void {
  if (replication.connectionId === connectionId && !replication.linked && replication.losses === losses) return;
  throw new HotMirrorError('HM_REFUSED', `${name} was connected meanwhile`, { rule: 'alone' });
}

/** See `MirrorLink.outdate`. */
export async function outdate({ name, store, serving, replication, known, changed }: OrderContext, order: OutdateOrder): Promise<void> {
  const refuse = (because: string): HotMirrorError => new HotMirrorError('HM_REFUSED', because, { rule: 'outdate' });
  if (serving.state !== 'no') throw refuse(`${name} is served here`);
  if (compareEpochs(order.epoch, known.epoch) === 'lower') throw refuse(`epoch ${formatEpoch(known.epoch)} is known here`);
  const { connectionId } = replication;
  if (connectionId !== null && order.connectionId !== connectionId) {
    // Both ends know of a connection on which they have agreed.
    if (order.peerConnectionId !== connectionId || replication.connected) throw aboutAnother(connectionId);
  }
  // An adoption under way ends first: it may make the element as good as the source's. A device that hangs is not waited for: what it may yet take is dirty at the source.
  await replication.cutOff();
  try {
    const { current, state } = store.metadata;
    // None of these takes over by itself; a failed element stays so until its disk is replaced, one that was taken out until it is brought back.
    if (state === 'inconsistent' || state === 'failed' || state === 'off') return;
    if (order.currentId !== current) throw refuse(`the element holds generation ${current ?? 'none'}`);
    await store.update(() => ({ state: 'outdated' }));
    replication.element = 'outdated';
  } finally {
    await replication.resume();
  }
  changed();
}

/** An order to be outdated that may be late: it does not name the latest connection. The refusal does. */
function aboutAnother(connectionId: string): HotMirrorError {
  return new HotMirrorError('HM_REFUSED', 'the order is about another connection', { rule: 'outdate', details: { connectionId } });
}

/** See `MirrorLink.doubt`. */
export function doubt({ serving, replication, changed }: OrderContext): Promise<void> {
  if (serving.state === 'no' && replication.element === 'uptodate' && !replication.connected) {
    replication.doubt();
    changed();
  }
  return Promise.resolve();
}

/** See `MirrorLink.leave`. */
export async function leave({ store, replication, device, changed, failed }: OrderContext): Promise<void> {
  await replication.leave(async (role) => {
    if (role === 'source') {
      if (replication.element !== 'failed') await flushOrFail(device, failed);
      await replication.flushTarget();
    } else if (store.metadata.state === 'consistent' && !isMinted(store.metadata)) {
      // One that is served through is the only good copy, and old to nobody.
      await store.update(() => ({ state: 'outdated' }));
      replication.element = 'outdated';
    }
  });
  await replication.cutOff();
  changed();
}

function ownsEpoch({ node, known }: OrderContext, epoch: Epoch): boolean {
  const order = compareEpochs(epoch, known.epoch);
  return epoch.owner === node && (order === 'higher' || (order === 'equal' && !known.disputed));
}

function assertOwnEpoch(context: OrderContext, epoch: Epoch): void {
  if (ownsEpoch(context, epoch)) return;
  const { known } = context;
  const text = `epoch ${formatEpoch(epoch)} is not this node's alone, or not above ${formatEpoch(known.epoch)}`;
  throw new HotMirrorError('HM_STALE_EPOCH', text, { rule: 'lineage.epoch' });
}
