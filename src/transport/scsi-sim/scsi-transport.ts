import type { Transport } from '../transport.ts';
import { openProcessorExchange } from './exchange.ts';
import { ScsiLink } from './link.ts';
import type { ScsiLinkOptions } from './link.ts';
import type { ScsiPort } from './port.ts';

/** A link over the bus, host to host. */
export interface ScsiTransportOptions extends ScsiLinkOptions {
  /** This node's place on the bus. */
  readonly port: ScsiPort;
}

/**
 * Makes the transport of a link over the bus: both nodes take a place of their own and exchange messages by SEND, as processor devices do.
 * For tokens, not for a data link. A bus that cannot be reached is waited for, by whoever listens. Throws `RangeError` for a bad key or limit, or a peer at this node's own id.
 */
export function scsiTransport(options: ScsiTransportOptions): Transport {
  const { port, peerId, clock } = options;
  if (peerId === port.id) throw new RangeError('the peer needs an id of its own');
  return new ScsiLink(options, `${port.description} to id ${String(peerId)}`, (host) => openProcessorExchange(port, clock, host));
}
