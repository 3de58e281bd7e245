/**
 * What a link does to what is sent over it, one way. A connection stays ordered and reliable, as TCP keeps it: nothing arrives before what was sent
 * before it, and a lost frame is sent again and holds up those behind it. Requests and answers of dials, and the news of an end, travel like frames, but
 * no bit of them is turned. All times are in ms, at most a day; all shares are of a million; everything absent is 0.
 */
export interface LinkConditions {
  /** Shortest time one way, in ms. At 0 a frame arrives in the next timer turn, never inside `send`. */
  readonly delayMs?: number;
  /** Up to this much more, evenly spread, in ms. */
  readonly jitterMs?: number;
  /** Frames lost on the way: each comes after `retransmitMs` more, and so again with the same chance, 15 times at most, as in Linux. */
  readonly lostPerMillion?: number;
  /** How long until a lost frame is sent again, in ms. Default 200, the shortest of Linux. */
  readonly retransmitMs?: number;
  /** Frames of which a bit is turned on the way: the checksum finds it, and the connection ends with `HM_BAD_CHECKSUM`. */
  readonly corruptPerMillion?: number;
  /** Dials of which the request comes twice: the listener gets a second connection, which the dialler knows nothing of and which brings nothing. */
  readonly duplicatePerMillion?: number;
  /** Frames that clog the link: they and all behind them wait for `clogMs`, then come at once. */
  readonly clogPerMillion?: number;
  /** How long the link stays clogged, in ms. */
  readonly clogMs?: number;
}

/** What shares are counted in. */
export const million = 1_000_000;

const longestMs = 86_400_000;

const calm: Required<LinkConditions> = Object.freeze({
  delayMs: 0,
  jitterMs: 0,
  lostPerMillion: 0,
  retransmitMs: 200,
  corruptPerMillion: 0,
  duplicatePerMillion: 0,
  clogPerMillion: 0,
  clogMs: 0,
});

/** Fills in the defaults. Throws `RangeError` for a condition that is none. */
export function linkConditions(conditions: LinkConditions = {}): Required<LinkConditions> {
  for (const [name, value] of Object.entries(conditions) as [string, unknown][]) {
    if (!Object.hasOwn(calm, name)) throw new RangeError(`a link has no condition ${name}`);
    const most = name.endsWith('PerMillion') ? million : longestMs;
    if (!(typeof value === 'number' && value >= 0 && value <= most))
      throw new RangeError(`conditions.${name} must be a number from 0 to ${String(most)}, not ${String(value)}`);
  }
  return { ...calm, ...conditions };
}
