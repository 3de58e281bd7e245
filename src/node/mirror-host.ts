import type { BlockDevice } from '../device/block-device.ts';
import { devicePromises } from '../device/promises.ts';
import { HotMirrorError } from '../errors.ts';
import type { MirrorPort } from '../failover/ports.ts';
import type { MirrorCall, MirrorCalls, MirrorMessage, MirrorMethod, MirrorThreadPort } from './mirror-messages.ts';

/** A mirror as its thread holds it; `MirrorLink` fits as it is. */
export interface HostedMirror extends MirrorPort, BlockDevice {
  open(): Promise<void>;
}

type Handlers = { readonly [Method in MirrorMethod]: (params: MirrorCalls[Method]['params']) => Promise<MirrorCalls[Method]['result']> };

/**
 * Serves a mirror to the other side of a port: carries out its calls, in the order in which they come as far as they start, and reports each change.
 * Changes that come in one go are reported once.
 */
export function serveMirror(port: MirrorThreadPort, mirror: HostedMirror): void {
  const handlers = mirrorHandlers(mirror);
  let open = false;
  let reportDue = false;
  const reply = async ({ id, method, params }: MirrorCall): Promise<MirrorMessage> => {
    try {
      const handler = handlers[method] as (given: unknown) => Promise<unknown>;
      const result = await handler(params);
      if (method === 'open') open = true;
      return { kind: 'reply', id, ok: true, result, view: open ? mirror.state() : null };
    } catch (error) {
      return { kind: 'reply', id, ok: false, error: HotMirrorError.from(error, 'HM_INTERNAL', method).toJSON(), view: open ? mirror.state() : null };
    }
  };
  port.on('message', (call) => {
    void reply(call).then((message) => port.postMessage(message, transferOf(message)));
  });
  mirror.onChange(() => {
    if (reportDue || !open) return;
    reportDue = true;
    queueMicrotask(() => {
      reportDue = false;
      port.postMessage({ kind: 'view', view: mirror.state() });
    });
  });
}

function mirrorHandlers(mirror: HostedMirror): Handlers {
  const device = devicePromises(mirror);
  return {
    open: () => nothing(mirror.open()),
    promote: (order) => nothing(mirror.promote(order)),
    demote: () => mirror.demote(),
    seal: () => mirror.seal(),
    unseal: () => nothing(mirror.unseal()),
    goAlone: (order) => nothing(mirror.goAlone(order)),
    outdate: (order) => nothing(mirror.outdate(order)),
    doubt: (because) => nothing(mirror.doubt(because)),
    raiseEpoch: (epoch) => nothing(mirror.raiseEpoch(epoch)),
    renewLease(evidence) {
      mirror.renewLease(evidence);
      return Promise.resolve(null);
    },
    leave: () => nothing(mirror.leave()),
    close: () => nothing(mirror.close()),
    read: ({ offsetBytes, lengthBytes }) => device.read(offsetBytes, lengthBytes),
    write: ({ offsetBytes, bytes, fua }) => nothing(device.write(offsetBytes, bytes, { fua })),
    flush: () => nothing(device.flush()),
  };
}

async function nothing(work: Promise<void>): Promise<null> {
  await work;
  return null;
}

/** Bytes that were read change hands instead of being copied. */
function transferOf(message: MirrorMessage): readonly ArrayBuffer[] {
  const result = message.kind === 'reply' && message.ok ? message.result : null;
  return result instanceof Uint8Array && result.buffer instanceof ArrayBuffer ? [result.buffer] : [];
}
