import type { MirrorProtocol } from './options.ts';

/** The protocols, in the order of their numbers on the wire. */
export const protocols: readonly MirrorProtocol[] = ['sync', 'memsync', 'async'];

/**
 * The protocol by which this node completes requests when it serves (rule write.both), and whether it may have completed some that the peer lacks.
 */
export class ProtocolInForce {
  /** By which requests that are sent from now on complete. */
  current: MirrorProtocol;
  /**
   * Requests complete by `async`, or are about to: what the element's metadata must say before the first does (rule lineage.equal). Once true it stays so until
   * everything completed has reached the peer.
   */
  ahead = false;

  constructor(configured: MirrorProtocol) {
    this.current = configured;
  }
}

/** What a takeover may lose of what was acknowledged, in bytes, where no second failure comes before it (rule write.both). */
export function mayLoseBytes(protocol: MirrorProtocol, windowBytes: number): number {
  return protocol === 'async' ? windowBytes : 0;
}
