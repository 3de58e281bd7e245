import { HotMirrorError } from '../errors.ts';
import { stepWords } from '../failover/plan.ts';
import type { FailoverOrchestrator } from '../failover/orchestrator.ts';
import type { FailoverPlan } from '../failover/status.ts';
import type { ControlHandlers, ControlStream, NodeStatus, PlanView, ToldBothResult, WishProgress, WishResult } from './control-protocol.ts';
import type { EventLog } from './event-log.ts';
import { withElementRemedy } from './failed-element.ts';
import { carryOut, isForPeer, mirrorOf } from './mirror-orders.ts';
import type { MirrorOrder, OrderResult } from './mirror-orders.ts';
import type { MirrorProxy } from './mirror-proxy.ts';
import type { PeerOrders } from './peer-orders.ts';
import { withPauseRemedy } from './warnings.ts';
import type { WatchOrders } from './watch-orders.ts';

/** What the control socket of a node reaches. */
export interface NodeControl {
  readonly orchestrator: FailoverOrchestrator;
  readonly log: EventLog;
  readonly mirrors: ReadonlyMap<string, MirrorProxy>;
  /** What the other node alone can do. */
  readonly orders: PeerOrders;
  readonly watchOrders: WatchOrders;
  readonly status: () => NodeStatus;
  readonly statistics: () => Promise<NodeStatus>;
}

/** The commands of the control socket. Each waits until the node is assembled. */
export function controlHandlers(assembled: Promise<NodeControl>): ControlHandlers {
  return {
    status: async ({ statistics = false }) => (statistics ? (await assembled).statistics() : (await assembled).status()),
    async events({ follow }, { signal, progress }) {
      const { log } = await assembled;
      if (follow) for await (const event of log.follow(signal)) await progress(event);
      else for await (const event of log.read()) await progress(event);
      return null;
    },
    async control({ mode }) {
      const { orchestrator } = await assembled;
      const changed = orchestrator.status().control !== mode;
      await orchestrator.setControl(mode);
      return { changed, text: `automatic fallback is ${mode === 'auto' ? 'on' : 'off'}` };
    },
    fallback: async ({ force, overrides }, stream) =>
      wish(await assembled, stream, 'the home standby serves', (orchestrator) => orchestrator.fallback({ force, overrides })),
    recover: async ({ force, overrides }, stream) =>
      wish(await assembled, stream, 'the home primary serves', (orchestrator) => orchestrator.recover({ force, overrides })),
    switchover: async (_params, stream) =>
      wish(await assembled, stream, 'the other node serves', (orchestrator) => orchestrator.switchover()),
    adopt: async (_params, stream) =>
      wish(await assembled, stream, 'the serving node is the home primary', (orchestrator) => orchestrator.adopt()),
    regenerate: async ({ mirror, full }, stream) => ordered(await assembled, { order: 'regenerate', mirror, full }, stream),
    async verify({ mirror, wish: wanted }, stream) {
      const result = await ordered(await assembled, { order: 'verify', mirror, wish: wanted }, stream);
      return { ...nothingCompared, ...result };
    },
    async element({ mirror, to }) {
      const { orchestrator, status } = await assembled;
      const isOff = (): boolean | undefined => {
        const found = status().mirrors.find(({ name }) => name === mirror);
        return found && found.element === 'off';
      };
      const before = isOff();
      if (before === undefined) throw new HotMirrorError('HM_USAGE', `there is no mirror ${mirror}`);
      await orchestrator.setElement({ mirror, to }).catch((error: unknown) => {
        throw withElementRemedy(error, status());
      });
      const text =
        to === 'off' ? `this node's element of ${mirror} is out` : `this node's element of ${mirror} is in; what differs is copied to it`;
      return { changed: before !== (to === 'off'), text };
    },
    grow: async ({ mirror }, stream) => ordered(await assembled, { order: 'grow', mirror }, stream),
    protocol: async ({ mirror, protocol }, stream) => switchProtocol(await assembled, { order: 'protocol', mirror, protocol }, stream),
    watch: async (times) => (await assembled).watchOrders.give({ order: 'times', ...times }),
    maintenance: async ({ forMs }) => (await assembled).watchOrders.give({ order: 'maintenance', forMs }),
    resume: async ({ overrides }, stream) =>
      wish(await assembled, stream, 'this node goes on without its peer', (orchestrator) =>
        orchestrator.resume({ reason: 'an operator asked for it', overrides }),
      ),
    async resolve({ mirror, survivor, salvage }) {
      const { orchestrator, status } = await assembled;
      const split = status().mirrors.some(({ name, connection }) => name === mirror && connection !== 'connected');
      await orchestrator.resolve({ mirror, survivor, ...(salvage === null ? {} : { salvage }) });
      const kept = salvage === null ? '' : `, and kept there in ${salvage}`;
      return {
        changed: split,
        text: `${mirror}: ${survivor} survives; what the other element holds differently is overwritten as soon as both are connected${kept}`,
      };
    },
    async plan({ wish: wanted }) {
      return planView(wanted, (await assembled).orchestrator.plan(wanted));
    },
  };
}

