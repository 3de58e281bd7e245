import type { BlockDevice } from '../device/block-device.ts';
import { devicePromises } from '../device/promises.ts';
import type { Epoch } from '../epoch.ts';
import { HotMirrorError } from '../errors.ts';
import type { MirrorPort } from '../failover/ports.ts';
import type { MirrorCounters } from '../mirror/counters.ts';
import type { MirrorProtocol } from '../mirror/options.ts';
import type { RegenerateOrder, VerifyOrder, VerifyOutcome } from '../mirror/regenerate.ts';
import type { ResyncRateLimits } from '../mirror/resync-rate.ts';
import type { Growth } from '../mirror/grow.ts';
import type { KeyRenewal } from './link-keyring.ts';
import type { MirrorExport } from './mirror-export.ts';
import type { MirrorCall, MirrorCalls, MirrorMessage, MirrorMethod, MirrorThreadPort } from './mirror-messages.ts';

/** A mirror as its thread holds it; `MirrorLink` fits as it is. */
export interface HostedMirror extends MirrorPort, BlockDevice {
  regenerate(order: RegenerateOrder): Promise<boolean>;
  verify(order: VerifyOrder): Promise<VerifyOutcome>;
  waiveFindings(because: string): void;
  pauseResync(because: string): void;
  resumeResync(): void;
  configureResync(limits: Partial<ResyncRateLimits>): void;
  open(options: { readonly epoch: Epoch }): Promise<void>;
  counters(): MirrorCounters;
  grow(): Promise<Growth>;
  setProtocol(protocol: MirrorProtocol): Promise<void>;
}

/** Makes the net disk of a mirror that has just been opened; null where it has none. */
type Exporting = (mirror: HostedMirror) => MirrorExport | null;

type Handlers = {
  readonly [Method in Exclude<MirrorMethod, 'open' | 'giveUp'>]: (
    params: MirrorCalls[Method]['params'],
    signal: AbortSignal,
  ) => Promise<MirrorCalls[Method]['result']>;
};

/**
 * Serves a mirror to the other side of a port: carries out its calls, in the order in which they come as far as they start, and reports each change.
 * Changes that come in one go are reported once. The mirror is assembled when its first call, `open`, comes.
 */
export function serveMirror(
  port: MirrorThreadPort,
  assemble: () => Promise<HostedMirror>,
  exporting: Exporting = () => null,
  renewKeys: (renewal: KeyRenewal) => void = () => undefined,
): void {
  let mirror: HostedMirror | null = null;
  let handlers: Handlers | null = null;
  let reportDue = false;
  const report = (): void => {
    if (reportDue) return;
    reportDue = true;
    queueMicrotask(() => {
      reportDue = false;
      if (mirror) port.postMessage({ kind: 'view', view: mirror.state() });
    });
  };
  const open = async (options: MirrorCalls['open']['params']): Promise<null> => {
    const assembled = await assemble();
    await assembled.open(options);
    mirror = assembled;
    handlers = mirrorHandlers(assembled, exporting(assembled), renewKeys);
    assembled.onChange(report);
    return null;
  };
  const waits = new Map<number, AbortController>();
  const giveUp = (id: MirrorCalls['giveUp']['params']): Promise<null> => {
    waits.get(id)?.abort(new HotMirrorError('HM_ABORTED', 'given up'));
    return Promise.resolve(null);
  };
  const carryOut = async (id: number, method: MirrorMethod, params: unknown): Promise<unknown> => {
    if (method === 'open') return open(params as MirrorCalls['open']['params']);
    if (method === 'giveUp') return giveUp(params as MirrorCalls['giveUp']['params']);
    if (!handlers) throw new HotMirrorError('HM_CLOSED', 'the mirror is not open');
    const wait = new AbortController();
    if (method === 'verify' || method === 'regenerate') waits.set(id, wait);
    try {
      return await (handlers[method] as (given: unknown, signal: AbortSignal) => Promise<unknown>)(params, wait.signal);
    } finally {
      waits.delete(id);
    }
  };
  const reply = async ({ id, method, params }: MirrorCall): Promise<MirrorMessage> => {
    try {
      const result = await carryOut(id, method, params);
      return { kind: 'reply', id, ok: true, result, view: mirror?.state() ?? null };
    } catch (error) {
      return {
        kind: 'reply',
        id,
        ok: false,
        error: HotMirrorError.from(error, 'HM_INTERNAL', method).toJSON(),
        view: mirror?.state() ?? null,
      };
    }
  };
  port.on('message', (call) => {
    void reply(call).then((message) => port.postMessage(message, transferOf(message)));
  });
}

function mirrorHandlers(mirror: HostedMirror, exported: MirrorExport | null, renewKeys: (renewal: KeyRenewal) => void): Handlers {
  const device = devicePromises(mirror);
  return {
    async promote(order) {
      await mirror.promote(order);
      // What mounts it follows.
      await exported?.settle();
      return null;
    },
    // Rule handover: nobody asks for anything any more before what was asked is drained.
    demote: () => (exported ? exported.during(() => mirror.demote()) : mirror.demote()),
    seal: (parked) => mirror.seal(parked),
    unseal: () => nothing(mirror.unseal()),
    goAlone: (order) => nothing(mirror.goAlone(order)),
    outdate: (order) => nothing(mirror.outdate(order)),
    resolve: (order) => nothing(mirror.resolve(order)),
    rollBack: () => nothing(mirror.rollBack()),
    doubt: (because) => nothing(mirror.doubt(because)),
    raiseEpoch: (epoch) => nothing(mirror.raiseEpoch(epoch)),
    renewLease(evidence) {
      mirror.renewLease(evidence);
      return Promise.resolve(null);
    },
    regenerate: (order, signal) => mirror.regenerate({ ...order, signal }),
    verify: (order, signal) => mirror.verify({ ...order, signal }),
    waiveFindings: (because) => done(() => mirror.waiveFindings(because)),
    pauseResync: (because) => done(() => (because === null ? mirror.resumeResync() : mirror.pauseResync(because))),
    configureResync: (limits) => done(() => mirror.configureResync(limits)),
    setElement: (wish) => nothing(mirror.setElement(wish)),
    setProtocol: (protocol) => nothing(mirror.setProtocol(protocol)),
    renewKeys: (renewal) => done(() => renewKeys(renewal)),
    leave: () => nothing(mirror.leave()),
    async close() {
      await exported?.end();
      await mirror.close();
      return null;
    },
    read: ({ offsetBytes, lengthBytes }) => device.read(offsetBytes, lengthBytes),
    write: ({ offsetBytes, bytes, fua }) => nothing(device.write(offsetBytes, bytes, { fua })),
    flush: () => nothing(device.flush()),
    grow: () => mirror.grow(),
    counters: () => Promise.resolve(mirror.counters()),
  };
}

/** What takes effect at once; what it throws is the answer. */
async function done(act: () => void): Promise<null> {
  await Promise.resolve();
  act();
  return null;
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
