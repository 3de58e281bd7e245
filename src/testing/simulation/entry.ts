import type { TimelineEntry } from '../timeline/entry.ts';

/**
 * What a simulation notes beside the events of the classes (`takeover:decided`, `link:lost`, …), which keep their names and carry the mirror, rule and evidence they had.
 * The evidence of each is given here.
 *
 * - `fault:begun` the step that was performed, as it is: `{ step }`
 * - `node:state` `{ state: 'down' | 'booting' | 'passive' | 'serving' | 'paused' | 'stopping', mode, epoch, owner, control }`
 * - `mirror:state` the `MirrorState`, without rates
 * - `link:state` node `world`: `{ link, alpha: 'open' | 'cut', beta: 'open' | 'cut' }`, each what that node sends
 * - `token:answered` `{ link, roundTripMs }`, only with `detail: 'all'`
 * - `write:issued`, `write:acknowledged`, `write:failed`, `read:answered`, `flush:done`: `{ id, offset, length, code }`, only with `detail: 'all'`
 * - `operator:asked`, `operator:answered` `{ order, code }`
 * - `invariant:broken` node `world`: `{ invariant }`
 */
export interface SimulationEntry extends TimelineEntry {
  /** Virtual time, in ms from the start of the simulation. */
  readonly atMs: number;
  readonly node: 'alpha' | 'beta' | 'world';
}