const nothingCompared = { differingBytes: 0, comparedBytes: 0, unreadableBytes: 0, extents: [], repaired: false } as const;

/** Here, or by the other node where that alone can do it. */
async function ordered(
  { mirrors, orders }: NodeControl,
  order: MirrorOrder,
  stream: Pick<ControlStream<never>, 'signal'> & { readonly progress: (value: WishProgress) => Promise<void> },
): Promise<OrderResult> {
  const mirror = mirrorOf(mirrors, order.mirror);
  return isForPeer(order, mirror.state()) ? orders.give(order, stream) : carryOut(order, mirror, stream);
}

/** The node that serves first: where that refuses, nothing changes anywhere. The other completes by it once the service has moved there. */
async function switchProtocol(
  { mirrors, orders }: NodeControl,
  order: MirrorOrder,
  stream: ControlStream<WishProgress>,
): Promise<ToldBothResult> {
  const mirror = mirrorOf(mirrors, order.mirror);
  const here = (): Promise<OrderResult> => carryOut(order, mirror, stream);
  const there = (): Promise<OrderResult> => orders.give(order, stream);
  const [serving, other] = isForPeer(order, mirror.state()) ? [there, here] : [here, there];
  const { changed, text } = await serving();
  const missed = await other().then(
    () => null,
    (error: unknown) => HotMirrorError.from(error, 'HM_INTERNAL', 'the other node').message,
  );
  return {
    changed,
    toldBoth: missed === null,
    text: missed === null ? text : `${text}; the other node was not told, so ask again before the service moves there: ${missed}`,
  };
}

/** A client that goes away does not undo the operator's wish: it goes on, and asking again joins it. */
async function wish(
  { orchestrator, status }: NodeControl,
  stream: ControlStream<WishProgress>,
  text: string,
  fulfil: (orchestrator: FailoverOrchestrator) => Promise<void>,
): Promise<WishResult> {
  const before = whoServes(status());
  const tell = (event: { readonly text: string }): void => void stream.progress({ text: event.text });
  const regenerated = (event: { readonly text: string }): void => {
    const running = status().mirrors.find(({ resync }) => resync !== null);
    void stream.progress({ text: event.text, ...(running?.resync ? { mirror: running.name, resync: running.resync } : {}) });
  };
  orchestrator.events.on('step:started', tell);
  orchestrator.events.on('recover:progressed', regenerated);
  try {
    await fulfil(orchestrator);
  } catch (error) {
    throw withPauseRemedy(withElementRemedy(error, status()), status());
  } finally {
    orchestrator.events.off('step:started', tell);
    orchestrator.events.off('recover:progressed', regenerated);
  }
  return { changed: whoServes(status()) !== before, text };
}

function whoServes({ mode, home, epoch }: NodeStatus): string {
  return `${mode} ${home} ${String(epoch)}`;
}

function planView(wanted: 'fallback' | 'recover', { way, steps, blockedBy }: FailoverPlan): PlanView {
  const loss = 'what the other node acknowledged and this one does not hold; and where the other still serves, one of two histories';
  return {
    wish: wanted,
    fulfilled: way === 'none',
    steps: steps.map(({ node, step }) => ({ node, step, text: stepWords[step] })),
    blockedBy,
    mayLose: way === 'takeover' ? loss : null,
  };
}
