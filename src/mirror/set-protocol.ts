import { HotMirrorError } from '../errors.ts';
import { flushOrFail } from './element-lifecycle.ts';
import type { MirrorProtocol } from './options.ts';
import type { OrderContext } from './orders.ts';

/**
 * See `MirrorLink.setProtocol`. A weaker promise is durable before the first request completes by it; a stronger one holds for every request that is sent from
 * now on, and is durable once all that was completed by the weaker one is on the peer's element.
 */
export async function setProtocol(context: OrderContext, wanted: MirrorProtocol): Promise<void> {
  const { name, protocol, serving, replication, changed, emit } = context;
  const before = protocol.current;
  if (wanted === before) return;
  if (serving.diskless.active) {
    const because = `the element of ${name} has failed: nothing completes before it is durable on the peer's, whatever the protocol`;
    throw new HotMirrorError('HM_REFUSED', because, { rule: 'write.error' });
  }
  if (wanted !== 'sync' && replication.stream?.knowsProtocols === false) {
    throw new HotMirrorError('HM_NOT_SUPPORTED', `the peer of ${name} knows the protocol sync alone`, { rule: 'write.both' });
  }
  if (serving.state !== 'no' && wanted === 'async') await agreeToLose(context);
  protocol.current = wanted;
  replication.stream?.announceProtocol();
  if (serving.state !== 'no' && before === 'async') await drainQueue(context);
  emit('protocol:changed', 0, `${name} completes requests by ${wanted}, no more by ${before}`, {
    rule: 'write.both',
    evidence: { protocol: wanted, before },
  });
  changed();
}

/**
 * Both elements know that a takeover may lose what is queued, before anything is: this one durably, and a target that is connected, which names the bound when
 * it takes over. One that is lost meanwhile hears of it in the next handshake, before it is `uptodate` again.
 */
async function agreeToLose({ protocol, store, replication }: OrderContext): Promise<void> {
  try {
    protocol.ahead = true;
    await store.update(() => ({ mayBeAhead: true }));
  } catch (error) {
    protocol.ahead = false;
    throw error;
  }
  replication.stream?.announceProtocol('async');
  await replication.flushTarget();
}

/** Everything that was completed by async is durable on both elements; else async stays in force. */
async function drainQueue(context: OrderContext): Promise<void> {
  const { name, protocol, store, replication } = context;
  const isTarget = (): boolean => replication.peerElement === 'uptodate' && replication.source?.together === true;
  const drained = isTarget() && (await isFlushed(context)) && (await replication.flushTarget());
  if (drained && isTarget()) {
    protocol.ahead = false;
    await store.update(() => ({ mayBeAhead: false }));
    return;
  }
  protocol.current = 'async';
  replication.stream?.announceProtocol();
  throw new HotMirrorError('HM_REFUSED', `what ${name} completed by async is not all durable on both elements`, { rule: 'write.both' });
}

/** This element too: nothing says any more that it was served by async, and what it holds in a cache alone counts as flushed. */
async function isFlushed({ device, failed }: OrderContext): Promise<boolean> {
  try {
    await flushOrFail(device, failed);
    return true;
  } catch {
    return false;
  }
}
