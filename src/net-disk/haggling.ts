import createDebug from 'debug';

import type { NetDiskLimits } from './limits.ts';
import { flagsOf } from './net-disk-export.ts';
import type { NetDiskExport } from './net-disk-export.ts';
import { MalformedOption, OptionData } from './option-data.ts';
import { blockSizeInfo, exportInfo, listedExport, metaContext, optionReply, refuseOption, textInfo } from './option-replies.ts';
import { baseAllocation, infos, optionReplies, options, sizes } from './protocol.ts';

const debug = createDebug('hotmirror:net-disk');

/** What is preferred of requests, in bytes, where a device's blocks are smaller. */
const preferredBlockBytes = 4096;
/** The id under which block status replies carry `base:allocation`. */
export const allocationContextId = 1;
/** The default export, which clients get that ask for none. */
const defaultName = '';
const tlsFirst = 'TLS comes first';

/** Whether a server speaks TLS: not at all, to those who want to, or to nobody else. */
export type TlsMode = 'none' | 'optional' | 'required';

/** What a server knows that clients may ask of. */
export interface HagglingHost {
  exports(): Iterable<NetDiskExport>;
  find(name: string): NetDiskExport | null;
  /** It is about to close, and lets nobody in any more. */
  closing(): boolean;
  /** As many clients use its exports as may. */
  full(): boolean;
  readonly tls: TlsMode;
  readonly limits: Pick<NetDiskLimits, 'requestBytes'>;
}

/** What client and server agreed on. */
export interface NegotiatedExport {
  readonly export: NetDiskExport;
  /** Replies are structured. */
  readonly structured: boolean;
  /** Block status may be asked, for `base:allocation`. */
  readonly allocation: boolean;
}

/** What follows on an option. */
export type NextStep =
  | { readonly then: 'haggle' | 'tls' | 'close' }
  /** Nothing can be answered: the connection ends at once. */
  | { readonly then: 'hang-up'; readonly because: string }
  | ({ readonly then: 'transmit' } & NegotiatedExport);

/** Answers to one option, and what follows on them. */
export type OptionOutcome = NextStep & { readonly replies: readonly Uint8Array[] };

/** What makes a refusal, before it is written. */
class Refusal extends Error {
  readonly kind: number;

  constructor(kind: number, because: string) {
    super(because);
    this.kind = kind;
  }
}

/** The haggling of one client about options, as decisions: what it is answered and what follows. It does no I/O. */
export class Haggling {
  readonly #host: HagglingHost;
  /** The client wants no reserved zeroes after the answer to `exportName`. */
  readonly #noZeroes: boolean;
  #secure = false;
  #structured = false;
  /** The export for which `base:allocation` was chosen. */
  #allocationOf: string | null = null;

  constructor(host: HagglingHost, { noZeroes }: { readonly noZeroes: boolean }) {
    this.#host = host;
    this.#noZeroes = noZeroes;
  }

  /** TLS is up. What was agreed before counts no more, for anybody may have said it. */
  secured(): void {
    this.#secure = true;
    this.#structured = false;
    this.#allocationOf = null;
  }

  take(option: number, data: Uint8Array): OptionOutcome {
    try {
      return this.#answer(option, new OptionData(data));
    } catch (error) {
      if (option === options.exportName) return { then: 'hang-up', because: (error as Error).message, replies: [] };
      if (error instanceof Refusal) return { then: 'haggle', replies: [refuseOption(option, error.kind, error.message)] };
      if (error instanceof MalformedOption)
        return { then: 'haggle', replies: [refuseOption(option, optionReplies.invalid, error.message)] };
      // A device may do what no device should: that ends this connection and no process.
      debug('option %d could not be answered: %O', option, error);
      return { then: 'hang-up', because: `option ${String(option)} could not be answered: ${String(error)}`, replies: [] };
    }
  }

  /** Refuses an option whose data is too long to be looked at. */
  refuseLong(option: number): Uint8Array {
    if (this.#isTooEarly(option)) return refuseOption(option, optionReplies.tlsRequired, tlsFirst);
    return refuseOption(option, optionReplies.tooBig, 'the data of this option is too long');
  }

  /** Nothing else is spoken about in the clear. */
  #isTooEarly(option: number): boolean {
    return this.#host.tls === 'required' && !this.#secure && option !== options.starttls;
  }

