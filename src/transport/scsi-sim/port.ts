import type { ScsiCommand, ScsiResult } from './command.ts';

/** Why a host is no longer on the bus: it left, the bus broke down under every host, it was unplugged, or the bus cannot be reached any more. */
export type DetachReason = 'left' | 'bus-error' | 'removed' | 'lost';

/** What a bus tells a host. Neither may throw. */
export interface ScsiHost {
  /** Another host sent a message; false where there is no room for it: the sender gets BUSY. `data` is valid during the call only. */
  received(from: number, data: Uint8Array): boolean;
  /** This host is no longer on the bus; called once, and nothing afterwards. */
  detached(reason: DetachReason): void;
}

/** A host on the bus. */
export interface ScsiAttachment {
  readonly id: number;
  /** Runs a command at a target; commands of one host reach the bus in their order. Never rejects. */
  execute(target: number, command: ScsiCommand): Promise<ScsiResult>;
  /** What others get by RECEIVE from now on; at most `longestTransferBytes`. */
  setNotice(notice: Uint8Array): void;
  /** Leaves the bus. Its host adapter stays plugged in, so the bus stays terminated. */
  detach(): void;
}

/** A place on a bus, with an id of its own, that a host may take. */
export interface ScsiPort {
  readonly id: number;
  /** The bus and the id, for messages. */
  readonly description: string;
  /** Takes the place. Rejects with `HM_ADDRESS_IN_USE` where another host has it, `HM_CONNECT_FAILED` where the bus cannot be reached, `HM_ADDRESS`. */
  attach(host: ScsiHost): Promise<ScsiAttachment>;
}
