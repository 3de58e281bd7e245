import type { Arbiter } from '../../arbiter/arbiter.ts';
import { MemoryArbiter } from '../../arbiter/memory.ts';
import type { Clock } from '../../clock/clock.ts';
import type { Epoch } from '../../epoch.ts';
import { HotMirrorError } from '../../errors.ts';
import type { SeededRandom } from '../seeded-random.ts';
import type { NodeName } from './steps.ts';
import { nodeNames } from './steps.ts';

const percent = 100;

/** What the way of one node to the arbiter is like. */
export interface ArbiterWay {
  readonly reachable: boolean;
  /** Of a hundred questions, and of a hundred answers to those that arrived, those that are lost. */
  readonly lossPercent: number;
}

const openWay: ArbiterWay = { reachable: true, lossPercent: 0 };

/** Who asks: one process of a node. */
export interface ArbiterAsker {
  readonly node: NodeName;
  readonly random: SeededRandom;
  /** False once its node has started again: nothing that it asked and that has not arrived takes effect any more, as the contract of arbiters demands. */
  readonly counts: () => boolean;
}

/** An arbiter that takes its time, and the way of each node to it, on which questions and answers are lost. */
export class SimulatedArbiter {
  readonly #clock: Clock;
  readonly #longestMs: number;
  readonly #arbiter = new MemoryArbiter();
  readonly #ways: Record<NodeName, ArbiterWay> = { alpha: openWay, beta: openWay };

  /** A question takes up to `longestMs` there, and its answer as long back; 0: both come at once. */
  constructor(clock: Clock, longestMs: number) {
    this.#clock = clock;
    this.#longestMs = longestMs;
  }

  /** The epoch granted last, as the arbiter itself knows it. */
  current(): Promise<Epoch> {
    return this.#arbiter.current(new AbortController().signal);
  }

  /** What the way of this node is like now. */
  way(node: NodeName): ArbiterWay {
    return this.#ways[node];
  }

  /** From now on the way of this node is like this; without one, those of both. */
  set(way: ArbiterWay, node?: NodeName): void {
    for (const each of nodeNames) if (node === undefined || node === each) this.#ways[each] = way;
  }

  /** Everybody reaches it again. */
  mend(): void {
    this.set(openWay);
  }

  /** The arbiter as this process reaches it. */
  from(asker: ArbiterAsker): Arbiter {
    const arbiter = this.#arbiter;
    return {
      capabilities: arbiter.capabilities,
      current: (signal) => this.#ask(asker, signal, () => arbiter.current(signal)),
      grant: (from, to, signal) => this.#ask(asker, signal, () => arbiter.grant(from, to, signal)),
      handBack: (granted, earlier, signal) => this.#ask(asker, signal, () => arbiter.handBack(granted, earlier, signal)),
      close: () => Promise.resolve(),
    };
  }

  /** There, whatever it does, and back. */
  async #ask<Answer>(asker: ArbiterAsker, signal: AbortSignal, question: () => Promise<Answer>): Promise<Answer> {
    await this.#travel(asker);
    signal.throwIfAborted();
    if (!asker.counts()) throw unanswered();
    const answer = await question();
    await this.#travel(asker);
    return answer;
  }

  async #travel({ node, random }: ArbiterAsker): Promise<void> {
    const { reachable, lossPercent } = this.#ways[node];
    if (this.#longestMs > 0)
      await new Promise<void>((resolve) => {
        this.#clock.timer(random.below(this.#longestMs + 1), resolve);
      });
    if (!reachable || random.below(percent) < lossPercent) throw unanswered();
  }
}

function unanswered(): HotMirrorError {
  return new HotMirrorError('HM_CONNECT_FAILED', 'the arbiter does not answer');
}
