import type { Clock } from '../../clock/clock.ts';
import { sleep } from '../../clock/clock.ts';
import type { ScsiCommand, ScsiResult } from './command.ts';
import type { DetachReason, ScsiAttachment, ScsiPort } from './port.ts';
import { isUnitAttention } from './sense.ts';

/** What an exchange brings. */
export interface ExchangeHost {
  /** A host sent a message; it is valid during the call only. */
  received(from: number, message: Uint8Array): void;
  /** The exchange is over; called once, unless it was closed by its user. */
  ended(reason: DetachReason): void;
}

/** Carries messages between hosts, each at most `longestMessageBytes` long. */
export interface Exchange {
  readonly longestMessageBytes: number;
  /** Resolves true once the other host has the message; false where it is not there, or could not be reached after all tries. */
  send(to: number, message: Uint8Array): Promise<boolean>;
  /** What another host lets everybody read; null where that host is not there. */
  noticeOf(host: number): Promise<Uint8Array | null>;
  /** What everybody may read of this host. */
  setNotice(notice: Uint8Array): void;
  close(): void;
}

/** Opens an exchange; rejects as `ScsiPort.attach` does. */
export type OpenExchange = (host: ExchangeHost) => Promise<Exchange>;

/** As long as a command may be on a bus of this kind. */
const longestMessageBytes = 16_384;
/** A driver tries a command that the bus lost so often; BUSY may last longer. */
const tries = 5;
const busyTries = 200;
const retryMs = 10;

/** Runs a command as a driver does: again where the bus lost it, where the target was busy, and after a unit attention. */
export async function driven(clock: Clock, attachment: ScsiAttachment, target: number, command: ScsiCommand): Promise<ScsiResult> {
  let lost = 0;
  for (let busy = 0; ;) {
    const result = await attachment.execute(target, command);
    if (result.status === 'check-condition' && isUnitAttention(result.sense)) lost += 1;
    else if (result.status === 'transport-error') lost += 1;
    else if (result.status === 'busy' || result.status === 'task-set-full') busy += 1;
    else return result;
    if (lost >= tries || busy >= busyTries) return result;
    if (result.status !== 'check-condition') await sleep(clock, retryMs);
  }
}

/** Messages by SEND, notices by RECEIVE. */
export async function openProcessorExchange(port: ScsiPort, clock: Clock, host: ExchangeHost): Promise<Exchange> {
  const attachment = await port.attach({
    received: (from, data) => {
      host.received(from, data);
      return true;
    },
    detached: (reason) => {
      if (reason !== 'left') host.ended(reason);
    },
  });
  return {
    longestMessageBytes,
    send: async (to, message) => (await driven(clock, attachment, to, { op: 'send', data: message })).status === 'good',
    noticeOf: async (id) => {
      const result = await driven(clock, attachment, id, { op: 'receive' });
      return result.status === 'good' ? result.data : null;
    },
    setNotice: (notice) => attachment.setNotice(notice),
    close: () => attachment.detach(),
  };
}
