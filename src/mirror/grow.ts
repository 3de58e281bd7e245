import type { Clock } from '../clock/clock.ts';
import { within } from '../clock/within.ts';
import { HotMirrorError } from '../errors.ts';
import type { Announcer } from './announcer.ts';
import { elementRoomBytes, measureElement } from './element-room.ts';
import type { MirrorCore } from './mirror-core.ts';
import type { MirrorLimits } from './options.ts';
import type { OrderContext } from './orders.ts';

/** What `MirrorLink.grow` came to. */
export interface Growth {
  /** Size of the mirror now. */
  readonly sizeBytes: number;
  /** By how much it grew; 0 where one of the elements has no room for more. */
  readonly grownBytes: number;
  /** How large a mirror each of the elements can hold, by its device and by the room of its metadata. */
  readonly room: { readonly ownBytes: number; readonly peerBytes: number };
}

/** Rule lineage.grow, first: this node looks at its device again. Not an order among the others: a device that hangs delays none of them. */
async function lookHere(context: OrderContext, deadlineMs: number): Promise<void> {
  assertWhole(context);
  const { clock, device, store } = context;
  const limit = { deadlineMs, code: 'HM_REFUSED', rule: 'lineage.grow', what: 'the look at the device' } as const;
  await within(clock, limit, () => measureElement(device, store));
}

/** Then the peer looks at its device, which it does at the beginning of a connection. False: this node's element has no room for more, and the connection stays. */
function lookThere(context: OrderContext): Promise<boolean> {
  assertWhole(context);
  const { device, store, replication } = context;
  const room = elementRoomBytes(device, store) > store.metadata.sizeBytes;
  if (room) replication.reconnect();
  return Promise.resolve(room);
}

/** What the mirror can come to by now. */
function growthOf({ store, device, replication }: OrderContext): Growth {
  const { sizeBytes: beforeBytes } = store.metadata;
  const room = { ownBytes: elementRoomBytes(device, store), peerBytes: replication.peerRoomBytes };
  const mostBytes = Math.min(room.ownBytes, room.peerBytes);
  const sizeBytes = Math.max(beforeBytes, mostBytes - (mostBytes % device.blockSizeBytes));
  return { sizeBytes, grownBytes: sizeBytes - beforeBytes, room };
}

/** Resolves as soon as the condition holds, or after the deadline. */
function waitUntil(condition: () => boolean, clock: Clock, deadlineMs: number, announcer: Announcer): Promise<void> {
  return new Promise((resolve) => {
    const look = (): void => {
      if (!condition()) return;
      end();
    };
    const end = (): void => {
      deadline.cancel();
      stop();
      resolve();
    };
    const deadline = clock.timer(deadlineMs, end);
    const stop = announcer.onChange(look);
    look();
  });
}

/**
 * Rule lineage.grow, then: the source durably holds the larger size with everything new marked dirty, and begins a new connection, in which the new part is copied. The
 * target takes the size over with the lineage, when it holds all of it.
 */
async function grow(context: OrderContext, grown: (growth: Growth) => void): Promise<Growth> {
  assertWhole(context);
  const { store, replication, changed, failed } = context;
  const growth = growthOf(context);
  if (growth.grownBytes === 0) return growth;
  // First the end of the connection: whatever runs on it knows the former map. The next one waits for the size.
  replication.reconnect();
  try {
    await store.grow(growth.sizeBytes);
  } catch (cause) {
    const error = HotMirrorError.from(cause, 'HM_STATE_UNWRITABLE', 'the larger size could not be made durable');
    await failed(error);
    throw error;
  }
  grown(growth);
  changed();
  return growth;
}

/** What a growth needs of its mirror. */
export interface GrowingMirror {
  readonly core: () => MirrorCore;
  readonly announcer: Announcer;
  readonly limits: MirrorLimits;
}

/** Runs among the orders of a mirror, one at a time. */
type Order = <T>(run: (context: OrderContext) => Promise<T>) => Promise<T>;

/** See `MirrorLink.grow`. Between its two orders others may run, such as one to go alone. */
export async function growByOrder({ core, announcer, limits }: GrowingMirror, clock: Clock, order: Order): Promise<Growth> {
  const { handshakeDeadlineMs } = limits;
  await lookHere(core().orderContext(), handshakeDeadlineMs);
  if (await order(lookThere)) {
    const { replication } = core();
    await waitUntil(() => replication.peerElement === 'uptodate', clock, handshakeDeadlineMs, announcer);
  }
  return order((context) =>
    grow(context, ({ sizeBytes, grownBytes }) => {
      const evidence = { sizeBytes, grownBytes };
      announcer.emit('mirror:grown', 0, `the mirror has ${String(sizeBytes)} bytes now`, { rule: 'lineage.grow', evidence });
    }),
  );
}

/** A mirror grows while both elements are the same: its new part is then all that differs. */
function assertWhole({ name, serving, replication }: OrderContext): void {
  if (serving.state === 'no') throw new HotMirrorError('HM_NOT_SERVING', `${name} is not served by this node`);
  if (serving.diskless.active)
    throw new HotMirrorError('HM_REFUSED', `the element of ${name} has failed: it cannot grow`, { rule: 'write.error' });
  if (serving.state === 'yes' && replication.peerElement === 'uptodate' && !replication.source?.resync) return;
  throw new HotMirrorError('HM_REFUSED', `the peer's element of ${name} is ${replication.peerElement}`, { rule: 'lineage.grow' });
}
