import { expect } from 'chai';

import { SeededRandom } from '../../../src/testing/seeded-random.ts';
import { VirtualClock } from '../../../src/testing/virtual-clock.ts';
import { noReservationKey, ScsiBus } from '../../../src/transport/scsi-sim/index.ts';
import type {
  DetachReason,
  ReservationReport,
  ReservationType,
  ReserveOutAction,
  ScsiAttachment,
  ScsiBusOptions,
  ScsiCommand,
  ScsiResult,
} from '../../../src/transport/scsi-sim/index.ts';

export const unit = 0;
const patienceMs = 5_000;

/** A host of a test: it keeps what it is told. */
export interface TestHost {
  readonly id: number;
  readonly attachment: ScsiAttachment;
  readonly heard: string[];
  readonly detached: DetachReason[];
  /** Answers BUSY while true. */
  busy: boolean;
}

/** A bus in virtual time, and short words for what hosts do on it. */
export class BusBench {
  readonly clock = new VirtualClock();
  readonly bus: ScsiBus;

  constructor(options: Partial<ScsiBusOptions> = {}) {
    this.bus = new ScsiBus({ clock: this.clock, random: new SeededRandom(1), ...options });
  }

  /** A host that has heard of everything up to now. */
  async host(id: number): Promise<TestHost> {
    const host = this.freshHost(id);
    while ((await this.run(host, { op: 'test-unit-ready' })).status === 'check-condition');
    return host;
  }

  /** A host to which the unit still has to tell that it was switched on. */
  freshHost(id: number): TestHost {
    const [heard, detached]: [string[], DetachReason[]] = [[], []];
    const attachment = this.bus.attach(id, {
      received: (from, data) => {
        if (host.busy) return false;
        heard.push(`${String(from)}: ${Buffer.from(data).toString()}`);
        return true;
      },
      detached: (reason) => void detached.push(reason),
    });
    const host: TestHost = { id, attachment, heard, detached, busy: false };
    return host;
  }

  run(host: TestHost, command: ScsiCommand, target: number = unit): Promise<ScsiResult> {
    return this.clock.settled(host.attachment.execute(target, command), patienceMs);
  }

  async status(host: TestHost, command: ScsiCommand, target: number = unit): Promise<string> {
    const result = await this.run(host, command, target);
    return result.status === 'check-condition' ? result.sense.text : result.status;
  }

  /** What a PERSISTENT RESERVE OUT comes to. */
  out(
    host: TestHost,
    action: ReserveOutAction,
    words: { key?: string; serviceKey?: string; type?: ReservationType } = {},
  ): Promise<string> {
    return this.status(host, {
      op: 'persistent-reserve-out',
      action,
      key: words.key ?? noReservationKey,
      serviceKey: words.serviceKey ?? noReservationKey,
      type: words.type ?? 5,
    });
  }

  write(host: TestHost, text: string, block = 0): Promise<string> {
    return this.status(host, { op: 'write', block, data: Buffer.alloc(512, text) });
  }

  read(host: TestHost, block = 0): Promise<string> {
    return this.status(host, { op: 'read', block, count: 1 });
  }

  /** The first letter of a block, by whoever may read it. */
  async letter(host: TestHost, block = 0): Promise<string> {
    const result = await this.run(host, { op: 'read', block, count: 1 });
    return result.status === 'good' ? Buffer.from(result.data).toString().slice(0, 1) : result.status;
  }

  /** What the unit has for this host to hear of. */
  async attention(host: TestHost): Promise<string> {
    return this.status(host, { op: 'test-unit-ready' });
  }

  async report(host: TestHost): Promise<ReservationReport> {
    const result = await this.run(host, { op: 'persistent-reserve-in' });
    expect(result.status).to.equal('good');
    return (result as { readonly report: ReservationReport }).report;
  }
}
