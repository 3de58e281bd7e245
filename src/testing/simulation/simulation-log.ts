import type { SimulationEntry } from './entry.ts';

/** Entries kept; of a longer run the oldest go. */
const maxEntries = 1_000_000;

/** What is noted; the log adds number and time. */
export type Noted = Omit<SimulationEntry, 'schema' | 'seq' | 'time' | 'atMs'>;

/** Everything that happened in one simulation, in order. */
export class SimulationLog {
  readonly #now: () => { readonly atMs: number; readonly wallMs: number };
  readonly #tell: (entry: SimulationEntry) => void;
  readonly #entries: SimulationEntry[] = [];
  #seq = 0;

  /** `tell` gets each entry as it is noted. */
  constructor(now: () => { readonly atMs: number; readonly wallMs: number }, tell: (entry: SimulationEntry) => void) {
    this.#now = now;
    this.#tell = tell;
  }

  get entries(): readonly SimulationEntry[] {
    return this.#entries;
  }

  note(noted: Noted): void {
    const { atMs, wallMs } = this.#now();
    this.#seq += 1;
    const entry: SimulationEntry = { schema: 1, seq: this.#seq, atMs, time: new Date(wallMs).toISOString(), ...noted };
    if (this.#entries.length >= maxEntries) this.#entries.splice(0, maxEntries / 2);
    this.#entries.push(entry);
    this.#tell(entry);
  }
}
