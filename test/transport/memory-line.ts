import type { Random } from '../../src/clock/random.ts';
import { SeededRandom } from '../../src/testing/seeded-random.ts';
import { VirtualClock } from '../../src/testing/virtual-clock.ts';
import { MemoryNetwork } from '../../src/transport/memory.ts';
import type { LinkConditions, MemoryLink } from '../../src/transport/memory.ts';
import type { Connection } from '../../src/transport/transport.ts';
import { smallLimits } from './tcp-fixture.ts';

/** A connection from alpha to beta, and what its ends tell, with the time. */
export class Line {
  readonly clock = new VirtualClock({ settles: 'promises' });
  readonly random: SeededRandom;
  readonly network: MemoryNetwork;
  readonly cable: MemoryLink;
  readonly log: string[] = [];
  readonly accepted: Connection[] = [];
  /** When each frame arrived, at either end. */
  readonly arrivals: number[] = [];
  /** What chance gives next; afterwards the seed decides. */
  readonly script: number[] = [];
  drawn = 0;

  constructor(conditions: LinkConditions, seed = 1) {
    this.random = new SeededRandom(seed);
    const counting: Random = {
      bytes: (length) => this.random.bytes(length),
      fraction: () => {
        this.drawn += 1;
        return this.script.shift() ?? this.random.fraction();
      },
    };
    this.network = new MemoryNetwork({ clock: this.clock, random: counting });
    this.cable = this.network.link('data', { nodes: ['alpha', 'beta'], conditions, limits: smallLimits });
  }

  /** Both ends of a new connection; with conditions, over a link that is plain until it is there. */
  async connect(conditions?: LinkConditions): Promise<[Connection, Connection]> {
    if (conditions) this.cable.setConditions({});
    if (this.accepted.length === 0) await this.listen();
    const count = this.accepted.length;
    const dialled = this.watch('alpha', await this.clock.settled(this.cable.transport('alpha').dial(), 60_000));
    const accepted = this.accepted[count];
    if (!accepted) throw new Error('nothing was accepted');
    if (conditions) this.cable.setConditions(conditions);
    return [dialled, accepted];
  }

  async listen(): Promise<void> {
    await this.cable.transport('beta').listen({
      accepted: (connection) => {
        this.accepted.push(this.watch(`beta${this.accepted.length === 0 ? '' : String(this.accepted.length + 1)}`, connection));
      },
    });
  }

  watch(name: string, connection: Connection): Connection {
    const note = (what: string): void => void this.log.push(`${String(this.clock.nowMs())} ${name} ${what}`);
    connection.receive({
      frame: (bytes) => {
        this.arrivals.push(this.clock.nowMs());
        note(`got ${Buffer.from(bytes).toString()}`);
      },
      closed: (error) => {
        note(`closed ${error?.code ?? 'in order'}`);
      },
    });
    return connection;
  }

  /** How long each of so many frames took, sent one after the other at such a distance. */
  async travelTimes(from: Connection, count: number, everyMs: number): Promise<number[]> {
    const sent: number[] = [];
    this.arrivals.length = 0;
    for (let index = 0; index < count; index += 1) {
      sent.push(this.clock.nowMs());
      from.send([Buffer.from(String(index))]);
      await this.clock.runFor(everyMs);
    }
    await this.clock.until(() => this.arrivals.length === count, 3_600_000);
    return this.arrivals.map((arrivedMs, index) => arrivedMs - (sent[index] ?? 0));
  }

  /** The numbers that arrived, in the order they did. */
  get numbers(): number[] {
    return this.log.flatMap((line) => (line.includes(' got ') ? [Number(line.split(' got ')[1])] : []));
  }
}
