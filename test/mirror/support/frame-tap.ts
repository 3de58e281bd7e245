import { ForwardingConnection, withConnections } from './forwarding-connection.ts';
import { copyOf } from '../../../src/bytes.ts';
import type { Connection, Receiver, Transport } from '../../../src/transport/transport.ts';

/** Gives the receiver a frame, and says what came of it: it was not wanted any more, the connection goes on, or this ended it. */
export type Deliver = (frame: Uint8Array) => 'unwanted' | 'goes on' | 'ended';

/** What becomes of a frame on its way in. */
export type Tamper = (frame: Uint8Array, deliver: Deliver, connection: Connection) => void;

/** A transport that hands out a copy of each frame that arrives here, before its receiver gets it. */
export function tapFrames(transport: Transport, tap: (frame: Uint8Array, connection: Connection) => void): Transport {
  return tamperFrames(transport, (frame, deliver, connection) => {
    tap(copyOf(frame), connection);
    deliver(frame);
  });
}

/** A transport whose frames arrive as `tamper` says: as of a peer that has proven itself and then says what no peer would. */
export function tamperFrames(transport: Transport, tamper: Tamper): Transport {
  return withConnections(transport, (connection) => new TamperedConnection(connection, tamper));
}

class TamperedConnection extends ForwardingConnection {
  readonly #tamper: Tamper;

  constructor(inner: Connection, tamper: Tamper) {
    super(inner);
    this.#tamper = tamper;
  }

  protected override arrived(bytes: Uint8Array, receiver: Receiver): void {
    const isOver = (): boolean => this.over;
    const deliver: Deliver = (frame) => {
      if (isOver()) return 'unwanted';
      receiver.frame(frame);
      return isOver() ? 'ended' : 'goes on';
    };
    this.#tamper(bytes, deliver, this);
  }
}
