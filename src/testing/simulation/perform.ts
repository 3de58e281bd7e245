import type { FailoverOrchestrator } from '../../failover/orchestrator.ts';
import { HotMirrorError } from '../../errors.ts';
import { copyOrders } from './copy-orders.ts';
import type { CopyOrder } from './copy-orders.ts';
import type { NodeName, OperatorOrder, SimulationStep } from './steps.ts';
import { nodeNames } from './steps.ts';
import type { World } from './world.ts';

type StepOf<Kind extends SimulationStep['do']> = Extract<SimulationStep, { readonly do: Kind }>;

/** Does at once what a step says; only `run` is left to the caller, for it takes time. Rejects with `RangeError` for a link, mirror or node that does not exist. */
export async function perform(world: World, step: Exclude<SimulationStep, { readonly do: 'run' }>): Promise<void> {
  world.log.note({ node: 'world', event: 'fault:begun', class: 0, evidence: { step }, text: describeStep(step) });
  const { network } = world;
  switch (step.do) {
    case 'crash':
      crash(world, step);
      break;
    case 'boot':
      world.boot(step.node);
      break;
    case 'stop':
      world.stop(step.node);
      break;
    case 'pause':
      pause(world, step);
      break;
    case 'resume':
      world.resume(step.node);
      break;
    case 'cut':
      network.cut(step.link, step.from === undefined ? nodeNames : [step.from]);
      break;
    case 'heal':
      network.heal(step.link);
      break;
    case 'break':
      network.break(step.link);
      break;
    case 'conditions':
      network.setConditions(step.link, step.conditions, step.from);
      break;
    case 'disk':
      strikeDisk(world, step);
      break;
    case 'mend':
      world.nodes[step.node].disks.named(step.disk, step.mirror).mend();
      break;
    case 'replace':
      await world.diskFailures.replace(step.node);
      break;
    case 'clock':
      setClock(world, step);
      break;
    case 'arbiter':
      world.arbiter.set({ reachable: step.reachable, lossPercent: step.lossPercent ?? 0 }, step.node);
      break;
    case 'operator':
      operate(world, step.node, step.order)?.catch(() => undefined);
      break;
    case 'platform':
      world.nodes[step.node].platform.script(step.step, step.outcome);
  }
}

/** A step in a few words, the same for the same step. */
export function describeStep({ do: what, ...details }: SimulationStep): string {
  const word = (value: unknown): string => (typeof value === 'string' ? value : JSON.stringify(value));
  return [what, ...Object.entries(details).map(([name, value]) => `${name}=${word(value)}`)].join(' ');
}

function crash(world: World, { node, how, afterEffects }: StepOf<'crash'>): void {
  const { process } = world.nodes[node];
  if (afterEffects === undefined || !process) world.kill(node, how);
  else process.gate.dieAfter(afterEffects, () => world.kill(node, how));
}

function pause(world: World, { node, forMs, suspend = false }: StepOf<'pause'>): void {
  const { process } = world.nodes[node];
  if (!process || process.clock.paused) return;
  world.pause(node, suspend);
  if (forMs === undefined) return;
  world.clock.timer(forMs, () => {
    if (world.nodes[node].process === process) world.resume(node);
  });
}

function setClock(world: World, { node, jumpWallMs = 0, driftPpm }: StepOf<'clock'>): void {
  const own = world.nodes[node];
  own.wallOffsetMs += jumpWallMs;
  own.process?.clock.jumpWall(jumpWallMs);
  if (driftPpm === undefined) return;
  own.driftPpm = driftPpm;
  own.process?.clock.drift(driftPpm);
}

function strikeDisk(world: World, { node, disk, mirror, fault }: StepOf<'disk'>): void {
  if (fault.kind === 'slow' || fault.kind === 'stall') world.nodes[node].disks.named(disk, mirror).inject(fault);
  else world.diskFailures.sicken(node, disk, mirror, fault);
}

/** An operator asks and gets the outcome, which never comes where the process dies; null where the node answers nobody. */
export function operate(world: World, node: NodeName, order: OperatorOrder): Promise<void> | null {
  const { process } = world.nodes[node];
  if (!process?.ready || process.stopping || process.clock.paused) return null;
  const note = (event: string, text: string, extra: { readonly code: string | null; readonly rule?: string }): void =>
    world.log.note({
      node,
      event,
      class: 0,
      ...(extra.rule === undefined ? {} : { rule: extra.rule }),
      evidence: { order, code: extra.code },
      text,
    });
  note('operator:asked', `an operator asks for ${order}`, { code: null });
  const answered = isCopyOrder(order)
    ? Promise.all(world.options.mirrors.map(async (options) => copyOrders[order](process.mirrors.get(options.name)!, options)))
    : orders[order](process.orchestrator, [...process.mirrors.keys()]);
  return answered.then(
    () => {
      if (process.alive) note('operator:answered', `${order}: done`, { code: null });
    },
    (cause: unknown) => {
      const error = HotMirrorError.from(cause, 'HM_INTERNAL', 'the order');
      const { code, message, rule } = error;
      if (process.alive) note('operator:answered', `${order}: ${message}`, { code, ...(rule === undefined ? {} : { rule }) });
      throw error;
    },
  );
}

const isCopyOrder = (order: OperatorOrder): order is CopyOrder => Object.hasOwn(copyOrders, order);

/** Orders that go to the orchestrator. */
type FailoverOrder = Exclude<OperatorOrder, CopyOrder>;

const orders: Readonly<Record<FailoverOrder, (orchestrator: FailoverOrchestrator, mirrors: readonly string[]) => Promise<void>>> = {
  fallback: (orchestrator) => orchestrator.fallback(),
  'force-fallback': (orchestrator) => orchestrator.fallback({ force: true }),
  recover: (orchestrator) => orchestrator.recover(),
  switchover: (orchestrator) => orchestrator.switchover(),
  adopt: (orchestrator) => orchestrator.adopt(),
  manual: (orchestrator) => orchestrator.setControl('manual'),
  auto: (orchestrator) => orchestrator.setControl('auto'),
  'roll-back': (orchestrator) => orchestrator.rollBack(),
  resume: (orchestrator) => orchestrator.resume({ reason: 'an operator of the simulation' }),
  'element-off': (orchestrator, mirrors) => setElements(orchestrator, mirrors, 'off'),
  'element-on': (orchestrator, mirrors) => setElements(orchestrator, mirrors, 'on'),
};

async function setElements(orchestrator: FailoverOrchestrator, mirrors: readonly string[], to: 'off' | 'on'): Promise<void> {
  await Promise.all(mirrors.map((mirror) => orchestrator.setElement({ mirror, to })));
}
