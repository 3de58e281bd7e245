import { HotMirrorError } from '../errors.ts';
import { flushOrFail } from './element-lifecycle.ts';
import { broughtBack, isMinted, takenOut } from './metadata.ts';
import type { OrderContext } from './orders.ts';

/** What an element is to be by the word of an operator. */
export type ElementWish = 'off' | 'on';

/** See `MirrorLink.setElement`. */
export async function setElement(context: OrderContext, wish: ElementWish): Promise<void> {
  const { name, replication } = context;
  if (replication.element === 'failed') {
    throw new HotMirrorError('HM_REFUSED', `the element of ${name} has failed: replace the disk`, { rule: 'write.error' });
  }
  if (wish === 'off') await takeOut(context);
  else await bringBack(context);
}

/** The source hears of it once it is durable, so that it goes on without this element (rule alone); until then it may count on it. */
async function takeOut(context: OrderContext): Promise<void> {
  const { name, store, replication, device, changed, failed, announce } = context;
  if (replication.element === 'off') return;
  // The source may be giving its own element up, and the record of that is under way here.
  await replication.lineageSettled();
  assertDispensable(context);
  const out = async (): Promise<void> => {
    if (store.metadata.current !== null) await flushOrFail(device, failed);
    assertDispensable(context);
    await store.update(takenOut);
  };
  try {
    await replication.leave(out, 'off');
    // Nothing reaches the element any more, neither from this connection nor from one that came meanwhile.
    await replication.stop();
    if (store.metadata.state !== 'off') await out();
  } catch (error) {
    // A connection that was about to be left takes over no lineage any more; where the device hangs, the link has to come back all the same.
    await replication.cutOff();
    await replication.resume();
    throw error;
  }
  replication.element = 'off';
  announce('element:detached', 1, `the element of ${name} was taken out by an operator`);
  changed();
}

/** Rejects by throwing where the service, or what was completed last, depends on this element. */
function assertDispensable({ name, store, serving, replication }: OrderContext): void {
  if (serving.state !== 'no' || replication.role === 'source') {
    const because = `the element of ${name} is what this node serves or copies from: move the service first`;
    throw new HotMirrorError('HM_REFUSED', because, { rule: 'element.off' });
  }
  if (replication.servedThrough) {
    const because = `the other node serves ${name} through this element, its own having failed: move the service first`;
    throw new HotMirrorError('HM_REFUSED', because, { rule: 'write.error' });
  }
  // Brought back it would be old to everybody, and nothing newer is there; one that gave way is old already (rule lineage.resolve).
  if (isMinted(store.metadata) && store.metadata.state === 'consistent') {
    const because = `the element of ${name} alone holds what was completed last: the other node's has to hold it too first`;
    throw new HotMirrorError('HM_REFUSED', because, { rule: 'element.off' });
  }
}

/** It may be behind by all that was written since; the handshake finds out by generations and maps what, as after a start (rule lineage.decide). */
async function bringBack({ name, store, replication, changed, announce }: OrderContext): Promise<void> {
  if (replication.element !== 'off') return;
  await store.update(broughtBack);
  replication.element = store.metadata.state;
  announce('element:attached', 0, `the element of ${name} was brought back by an operator`);
  await replication.resume();
  changed();
}
