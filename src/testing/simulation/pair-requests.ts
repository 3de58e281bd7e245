import { HotMirrorError } from '../../errors.ts';
import type { Request } from './application.ts';
import { checkMirror, checkNode } from './check-step.ts';
import { explain } from './explanation.ts';
import { servingNodes } from './pair-condition.ts';
import { stanceOf } from './process-stance.ts';
import type { SimulatedProcess } from './simulated-process.ts';
import type { NodeName } from './steps.ts';
import type { World } from './world.ts';

/** A request of `SimulatedPair`. */
export interface PairRequest {
  /** Default: the first mirror. */
  readonly mirror?: string;
  /** In bytes; a multiple of 512. */
  readonly offset: number;
  /** Who is asked. Default: the node that serves. */
  readonly node?: NodeName;
  /** How long the answer is waited for, in ms of virtual time from the call. Default ten minutes. */
  readonly withinMs?: number;
}

/** A request that was asked. */
export interface AskedRequest {
  /** What is still missing, in words. */
  readonly missing: string;
  /** Whether it ended, or nobody is left to end it. */
  over(): boolean;
  /** What was read or written. Throws the request's error, and `HM_NODE_DIED` where there is no answer. */
  answer(): Uint8Array;
}

/** Asks now. Throws `RangeError` for a node or mirror that there is not, and `HM_NOT_SERVING` where there is nobody to ask. */
export function askPair(world: World, kind: Request['kind'], request: PairRequest, bytes: Uint8Array, fua: boolean): AskedRequest {
  const { mirror = world.options.mirrors[0]!.name, offset, node } = request;
  checkMirror(mirror, world.options);
  const process = asked(world, node);
  let outcome: { readonly error: HotMirrorError | null } | null = null;
  world.application.ask(process, { kind, mirror, offsetBytes: offset, bytes, fua }, (error) => (outcome = { error }));
  const where = kind === 'flush' ? '' : ` of ${String(bytes.byteLength)} bytes at ${String(offset)}`;
  const what = `the ${kind}${where} to ${mirror}`;
  return {
    missing: `${process.node} did not answer ${what}`,
    over: () => outcome !== null || !process.alive,
    answer() {
      if (!outcome) throw new HotMirrorError('HM_NODE_DIED', `${process.node} died before it answered ${what}`);
      if (outcome.error) throw outcome.error;
      return bytes;
    },
  };
}

function asked(world: World, node: NodeName | undefined): SimulatedProcess {
  if (node !== undefined) checkNode(node);
  const [first, second] = servingNodes(world);
  const name = node ?? (second === undefined ? first : undefined);
  const process = name && world.nodes[name].process;
  if (process) return process;
  const who = second !== undefined ? 'both nodes serve' : `${first ?? 'no node'} serves`;
  const why = name === undefined ? `${who} now` : `${name} ${stanceOf(process)}; ${who}`;
  throw new HotMirrorError('HM_NOT_SERVING', `${why}\n${explain(world)}`);
}
