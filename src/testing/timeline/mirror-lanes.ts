import type { TimelineEntry } from './entry.ts';
import type { LookName } from './looks.ts';
import type { TimelineLane, TimelineRequest, TimelineTick } from './model.ts';
import { isFilled, laneOf } from './model.ts';
import type { Moment } from './moment.ts';
import { evidenceOf, fractionOf, said } from './readings.ts';
import { Track } from './track.ts';

const servingLooks: Readonly<Record<string, readonly [LookName, string]>> = {
  yes: ['both', 'serving'],
  alone: ['alone', 'alone'],
  parked: ['parked', 'parked'],
};
const elementLooks: Readonly<Record<string, LookName>> = {
  uptodate: 'uptodate',
  consistent: 'consistent',
  outdated: 'outdated',
  inconsistent: 'inconsistent',
  failed: 'failed',
};

/** Follows one mirror on one node. Where the log does not tell its state, that follows from its events. */
export class MirrorLanes {
  readonly #name: string;
  readonly #told: boolean;
  readonly #serving = new Track();
  readonly #element = new Track();
  readonly #resync = new Track();
  readonly #issued = new Map<unknown, Moment>();
  readonly #requests: TimelineRequest[] = [];
  readonly #ticks: TimelineTick[] = [];
  #connected = false;

  constructor(name: string, told: boolean) {
    this.#name = name;
    this.#told = told;
  }

  take(moment: Moment): void {
    this.#takeRequest(moment);
    if (this.#told) this.#takeState(moment);
    else this.#derive(moment);
  }

  /** The node serves, by the event that says so. */
  serve({ atMs, index }: Moment): void {
    if (this.#told) return;
    this.#setServing(atMs, this.#connected ? 'yes' : 'alone', index);
    // Nothing but an uptodate element is served (rules boot.uptodate, takeover.uptodate).
    if (this.#element.look === null) this.#setElement(atMs, 'uptodate', index);
  }

  /** The node serves no more. */
  release({ atMs }: Moment): void {
    if (!this.#told) this.#serving.close(atMs);
  }

  /** The process is gone: nothing of this is so any more, and what was asked is never answered. */
  end(atMs: number): void {
    for (const track of [this.#serving, this.#element, this.#resync]) track.close(atMs);
    this.#connected = false;
    for (const moment of this.#issued.values()) this.#endRequest(moment, atMs, 'open');
    this.#issued.clear();
  }

  lanes(endMs: number): readonly TimelineLane[] {
    for (const moment of this.#issued.values()) this.#endRequest(moment, endMs, 'open');
    const requests = this.#requests.toSorted((one, other) => one.fromMs - other.fromMs);
    return [
      laneOf(`${this.#name} serving`, 'state', { spans: this.#serving.spans(endMs) }),
      laneOf(`${this.#name} element`, 'state', { spans: this.#element.spans(endMs) }),
      laneOf(`${this.#name} resync`, 'state', { spans: this.#resync.spans(endMs) }),
      laneOf(`${this.#name} writes`, 'traffic', { requests }),
      laneOf(`${this.#name} reads, flushes`, 'traffic', { ticks: this.#ticks }),
    ].filter(isFilled);
  }

  #takeRequest(moment: Moment): void {
    const { entry, index, atMs } = moment;
    const id = evidenceOf(entry, 'id');
    if (entry.event === 'write:issued') this.#issued.set(id, moment);
    if (entry.event === 'write:acknowledged' || entry.event === 'write:failed') {
      this.#endRequest(this.#issued.get(id) ?? moment, atMs, entry.event === 'write:failed' ? 'failed' : 'acknowledged');
      this.#issued.delete(id);
    }
    if (entry.event === 'read:answered' || entry.event === 'flush:done') this.#ticks.push({ atMs, entry: index });
  }

  #endRequest(issue: Moment, toMs: number, outcome: TimelineRequest['outcome']): void {
    this.#requests.push({ fromMs: issue.atMs, toMs, outcome, entry: issue.index });
  }

  #takeState({ entry, index, atMs }: Moment): void {
    if (entry.event !== 'mirror:state') return;
    this.#setServing(atMs, evidenceOf(entry, 'serving'), index);
    this.#setElement(atMs, evidenceOf(entry, 'element'), index);
    const fraction = fractionOf(evidenceOf(entry, 'resync'));
    if (fraction === null) this.#endResync(atMs, isSame(entry));
    else this.#follow(atMs, fraction, index);
  }

  #derive({ entry, index, atMs }: Moment): void {
    switch (entry.event) {
      case 'link:connected':
        this.#connected = true;
        break;
      case 'link:lost':
      case 'peer:left':
        this.#connected = false;
        this.#endResync(atMs, false);
        break;
      case 'lineage:decided':
        this.#decided(entry, index, atMs);
        break;
      case 'resync:started':
        this.#follow(atMs, 0, index);
        break;
      case 'resync:progressed': {
        const fraction = fractionOf(evidenceOf(entry, 'progress'));
        if (fraction !== null) this.#follow(atMs, fraction, index);
        break;
      }
      case 'resync:finished':
        this.#endResync(atMs, true);
        this.#setElement(atMs, 'uptodate', index);
        if (this.#serving.look !== null) this.#setServing(atMs, 'yes', index);
        break;
      case 'writes:parked':
        this.#setServing(atMs, 'parked', index);
        break;
      case 'writes:resumed':
        this.#setServing(atMs, this.#connected ? 'yes' : 'alone', index);
        break;
      case 'alone:decided':
        if (said(entry, 'action') === 'go') this.#setServing(atMs, 'alone', index);
        break;
      case 'element:failed':
        this.#setElement(atMs, 'failed', index);
        break;
      case 'epoch:refused':
        this.#serving.close(atMs);
        this.#setElement(atMs, 'consistent', index);
        break;
      default:
    }
  }

  #decided(entry: TimelineEntry, index: number, atMs: number): void {
    const scope = evidenceOf(entry, 'scope');
    if (scope === undefined) return;
    const behind = evidenceOf(entry, 'target') === entry.node && scope !== 'nothing';
    this.#setElement(atMs, behind ? 'inconsistent' : 'uptodate', index);
    if (this.#serving.look === 'alone') this.#setServing(atMs, 'yes', index);
  }

  #setServing(atMs: number, state: unknown, index: number): void {
    const [look, label] = servingLooks[String(state)] ?? [null, ''];
    this.#serving.set(atMs, look, label, index);
  }

  #setElement(atMs: number, state: unknown, index: number): void {
    const look = elementLooks[String(state)] ?? null;
    this.#element.set(atMs, look, String(state), index);
  }

  #endResync(atMs: number, finished: boolean): void {
    if (finished) this.#resync.progress(atMs, 1);
    this.#resync.close(atMs);
  }

  #follow(atMs: number, fraction: number, index: number): void {
    this.#resync.set(atMs, 'resync', 'resync', index);
    this.#resync.progress(atMs, fraction);
  }
}

/** Whether both elements are the same, as far as the state of a mirror tells. */
function isSame(entry: TimelineEntry): boolean {
  const peerElement = evidenceOf(entry, 'peerElement');
  return evidenceOf(entry, 'element') === 'uptodate' && (peerElement === undefined || peerElement === 'uptodate');
}
