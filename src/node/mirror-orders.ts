import * as z from 'zod';

import { HotMirrorError } from '../errors.ts';
import type { MirrorView, ResyncProgress } from '../failover/ports.ts';
import type { MirrorProtocol } from '../mirror/options.ts';
import { protocols } from '../mirror/protocol.ts';
import type { ControlStream, VerifyResult, WishProgress, WishResult } from './control-protocol.ts';
import type { MirrorProxy } from './mirror-proxy.ts';

const longestName = 255;
const mirror = z.string().max(longestName);

/** What an operator may ask of a mirror, that one of its two nodes alone can do. */
export type MirrorOrder =
  | { readonly order: 'regenerate'; readonly mirror: string; readonly full: boolean }
  | { readonly order: 'verify'; readonly mirror: string; readonly wish: 'find' | 'repair' | 'waive' }
  | { readonly order: 'grow'; readonly mirror: string }
  | { readonly order: 'protocol'; readonly mirror: string; readonly protocol: MirrorProtocol };

/** Reads a {@link MirrorOrder}. */
export const mirrorOrderSchema: z.ZodType<MirrorOrder> = z.discriminatedUnion('order', [
  z.strictObject({ order: z.literal('regenerate'), mirror, full: z.boolean() }),
  z.strictObject({ order: z.literal('verify'), mirror, wish: z.enum(['find', 'repair', 'waive']) }),
  z.strictObject({ order: z.literal('grow'), mirror }),
  z.strictObject({ order: z.literal('protocol'), mirror, protocol: z.enum(protocols) }),
]);

/** What became of a {@link MirrorOrder}: with the report of a verify where it was one. */
export type OrderResult = WishResult & Partial<Omit<VerifyResult, keyof WishResult>>;

/** Where an order goes first: mirrors are copied and compared from their source, and the rest is for the node that serves. */
export function isForPeer({ order }: MirrorOrder, { role, serving }: MirrorView): boolean {
  return order === 'grow' || order === 'protocol' ? serving === 'no' : role === 'target';
}

/** Carries out an order on a mirror of this node. An aborted signal ends a verify, and of everything else only the wait. Rejects as the mirror does. */
export function carryOut(order: MirrorOrder, proxy: MirrorProxy, stream: ControlStream<WishProgress>): Promise<OrderResult> {
  switch (order.order) {
    case 'regenerate':
      return watching(proxy, stream, () => regenerated(proxy, order.full, stream.signal));
    case 'verify':
      if (order.wish === 'waive') return waived(proxy);
      return watching(proxy, stream, () => verified(proxy, order.wish === 'repair', stream.signal));
    case 'grow':
      return grown(proxy);
    case 'protocol':
      return switched(proxy, order.protocol);
  }
}

/** The mirror of that name. Throws `HM_USAGE` where there is none. */
export function mirrorOf(mirrors: ReadonlyMap<string, MirrorProxy>, name: string): MirrorProxy {
  const found = mirrors.get(name);
  if (!found) throw new HotMirrorError('HM_USAGE', `there is no mirror ${name}`);
  return found;
}

/** Tells whoever asked how far a resync or verify is. */
async function watching<T>(proxy: MirrorProxy, stream: ControlStream<WishProgress>, run: () => Promise<T>): Promise<T> {
  const stop = proxy.onEvent(({ name, payload }) => {
    if (!name.startsWith('resync:') && !name.startsWith('verify:')) return;
    const { text, progress } = payload as { readonly text: string; readonly progress?: ResyncProgress };
    void stream.progress({ text, ...(progress ? { mirror: proxy.name, resync: progress } : {}) });
  });
  try {
    return await run();
  } finally {
    stop();
  }
}

async function regenerated(proxy: MirrorProxy, full: boolean, signal: AbortSignal): Promise<WishResult> {
  const changed = await proxy.regenerate({ full, signal });
  return { changed, text: changed ? `both elements of ${proxy.name} are the same` : `nothing of ${proxy.name} is known to differ` };
}

async function verified(proxy: MirrorProxy, repair: boolean, signal: AbortSignal): Promise<VerifyResult> {
  const outcome = await proxy.verify({ repair, signal });
  const { comparedBytes, differingBytes, unreadableBytes, repaired } = outcome;
  const unread = unreadableBytes === 0 ? '' : `; ${String(unreadableBytes)} bytes could not be read there`;
  // What was found before counts no more, and is copied with the rest.
  const text = `${proxy.name}: ${repaired ? 'all that differed was copied to the other node' : `${String(differingBytes)} of ${String(comparedBytes)} bytes compared differ`}${unread}`;
  return { ...outcome, changed: differingBytes > 0, text };
}

async function waived(proxy: MirrorProxy): Promise<VerifyResult> {
  const { findingBytes = 0 } = proxy.state();
  await proxy.waiveFindings('an operator asked for it');
  const text = `${proxy.name}: ${String(findingBytes)} bytes that differ are waived, and stay different until the next resync`;
  return { changed: findingBytes > 0, text, differingBytes: 0, comparedBytes: 0, unreadableBytes: 0, extents: [], repaired: false };
}

async function grown(proxy: MirrorProxy): Promise<WishResult> {
  const { sizeBytes, grownBytes, room } = await proxy.grow();
  const changed = grownBytes > 0;
  const most = `of the serving node holds at most ${String(room.ownBytes)}, that of the other ${String(room.peerBytes)}`;
  const text = changed ? 'its new part is copied to the peer' : `no larger than before, for the element ${most}`;
  return { changed, text: `${proxy.name} has ${String(sizeBytes)} bytes; ${text}` };
}

async function switched(proxy: MirrorProxy, protocol: MirrorProtocol): Promise<WishResult> {
  const before = proxy.state().protocol;
  await proxy.setProtocol(protocol);
  return { changed: before !== protocol, text: `${proxy.name} completes requests by ${protocol}` };
}
