import type { MarkKind } from './looks.ts';

/** The outline of each kind of mark in a square of 14 by 14. A refusal is drawn hollow. */
export const markShapes: Readonly<Record<MarkKind, string>> = {
  decision: 'M7 0.5 13.5 7 7 13.5 0.5 7Z',
  refusal: 'M7 1 13 7 7 13 1 7Z',
  fault: 'M7 0.5 14 13.5H0Z',
  order: 'M7 0.5a6.5 6.5 0 1 1 0 13a6.5 6.5 0 1 1 0-13Z',
  broken: 'M4.2 0H9.8L14 4.2V9.8L9.8 14H4.2L0 9.8V4.2Z',
};

/** What stands inside a mark for the class of its event, so that a class is told without colour: nothing, a dot, an arrowhead, an exclamation mark. */
export const classGlyphs: readonly string[] = ['', 'M7 7V7.01', 'M6.1 5.2L7.9 7L6.1 8.8', 'M7 4.2V7.4M7 9.7V9.71'];
