import type { Arbiter } from '../../src/arbiter/arbiter.ts';
import type { NodeClock } from './node-clock.ts';

/** The arbiter as one process reaches it: what a dead process asked for may be done, but it never hears of it. */
export function arbiterOf(arbiter: Arbiter, clock: NodeClock, blind: () => boolean): Arbiter {
  const alive = (): Promise<void> => (clock.dead ? new Promise(() => undefined) : Promise.resolve());
  const ask = async <T>(question: () => Promise<T>): Promise<T> => {
    await alive();
    if (blind()) throw new Error('unreachable');
    const answer = await question();
    await alive();
    return answer;
  };
  return {
    capabilities: arbiter.capabilities,
    current: (...question) => ask(() => arbiter.current(...question)),
    grant: (...question) => ask(() => arbiter.grant(...question)),
    handBack: (...question) => ask(() => arbiter.handBack(...question)),
    close: () => Promise.resolve(),
  };
}
