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
  const survives = order.survivor === node;
  assertFits(context, own, survives);
  const change = survives ? surviving(context) : givingWay(context, { own, to }, order.salvage ?? null);
  if (change === null) return;
  const { wanted } = replication;
  // An adoption under way ends first: it may be what ends the split.
  await replication.stop();
  try {
    assertFits(context, own, survives);
    await change();
  } finally {
    // Sealed for a takeover it stays so.
    if (wanted) await replication.resume();
  }
  changed();
}

function assertFits({ name, node, store, serving, replication }: OrderContext, own: string, survives: boolean): void {
  const { current, state } = store.metadata;
  if (current !== own) throw refusal(`the element of ${node} holds generation ${current ?? 'none'}, and ${own} was judged`);
  if (!survives && replication.servedThrough)
    throw new HotMirrorError('HM_REFUSED', `the other node serves ${name} through this element`, { rule: 'write.error' });
  if (survives && replication.element === 'failed')
    throw new HotMirrorError('HM_REFUSED', `the element of ${node} has failed and cannot survive`, { rule: 'lineage.source' });
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
function givingWay(
  { node, store, replication, preservation }: OrderContext,
  { own, to }: Pick<GaveWay, 'own' | 'to'>,
  file: string | null,
): (() => Promise<void>) | null {
  const { gaveWay, state: before } = store.metadata;
  const given = gaveWay?.own === own && gaveWay.to === to;
  if (given && (file === null || gaveWay.salvage?.file === file)) return null;
  if (file !== null && before === 'inconsistent')
    throw refusal(`the element of ${node} is being overwritten already, and a salvage file would lack what it held`);
  return async () => {
    // What is kept is durable before the element gives way: where there is no room for it, it does not.
    const salvage = file === null ? null : await preservation.salvage(file);
    await store.update(({ state }) => ({ gaveWay: { own, to, salvage }, state: state === 'consistent' ? 'outdated' : state }));
    replication.element = store.metadata.state;
  };
}

function refusal(because: string): HotMirrorError {
  return new HotMirrorError('HM_REFUSED', because, { rule: 'lineage.resolve' });
}
