import type { Done, WriteOptions, ZeroesOptions } from '../device/block-device.ts';
import type { Admission } from './admission.ts';
import type { Counters } from './counters.ts';
import type { Read } from './reads.ts';
import { newRequest } from './request.ts';
import type { Request } from './request.ts';

/** Where requests go that were taken in. */
export interface IntakeOptions {
  readonly admission: Admission;
  readonly counters: Pick<Counters, 'nowMs'>;
  readonly read: (read: Read) => void;
  /** Takes a request that changes an element, or a flush. */
  readonly take: (request: Request) => void;
}

/** Takes the requests of the application in: notes when each came, and its place among all of them. */
export class Intake {
  readonly #options: IntakeOptions;
  #arrivals = 0;

  constructor(options: IntakeOptions) {
    this.#options = options;
  }

  read(offsetBytes: number, into: Uint8Array, done: Done): void {
    if (!this.#options.admission.admit(done)) return;
    const startedMs = this.#options.counters.nowMs();
    this.#arrivals += 1;
    this.#options.read({ counts: 'read', startedMs, arrival: this.#arrivals, offsetBytes, lengthBytes: into.byteLength, into, done });
  }

  write(offsetBytes: number, bytes: Uint8Array, options: WriteOptions, done: Done): void {
    if (this.#options.admission.admit(done)) this.#take(newRequest('write', { offsetBytes, bytes, fua: options.fua === true, done }));
  }

  writeZeroes(offsetBytes: number, lengthBytes: number, options: ZeroesOptions, done: Done): void {
    const { fua = false, noHole = false } = options;
    if (this.#options.admission.admit(done)) this.#take(newRequest('zeroes', { offsetBytes, lengthBytes, fua, noHole, done }));
  }

  /** Zeroes that are counted as what they were asked for. */
  trim(offsetBytes: number, lengthBytes: number, done: Done): void {
    if (this.#options.admission.admit(done)) this.#take(newRequest('zeroes', { counts: 'trim', offsetBytes, lengthBytes, done }));
  }

  flush(done: Done): void {
    if (this.#options.admission.admit(done)) this.#take(newRequest('flush', { done }));
  }

  #take(request: Request): void {
    request.startedMs = this.#options.counters.nowMs();
    this.#arrivals += 1;
    request.arrival = this.#arrivals;
    this.#options.take(request);
  }
}
