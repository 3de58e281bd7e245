/** How a state is drawn. Each form differs by shape, so that colour is never alone. */
export type LookForm =
  /** A filled bar. */
  | 'solid'
  /** A pale bar on a firm base line. */
  | 'tint'
  /** An empty bar. */
  | 'outline'
  /** A pale bar with slanted lines. */
  | 'hatch'
  /** A pale bar with crossed lines. */
  | 'cross'
  /** A pale bar with dots. */
  | 'dots'
  /** A thin line: as it should be. */
  | 'line'
  /** A thin broken line. */
  | 'dashed'
  /** Nothing but two ends: what should be there is not. */
  | 'gap';

/** Colour by meaning. */
export type LookTone = 'quiet' | 'service' | 'good' | 'warn' | 'bad';

/** How a state is drawn and what it says in the legend. */
export interface Look {
  readonly form: LookForm;
  readonly tone: LookTone;
  /** In the legend. */
  readonly words: string;
}

const looksTable = {
  serving: { form: 'solid', tone: 'service', words: 'the node serves' },
  passive: { form: 'outline', tone: 'quiet', words: 'passive: it follows' },
  booting: { form: 'dots', tone: 'quiet', words: 'booting' },
  stopping: { form: 'hatch', tone: 'quiet', words: 'stopping' },
  paused: { form: 'hatch', tone: 'warn', words: 'paused: the process stands still' },
  off: { form: 'gap', tone: 'bad', words: 'down' },
  unknown: { form: 'gap', tone: 'quiet', words: 'not in the log' },

  normal: { form: 'line', tone: 'quiet', words: 'normal mode: the home primary owns the service' },
  fallback: { form: 'tint', tone: 'warn', words: 'fallback mode: the home standby owns it' },
  none: { form: 'gap', tone: 'quiet', words: 'no mode: nobody owns it yet' },
  epoch: { form: 'outline', tone: 'quiet', words: 'an epoch, with its owner' },
  manual: { form: 'tint', tone: 'warn', words: 'control manual: no automatic takeover' },

  both: { form: 'tint', tone: 'service', words: 'writes complete on both elements' },
  alone: { form: 'hatch', tone: 'warn', words: 'writes complete on this element alone' },
  parked: { form: 'cross', tone: 'bad', words: 'writes are parked: nothing completes' },

  uptodate: { form: 'line', tone: 'good', words: 'element uptodate' },
  consistent: { form: 'outline', tone: 'good', words: 'element consistent' },
  outdated: { form: 'tint', tone: 'warn', words: 'element outdated' },
  inconsistent: { form: 'hatch', tone: 'bad', words: 'element inconsistent' },
  failed: { form: 'cross', tone: 'bad', words: 'element failed' },
  resync: { form: 'tint', tone: 'good', words: 'resync, with how far it is' },

  open: { form: 'line', tone: 'quiet', words: 'link open, or up as a node sees it' },
  late: { form: 'dashed', tone: 'warn', words: 'link late, or cut one way' },
  cut: { form: 'gap', tone: 'bad', words: 'link cut, or down as a node sees it' },

  step: { form: 'tint', tone: 'quiet', words: 'a service step' },
  brokenStep: { form: 'cross', tone: 'bad', words: 'a service step that failed' },
} as const;

/** The name of a look. */
export type LookName = keyof typeof looksTable;

/** Every look by name. */
export const looks: Readonly<Record<LookName, Look>> = looksTable;

/** A mark is told by its shape; its colour is the class of its event. */
export type MarkKind = 'decision' | 'refusal' | 'fault' | 'order' | 'broken';

/** What each kind of mark says in the legend. */
export const markWords: Readonly<Record<MarkKind, string>> = {
  decision: 'a decision',
  refusal: 'a refusal, a failure, or something given up',
  fault: 'a fault begins',
  order: 'an operator asks, or is answered',
  broken: 'an invariant is broken',
};

/** What the class of an event means (semantics 10). */
export const classWords: readonly string[] = ['information', 'redundancy lost', 'service moved', 'service lost'];

/** Tones of the ticks of the overview, one for each mark, with what they say. */
export const overviewTicks: readonly (readonly ['quiet' | 'warn' | 'moved' | 'bad', string])[] = [
  ['bad', 'fault, class 3'],
  ['moved', 'class 2'],
  ['warn', 'class 1'],
  ['quiet', 'class 0'],
];

/** Tones of the bars of the overview, a row for each node. */
export const overviewBars: readonly (readonly [LookTone, string])[] = [
  ['service', 'serves'],
  ['warn', 'stands still'],
  ['bad', 'down'],
];
