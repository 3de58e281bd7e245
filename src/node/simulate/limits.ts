/** Longest real time of one run, in ms: hundreds of times what one takes. */
export const hungMs = 60_000;
/** Longest real time of shrinking one failure, in ms. */
export const shrinkMs = 600_000;
/** Runs that shrinking one failure may take. */
export const shrinkRuns = 400;
