import type { LookName } from './looks.ts';
import { markOf } from './marks.ts';
import { MirrorLanes } from './mirror-lanes.ts';
import type { TimelineGroup, TimelineMark } from './model.ts';
import { isFilled, laneOf } from './model.ts';
import type { Moment, Survey } from './moment.ts';
import { epochOf, evidenceOf, modeOf, said, stepOf } from './readings.ts';
import { Track } from './track.ts';

const stateLooks: Readonly<Record<string, LookName>> = {
  serving: 'serving',
  passive: 'passive',
  booting: 'booting',
  stopping: 'stopping',
  paused: 'paused',
  down: 'off',
};
const restingActions: ReadonlySet<string> = new Set(['passive', 'split']);

/** Follows one node. Where the log does not tell its state, that follows from its events. */
export class NodeLanes {
  readonly #name: string;
  readonly #told: boolean;
  readonly #marks: TimelineMark[] = [];
  readonly #state = new Track();
  readonly #mode = new Track();
  readonly #epoch = new Track();
  readonly #control = new Track();
  readonly #steps = new Track();
  readonly #mirrors: ReadonlyMap<string, MirrorLanes>;
  readonly #died: (atMs: number) => void;
  #last: Pick<Moment, 'atMs' | 'index'> = { atMs: 0, index: 0 };

  /** `died` is called when the process is found to be gone. */
  constructor(name: string, survey: Survey, died: (atMs: number) => void) {
    this.#name = name;
    this.#told = survey.told.has(name);
    this.#died = died;
    const mirrors = survey.mirrors.get(name) ?? [];
    this.#mirrors = new Map(
      mirrors.map((mirror) => [mirror, new MirrorLanes(mirror, survey.toldMirrors.has(`${name}/${mirror}`))] as const),
    );
  }

  take(moment: Moment): void {
    const { entry, index, atMs } = moment;
    const kind = markOf(entry);
    if (kind !== null) this.#marks.push({ atMs, kind, entry: index });
    if (this.#told) this.#takeState(moment);
    else this.#derive(moment);
    this.#takeCommon(moment);
    if (entry.mirror !== undefined) this.#mirrors.get(entry.mirror)?.take(moment);
    this.#last = moment;
  }

  group(endMs: number): TimelineGroup {
    const lanes = [
      laneOf('decisions', 'marks', { marks: this.#marks }),
      laneOf('state', 'state', { spans: this.#state.spans(endMs) }),
      laneOf('mode', 'detail', { spans: this.#mode.spans(endMs) }),
      laneOf('epoch', 'detail', { spans: this.#epoch.spans(endMs) }),
      laneOf('control', 'detail', { spans: this.#control.spans(endMs) }),
      laneOf('service steps', 'detail', { spans: this.#steps.spans(endMs) }),
    ];
    const mirrors = [...this.#mirrors.values()].flatMap((mirror) => mirror.lanes(endMs));
    return { title: this.#name, lanes: [...lanes.filter(isFilled), ...mirrors] };
  }

  #takeState({ entry, index, atMs }: Moment): void {
    if (entry.event !== 'node:state') return;
    const state = String(evidenceOf(entry, 'state'));
    this.#state.set(atMs, stateLooks[state] ?? null, state, index);
    if (state === 'down') {
      this.#end(atMs);
      return;
    }
    const mode = modeOf(entry);
    this.#mode.set(atMs, mode ?? 'none', mode ?? 'none', index);
    this.#setEpoch({ entry, index, atMs });
    this.#setControl(atMs, said(entry, 'control'), index);
  }

  #derive(moment: Moment): void {
    const { entry, index, atMs } = moment;
    switch (entry.event) {
      case 'boot:decided': {
        if (this.#state.look !== 'booting') this.#restarted();
        const action = said(entry, 'action') ?? '';
        if (restingActions.has(action)) this.#state.set(atMs, 'passive', 'passive', index);
        else this.#state.set(atMs, 'booting', 'booting', index);
        break;
      }
      case 'service:started':
        this.#state.set(atMs, 'serving', 'serving', index);
        for (const mirror of this.#mirrors.values()) mirror.serve(moment);
        break;
      case 'service:stopped':
        this.#state.set(atMs, 'passive', 'passive', index);
        for (const mirror of this.#mirrors.values()) mirror.release(moment);
        break;
      case 'mode:changed': {
        const mode = modeOf(entry);
        this.#mode.set(atMs, mode ?? 'none', mode ?? 'none', index);
        break;
      }
      case 'epoch:raised':
        this.#setEpoch(moment);
        break;
      case 'control:changed':
        this.#setControl(atMs, said(entry, 'control'), index);
        break;
      default:
    }
  }

  /** A boot in the middle of a log: the process ended somewhere since its last entry. */
  #restarted(): void {
    if (this.#state.look === null) return;
    const { atMs, index } = this.#last;
    this.#end(atMs);
    this.#state.set(atMs, 'unknown', 'not running', index);
  }

  #takeCommon({ entry, index, atMs }: Moment): void {
    if (entry.event === 'step:started') {
      const step = stepOf(entry);
      this.#steps.set(atMs, 'step', step, index);
    } else if (entry.event === 'step:finished') this.#steps.close(atMs);
    else if (entry.event === 'step:failed') this.#steps.fail(atMs, 'brokenStep');
  }

  #setEpoch(moment: Moment): void {
    const epoch = epochOf(moment.entry);
    this.#epoch.set(moment.atMs, epoch === null ? null : 'epoch', epoch ?? '', moment.index);
  }

  /** Automatic is the quiet state: only manual control is shown. */
  #setControl(atMs: number, control: string | null, index: number): void {
    this.#control.set(atMs, control === 'manual' ? 'manual' : null, 'manual', index);
  }

  #end(atMs: number): void {
    for (const track of [this.#mode, this.#epoch, this.#control, this.#steps]) track.close(atMs);
    for (const mirror of this.#mirrors.values()) mirror.end(atMs);
    this.#died(atMs);
  }
}
