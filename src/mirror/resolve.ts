import { HotMirrorError } from '../errors.ts';
import type { ResolveOrder } from '../vocabulary.ts';
import type { GaveWay } from './metadata.ts';
import type { OrderContext } from './orders.ts';

/**
 * See `MirrorLink.resolve`. One durable write makes the element give way, together with its state, so that a crash leaves it either as it was or given up;
 * its generation stays what it is until a resync has completed. Asked again, it does nothing more.
 */
export async function resolveSplit(context: OrderContext, order: ResolveOrder): Promise<void> {
  const { node, peer, replication, changed } = context;
  const own = order.judged[node];
  const to = order.judged[peer];
  if (own === undefined || to === undefined) throw refusal(`the order names no generation of ${own === undefined ? node : peer}`);
  if (order.salvage !== undefined) throw new HotMirrorError('HM_NOT_SUPPORTED', 'a salvage file is not in this version');
  const [survives, change] = order.survivor === node ? [true, surviving] : [false, givingWay];
  assertFits(context, own, survives);
  if (change(context, { own, to }) === null) return;
  // An adoption under way ends first: it may be what ends the split.
  await replication.stop();
  try {
    assertFits(context, own, survives);
    await change(context, { own, to })?.();
  } finally {
    await replication.resume();
  }
  changed();
}

function assertFits({ name, node, store, serving }: OrderContext, own: string, survives: boolean): void {
  const { current, state } = store.metadata;
  if (current !== own) throw refusal(`the element of ${node} holds generation ${current ?? 'none'}, and ${own} was judged`);
  if (survives && (state === 'inconsistent' || state === 'failed' || state === 'off'))
    throw new HotMirrorError('HM_REFUSED', `the element of ${node} is ${state} and cannot survive`, { rule: 'lineage.source' });
  if (!survives && serving.state !== 'no') throw refusal(`${name} is served by ${node}, which is to give way`);
}

/** What has to be done for the survivor: an earlier word that it gives way is taken back. Null: nothing. */
function surviving({ store }: OrderContext): (() => Promise<void>) | null {
  if (store.metadata.gaveWay === null) return null;
  return () => store.update(() => ({ gaveWay: null }));
}

/** What has to be done for the other. Null: nothing. */
function givingWay({ store, replication }: OrderContext, word: GaveWay): (() => Promise<void>) | null {
  const { gaveWay } = store.metadata;
  if (gaveWay?.own === word.own && gaveWay.to === word.to) return null;
  return async () => {
    await store.update(({ state }) => ({ gaveWay: word, state: state === 'consistent' ? 'outdated' : state }));
    replication.element = store.metadata.state;
  };
}

function refusal(because: string): HotMirrorError {
  return new HotMirrorError('HM_REFUSED', because, { rule: 'lineage.resolve' });
}