  #answer(option: number, data: OptionData): OptionOutcome {
    const ack = optionReply(option, optionReplies.ack);
    if (option === options.abort) return { then: 'close', replies: [ack] };
    if (this.#isTooEarly(option)) throw new Refusal(optionReplies.tlsRequired, tlsFirst);
    if (this.#host.closing()) throw new Refusal(optionReplies.shutdown, 'the server is about to close');
    if (option === options.starttls) return { then: 'tls', replies: [this.#startTls(ack, data)] };
    switch (option) {
      case options.exportName:
        return this.#exportName(data.rest());
      case options.list:
        data.end();
        return { then: 'haggle', replies: [...this.#list(option), ack] };
      case options.structuredReply:
        data.end();
        this.#structured = true;
        return { then: 'haggle', replies: [ack] };
      case options.info:
      case options.go:
        return this.#inform(option, data, ack);
      case options.listMetaContext:
      case options.setMetaContext:
        return { then: 'haggle', replies: [...this.#contexts(option, data), ack] };
      default:
        throw new Refusal(optionReplies.unsupported, 'this option is not known here');
    }
  }

  #startTls(ack: Uint8Array, data: OptionData): Uint8Array {
    if (this.#host.tls === 'none') throw new Refusal(optionReplies.policy, 'this server speaks no TLS');
    if (this.#secure) throw new Refusal(optionReplies.invalid, 'TLS is up already');
    data.end();
    return ack;
  }

  #list(option: number): Uint8Array[] {
    return [...this.#host.exports()].map(({ name, description = '' }) => listedExport(option, name, description));
  }

  /** The only answer of before the days of fixed newstyle: size and abilities, without a header. */
  #exportName(name: string): OptionOutcome {
    const found = this.#find(name);
    const bytes = new Uint8Array(10 + (this.#noZeroes ? 0 : sizes.reservedZeroes));
    const view = new DataView(bytes.buffer);
    view.setBigUint64(0, BigInt(found.device.sizeBytes));
    view.setUint16(8, flagsOf(found, this.#structured));
    return { then: 'transmit', ...this.#agreed(name, found), replies: [bytes] };
  }

  #inform(option: number, data: OptionData, ack: Uint8Array): OptionOutcome {
    const name = data.text();
    const asked = Array.from({ length: data.uint16() }, () => data.uint16());
    data.end();
    const found = this.#find(name);
    const { sizeBytes, blockSizeBytes } = found.device;
    const preferredBytes = Math.max(preferredBlockBytes, blockSizeBytes);
    const replies = [
      exportInfo(option, sizeBytes, flagsOf(found, this.#structured)),
      // Also unasked: whoever does not look at it may send what is not in whole blocks.
      blockSizeInfo(option, blockSizeBytes, preferredBytes, this.#host.limits.requestBytes),
      ...(asked.includes(infos.name) ? [textInfo(option, infos.name, found.name)] : []),
      ...(asked.includes(infos.description) && found.description ? [textInfo(option, infos.description, found.description)] : []),
      ack,
    ];
    return option === options.info ? { then: 'haggle', replies } : { then: 'transmit', ...this.#agreed(name, found), replies };
  }

  #contexts(option: number, data: OptionData): Uint8Array[] {
    const name = data.text();
    const queries = Array.from({ length: Math.min(data.uint32(), sizes.text) }, () => data.text());
    data.end();
    if (!this.#structured) throw new Refusal(optionReplies.invalid, 'metadata contexts need structured replies');
    const listing = option === options.listMetaContext;
    if (!listing) this.#allocationOf = null;
    this.#find(name);
    const all = listing && queries.length === 0;
    if (!all && !queries.some((query) => query === baseAllocation || (listing && query === 'base:'))) return [];
    if (!listing) this.#allocationOf = name;
    return [metaContext(option, listing ? 0 : allocationContextId, baseAllocation)];
  }

  #find(name: string): NetDiskExport {
    const found = this.#host.find(name);
    if (!found)
      throw new Refusal(optionReplies.unknown, name === defaultName ? 'there is no default export' : `there is no export "${name}"`);
    return found;
  }

  #agreed(name: string, found: NetDiskExport): NegotiatedExport {
    if (this.#host.full()) throw new Refusal(optionReplies.policy, 'too many clients use this server');
    return { export: found, structured: this.#structured, allocation: this.#allocationOf === name };
  }
}
