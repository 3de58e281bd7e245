import type { LookName, MarkKind } from './looks.ts';

/** A state that lasted. */
export interface TimelineSpan {
  readonly fromMs: number;
  readonly toMs: number;
  readonly look: LookName;
  readonly label: string;
  /** Index of the entry that began it. */
  readonly entry: number;
  /** Of a resync: when it was how far, from 0 to 1. */
  readonly progress?: readonly (readonly [atMs: number, fraction: number])[];
}

/** Something that can be opened: a decision, a fault, an order, a broken invariant. */
export interface TimelineMark {
  readonly atMs: number;
  readonly kind: MarkKind;
  /** Index of its entry. */
  readonly entry: number;
}

/** How a request ended: acknowledged, failed, or never. */
export type RequestOutcome = 'acknowledged' | 'failed' | 'open';

/** A request of the application, from its issue to its end. */
export interface TimelineRequest {
  readonly fromMs: number;
  readonly toMs: number;
  readonly outcome: RequestOutcome;
  /** Index of the entry of its issue. */
  readonly entry: number;
}

/** One moment, of many. */
export interface TimelineTick {
  readonly atMs: number;
  /** Index of its entry. */
  readonly entry: number;
}

/** `marks` and `traffic` are tall, `view` (what one node thinks of a link) is thin. */
export type LaneForm = 'marks' | 'state' | 'detail' | 'view' | 'traffic';

/** One row. */
export interface TimelineLane {
  readonly label: string;
  readonly form: LaneForm;
  /** In order of time, none over another. */
  readonly spans: readonly TimelineSpan[];
  readonly marks: readonly TimelineMark[];
  readonly requests: readonly TimelineRequest[];
  readonly ticks: readonly TimelineTick[];
}

/** The rows of the world, a node or the links. */
export interface TimelineGroup {
  readonly title: string;
  readonly lanes: readonly TimelineLane[];
}

/** What a timeline shows. All times are ms from `originMs`. */
export interface TimelineModel {
  /** `virtual`: from the start of a simulation. `wall`: of the day. */
  readonly axis: 'virtual' | 'wall';
  /** Wall time of 0, in ms since 1970; 0 for virtual time. */
  readonly originMs: number;
  readonly startMs: number;
  readonly endMs: number;
  /** When each entry happened, by its index. */
  readonly times: readonly number[];
  readonly groups: readonly TimelineGroup[];
}

/** Makes a lane of what it has. */
export function laneOf(label: string, form: LaneForm, content: Partial<Omit<TimelineLane, 'label' | 'form'>>): TimelineLane {
  return { label, form, spans: [], marks: [], requests: [], ticks: [], ...content };
}

/** Whether a lane has anything to show. */
export function isFilled({ spans, marks, requests, ticks }: TimelineLane): boolean {
  return spans.length + marks.length + requests.length + ticks.length > 0;
}
